//! `vejr demo`: the whole walk in one command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::progress::Reporter;
use super::serve::{interrupted, summary};
use super::{Failure, forecast as forecast_command, isolation, runtime, say};
use crate::atmos::LeadTime;
use crate::device::{DeviceRequest, EnergyMeter, device_name};
use crate::forecast::{self, Destination, RunOptions};
use crate::ingest::Inventory;
use crate::location::Location;
use crate::model::ModelPackage;
use crate::serve::{AccessConfig, Limits, ServeConfig, Server};
use crate::store::{Encoding, Statistics};

/// Forecast ten days with the bundled model, publish, serve on this machine, and say where to look.
///
/// The planet is an idealised one (Held & Suarez 1994): no land, no seasons, no moisture, and real weather systems.
///
/// Example: vejr demo
#[derive(Debug, Args)]
pub struct Arguments {
    /// Model package
    #[arg(long, value_name = "DIR", default_value = "models/held-suarez-sfno")]
    model: PathBuf,
    /// NetCDF files with the initial states
    #[arg(long, value_name = "FILE", num_args = 1.., default_value = "data-samples/held-suarez-init.nc")]
    init: Vec<PathBuf>,
    /// Store that the forecast is published to
    #[arg(long, value_name = "URL", default_value = "forecasts")]
    store: String,
    /// How far to forecast
    #[arg(long, default_value = "10d")]
    lead_time: LeadTime,
    /// Address to serve at [default: 127.0.0.1:8080, or a free port where that one is taken]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let device = arguments.device.parse::<DeviceRequest>()?.open()?;
    // before anything is computed
    let meter = EnergyMeter::new(&device);
    let package = ModelPackage::open(&arguments.model)?;
    let lead_time = forecast_command::lead_time(&package, Some(arguments.lead_time), None)?;
    let root = Location::parse(&arguments.store)?;
    let runtime = runtime()?;
    let init = Inventory::open(&arguments.init, &isolation()?)?;
    let regridding = forecast::Regridding::parse(&[], &package)?;
    let sources = forecast::Sources { regridding, ..forecast::Sources::new(&init) };
    let initial = forecast::read_inputs(&package, &sources, None, lead_time, &device)?;
    let options = RunOptions {
        lead_time,
        ensemble: forecast::Ensemble::SINGLE,
        statistics: Statistics::default(),
        encoding: Encoding::Float32,
        overwrite: false,
        true_winds: false,
        fingerprint: None,
    };
    let identity = forecast::identify(&package, &initial.digest, initial.reference_time, &options);
    let path = forecast::path_in_store(&package, &identity);
    let location = path.location(&root);
    let (title, reference) = (&package.manifest().model.title, initial.reference_time);
    say(format!("{title}: {lead_time} from {reference} on {}", device_name(&device)));
    let mut reporter = Reporter::new(false);
    let to = Destination { location: &location, members: None, fence: None };
    let outcome = forecast::run(
        &package,
        (&device.into(), meter.as_ref()),
        initial,
        (to, &options),
        runtime.handle(),
        &mut reporter,
    );
    reporter.finish();
    say(forecast_command::summary_text(&outcome?, &location));

    let config = |listen| ServeConfig {
        listen,
        insecure: false,
        tls: None,
        access: AccessConfig::default(),
        store: root.clone(),
        models: vec![summary(&package)],
        desk: None,
        limits: Limits::default(),
    };
    let usual = SocketAddr::from(([127, 0, 0, 1], 8080));
    let server = match (runtime.block_on(Server::bind(config(arguments.listen.unwrap_or(usual)))), arguments.listen) {
        (Ok(server), _) => server,
        (Err(error), Some(_)) => return Err(error.into()),
        (Err(error), None) => {
            say(format!("{error}: taking a free port"));
            runtime.block_on(Server::bind(config(SocketAddr::from(([127, 0, 0, 1], 0)))))?
        }
    };
    say(format!("\nlook at the forecast: http://{}/\nCtrl-C stops", server.address()));
    runtime.block_on(server.run(interrupted()));
    say("stopped");
    Ok(())
}
