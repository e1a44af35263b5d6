//! `vejr watch`: follows a run.

use clap::Args;

use super::client::{ServerArguments, Show, Told, follow, resource};
use super::{Failure, runtime, say};

/// Follow a run until it ends: its past first, then every step as it is published.
///
/// Example: vejr watch held-suarez-sfno/2001-01-01T0000Z/4f2a9c01
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// MODEL/TIME/RUN-KEY, or MODEL/latest
    forecast: String,
    /// A line of JSON for each event
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let show = if arguments.json { Show::Json } else { Show::Progress };
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut client = arguments.server.client()?;
        let name = resource(&arguments.forecast);
        let run = follow(&mut client, &name, arguments.server.patience(), show).await?;
        if !arguments.json {
            say(Told(&run).line());
        }
        Told(&run).outcome()
    })
}
