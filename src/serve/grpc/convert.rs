//! The house's words in proto.

use prost_types::{Duration, Timestamp};

use crate::atmos::{Attribute, Axes, Grid, LeadTime, ValidTime};
use crate::serve::catalog::Forecast;
use crate::serve::error::Violation;
use crate::serve::names::resource_name;
use crate::serve::v1;
use crate::store::{ForecastPath, Manifest, RunState};

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

pub fn run(path: &ForecastPath, manifest: &Manifest) -> v1::Run {
    let state = match manifest.state {
        RunState::Running => v1::RunState::Running,
        RunState::Done => v1::RunState::Complete,
        RunState::Failed => v1::RunState::Failed,
    };
    v1::Run {
        forecast: resource_name(path),
        reference_time: Some(timestamp(manifest.reference_time.valid())),
        state: state.into(),
        steps_complete: count(manifest.steps_complete),
        steps_total: count(manifest.steps_total),
        failure_reason: manifest.reason.clone().unwrap_or_default(),
    }
}

pub fn run_of(forecast: &Forecast) -> v1::Run {
    run(&forecast.path, forecast.manifest())
}

pub fn forecast(path: &ForecastPath, manifest: &Manifest) -> v1::Forecast {
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
    let described = match manifest.grid() {
        Ok(found) => grid(&found),
        Err(error) => v1::Grid { description: error.to_string(), ..Default::default() },
    };
    v1::Forecast {
        name: resource_name(path),
        model: path.model.clone(),
        run_key: path.run_key.clone(),
        run: Some(run(path, manifest)),
        variables: variables.collect(),
        lead_times: leads().collect(),
        published_lead_times: leads().take(manifest.steps_complete).collect(),
        grid: Some(described),
        provenance: provenance.collect(),
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

fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
