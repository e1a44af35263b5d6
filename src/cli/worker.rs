//! `vejr worker`: computes the runs of a ledger, on any machine that sees it and the store.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::configuration::Configuration;
use super::serve::interrupted;
use super::{Failure, Fault, runtime, say};
use crate::device::device_name;
use crate::forecast::{Worker, WorkerEvents, WorkerSettings};

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
    /// Work on this run only
    #[arg(long, value_name = "RUN-KEY")]
    run: Option<String>,
    /// End when nothing is left to do: for jobs of a batch system
    #[arg(long)]
    until_idle: bool,
}

/// Between two looks whether the threads have ended.
const LOOK: Duration = Duration::from_millis(100);

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
    let settings = WorkerSettings { only_run: arguments.run, until_idle: arguments.until_idle, ..settings };
    let worker = Worker::start(&settings, devices, runtime.handle())?;
    say(format!("{} works on {}; Ctrl-C stops", settings.name, names.join(", ")));
    runtime.block_on(async {
        let idle = async {
            while !worker.is_finished() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = interrupted() => {}
            () = idle => {}
        }
    });
    let problem = worker.problem();
    worker.drain();
    if let Some(problem) = problem.filter(|_| arguments.until_idle) {
        return Err(Failure::new(Fault::Device, problem));
    }
    say("stopped");
    Ok(())
}
