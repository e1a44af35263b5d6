//! The command line: one file per command.

mod cancel;
mod client;
mod configuration;
mod demo;
mod dmi_container;
mod failure;
mod forecast;
mod inspect;
mod map;
mod models;
mod progress;
mod request;
mod runs;
mod schedule;
mod score;
mod serve;
mod telemetry;
mod token;
mod watch;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::{Failure, Fault};

use telemetry::Telemetry;

use crate::ingest::{self, Isolation};

/// Trained machine-learning weather models, run as operational forecasts: NetCDF in, published forecast out.
#[derive(Debug, Parser)]
#[command(name = "vejr", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 2 configuration; 3 input (file, variable, unit, time); \
4 device; 5 storage; 6 not yet (the analysis has not arrived); 1 anything else.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Forecast(forecast::Arguments),
    Inspect(inspect::Arguments),
    #[command(subcommand)]
    Models(models::Command),
    Serve(serve::Arguments),
    Token(token::Arguments),
    Worker(worker::Arguments),
    Request(request::Arguments),
    Watch(watch::Arguments),
    Runs(runs::Arguments),
    Cancel(cancel::Arguments),
    Schedule(schedule::Arguments),
    Score(score::Arguments),
    DmiContainer(dmi_container::Arguments),
    /// What reads NetCDF files for another vejr, over standard input and output.
    #[command(name = ingest::READ_APART, hide = true)]
    ReadApart,
}

const WHAT_NEXT: &str = "\
vejr forecasts with trained machine-learning weather models.

  vejr demo                      forecast with the bundled model and look at it in the browser
  vejr models list               the models that are here
  vejr inspect FILE…             what a NetCDF file holds
  vejr forecast --help           a forecast of your own
  vejr serve --help              serve forecasts over gRPC, tiles and a map, and compute those that are asked for
  vejr request --help            ask a server for a forecast

vejr --help lists every command; README.md tells the rest.";

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let telemetry = Telemetry::start(&arguments);
    // both of rustls's providers are in the dependency tree; without a choice, the first TLS connection would panic
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(command) = arguments.command else {
        println!("{WHAT_NEXT}");
        return ExitCode::SUCCESS;
    };
    let result = match command {
        Command::ReadApart => ingest::read_apart(std::io::stdin().lock(), std::io::stdout().lock())
            .map_err(|error| Failure::new(Fault::Other, error)),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Forecast(arguments) => forecast::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Models(command) => models::run(command),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Worker(arguments) => worker::run(arguments),
        Command::Request(arguments) => request::run(arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::Runs(arguments) => runs::run(arguments),
        Command::Cancel(arguments) => cancel::run(arguments),
        Command::Schedule(arguments) => schedule::run(arguments),
        Command::Score(arguments) => score::run(arguments),
        Command::DmiContainer(arguments) => dmi_container::run(arguments),
    };
    telemetry.finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("vejr: {}", failure.message);
            ExitCode::from(failure.fault as u8)
        }
    }
}

/// Threads that wait for files or draw, for each core: what comes beside them waits its turn. Each costs memory, and none
/// waits for another.
const BLOCKING_PER_CORE: usize = 4;
const LEAST_BLOCKING: usize = 16;

/// The runtime for storage and the network; networks compute on threads of their own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads((BLOCKING_PER_CORE * cores).max(LEAST_BLOCKING))
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Fault::Other, format!("the async runtime does not start: {error}")))
}

/// Files come from elsewhere: they are read by child processes, which may crash.
fn isolation() -> Result<Isolation, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(Fault::Other, format!("the program does not know where it lies: {error}")))?;
    Ok(Isolation::Process { program })
}

/// Prints a line to standard output; a reader that went away (`vejr … | head`) is no error.
fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
