//! From files to the states that a forecast starts from.

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::ForecastError;
use crate::atmos::{ReferenceTime, ValidTime};
use crate::ingest::{Inventory, Request};
use crate::model::{ModelPackage, State, StateError};

/// The states that a forecast starts from.
#[derive(Debug)]
pub struct InitialStates {
    pub reference_time: ReferenceTime,
    /// Oldest first; the last is valid at the reference time.
    pub states: Vec<State>,
    /// SHA-256 of the values, in the model's channel order: what the forecast depends on, whatever files it came in.
    pub digest: String,
}

/// What a model needs of an analysis: its variables and levels, on its grid, at `times`.
pub fn needs(package: &ModelPackage, times: Vec<ValidTime>) -> Request {
    Request {
        fields: package.layout().iter().map(|channel| (channel.variable.clone(), channel.level)).collect(),
        times,
        grid: Some(package.grid().clone()),
    }
}

/// Reads the model's input states from files. Without a reference time: the latest for which the files hold all
/// input states.
pub fn read_initial_states(
    package: &ModelPackage,
    inventory: &Inventory,
    reference_time: Option<ReferenceTime>,
    device: &Device,
) -> Result<InitialStates, ForecastError> {
    let reference_time = match reference_time {
        Some(time) => time,
        None => latest(package, inventory)?,
    };
    let times = input_times(package, reference_time);
    let (stacks, grid) = inventory.read_stacked(&needs(package, times.clone()))?;
    let mut hasher = Sha256::new();
    for value in stacks.iter().flatten() {
        hasher.update(value.to_le_bytes());
    }
    let states = times
        .into_iter()
        .zip(stacks)
        .map(|(time, values)| State::assemble(values, time, package.layout(), &grid, device))
        .collect::<Result<Vec<_>, StateError>>()
        .map_err(|error| ForecastError::Input(error.to_string()))?;
    Ok(InitialStates { reference_time, states, digest: hex::encode(hasher.finalize()) })
}

/// Valid times of the model's input states, oldest first.
fn input_times(package: &ModelPackage, reference_time: ReferenceTime) -> Vec<ValidTime> {
    let mut times = vec![reference_time.valid()];
    for _ in 1..package.input_states() {
        times.push(times[times.len() - 1] - package.time_step());
    }
    times.reverse();
    times
}

fn latest(package: &ModelPackage, inventory: &Inventory) -> Result<ReferenceTime, ForecastError> {
    let request = needs(package, Vec::new());
    match inventory.latest_time_with(&request, package.input_states(), package.time_step()) {
        Some(time) => Ok(time.as_reference()),
        None => {
            // reading at the last time there is names everything that is missing
            let times =
                inventory.times().last().map(|time| input_times(package, time.as_reference())).unwrap_or_default();
            inventory.read(&needs(package, times))?;
            Err(ForecastError::Input(format!(
                "the files hold no {} consecutive states {} apart; give --reference-time, or files with more times",
                package.input_states(),
                package.time_step()
            )))
        }
    }
}
