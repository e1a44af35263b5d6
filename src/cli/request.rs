//! `vejr request`: asks a server for a forecast.

use std::time::{Duration, Instant};

use clap::Args;
use prost_types::Timestamp;

use super::client::{Client, ServerArguments, Show, Told, explained, follow, is_not_yet, retry};
use super::{Failure, Fault, runtime, say};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::EnsembleKind;
use crate::serve::v1;
use crate::store::Encoding;

/// Ask a server for a forecast; with --wait, until it is there.
///
/// The same request again joins the run that there is: nothing is computed twice, so that cron may ask as often as it likes.
/// Exit code 6: the analysis has not arrived.
///
/// Example: vejr request --model held-suarez-sfno --reference-time 2001-01-01T00:00Z --lead-time 10d --wait
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Name of the model
    #[arg(long, value_name = "NAME")]
    model: String,
    /// UTC time of the analysis [default: the newest that the server finds]
    #[arg(long, value_name = "TIME")]
    reference_time: Option<ReferenceTime>,
    /// How far to forecast; a multiple of the model's time step
    #[arg(long, default_value = "10d")]
    lead_time: LeadTime,
    /// Members of an ensemble, of which number 0 is the control: it starts from the analysis itself
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    members: u32,
    /// Of the noise that the other members start with: the same seed gives the same members
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How members start apart: noise, as the package says, or lagged:6h (number k starts k lags earlier)
    #[arg(long, value_name = "KIND", default_value = "noise")]
    perturbation: EnsembleKind,
    /// float32 (lossless), or packed: int16 at forecasters' precision
    #[arg(long, default_value = "float32")]
    encoding: Encoding,
    /// What winds on a projected grid are published as: along its axes, or turned to east and north
    #[arg(long, value_name = "FRAME", default_value = "as-is", value_parser = ["as-is", "true"])]
    winds: String,
    /// A name for this request: the same name again starts nothing
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Do not begin the run later than so long from now
    #[arg(long, value_name = "TIME")]
    start_within: Option<LeadTime>,
    /// Wait until the forecast is there
    #[arg(long)]
    wait: bool,
    /// Wait so long for an analysis that has not arrived
    #[arg(long, value_name = "TIME")]
    wait_for_analysis: Option<LeadTime>,
    /// Print what is known of the run as JSON
    #[arg(long)]
    json: bool,
}

/// How often to look for an analysis.
const LOOK: Duration = Duration::from_secs(10);

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut client = arguments.server.client()?;
        let (mut run, joined) = ask(&mut client, &arguments).await?;
        if !arguments.json {
            let how = if joined { "joined" } else { "accepted" };
            eprintln!("{how}: {}", run.forecast);
        }
        if arguments.wait && !Told(&run).is_final() {
            let show = if arguments.json { Show::Nothing } else { Show::Progress };
            let name = run.forecast.clone();
            run = follow(&mut client, &name, arguments.server.patience(), show).await?;
        }
        match arguments.json {
            true => say(Told(&run).json()),
            false => say(Told(&run).line()),
        }
        if arguments.wait { Told(&run).outcome() } else { Ok(()) }
    })
}

/// Asks until the server takes it, or says why it never will.
async fn ask(client: &mut Client, arguments: &Arguments) -> Result<(v1::Run, bool), Failure> {
    let seconds = |time: LeadTime| prost_types::Duration { seconds: time.seconds(), nanos: 0 };
    let request = v1::RequestForecastRequest {
        model: format!("models/{}", arguments.model.trim_start_matches("models/")),
        reference_time: arguments.reference_time.map(|time| Timestamp { seconds: time.timestamp(), nanos: 0 }),
        lead_time: Some(seconds(arguments.lead_time)),
        request_id: arguments.request_id.clone(),
        encoding: match arguments.encoding {
            Encoding::Float32 => v1::Encoding::Float32,
            Encoding::Packed => v1::Encoding::Packed,
        }
        .into(),
        true_winds: arguments.winds == "true",
        start_within: arguments.start_within.map(seconds),
        members: arguments.members,
        seed: arguments.seed,
        lag: match arguments.perturbation {
            EnsembleKind::Noise => None,
            EnsembleKind::Lagged(lag) => Some(seconds(lag)),
        },
    };
    let begin = Instant::now();
    let mut told = false;
    loop {
        let status = match client.request_forecast(request.clone()).await {
            Ok(answer) => {
                let v1::RequestForecastResponse { forecast, joined } = answer.into_inner();
                let run = forecast.and_then(|forecast| forecast.run);
                let run = run.ok_or_else(|| Failure::new(Fault::Other, "the server's answer names no run"))?;
                return Ok((run, joined));
            }
            Err(status) => status,
        };
        let (patience, pause) = match (is_not_yet(&status), retry(&status)) {
            (true, _) => {
                let wait = arguments.wait_for_analysis.map_or(0, LeadTime::seconds);
                (Duration::from_secs(wait.unsigned_abs()), LOOK)
            }
            (false, Some(pause)) if arguments.wait => (arguments.server.patience(), pause),
            _ => return Err(status.into()),
        };
        let left = patience.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(status.into());
        }
        if !told && !arguments.json {
            eprintln!("{}; trying again for up to {left:.0?}", explained(&status));
            told = true;
        }
        tokio::time::sleep(pause.min(left)).await;
    }
}
