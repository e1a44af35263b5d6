//! `vejr serve`: forecasts over gRPC, tiles and a map.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::models::packages_in;
use super::{Failure, Fault, runtime, say};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::serve::{Limits, ModelChannel, ModelSummary, ServeConfig, Server};

/// Serve the forecasts of a store: gRPC, HTTP tiles and a map, on one port.
///
/// The configuration file says which store; deploy/vejr.toml is an example with every setting.
///
/// Example: vejr serve --config vejr.toml
#[derive(Debug, Args)]
pub struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `vejr.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Folder or URL of the store.
    store: String,
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    /// Listen also where other machines can reach it: there is no authentication yet.
    #[serde(default)]
    allow_public: bool,
    /// Folders whose sub-folders are model packages.
    #[serde(default)]
    models: Vec<PathBuf>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let path = arguments.config.display();
    let text = std::fs::read_to_string(&arguments.config).map_err(|error| {
        Failure::configuration(format!("{path}: {error}; expected a configuration file, see deploy/vejr.toml"))
    })?;
    let configuration: Configuration =
        toml::from_str(&text).map_err(|error| Failure::configuration(format!("{path}: {error}")))?;
    let mut models = Vec::new();
    for folder in &configuration.models {
        models.extend(summaries(folder)?);
    }
    let config = ServeConfig {
        listen: configuration.listen,
        allow_public: configuration.allow_public,
        store: Location::parse(&configuration.store)?,
        models,
        limits: Limits::default(),
    };
    let runtime = runtime()?;
    let server = runtime.block_on(Server::bind(config))?;
    say(format!(
        "serving {} at http://{}/ (gRPC on the same port); Ctrl-C stops",
        configuration.store,
        server.address()
    ));
    runtime.block_on(server.run(interrupted()));
    say("stopped");
    Ok(())
}

/// Summaries of the packages in a folder; one that cannot be used is an error, because clients would miss it.
pub(super) fn summaries(folder: &Path) -> Result<Vec<ModelSummary>, Failure> {
    let packages =
        packages_in(folder).map_err(|error| Failure::configuration(format!("{}: {error}", folder.display())))?;
    packages.into_iter().map(|(_, package)| Ok(summary(&package?))).collect()
}

pub(super) fn summary(package: &ModelPackage) -> ModelSummary {
    let model = &package.manifest().model;
    let channels = package.layout().iter().map(|channel| ModelChannel {
        variable: channel.variable.name.to_string(),
        standard_name: channel.variable.standard_name.to_string(),
        level: channel.level.to_string(),
        units: channel.variable.units.to_string(),
    });
    ModelSummary {
        name: model.name.clone(),
        title: model.title.clone(),
        version: model.version.clone(),
        architecture: model.arch.clone(),
        licence: model.licence.clone(),
        time_step: package.time_step(),
        grid: package.grid().to_string(),
        channels: channels.collect(),
        digest: package.digest().to_owned(),
    }
}

/// Ends when the process is asked to stop.
pub(super) async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => {
            if result.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}

impl From<crate::serve::StartError> for Failure {
    fn from(error: crate::serve::StartError) -> Self {
        Self::new(Fault::Configuration, error)
    }
}
