//! What a forecast is told on its way: forcings, and what happens at the boundary of a limited area.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::input::{InputDigest, fields, needs, read};
use super::{ForecastError, Regridding};
use crate::atmos::{Grid, LeadTime, ReferenceTime, ValidTime};
use crate::ingest::{IngestError, Inventory, Problem, Request};
use crate::model::{BoundaryNodes, BoundaryWindow, ModelPackage, NodeData};

/// Numbers of the boundary that are read before all but its own are dropped.
const MOST_AT_ONCE: usize = 1 << 26;

/// Files that tell a forecast on its way, being read.
pub struct Told<'a> {
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

impl<'a> Told<'a> {
    /// `steps` from `start`; `digest` is that of what was read before.
    pub fn new(
        package: &'a ModelPackage,
        (files, regridding): (&'a Inventory, &'a Regridding),
        (start, steps): (ReferenceTime, i64),
        digest: InputDigest,
    ) -> Self {
        Self { package, files, regridding, start, steps, digest, problems: Vec::new(), stopped: None }
    }

    /// The digest of all that was read, or everything that is wrong.
    pub fn finish(self) -> Result<InputDigest, ForecastError> {
        match (self.stopped, self.problems.is_empty()) {
            (Some(error), _) => Err(error),
            (None, false) => Err(IngestError::new(self.problems).into()),
            (None, true) => Ok(self.digest),
        }
    }

    /// When step `n` is valid.
    fn at(&self, n: i64) -> ValidTime {
        self.start + LeadTime::from_seconds(n * self.package.time_step().seconds())
    }

    /// Forcings that are read, at all times that a step may ask for.
    pub fn forcings(&mut self, grid: &Arc<Grid>) -> BTreeMap<ValidTime, Vec<f32>> {
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
    pub fn frame(&mut self, grid: &Arc<Grid>) -> BTreeMap<ValidTime, Vec<f32>> {
        let Some(frame) = self.package.frame(grid) else { return BTreeMap::new() };
        let times: Vec<ValidTime> = (1..=self.steps).map(|n| self.at(n)).collect();
        let request = Request { grid: Some(grid.clone()), ..needs(self.package, Vec::new()) };
        self.each_time(&request, times, self.regridding, |values| frame.cut(values, grid.len()))
    }

    /// What is told at the boundary's nodes; of what is read, only the nodes are kept.
    pub fn at_nodes(&mut self, nodes: Arc<BoundaryNodes>, window: &BoundaryWindow) -> Option<NodeData> {
        let (grid, points) = self.grid_with(&nodes.boundary)?;
        let cut = |values: &[f32]| -> Vec<f32> {
            values
                .chunks_exact(grid.len())
                .flat_map(|field| points.iter().map(|&point| field[point as usize]))
                .collect()
        };
        let channels = self.package.channels();
        // the nodes are points of this grid and of no other
        let as_it_is = Regridding::default();
        let statics = fields(self.package, channels.boundary_statics.iter());
        let request = Request { fields: statics, times: vec![self.start.valid()], grid: Some(grid.clone()) };
        let statics = as_it_is.read(self.files, &request, true).map(|(stacks, _)| cut(&stacks[0]));
        let statics = statics.unwrap_or_else(|error| {
            self.wrong(error);
            Vec::new()
        });
        self.digest.add(&statics);
        let wanted = fields(self.package, read(&channels.boundary));
        let times: BTreeSet<ValidTime> = match wanted.as_slice() {
            [] => BTreeSet::new(),
            _ => (1..=self.steps).flat_map(|n| window.times(self.at(n))).collect(),
        };
        let request = Request { fields: wanted, times: Vec::new(), grid: Some(grid.clone()) };
        let forcings = self.each_time(&request, times.into_iter().collect(), &as_it_is, cut);
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
        if let Err(error) = self.files.check(&Request { grid, ..regridding.asked(self.files, &all) }) {
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
            ForecastError::Ingest(error) | ForecastError::NotYet { missing: error, .. } => {
                self.problems.extend(error.problems);
            }
            other => self.stopped = Some(other),
        }
    }
}
