//! `vejr serve`: forecasts over gRPC, tiles and a map, and the asking for more.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::configuration::Configuration;
use super::{Failure, Fault, runtime, say};
use crate::forecast::{ScheduleEvents, Worker, WorkerEvents};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::serve::{ModelChannel, ModelSummary, ServeConfig, Server, TlsFiles};

/// Serve the forecasts of a store: gRPC, HTTP tiles and a map, on one port; and compute those that are asked for.
///
/// The configuration file says which store; deploy/vejr.toml is an example with every setting.
///
/// Example: vejr serve --config vejr.toml
#[derive(Debug, Args)]
pub struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Address to listen at, instead of the configuration's
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Certificates for TLS, PEM: the server's own first; instead of the configuration's
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Listen also where other machines can reach it without TLS: all of them can read along, tokens included
    #[arg(long)]
    insecure: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let configuration = Configuration::read(&arguments.config)?;
    let packages = configuration.packages()?;
    let devices = configuration.devices(&[])?;
    let runtime = runtime()?;
    let store = Location::parse(&configuration.store)?;
    if let (Some(folder), true) = (store.local_folder(), configuration.takes_requests()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(Fault::Storage, format!("making {}: {error}", folder.display())))?;
    }
    let desk = runtime.block_on(configuration.desk(&packages))?;
    let keeper = |events| configuration.schedule_keeper(desk.as_ref(), events);
    // before the port is taken: what is wrong with a schedule is said at once
    keeper(ScheduleEvents::default())?;
    let files = |(certificate, key)| TlsFiles { certificate, key };
    let config = ServeConfig {
        listen: arguments.listen.unwrap_or(configuration.listen),
        insecure: configuration.insecure || arguments.insecure,
        tls: arguments.certificate.clone().zip(arguments.key.clone()).map(files).or(configuration.tls.clone()),
        access: configuration.access.clone(),
        store,
        models: packages.iter().map(|package| summary(package)).collect(),
        desk: desk.clone(),
        limits: configuration.limits()?,
    };
    let server = runtime.block_on(Server::bind(config))?;
    let arrived = std::sync::Arc::new(server.arrival_metrics());
    if let Some(keeper) = keeper(ScheduleEvents { arrived: Some(arrived) })? {
        runtime.spawn(keeper.keep());
    }
    if let Some(placement) = configuration.slurm_placement(desk.as_ref(), &arguments.config)? {
        runtime.spawn(placement.keep());
    }
    let worker = match devices.is_empty() {
        true => None,
        false => {
            let told = server.step_metrics();
            let device = server.device_metrics();
            let events =
                WorkerEvents { step: Some(std::sync::Arc::new(told)), device: Some(std::sync::Arc::new(device)) };
            let settings = runtime.block_on(configuration.worker(packages, events))?;
            Some(Worker::start(&settings, devices, runtime.handle())?)
        }
    };
    say(format!(
        "serving {} at {}://{}/ (gRPC on the same port); Ctrl-C stops",
        configuration.store,
        if server.is_secure() { "https" } else { "http" },
        server.address()
    ));
    runtime.block_on(server.run(async {
        interrupted().await;
        if let Some(worker) = &worker {
            worker.stop_soon();
        }
    }));
    if let Some(worker) = worker {
        worker.drain();
    }
    say("stopped");
    Ok(())
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
