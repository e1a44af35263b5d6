//! What a set of files holds together, and reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ndarray::Array2;

use super::dataset::{Dataset, Isolation};
use super::field::{self, Range, contradicts_unit, time_indices};
use super::file::{SourceFile, SourceVariable};
use super::matching::{Found, field_label, find};
use super::reading::{self, Reading};
use super::{CfTime, Conversion, IngestError, Problem, Recognition};
use crate::atmos::{Analysis, Field, Grid, LeadTime, Level, ReferenceTime, ValidTime, Variable};
use crate::location::Location;

/// A field that a reader wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub variable: Variable,
    pub level: Level,
    /// Lowest and highest value, in the variable's units, where the reader knows better than
    /// [`KNOWN_VARIABLES`](crate::atmos::KNOWN_VARIABLES) what is right.
    pub plausible: Option<(f64, f64)>,
}

impl From<(Variable, Level)> for Wanted {
    fn from((variable, level): (Variable, Level)) -> Self {
        Self { variable, level, plausible: None }
    }
}

/// What a reader wants.
#[derive(Debug, Clone)]
pub struct Request {
    pub fields: Vec<Wanted>,
    /// Each field is wanted at each of these.
    pub times: Vec<ValidTime>,
    /// The grid that the fields must be on; `None`: any, but all on the same.
    pub grid: Option<Arc<Grid>>,
}

/// Files, looked at: everything about them but the values of their fields.
#[derive(Debug)]
pub struct Inventory {
    files: Vec<SourceFile>,
    isolation: Isolation,
    /// Names of variables whose units are believed, whatever their values.
    trusted: BTreeSet<String>,
    /// The forecast that is asked for starts here: of several forecasts of one time, the latest until then is meant.
    reference_time: Option<ReferenceTime>,
}

/// Whether the wanted fields are others at other times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    InTime,
    Never,
}

/// Fields that belong to all times.
const STATIC: &[&str] = &["land_binary_mask", "land_area_fraction", "surface_altitude", "surface_geopotential"];

impl Inventory {
    /// Looks at all files. What is wrong with any of them is reported together.
    pub fn open(paths: &[PathBuf], isolation: &Isolation) -> Result<Self, IngestError> {
        let (inventory, problems) = Self::survey(paths, isolation);
        if problems.is_empty() { Ok(inventory) } else { Err(IngestError { problems }) }
    }

    /// Looks at all files, and keeps those that can be read beside what is wrong with the others.
    pub fn survey(paths: &[PathBuf], isolation: &Isolation) -> (Self, Vec<Problem>) {
        let mut files = Vec::new();
        let mut problems = Vec::new();
        for path in paths {
            match SourceFile::inspect(path, isolation) {
                Ok(file) => files.push(file),
                Err(found) => problems.extend(found),
            }
        }
        (Self { files, isolation: isolation.clone(), trusted: BTreeSet::new(), reference_time: None }, problems)
    }

    /// Looks at the Zarr store at a place that has settings of its own.
    pub fn of_store(store: &Location) -> Result<Self, IngestError> {
        let file = SourceFile::of_store(store).map_err(IngestError::new)?;
        let (isolation, trusted) = (Isolation::None, BTreeSet::new());
        Ok(Self { files: vec![file], isolation, trusted, reference_time: None })
    }

    /// Believes the units of these variables (as the files call them, or we), even where the values contradict them.
    pub fn trusting_units(mut self, variables: impl IntoIterator<Item = String>) -> Self {
        self.trusted.extend(variables);
        self
    }

    /// Of several forecasts of the same time, takes the latest that started at the reference time or before: what was known
    /// then. Without one, such forecasts must agree.
    pub fn as_known_at(self, reference_time: Option<ReferenceTime>) -> Self {
        Self { reference_time, ..self }
    }

    /// Whether any variable has ensemble members.
    pub fn has_members(&self) -> bool {
        self.variables().any(|(_, variable)| !variable.members.is_empty())
    }

    /// Takes the fields of this member, of variables that have members. An error where none has, or where one lacks it.
    pub fn of_member(mut self, member: i64) -> Result<Self, IngestError> {
        let mut problems = Vec::new();
        let any = self.has_members();
        for file in &mut self.files {
            let path = file.path.clone();
            for variable in &mut file.variables {
                if !variable.choose(member) {
                    let found = format!("the members {}", listed(&variable.members));
                    let expected = format!("member {member}, as --member says");
                    problems.push(Problem::in_file(&path, found, expected).of(&variable.name));
                }
            }
        }
        if !any {
            let (file, variable) = (None, None);
            let found = "no ensemble members in these files".to_owned();
            let expected = format!("member {member}; leave --member out");
            problems.push(Problem { file, variable, found, expected });
        }
        if problems.is_empty() { Ok(self) } else { Err(IngestError { problems }) }
    }

    fn trusts_units(&self, found: &SourceVariable, ours: &Variable) -> bool {
        self.trusted.contains(&found.name) || self.trusted.contains(&*ours.name)
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Every variable with its file.
    pub fn variables(&self) -> impl Iterator<Item = (&SourceFile, &SourceVariable)> {
        self.files.iter().flat_map(|file| file.variables.iter().map(move |variable| (file, variable)))
    }

    /// Valid times of anything in the files, ascending, each once.
    pub fn times(&self) -> Vec<ValidTime> {
        let times: BTreeSet<ValidTime> = self.variables().flat_map(|(_, variable)| real_times(variable)).collect();
        times.into_iter().collect()
    }

    /// The grids that the variables are on, each once.
    pub fn grids(&self) -> Vec<Arc<Grid>> {
        let mut grids: Vec<Arc<Grid>> = Vec::new();
        for (_, variable) in self.variables() {
            if !grids.iter().any(|grid| grid.same_points(&variable.grid)) {
                grids.push(variable.grid.clone());
            }
        }
        grids
    }

    /// The latest time at which the files hold all wanted fields, also at the `states - 1` times before, `step` apart.
    /// The request's own times do not matter.
    pub fn latest_time_with(&self, request: &Request, states: usize, step: LeadTime) -> Option<ValidTime> {
        let mut complete: BTreeSet<ValidTime> = self.times().into_iter().collect();
        for Wanted { variable, level, .. } in &request.fields {
            let found = find(self, (variable, *level), request.grid.as_deref()).ok()?;
            if !found.iter().any(|found| is_static(found.variable)) {
                let times: BTreeSet<ValidTime> = found.iter().flat_map(Found::times).collect();
                complete = complete.intersection(&times).copied().collect();
            }
        }
        let holds_all = |latest: ValidTime| {
            let mut time = latest;
            (1..states).all(|_| {
                time = time - step;
                complete.contains(&time)
            })
        };
        complete.iter().rev().copied().find(|&time| holds_all(time))
    }

    /// Reads what is wanted, and nothing else. Everything that is missing or wrong is reported together.
    ///
    /// Fields are complete: missing values are a problem, and so are values that contradict their unit.
    pub fn read(&self, request: &Request) -> Result<Analysis, IngestError> {
        let (readings, grid) = self.prepare(request, Changes::InTime)?;
        let mut values: Vec<Array2<f32>> = readings.iter().map(|_| Array2::zeros(grid.shape())).collect();
        let slices = values.iter_mut().filter_map(Array2::as_slice_mut).collect();
        let mut problems = reading::read_all(&readings, slices, &grid, &self.isolation);
        let mut analysis = Analysis::new(grid.clone());
        for (reading, values) in readings.iter().zip(values) {
            let Reading { wanted, level, time, .. } = reading;
            let field = Field::new((*wanted).clone(), *level, *time, grid.clone(), values);
            match field.map(|field| analysis.insert(field)) {
                Ok(Ok(())) => {}
                Ok(Err(field)) => problems.push(reading.problem(field.grid().to_string(), format!("the grid {grid}"))),
                Err(error) => problems.push(reading.problem(error.to_string(), "the grid's shape")),
            }
        }
        if problems.is_empty() { Ok(analysis) } else { Err(IngestError::new(problems)) }
    }

    /// The same as one array for each time, `[fields, H, W]` in the order of the request, and the grid: what a network
    /// takes, without a second copy in memory.
    pub fn read_stacked(&self, request: &Request) -> Result<(Vec<Vec<f32>>, Arc<Grid>), IngestError> {
        self.stack(request, Changes::InTime)
    }

    /// The variable that a wanted field is taken from, where there is one.
    pub fn source(&self, wanted: &Wanted, grid: Option<&Grid>) -> Option<&SourceVariable> {
        let found = find(self, (&wanted.variable, wanted.level), grid).ok()?;
        found.first().map(|found| found.variable)
    }

    /// Whether everything that is wanted is there; its values are not looked at.
    pub fn check(&self, request: &Request) -> Result<(), IngestError> {
        self.prepare(request, Changes::InTime).map(|_| ())
    }

    /// Fields that belong to all times: variables that have no time in the files, or the request's.
    pub fn read_constants(&self, request: &Request) -> Result<(Vec<Vec<f32>>, Arc<Grid>), IngestError> {
        self.stack(request, Changes::Never)
    }

    fn stack(&self, request: &Request, changes: Changes) -> Result<(Vec<Vec<f32>>, Arc<Grid>), IngestError> {
        let (readings, grid) = self.prepare(request, changes)?;
        let mut stacks: Vec<Vec<f32>> =
            request.times.iter().map(|_| vec![0.0; request.fields.len() * grid.len()]).collect();
        // readings come field by field, and each at all times
        let mut fields: Vec<_> = stacks.iter_mut().map(|stack| stack.chunks_exact_mut(grid.len())).collect();
        let slices = readings.iter().enumerate().filter_map(|(n, _)| fields[n % request.times.len()].next()).collect();
        let problems = reading::read_all(&readings, slices, &grid, &self.isolation);
        if problems.is_empty() { Ok((stacks, grid)) } else { Err(IngestError::new(problems)) }
    }

    /// Where everything is that is wanted, field by field, each at all times; and the grid that all is on.
    fn prepare<'a>(
        &'a self,
        request: &'a Request,
        changes: Changes,
    ) -> Result<(Vec<Reading<'a>>, Arc<Grid>), IngestError> {
        let mut problems = Vec::new();
        let readings = self.locate(request, changes, &mut problems);
        let grid = common_grid(&readings, request, &mut problems);
        if readings.is_empty() && problems.is_empty() {
            problems.push(Problem {
                file: None,
                variable: None,
                found: "a request for nothing".to_owned(),
                expected: "at least one field and one time".to_owned(),
            });
        }
        match grid.filter(|_| problems.is_empty()) {
            Some(grid) => Ok((readings, grid)),
            None => Err(IngestError::new(problems)),
        }
    }

    /// Where each field of a request is.
    fn locate<'a>(&'a self, request: &'a Request, changes: Changes, problems: &mut Vec<Problem>) -> Vec<Reading<'a>> {
        let mut readings = Vec::new();
        let mut missing: BTreeMap<ValidTime, BTreeSet<String>> = BTreeMap::new();
        for Wanted { variable: wanted, level, plausible } in &request.fields {
            let (level, plausible) = (*level, *plausible);
            let found = match find(self, (wanted, level), request.grid.as_deref()) {
                Ok(found) => found,
                Err(why_not) => {
                    problems.extend(why_not);
                    continue;
                }
            };
            for &time in &request.times {
                let at_time = |found: &Found<'a>| -> Vec<Reading<'a>> {
                    let timeless = changes == Changes::Never && found.variable.times.is_empty();
                    let constant = timeless || is_static(found.variable);
                    let indices =
                        if constant { vec![0] } else { time_indices(found.variable, found.level, time).collect() };
                    let trusted = self.trusts_units(found.variable, wanted);
                    let reading = |time_index| Reading {
                        found: *found,
                        wanted,
                        level,
                        time,
                        time_index,
                        plausible,
                        trusted,
                        others: Vec::new(),
                    };
                    indices.into_iter().map(reading).collect()
                };
                let mut holders =
                    reading::latest(found.iter().flat_map(at_time).collect(), self.reference_time).into_iter();
                let Some(mut one) = holders.next() else {
                    missing.entry(time).or_default().insert(field_label(wanted, level));
                    continue;
                };
                // forecasts in one variable may be the same; that of another is another's
                match holders.as_slice().iter().find(|other| !one.is_of_the_same_variable(other)) {
                    Some(other) => problems.push(one.twice(other)),
                    None => {
                        one.others = holders.map(|other| other.time_index).collect();
                        readings.push(one);
                    }
                }
            }
        }
        // one problem for all times at which the same is missing
        let mut together: BTreeMap<BTreeSet<String>, Vec<ValidTime>> = BTreeMap::new();
        missing.into_iter().for_each(|(time, fields)| together.entry(fields).or_default().push(time));
        let there = match self.times().as_slice() {
            [] => "no times".to_owned(),
            [one] => format!("only {one}"),
            [first, .., last] => format!("times from {first} to {last} ({})", self.times().len()),
        };
        for (fields, times) in together {
            let all = fields.len() == request.fields.len();
            let fields = fields.into_iter().collect::<Vec<_>>().join(", ");
            let (wanted, them) = match times.as_slice() {
                [one] => (one.to_string(), "it, or ask for another time"),
                [first, second, third, _, .., last] => {
                    let list = format!("{first}, {second}, {third}, … {last} ({} times)", times.len());
                    (list, "them, or ask for other times")
                }
                few => {
                    let list: Vec<String> = few.iter().map(ToString::to_string).collect();
                    (list.join(", "), "them, or ask for other times")
                }
            };
            problems.push(Problem {
                file: None,
                variable: (!all).then_some(fields),
                found: format!("{there}, but not {wanted}"),
                expected: format!("{wanted}; give files that hold {them}"),
            });
        }
        readings
    }

    /// The first field of a variable with its level and time, in the units of [`SourceVariable::units_read`].
    pub fn first_field(
        &self,
        file: &SourceFile,
        variable: &SourceVariable,
    ) -> Result<(Level, Option<CfTime>, Vec<f32>), Problem> {
        let dataset = file.open(&self.isolation)?;
        let ((level, time), values) = field::first(&dataset, variable, conversion_of(variable))
            .map_err(|reason| Problem::in_file(&file.path, reason, "readable values").of(&variable.name))?;
        Ok((variable.levels[level], variable.times.get(time).cloned(), values))
    }

    /// Range of the values of a variable over all its levels and times, in our units where it is recognised.
    pub fn range(&self, file: &SourceFile, variable: &SourceVariable) -> Result<Range, Problem> {
        let ranges = self.ranges_in(&file.open(&self.isolation)?, file, variable)?;
        Ok(ranges.into_iter().fold(Range::EMPTY, |all, (_, range)| all.union(range)))
    }

    /// What is wrong with a range that contradicts the unit which the file gives.
    pub fn implausible(&self, file: &SourceFile, variable: &SourceVariable, range: Range) -> Option<Problem> {
        let Recognition::Known { variable: ours, .. } = &variable.recognition else { return None };
        if self.trusts_units(variable, ours) {
            return None;
        }
        let (found, expected) = contradicts_unit(range, (ours, variable.levels[0]), None, &variable.units)?;
        Some(Problem::in_file(&file.path, found, expected).of(&variable.name))
    }

    /// Ranges of the values at each level of each variable of a file, in the order of the variables, each as
    /// [`Self::range`] says. The file is opened once: one that does not answer is waited for once.
    pub fn ranges(&self, file: &SourceFile) -> Vec<Result<Vec<(Level, Range)>, Problem>> {
        let dataset = file.open(&self.isolation);
        let ranges = |variable| self.ranges_in(dataset.as_ref().map_err(Clone::clone)?, file, variable);
        file.variables.iter().map(ranges).collect()
    }

    fn ranges_in(
        &self,
        dataset: &Dataset,
        file: &SourceFile,
        variable: &SourceVariable,
    ) -> Result<Vec<(Level, Range)>, Problem> {
        let ranges = field::ranges(dataset, variable, conversion_of(variable))
            .map_err(|reason| Problem::in_file(&file.path, reason, "readable values").of(&variable.name))?;
        Ok(variable.levels.iter().copied().zip(ranges).collect())
    }
}

fn conversion_of(variable: &SourceVariable) -> Conversion {
    match &variable.recognition {
        Recognition::Known { conversion, .. } => *conversion,
        _ => Conversion::NONE,
    }
}

fn listed(members: &[i64]) -> String {
    match members {
        [first, _, _, _, .., last] => format!("{first} to {last} ({})", members.len()),
        few => few.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn common_grid(readings: &[Reading<'_>], request: &Request, problems: &mut Vec<Problem>) -> Option<Arc<Grid>> {
    let first = || readings.first().map(|reading| reading.found.variable.grid.clone());
    let expected = request.grid.clone().or_else(first)?;
    for Reading { found, .. } in readings {
        if !found.variable.grid.same_points(&expected) {
            let advice = format!("the grid {expected}; interpolate the file to it first");
            problems.push(
                Problem::in_file(&found.file.path, found.variable.grid.to_string(), advice).of(&found.variable.name),
            );
        }
    }
    Some(expected)
}

fn is_static(variable: &SourceVariable) -> bool {
    let standard_name = variable.recognition.variable().map_or(&*variable.standard_name, |ours| &*ours.standard_name);
    variable.times.is_empty() && STATIC.contains(&standard_name)
}

fn real_times(variable: &SourceVariable) -> impl Iterator<Item = ValidTime> {
    variable.times.iter().filter_map(CfTime::real)
}
