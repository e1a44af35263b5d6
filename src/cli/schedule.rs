//! `vejr schedule`: which analyses a server's schedules wait for.

use clap::Args;
use prost_types::Timestamp;
use serde_json::json;

use super::client::ServerArguments;
use super::{Failure, runtime, say};
use crate::atmos::ReferenceTime;
use crate::serve::v1;

/// List the analyses that a server's schedules wait for and what became of them, the newest reference time first.
///
/// Example: vejr schedule --limit 10
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Only of this schedule
    #[arg(default_value = "", hide_default_value = true)]
    schedule: String,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let found = runtime()?.block_on(list(&arguments))?;
    match arguments.json {
        true => say(found.iter().map(json).collect::<serde_json::Value>()),
        false if found.is_empty() => say("nothing is waited for"),
        false => found.iter().for_each(|analysis| say(line(analysis))),
    }
    Ok(())
}

async fn list(arguments: &Arguments) -> Result<Vec<v1::AwaitedAnalysis>, Failure> {
    let mut client = arguments.server.client()?;
    let mut found = Vec::new();
    let mut request = v1::ListAwaitedAnalysesRequest { schedule: arguments.schedule.clone(), ..Default::default() };
    while found.len() < arguments.limit {
        request.page_size = i32::try_from((arguments.limit - found.len()).min(500)).unwrap_or(500);
        let page = client.list_awaited_analyses(request.clone()).await?.into_inner();
        found.extend(page.analyses);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(found)
}

fn time(time: &Option<Timestamp>) -> Option<ReferenceTime> {
    time.and_then(|time| ReferenceTime::from_timestamp(time.seconds))
}

fn state(analysis: &v1::AwaitedAnalysis) -> &'static str {
    match analysis.state() {
        v1::AwaitedState::Unspecified => "unknown",
        v1::AwaitedState::Waiting => "waiting",
        v1::AwaitedState::Late => "late",
        v1::AwaitedState::Requested => "requested",
        v1::AwaitedState::Refused => "refused",
        v1::AwaitedState::Missing => "missing",
    }
}

/// From the reference time until the forecast was asked for.
fn delay(analysis: &v1::AwaitedAnalysis) -> Option<i64> {
    Some(analysis.request_time?.seconds - analysis.reference_time?.seconds)
}

fn line(analysis: &v1::AwaitedAnalysis) -> String {
    let v1::AwaitedAnalysis { schedule, reference_time, forecast, replaced, detail, .. } = analysis;
    let time = time(reference_time).map_or_else(String::new, |time| time.to_string());
    let mut line = format!("{:10} {time}  {schedule}", state(analysis));
    if !forecast.is_empty() {
        line += &format!("  {forecast}");
    }
    if let Some(delay) = delay(analysis) {
        line += &format!("  {} min after its time", delay / 60);
    }
    if *replaced > 0 {
        line += &format!(", replaced {replaced} times");
    }
    if !detail.is_empty() {
        line += &format!(": {detail}");
    }
    line
}

fn json(analysis: &v1::AwaitedAnalysis) -> serde_json::Value {
    json!({
        "schedule": analysis.schedule,
        "model": analysis.model,
        "reference_time": time(&analysis.reference_time).map(|time| time.to_string()),
        "state": state(analysis),
        "forecast": (!analysis.forecast.is_empty()).then_some(&analysis.forecast),
        "delay_seconds": delay(analysis),
        "replaced": analysis.replaced,
        "detail": analysis.detail,
    })
}
