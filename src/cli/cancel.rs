//! `vejr cancel`: stops a run.

use clap::Args;

use super::client::{ServerArguments, Told, resource};
use super::{Failure, runtime, say};
use crate::serve::v1;

/// Stop a run. The steps that are published stay; asking for the run again goes on from there.
///
/// Example: vejr cancel held-suarez-sfno/2001-01-01T0000Z/4f2a9c01
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// MODEL/TIME/RUN-KEY
    forecast: String,
    /// Print what is known of the run as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    let request = v1::CancelForecastRequest { name: resource(&arguments.forecast) };
    let answer =
        runtime.block_on(async { Ok::<_, Failure>(arguments.server.client()?.cancel_forecast(request).await?) })?;
    let run = answer.into_inner().forecast.and_then(|forecast| forecast.run).unwrap_or_default();
    match arguments.json {
        true => say(Told(&run).json()),
        false => say(Told(&run).line()),
    }
    Ok(())
}
