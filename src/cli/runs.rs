//! `vejr runs`: what runs there are.

use clap::Args;
use serde_json::json;

use super::client::{ServerArguments, Told, resource};
use super::{Failure, runtime, say};
use crate::serve::v1;

/// List the runs that a server knows, the newest reference time first; or tell all of one.
///
/// Example: vejr runs --model held-suarez-sfno --state running --state queued
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// MODEL/TIME/RUN-KEY or MODEL/latest: this run, with its attempts
    forecast: Option<String>,
    /// Only of this model
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    model: String,
    /// Only in this state: queued, running, publishing, complete, failed, cancelled or expired
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<v1::RunState>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn state(text: &str) -> Result<v1::RunState, String> {
    let name = format!("RUN_STATE_{}", text.to_ascii_uppercase());
    let known = v1::RunState::from_str_name(&name).filter(|state| *state != v1::RunState::Unspecified);
    known.ok_or_else(|| "expected queued, running, publishing, complete, failed, cancelled or expired".to_owned())
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        match &arguments.forecast {
            Some(name) => one(&arguments, name).await,
            None => list(&arguments).await,
        }
    })
}

async fn one(arguments: &Arguments, name: &str) -> Result<(), Failure> {
    let request = v1::GetForecastRequest { name: resource(name) };
    let forecast = arguments.server.client()?.get_forecast(request).await?.into_inner().forecast.unwrap_or_default();
    let run = forecast.run.unwrap_or_default();
    let seconds = |time: &Option<prost_types::Timestamp>| time.map(|time| time.seconds);
    if arguments.json {
        let mut told = Told(&run).json();
        let attempts = forecast.attempts.iter().map(|attempt| {
            json!({
                "worker": attempt.worker,
                "start": seconds(&attempt.start_time),
                "end": seconds(&attempt.end_time),
                "steps": attempt.steps,
                "outcome": attempt.outcome,
            })
        });
        told["attempts"] = attempts.collect();
        told["joined_requests"] = json!(forecast.joined_requests);
        told["provenance"] = json!(forecast.provenance.into_iter().collect::<std::collections::BTreeMap<_, _>>());
        say(told);
        return Ok(());
    }
    say(Told(&run).line());
    for attempt in &forecast.attempts {
        let took = seconds(&attempt.end_time).zip(seconds(&attempt.start_time)).map(|(end, start)| end - start);
        let took = took.map_or("at work".to_owned(), |took| format!("{took} s, {}", attempt.outcome));
        say(format!("  {} published {} steps, {took}", attempt.worker, attempt.steps));
    }
    Ok(())
}

async fn list(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.server.client()?;
    let mut runs = Vec::new();
    let mut request = v1::ListForecastsRequest {
        model: arguments.model.clone(),
        states: arguments.state.iter().map(|&state| state.into()).collect(),
        ..Default::default()
    };
    while runs.len() < arguments.limit {
        request.page_size = i32::try_from((arguments.limit - runs.len()).min(500)).unwrap_or(500);
        let page = client.list_forecasts(request.clone()).await?.into_inner();
        runs.extend(page.forecasts.into_iter().filter_map(|forecast| forecast.run));
        for name in page.unreachable.iter().filter(|_| request.page_token.is_empty()) {
            eprintln!("{name} cannot be read");
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    match arguments.json {
        true => say(runs.iter().map(|run| Told(run).json()).collect::<serde_json::Value>()),
        false if runs.is_empty() => say("no runs"),
        false => runs.iter().for_each(|run| say(Told(run).line())),
    }
    Ok(())
}
