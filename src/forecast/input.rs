//! From files to what a forecast starts from, and what it is told on its way.

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::told::Told;
use super::{Ensemble, ForecastError, Regridding};
use crate::atmos::{LeadTime, ReferenceTime, ValidTime, Variable};
use crate::ingest::{Inventory, Request, Wanted};
use crate::model::{Channel, ChannelLayout, ModelPackage, Role, State, StateError, Surroundings};

/// The states that a forecast starts from.
#[derive(Debug)]
pub struct InitialStates {
    pub reference_time: ReferenceTime,
    /// Oldest first; the last is valid at the reference time.
    pub states: Vec<State>,
    /// The same of older analyses, one lag before the other: what the members of a lagged ensemble start from.
    pub earlier: Vec<Vec<State>>,
    pub surroundings: Surroundings,
    /// SHA-256 of all values that were read, in the model's channel order: what the forecast depends on, whatever files it
    /// came in.
    pub digest: String,
}

/// What a model needs of an analysis: its variables and levels, on its grid, at `times`.
pub fn needs(package: &ModelPackage, times: Vec<ValidTime>) -> Request {
    let read = package.layout().iter().filter(|channel| channel.role == Role::Prognostic);
    Request { fields: fields(package, read), times, grid: package.grid().fixed().cloned() }
}

/// Channels as they are looked for in files.
pub(super) fn fields<'a>(package: &ModelPackage, channels: impl Iterator<Item = &'a Channel>) -> Vec<Wanted> {
    let by_name = package.manifest().model.inputs_by_name;
    let field = |channel: &Channel| {
        let Variable { name, long_name, units, .. } = &channel.variable;
        let named = || Variable::new(name, "", long_name, units);
        let variable = if by_name { named() } else { channel.variable.clone() };
        Wanted { variable, level: channel.level, plausible: channel.told_plausible }
    };
    channels.map(field).collect()
}

/// Forcings that are read; the others are computed.
pub(super) fn read(layout: &ChannelLayout) -> impl Iterator<Item = &Channel> {
    layout.iter().filter(|channel| channel.formula.is_none())
}

/// Where a forecast's inputs come from.
#[derive(Debug)]
pub struct Sources<'a> {
    pub init: &'a Inventory,
    /// What it is told on its way.
    pub boundary: Option<&'a Inventory>,
    pub regridding: Regridding,
}

impl<'a> Sources<'a> {
    /// Initial states alone, on the model's own grid.
    pub fn new(init: &'a Inventory) -> Self {
        Self { init, boundary: None, regridding: Regridding::default() }
    }
}

/// Reads the model's input states from files. Without a reference time: the latest for which the files hold all
/// input states.
pub fn read_initial_states(
    package: &ModelPackage,
    sources: &Sources<'_>,
    reference_time: Option<ReferenceTime>,
    device: &Device,
) -> Result<InitialStates, ForecastError> {
    let reference_time = match reference_time {
        Some(time) => time,
        None => latest(package, sources)?,
    };
    let times = input_times(package, reference_time);
    let regridding = &sources.regridding;
    let request = needs(package, times.clone());
    let not_yet = |error| not_yet(package, sources, (&request, reference_time), error);
    let (stacks, grid) = regridding.read(sources.init, &request, false).map_err(not_yet)?;
    package.grid().check(&grid).map_err(not_this)?;
    let statics = fields(package, package.channels().statics.iter());
    let request = Request { fields: statics, times: vec![reference_time.valid()], grid: Some(grid.clone()) };
    let statics = regridding.read(sources.init, &request, true)?.0.swap_remove(0);
    let mut digest = InputDigest::default();
    stacks.iter().for_each(|values| digest.add(values));
    digest.add(&statics);
    let states = times
        .into_iter()
        .zip(stacks)
        .map(|(time, values)| {
            State::assemble(
                with_diagnostics(values, package.layout(), grid.len()),
                time,
                package.layout(),
                &grid,
                device,
            )
        })
        .collect::<Result<Vec<_>, StateError>>()
        .map_err(not_this)?;
    let surroundings = Surroundings { statics, ..Surroundings::none(grid) };
    Ok(InitialStates { reference_time, states, earlier: Vec::new(), surroundings, digest: digest.finish() })
}

/// The same with all that a forecast of this length is told on its way: forcings, and what happens at the boundary of a
/// limited area. It is read before the first step, so that what is missing is missed then.
pub fn read_inputs(
    package: &ModelPackage,
    sources: &Sources<'_>,
    reference_time: Option<ReferenceTime>,
    lead_time: LeadTime,
    device: &Device,
) -> Result<InitialStates, ForecastError> {
    match (package.needs_boundary(), sources.boundary.is_some()) {
        (false, false) | (true, true) => {}
        (true, false) => {
            return Err(ForecastError::Configuration(format!(
                "{} is told on its way what happens: give --boundary with files that hold {}",
                package.name(),
                match package.boundary_window() {
                    Some(_) => "the data of the model that drives it",
                    None => "its variables at every step",
                }
            )));
        }
        (false, true) => {
            return Err(ForecastError::Configuration(format!(
                "{} takes no boundary: leave --boundary out",
                package.name()
            )));
        }
    }
    let mut initial = read_initial_states(package, sources, reference_time, device)?;
    let Some(boundary) = sources.boundary else { return Ok(initial) };
    let (step, start) = (package.time_step(), initial.reference_time);
    let steps = lead_time.seconds() / step.seconds();
    let digest = InputDigest::continuing(&initial.digest);
    let mut told = Told::new(package, (boundary, &sources.regridding), (start, steps), digest);
    let surroundings = &mut initial.surroundings;
    surroundings.forcings = told.forcings(&surroundings.grid);
    surroundings.frame = told.frame(&surroundings.grid);
    if let (Some(nodes), Some(window)) = (package.boundary_nodes().map_err(not_this)?, package.boundary_window()) {
        surroundings.nodes = told.at_nodes(nodes, &window);
    }
    initial.digest = told.finish()?.finish();
    Ok(initial)
}

impl InitialStates {
    /// The same with what the members of an ensemble start from, where that is more than the analysis.
    pub fn for_ensemble(
        mut self,
        package: &ModelPackage,
        sources: &Sources<'_>,
        ensemble: &Ensemble,
        device: &Device,
    ) -> Result<Self, ForecastError> {
        ensemble.check(package).map_err(ForecastError::Configuration)?;
        for time in ensemble.earlier_times(self.reference_time) {
            let older = read_initial_states(package, sources, Some(time), device)?;
            self.digest = InputDigest::continuing(&format!("{}{}", self.digest, older.digest)).finish();
            self.earlier.push(older.states);
        }
        Ok(self)
    }
}

fn not_this(error: impl ToString) -> ForecastError {
    ForecastError::Input(error.to_string())
}

/// Prognostic fields of an analysis, among them gaps where the model's diagnostic ones will be: of these no analysis tells.
fn with_diagnostics(values: Vec<f32>, layout: &ChannelLayout, points: usize) -> Vec<f32> {
    if values.len() == layout.len() * points {
        return values;
    }
    let mut read = values.chunks_exact(points);
    let mut all = Vec::with_capacity(layout.len() * points);
    for channel in layout.iter() {
        match (channel.role == Role::Prognostic).then(|| read.next()).flatten() {
            Some(field) => all.extend_from_slice(field),
            None => all.resize(all.len() + points, f32::NAN),
        }
    }
    all
}

/// SHA-256 of values, as little-endian float32.
#[derive(Default)]
pub(super) struct InputDigest(Sha256);

impl InputDigest {
    fn continuing(digest: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(digest.as_bytes());
        Self(hasher)
    }

    pub(super) fn add(&mut self, values: &[f32]) {
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

/// What is wrong with files that hold all that is needed, but until an earlier time: the analysis that is asked for may come.
fn not_yet(
    package: &ModelPackage,
    sources: &Sources<'_>,
    (request, reference_time): (&Request, ReferenceTime),
    error: ForecastError,
) -> ForecastError {
    let ForecastError::Ingest(missing) = error else { return error };
    let request = &sources.regridding.asked(sources.init, request);
    let latest = sources.init.latest_time_with(request, 1, package.time_step());
    let Some(latest) = latest.filter(|latest| *latest < reference_time.valid()) else { return missing.into() };
    let grid = request.grid.clone().filter(|_| !sources.regridding.is_asked_for());
    match sources.init.check(&Request { times: vec![latest], grid, ..request.clone() }) {
        Ok(()) => ForecastError::NotYet { reference_time, latest: latest.as_reference(), missing },
        Err(_) => missing.into(),
    }
}

fn latest(package: &ModelPackage, sources: &Sources<'_>) -> Result<ReferenceTime, ForecastError> {
    let inventory = sources.init;
    let request = sources.regridding.asked(inventory, &needs(package, Vec::new()));
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
