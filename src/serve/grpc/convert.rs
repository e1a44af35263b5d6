//! The house's words in proto.

use chrono::{DateTime, Utc};
use prost_types::{Duration, Timestamp};

use crate::atmos::{Attribute, Axes, Grid, LeadTime, ReferenceTime, ValidTime};
use crate::forecast::{Attempt, RunFault, RunPhase};
use crate::serve::catalog::Forecast;
use crate::serve::error::Violation;
use crate::serve::names::resource_name;
use crate::serve::runs::Known;
use crate::serve::v1;
use crate::store::Manifest;

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
    let variables = manifest.outputs.iter().map(|output| v1::ForecastVariable {
        name: output.name.clone(),
        standard_name: output.standard_name.clone(),
        long_name: output.long_name.clone(),
        units: output.units.clone(),
        levels: output.levels.clone(),
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
        lead_times: leads().collect(),
        published_lead_times: leads().take(manifest.steps_complete).collect(),
        grid: Some(grid),
        provenance: provenance.collect(),
        ..bare
    }
}

pub fn grid(grid: &Grid) -> v1::Grid {
    let (rows, columns) = grid.shape();
    let axes =
        v1::Grid { description: grid.to_string(), rows: count(rows), columns: count(columns), ..Default::default() };
    match grid.axes() {
        Axes::Rectilinear { latitude, longitude } => {
            v1::Grid { latitudes: latitude.to_vec(), longitudes: longitude.to_vec(), ..axes }
        }
        Axes::Projected { projection, y, x } => {
            let attributes = projection.cf_attributes().into_iter().map(|(name, value)| {
                let value = match value {
                    Attribute::Text(text) => text,
                    other => other.to_string(),
                };
                (name.to_owned(), value)
            });
            v1::Grid { y: y.to_vec(), x: x.to_vec(), grid_mapping: attributes.collect(), ..axes }
        }
        Axes::None => axes,
    }
}

pub fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
