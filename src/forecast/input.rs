//! From files to what a forecast starts from, and what it is told on its way.

use std::collections::BTreeSet;

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::ForecastError;
use crate::atmos::{LeadTime, Level, ReferenceTime, ValidTime, Variable};
use crate::ingest::{IngestError, Inventory, Request};
use crate::model::{Channel, ModelPackage, State, StateError, Surroundings};

/// The states that a forecast starts from.
#[derive(Debug)]
pub struct InitialStates {
    pub reference_time: ReferenceTime,
    /// Oldest first; the last is valid at the reference time.
    pub states: Vec<State>,
    pub surroundings: Surroundings,
    /// SHA-256 of all values that were read, in the model's channel order: what the forecast depends on, whatever files it
    /// came in.
    pub digest: String,
}

/// What a model needs of an analysis: its variables and levels, on its grid, at `times`.
pub fn needs(package: &ModelPackage, times: Vec<ValidTime>) -> Request {
    Request { fields: fields(package, package.layout().iter()), times, grid: package.grid().fixed().cloned() }
}

/// Channels as they are looked for in files.
fn fields<'a>(package: &ModelPackage, channels: impl Iterator<Item = &'a Channel>) -> Vec<(Variable, Level)> {
    let by_name = package.manifest().model.inputs_by_name;
    let field = |channel: &Channel| {
        let Variable { name, long_name, units, .. } = &channel.variable;
        let named = || Variable::new(name, "", long_name, units);
        (if by_name { named() } else { channel.variable.clone() }, channel.level)
    };
    channels.map(field).collect()
}

/// Forcings that are read; the others are computed.
fn read_forcings(package: &ModelPackage) -> impl Iterator<Item = &Channel> {
    package.channels().forcings.iter().filter(|channel| channel.formula.is_none())
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
    let not_this = |error: StateError| ForecastError::Input(error.to_string());
    package.grid().check(&grid).map_err(not_this)?;
    let statics = fields(package, package.channels().statics.iter());
    let statics = inventory.read_constants(statics, grid.clone(), reference_time.valid())?;
    let mut digest = InputDigest::default();
    stacks.iter().for_each(|values| digest.add(values));
    digest.add(&statics);
    let states = times
        .into_iter()
        .zip(stacks)
        .map(|(time, values)| State::assemble(values, time, package.layout(), &grid, device))
        .collect::<Result<Vec<_>, StateError>>()
        .map_err(not_this)?;
    let surroundings = Surroundings { statics, ..Surroundings::none(grid) };
    Ok(InitialStates { reference_time, states, surroundings, digest: digest.finish() })
}

/// The same with all that a forecast of this length is told on its way: forcings, and the state on the frame of a limited
/// area at each step. They are read before the first step, so that what is missing is missed then, and only the frame is
/// kept.
pub fn read_inputs(
    package: &ModelPackage,
    (init, boundary): (&Inventory, Option<&Inventory>),
    reference_time: Option<ReferenceTime>,
    lead_time: LeadTime,
    device: &Device,
) -> Result<InitialStates, ForecastError> {
    match (package.needs_boundary(), boundary.is_some()) {
        (false, false) | (true, true) => {}
        (true, false) => {
            return Err(ForecastError::Configuration(format!(
                "{} covers a limited area: give --boundary with files that hold its variables at every step",
                package.name()
            )));
        }
        (false, true) => {
            return Err(ForecastError::Configuration(format!(
                "{} takes no boundary: leave --boundary out",
                package.name()
            )));
        }
    }
    let mut initial = read_initial_states(package, init, reference_time, device)?;
    let Some(boundary) = boundary else { return Ok(initial) };
    let (step, grid) = (package.time_step(), initial.surroundings.grid.clone());
    let steps = lead_time.seconds() / step.seconds();
    let at = |n: i64| initial.reference_time + LeadTime::from_seconds(n * step.seconds());
    let mut digest = InputDigest::continuing(&initial.digest);
    let mut problems = Vec::new();
    let channels: Vec<&Channel> = read_forcings(package).collect();
    if !channels.is_empty() {
        let (past, future) = package.forcing_window();
        let times: BTreeSet<ValidTime> = (1 - past..=steps + future).map(at).collect();
        let times: Vec<ValidTime> = times.into_iter().collect();
        let request =
            Request { fields: fields(package, channels.into_iter()), times: times.clone(), grid: Some(grid.clone()) };
        match boundary.read_stacked(&request) {
            Ok((stacks, _)) => {
                stacks.iter().for_each(|values| digest.add(values));
                initial.surroundings.forcings = times.into_iter().zip(stacks).collect();
            }
            Err(error) => problems.extend(error.problems),
        }
    }
    if let Some(frame) = package.frame(&grid) {
        for time in (1..=steps).map(at) {
            let request = Request { grid: Some(grid.clone()), ..needs(package, vec![time]) };
            match boundary.read_stacked(&request) {
                Ok((stacks, _)) => {
                    let values = frame.cut(&stacks[0], grid.len());
                    digest.add(&values);
                    initial.surroundings.boundary.insert(time, values);
                }
                Err(error) => problems.extend(error.problems),
            }
        }
    }
    if !problems.is_empty() {
        return Err(IngestError::new(problems).into());
    }
    initial.digest = digest.finish();
    Ok(initial)
}

/// SHA-256 of values, as little-endian float32.
#[derive(Default)]
struct InputDigest(Sha256);

impl InputDigest {
    fn continuing(digest: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(digest.as_bytes());
        Self(hasher)
    }

    fn add(&mut self, values: &[f32]) {
        for values in values.chunks(1024) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.0.update(&bytes);
        }
    }

    fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
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
