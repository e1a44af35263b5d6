//! From files to what a forecast starts from, and what it is told on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::{ForecastError, Regridding};
use crate::atmos::{Grid, LeadTime, Level, ReferenceTime, ValidTime, Variable};
use crate::ingest::{IngestError, Inventory, Problem, Request};
use crate::model::{
    BoundaryNodes, BoundaryWindow, Channel, ChannelLayout, ModelPackage, NodeData, State, StateError, Surroundings,
};

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
fn read(layout: &ChannelLayout) -> impl Iterator<Item = &Channel> {
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
        None => latest(package, sources.init)?,
    };
    let times = input_times(package, reference_time);
    let regridding = &sources.regridding;
    let (stacks, grid) = regridding.read(sources.init, &needs(package, times.clone()), false)?;
    package.grid().check(&grid).map_err(not_this)?;
    let statics = fields(package, package.channels().statics.iter());
    let statics = match statics.as_slice() {
        [] => Vec::new(),
        _ => {
            let request = Request { fields: statics, times: vec![reference_time.valid()], grid: Some(grid.clone()) };
            regridding.read(sources.init, &request, true)?.0.swap_remove(0)
        }
    };
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
                "{} covers a limited area: give --boundary with files that hold {} on the way",
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
    let mut told = Told {
        package,
        files: boundary,
        regridding: &sources.regridding,
        start,
        steps: lead_time.seconds() / step.seconds(),
        digest: InputDigest::continuing(&initial.digest),
        problems: Vec::new(),
        stopped: None,
    };
    let surroundings = &mut initial.surroundings;
    surroundings.forcings = told.forcings(&surroundings.grid);
    surroundings.frame = told.frame(&surroundings.grid);
    if let (Some(nodes), Some(window)) = (package.boundary_nodes().map_err(not_this)?, package.boundary_window()) {
        surroundings.nodes = told.at_nodes(nodes, &window);
    }
    if let Some(error) = told.stopped {
        return Err(error);
    }
    if !told.problems.is_empty() {
        return Err(IngestError::new(told.problems).into());
    }
    initial.digest = told.digest.finish();
    Ok(initial)
}

fn not_this(error: impl ToString) -> ForecastError {
    ForecastError::Input(error.to_string())
}

/// Numbers of the boundary that are read before all but its own are dropped.
const MOST_AT_ONCE: usize = 1 << 26;

/// Files that tell a forecast on its way, being read.
struct Told<'a> {
    package: &'a ModelPackage,
    files: &'a Inventory,
    regridding: &'a Regridding,
    start: ReferenceTime,
    steps: i64,
    digest: InputDigest,
    problems: Vec<Problem>,
    /// What is wrong with more than the files.
    stopped: Option<ForecastError>,
}

impl Told<'_> {
    /// When step `n` is valid.
    fn at(&self, n: i64) -> ValidTime {
        self.start + LeadTime::from_seconds(n * self.package.time_step().seconds())
    }

    /// Forcings that are read, at all times that a step may ask for.
    fn forcings(&mut self, grid: &Arc<Grid>) -> BTreeMap<ValidTime, Vec<f32>> {
        let wanted = fields(self.package, read(&self.package.channels().forcings));
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let (past, future) = self.package.forcing_window();
        let times: Vec<ValidTime> = (1 - past..=self.steps + future).map(|n| self.at(n)).collect();
        let request = Request { fields: wanted, times: times.clone(), grid: Some(grid.clone()) };
        match self.regridding.read(self.files, &request, false) {
            Ok((stacks, _)) => {
                stacks.iter().for_each(|values| self.digest.add(values));
                times.into_iter().zip(stacks).collect()
            }
            Err(error) => {
                self.wrong(error);
                BTreeMap::new()
            }
        }
    }

    /// The state on the frame at each step; of what is read, only the frame is kept.
    fn frame(&mut self, grid: &Arc<Grid>) -> BTreeMap<ValidTime, Vec<f32>> {
        let Some(frame) = self.package.frame(grid) else { return BTreeMap::new() };
        let times: Vec<ValidTime> = (1..=self.steps).map(|n| self.at(n)).collect();
        let request = Request { grid: Some(grid.clone()), ..needs(self.package, Vec::new()) };
        self.each_time(&request, times, self.regridding, |values| frame.cut(values, grid.len()))
    }

    /// What is told at the boundary's nodes; of what is read, only the nodes are kept.
    fn at_nodes(&mut self, nodes: Arc<BoundaryNodes>, window: &BoundaryWindow) -> Option<NodeData> {
        let (grid, points) = self.grid_with(&nodes.boundary)?;
        let cut = |values: &[f32]| -> Vec<f32> {
            values
                .chunks_exact(grid.len())
                .flat_map(|field| points.iter().map(|&point| field[point as usize]))
                .collect()
        };
        let channels = self.package.channels();
        let statics = fields(self.package, channels.boundary_statics.iter());
        let statics = match statics.as_slice() {
            [] => Vec::new(),
            _ => {
                let request = Request { fields: statics, times: vec![self.start.valid()], grid: Some(grid.clone()) };
                match self.files.read_constants(&request) {
                    Ok((stacks, _)) => cut(&stacks[0]),
                    Err(error) => {
                        self.problems.extend(error.problems);
                        Vec::new()
                    }
                }
            }
        };
        self.digest.add(&statics);
        let wanted = fields(self.package, read(&channels.boundary));
        let times: BTreeSet<ValidTime> = match wanted.as_slice() {
            [] => BTreeSet::new(),
            _ => (1..=self.steps).flat_map(|n| window.times(self.at(n))).collect(),
        };
        let request = Request { fields: wanted, times: Vec::new(), grid: Some(grid.clone()) };
        // the nodes are points of this grid and of no other
        let forcings = self.each_time(&request, times.into_iter().collect(), &Regridding::default(), cut);
        Some(NodeData { nodes, statics, forcings })
    }

    /// The grid of the files that has a point at every place, and those points.
    fn grid_with(&mut self, places: &Arc<Grid>) -> Option<(Arc<Grid>, Vec<u32>)> {
        let mut there = Vec::new();
        for grid in self.files.grids() {
            match grid.points_at(places) {
                Ok(points) => return Some((grid, points)),
                Err((latitude, longitude)) => {
                    there.push(format!("{grid}, with no point at {latitude:.4} °N {longitude:.4} °E"));
                }
            }
        }
        self.problems.push(Problem {
            file: None,
            variable: None,
            found: if there.is_empty() { "no grid".to_owned() } else { there.join("; ") },
            expected: format!(
                "a grid with a point at each node of the model's boundary ({places}): give --boundary with the data of the \
                 model that drives this one"
            ),
        });
        None
    }

    /// Reads the fields of a request some times at once, and keeps what `keep` makes of each.
    fn each_time(
        &mut self,
        request: &Request,
        times: Vec<ValidTime>,
        regridding: &Regridding,
        keep: impl Fn(&[f32]) -> Vec<f32>,
    ) -> BTreeMap<ValidTime, Vec<f32>> {
        let mut kept = BTreeMap::new();
        let all = Request { times, ..request.clone() };
        if all.times.is_empty() {
            return kept;
        }
        // what is missing is told at once
        let grid = all.grid.clone().filter(|_| !regridding.is_asked_for());
        if let Err(error) = self.files.check(&Request { grid, ..all.clone() }) {
            self.problems.extend(error.problems);
            return kept;
        }
        let grid = request.grid.as_ref().map_or(1, |grid| grid.len());
        let at_once = (MOST_AT_ONCE / (request.fields.len() * grid).max(1)).max(1);
        for times in all.times.chunks(at_once) {
            let some = Request { times: times.to_vec(), ..request.clone() };
            match regridding.read(self.files, &some, false) {
                Ok((stacks, _)) => {
                    for (time, stack) in times.iter().zip(stacks) {
                        let values = keep(&stack);
                        self.digest.add(&values);
                        kept.insert(*time, values);
                    }
                }
                Err(error) => {
                    self.wrong(error);
                    // a grid that does not fit fits at no time
                    if self.stopped.is_some() {
                        return kept;
                    }
                }
            }
        }
        kept
    }

    fn wrong(&mut self, error: ForecastError) {
        match error {
            ForecastError::Ingest(error) => self.problems.extend(error.problems),
            other => self.stopped = Some(other),
        }
    }
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
