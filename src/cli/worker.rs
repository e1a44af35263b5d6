//! `vejr worker`: computes the runs of a ledger, on any machine that sees it and the store.

use std::path::PathBuf;

use clap::Args;

use super::configuration::Configuration;
use super::serve::interrupted;
use super::{Failure, runtime, say};
use crate::device::device_name;
use crate::forecast::{Worker, WorkerEvents};

/// Compute the runs that are asked for at a server with the same ledger and store.
///
/// Any number of workers on any number of machines share the work. Each needs the model packages, and sees the analyses under
/// the same paths. Ctrl-C or SIGTERM: the step at work is finished, and another worker goes on.
///
/// Example: vejr worker --config vejr.toml --device cpu
#[derive(Debug, Args)]
pub struct Arguments {
    /// Configuration file, the same as the server's
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// auto, cpu, cuda or cuda:N; a thread for each [default: as the configuration says]
    #[arg(long, value_name = "DEVICE", num_args = 1..)]
    device: Vec<String>,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let configuration = Configuration::read(&arguments.config)?;
    let packages = configuration.packages()?;
    let devices = configuration.devices(&arguments.device)?;
    if devices.is_empty() {
        return Err(Failure::configuration("there is no device to compute on: give --device, or devices in [runs]"));
    }
    if packages.is_empty() {
        return Err(Failure::configuration("there are no model packages: give models in the configuration"));
    }
    let runtime = runtime()?;
    let names: Vec<&str> = devices.iter().map(device_name).collect();
    let settings = runtime.block_on(configuration.worker(packages, WorkerEvents::default()))?;
    let worker = Worker::start(&settings, devices, runtime.handle())?;
    say(format!("{} works on {}; Ctrl-C stops", settings.name, names.join(", ")));
    runtime.block_on(interrupted());
    worker.drain();
    say("stopped");
    Ok(())
}
