//! The house's words in proto.

use chrono::{DateTime, Utc};
use prost_types::{Duration, Timestamp};

use crate::atmos::{Attribute, Axes, Grid, LeadTime, ReferenceTime, ValidTime};
use crate::forecast::{Attempt, Awaited, AwaitedState, EventKind, RunFault, RunPhase};
use crate::serve::catalog::Forecast;
use crate::serve::derived;
use crate::serve::error::Violation;
use crate::serve::names::resource_name;
use crate::serve::places::GridWindow;
use crate::serve::runs::Known;
use crate::serve::v1;
use crate::serve::v1::watch_forecast_response::Kind;
use crate::serve::watch::News;
use crate::store::{ForecastPath, Manifest};

pub fn timestamp(time: ValidTime) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: 0 }
}

pub fn duration(lead: LeadTime) -> Duration {
    Duration { seconds: lead.seconds(), nanos: 0 }
}

/// A lead time from a request; lead times are whole seconds.
pub fn lead_time(duration: Option<Duration>) -> Result<LeadTime, Violation> {
    match duration {
        None => Err(Violation::missing("lead_time", "a duration such as 86400s")),
        Some(Duration { seconds, nanos: 0 }) => Ok(LeadTime::from_seconds(seconds)),
        Some(_) => Err(Violation::new("lead_time", "has a fraction of a second; lead times are whole seconds")),
    }
}

/// A moment of the ledger's.
pub fn moment(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

/// A reference time from a request.
pub fn reference_time(field: &'static str, time: Option<Timestamp>) -> Result<Option<ReferenceTime>, Violation> {
    let Some(Timestamp { seconds, nanos }) = time else { return Ok(None) };
    match ReferenceTime::from_timestamp(seconds).filter(|_| nanos == 0) {
        Some(time) => Ok(Some(time)),
        None => Err(Violation::new(field, "is no time in whole seconds that a calendar has")),
    }
}

pub fn state(phase: RunPhase) -> v1::RunState {
    match phase {
        RunPhase::Queued => v1::RunState::Queued,
        RunPhase::Running => v1::RunState::Running,
        RunPhase::Publishing => v1::RunState::Publishing,
        RunPhase::Done => v1::RunState::Complete,
        RunPhase::Failed => v1::RunState::Failed,
        RunPhase::Cancelled => v1::RunState::Cancelled,
        RunPhase::Expired => v1::RunState::Expired,
    }
}

pub fn awaited(awaited: &Awaited) -> v1::AwaitedAnalysis {
    let state = match awaited.state {
        AwaitedState::Waiting => v1::AwaitedState::Waiting,
        AwaitedState::Late => v1::AwaitedState::Late,
        AwaitedState::Requested => v1::AwaitedState::Requested,
        AwaitedState::Refused => v1::AwaitedState::Refused,
        AwaitedState::Missing => v1::AwaitedState::Missing,
    };
    let forecast = awaited.run_key.as_ref().map(|run_key| {
        let (model, reference_time) = (awaited.model.clone(), awaited.reference_time);
        resource_name(&ForecastPath { model, reference_time, run_key: run_key.clone() })
    });
    v1::AwaitedAnalysis {
        schedule: awaited.schedule.clone(),
        model: awaited.model.clone(),
        reference_time: Some(timestamp(awaited.reference_time.valid())),
        state: state.into(),
        forecast: forecast.unwrap_or_default(),
        replaced: awaited.replaced,
        detail: awaited.detail.clone(),
        request_time: awaited.requested.map(moment),
    }
}

/// A state from a request.
pub fn phase(state: v1::RunState) -> Option<RunPhase> {
    RunPhase::ALL.into_iter().find(|phase| self::state(*phase) == state)
}

fn fault(fault: RunFault) -> v1::Fault {
    match fault {
        RunFault::Configuration => v1::Fault::Configuration,
        RunFault::Input => v1::Fault::Input,
        RunFault::Device => v1::Fault::Device,
        RunFault::Storage => v1::Fault::Storage,
        RunFault::Other => v1::Fault::Other,
    }
}

fn age(reference_time: ReferenceTime) -> Duration {
    let age = Utc::now() - reference_time.utc();
    Duration { seconds: age.num_seconds(), nanos: 0 }
}

pub fn run(known: &Known) -> v1::Run {
    v1::Run {
        forecast: resource_name(&known.path),
        reference_time: Some(timestamp(known.path.reference_time.valid())),
        state: state(known.phase()).into(),
        steps_complete: count(known.steps_complete()),
        steps_total: count(known.steps_total()),
        failure_reason: known.reason().to_owned(),
        fault: known.record.as_ref().and_then(|record| record.fault).map_or(v1::Fault::Unspecified, fault).into(),
        age: Some(age(known.path.reference_time)),
        members: known.members(),
        member: None,
    }
}

/// What a watcher is told.
pub fn news(news: &News) -> v1::WatchForecastResponse {
    let run = v1::Run {
        state: state(news.phase()).into(),
        steps_complete: count(news.steps_complete()),
        failure_reason: news.reason().to_owned(),
        ..run(&news.known)
    };
    let kind = match news.event.as_ref().map(|event| event.kind) {
        None => Kind::Heartbeat,
        Some(EventKind::Step) => Kind::Step,
        Some(EventKind::State) => Kind::State,
    };
    let leads = news.known.manifest.as_ref().map(|manifest| &manifest.lead_seconds);
    let lead = leads.and_then(|leads| leads.get(news.steps_complete().checked_sub(1)?).copied());
    let event = news.event.as_ref();
    v1::WatchForecastResponse {
        kind: kind.into(),
        run: Some(run),
        lead_time: lead.map(|seconds| duration(LeadTime::from_seconds(seconds))),
        event_time: Some(moment(event.map_or_else(Utc::now, |event| event.time))),
        detail: event.map_or_else(String::new, |event| event.detail.clone()),
        resume_token: news.token.to_string(),
    }
}

/// The run that data were read from, as the store has it.
pub fn run_of(forecast: &Forecast) -> v1::Run {
    let manifest = Some(forecast.shared_manifest());
    let run = run(&Known { path: forecast.path.clone(), manifest, record: None });
    let steps_complete = count(forecast.manifest().steps_complete);
    v1::Run { steps_complete, member: forecast.reader.member().map(count), ..run }
}

pub fn forecast(known: &Known, attempts: &[Attempt]) -> v1::Forecast {
    let attempts = attempts.iter().map(|attempt| v1::Attempt {
        worker: attempt.holder.clone(),
        start_time: Some(moment(attempt.started)),
        end_time: attempt.ended.map(moment),
        steps: count(attempt.steps),
        outcome: attempt.outcome.clone(),
    });
    let bare = v1::Forecast {
        name: resource_name(&known.path),
        model: known.path.model.clone(),
        run_key: known.path.run_key.clone(),
        run: Some(run(known)),
        attempts: attempts.collect(),
        joined_requests: known.record.as_ref().map_or(0, |record| record.joined),
        ..Default::default()
    };
    match &known.manifest {
        Some(manifest) => described(bare, manifest),
        None => bare,
    }
}

/// With what the store knows.
fn described(bare: v1::Forecast, manifest: &Manifest) -> v1::Forecast {
    let leads = || manifest.lead_seconds.iter().map(|&seconds| duration(LeadTime::from_seconds(seconds)));
    let offers = derived::offers_of(manifest);
    let variables = offers.iter().map(|offer| v1::ForecastVariable {
        name: offer.variable.name.to_string(),
        standard_name: offer.variable.standard_name.to_string(),
        long_name: offer.variable.long_name.to_string(),
        units: offer.variable.units.to_string(),
        levels: offer.levels.iter().map(ToString::to_string).collect(),
        derived: offer.is_derived(),
    });
    let provenance = manifest.provenance.iter().map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (key.clone(), text)
    });
    // a manifest whose axes make no grid is refused where its data are read
    let grid = match manifest.grid() {
        Ok(found) => grid(&found),
        Err(error) => v1::Grid { description: error.to_string(), ..Default::default() },
    };
    v1::Forecast {
        variables: variables.collect(),
        member_steps_complete: manifest.members.iter().map(|member| count(member.steps.len())).collect(),
        energy: manifest.energy_used().map(|used| v1::Energy {
            joules: used.joules,
            idle_joules: used.idle_joules,
            joules_per_member: used.joules / manifest.members.len().max(1) as f64,
            steps: count(used.steps),
            source: used.source,
        }),
        lead_times: leads().collect(),
        published_lead_times: leads().take(manifest.steps_complete).collect(),
        grid: Some(grid),
        provenance: provenance.collect(),
        ..bare
    }
}

pub fn grid(grid: &Grid) -> v1::Grid {
    v1::Grid { description: grid.to_string(), ..part_of_grid(grid, GridWindow::whole(grid)) }
}

/// Some rows and columns of a grid, without a description.
pub fn part_of_grid(grid: &Grid, window: GridWindow) -> v1::Grid {
    let GridWindow { rows, columns, y, x } = window;
    let axes = v1::Grid { rows: count(rows.len()), columns: count(columns.count), ..Default::default() };
    match grid.axes() {
        Axes::Rectilinear { .. } => v1::Grid { latitudes: y, longitudes: x, ..axes },
        Axes::Projected { projection, .. } => {
            let attributes = projection.cf_attributes().into_iter().map(|(name, value)| {
                let value = match value {
                    Attribute::Text(text) => text,
                    other => other.to_string(),
                };
                (name.to_owned(), value)
            });
            v1::Grid { y, x, grid_mapping: attributes.collect(), ..axes }
        }
        Axes::None => axes,
    }
}

pub fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
