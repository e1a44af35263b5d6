//! What a set of files holds together, and reading it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ndarray::Array2;

use super::calendar::CfTime;
use super::file::{self, Recognition, Role, SourceFile, SourceVariable};
use super::units::{self, Conversion, conversion};
use super::values::read_stored;
use super::{IngestError, Problem};
use crate::atmos::{Analysis, Field, Grid, LeadTime, Level, ValidTime, Variable, known_variable};

/// What a reader wants.
#[derive(Debug, Clone)]
pub struct Request {
    pub fields: Vec<(Variable, Level)>,
    /// Each field is wanted at each of these. None: fields that have no time.
    pub times: Vec<ValidTime>,
    /// The grid that the fields must be on.
    pub grid: Option<Arc<Grid>>,
}

/// Smallest and largest value, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f32,
    pub high: f32,
    pub valid: usize,
    pub total: usize,
}

/// Files, looked at: everything about them but the values of their fields.
#[derive(Debug)]
pub struct Inventory {
    files: Vec<SourceFile>,
}

/// One field in one file.
struct Found<'a> {
    file: &'a SourceFile,
    variable: &'a SourceVariable,
    conversion: Conversion,
    level: usize,
}

impl Inventory {
    /// Looks at all files. What is wrong with any of them is reported together.
    pub fn open(paths: &[PathBuf]) -> Result<Self, IngestError> {
        let mut files = Vec::new();
        let mut problems = Vec::new();
        for path in paths {
            match SourceFile::inspect(path) {
                Ok(file) => files.push(file),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { files }) } else { Err(IngestError { problems }) }
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Valid times of anything in the files, ascending, each once.
    pub fn times(&self) -> Vec<ValidTime> {
        let times: BTreeSet<ValidTime> = self.variables().flat_map(|(_, variable)| real_times(variable)).collect();
        times.into_iter().collect()
    }

    fn variables(&self) -> impl Iterator<Item = (&SourceFile, &SourceVariable)> {
        self.files.iter().flat_map(|file| file.variables.iter().map(move |variable| (file, variable)))
    }

    /// The latest time at which the files hold all wanted fields, also at the `states - 1` times before, `step` apart.
    pub fn latest_time_with(&self, request: &Request, states: usize, step: LeadTime) -> Option<ValidTime> {
        let mut complete: Option<BTreeSet<ValidTime>> = None;
        for (wanted, level) in &request.fields {
            let (found, _) = self.find(wanted, *level);
            let times: BTreeSet<ValidTime> = found.iter().flat_map(|found| real_times(found.variable)).collect();
            complete = Some(match complete {
                Some(complete) => complete.intersection(&times).copied().collect(),
                None => times,
            });
        }
        let complete = complete?;
        let earlier = |time: ValidTime| {
            (1..states).scan(time, |time, _| {
                *time = *time - step;
                Some(*time)
            })
        };
        complete.iter().rev().copied().find(|&time| earlier(time).all(|time| complete.contains(&time)))
    }

    /// Reads what is wanted. Everything that is missing or wrong is reported together.
    pub fn read(&self, request: &Request) -> Result<Analysis, IngestError> {
        let mut problems = Vec::new();
        let mut reads: Vec<(Found<'_>, Variable, Level, ValidTime, usize)> = Vec::new();
        let mut missing_times: BTreeSet<(ValidTime, String)> = BTreeSet::new();
        for (wanted, level) in &request.fields {
            let (found, why_not) = self.find(wanted, *level);
            if found.is_empty() {
                problems.extend(why_not);
                continue;
            }
            for &time in &request.times {
                let mut holders =
                    found.iter().filter_map(|one| time_index(one.variable, time).map(|index| (one, index)));
                match (holders.next(), holders.next()) {
                    (Some((one, index)), None) => {
                        let one = Found {
                            file: one.file,
                            variable: one.variable,
                            conversion: one.conversion,
                            level: one.level,
                        };
                        reads.push((one, wanted.clone(), *level, time, index));
                    }
                    (Some((one, _)), Some((other, _))) => {
                        let places = format!(
                            "{} at {time} twice: as {} and as {} in {}",
                            label(wanted, *level),
                            one.variable.name,
                            other.variable.name,
                            other.file.path.display()
                        );
                        problems.push(
                            Problem::in_file(
                                &one.file.path,
                                places,
                                "it once; leave out one of the files or variables",
                            )
                            .of(&*wanted.name),
                        );
                    }
                    (None, _) => {
                        let times: BTreeSet<String> =
                            found.iter().flat_map(|one| one.variable.times.iter().map(ToString::to_string)).collect();
                        missing_times.insert((time, span(&times)));
                    }
                }
            }
        }
        for (time, there) in missing_times {
            problems.push(Problem {
                file: None,
                variable: None,
                found: format!("times {there}"),
                expected: format!("{time}; give files that hold it, or another --reference-time"),
            });
        }
        let grid = self.common_grid(&reads, request, &mut problems);
        if !problems.is_empty() {
            dedup(&mut problems);
            return Err(IngestError { problems });
        }
        let Some(grid) = grid else {
            return Err(IngestError {
                problems: vec![Problem {
                    file: None,
                    variable: None,
                    found: "no fields".to_owned(),
                    expected: "at least one".to_owned(),
                }],
            });
        };
        let mut analysis = Analysis::new(grid.clone());
        // file by file: each is opened once
        reads.sort_by(|a, b| a.0.file.path.cmp(&b.0.file.path));
        for reads in reads.chunk_by(|a, b| a.0.file.path == b.0.file.path) {
            let path = &reads[0].0.file.path;
            let file = match file::open(path) {
                Ok(file) => file,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            for (found, wanted, level, time, index) in reads {
                let problem =
                    |found: String, expected: String| Problem::in_file(path, found, expected).of(label(wanted, *level));
                match read_field(&file, found.variable, found.level, *index, found.conversion) {
                    Err(reason) => problems.push(problem(reason, "readable values".to_owned())),
                    Ok(values) => {
                        problems.extend(
                            implausible(&values, wanted, &grid, &found.variable.units)
                                .map(|(what, expected)| problem(what, expected)),
                        );
                        let field = Field::new(wanted.clone(), *level, *time, grid.clone(), values);
                        match field {
                            Ok(field) => drop(analysis.insert(field)),
                            Err(error) => problems.push(problem(error.to_string(), "the grid's shape".to_owned())),
                        }
                    }
                }
            }
        }
        if problems.is_empty() { Ok(analysis) } else { Err(IngestError { problems }) }
    }

    /// Where a variable and level are, or why they are nowhere.
    fn find(&self, wanted: &Variable, level: Level) -> (Vec<Found<'_>>, Vec<Problem>) {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        let mut by_recognition = false;
        for (file, variable) in self.variables() {
            let recognised = match &variable.recognition {
                Recognition::Known { variable: known, .. } | Recognition::WrongUnits { variable: known, .. } => {
                    known.name == wanted.name
                }
                Recognition::Unnamed => false,
            };
            // by its own name, unless its standard name says that it is something else
            let contradicts = !variable.standard_name.is_empty()
                && !wanted.standard_name.is_empty()
                && variable.standard_name != *wanted.standard_name;
            let named = variable.name == *wanted.name && !contradicts;
            if !recognised && !named {
                continue;
            }
            let Some(conversion) = conversion(&variable.units, &wanted.units) else {
                let found = format!("units {:?}", variable.units);
                problems.push(
                    Problem::in_file(&file.path, found, format!("units {}", units::accepted(&wanted.units)))
                        .of(&variable.name),
                );
                continue;
            };
            let Some(index) = variable.levels.iter().position(|other| *other == level) else {
                let levels: Vec<String> = variable.levels.iter().map(ToString::to_string).collect();
                problems.push(
                    Problem::in_file(&file.path, format!("levels {}", levels.join(" ")), format!("level {level}"))
                        .of(&variable.name),
                );
                continue;
            };
            by_recognition |= recognised;
            found.push((recognised, Found { file, variable, conversion, level: index }));
        }
        // what CF attributes tell outweighs a name
        let found: Vec<Found<'_>> = found
            .into_iter()
            .filter(|(recognised, _)| *recognised || !by_recognition)
            .map(|(_, found)| found)
            .collect();
        if found.is_empty() && problems.is_empty() {
            let names: BTreeSet<&str> = self.variables().map(|(_, variable)| variable.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().take(30).collect();
            let files: Vec<String> = self.files.iter().map(|file| file.path.display().to_string()).collect();
            problems.push(Problem {
                file: None,
                variable: Some(label(wanted, level)),
                found: format!("no such variable in {} (variables there: {})", files.join(", "), names.join(" ")),
                expected: format!(
                    "one with standard_name {:?}, or called {:?}, in {}",
                    wanted.standard_name, wanted.name, wanted.units
                ),
            });
        }
        (found, problems)
    }

    fn common_grid(
        &self,
        reads: &[(Found<'_>, Variable, Level, ValidTime, usize)],
        request: &Request,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Grid>> {
        let expected = request.grid.clone().or_else(|| reads.first().map(|(found, ..)| found.variable.grid.clone()))?;
        let others: Vec<_> = reads.iter().filter(|(found, ..)| !found.variable.grid.same_points(&expected)).collect();
        for (found, ..) in &others {
            let grid = found.variable.grid.to_string();
            problems.push(
                Problem::in_file(
                    &found.file.path,
                    grid,
                    format!("the grid {expected}; interpolate the file to it first"),
                )
                .of(&found.variable.name),
            );
        }
        others.is_empty().then_some(expected)
    }

    /// Range of the values of a variable over all its levels and times, in our units where it is recognised.
    pub fn range(&self, file: &SourceFile, variable: &SourceVariable) -> Result<Range, Problem> {
        let opened = file::open(&file.path)?;
        let conversion = match &variable.recognition {
            Recognition::Known { conversion, .. } => *conversion,
            _ => Conversion::NONE,
        };
        let mut range = Range { low: f32::INFINITY, high: f32::NEG_INFINITY, valid: 0, total: 0 };
        for time in 0..variable.times.len().max(1) {
            for level in 0..variable.levels.len() {
                let values = read_field(&opened, variable, level, time, conversion)
                    .map_err(|reason| Problem::in_file(&file.path, reason, "readable values").of(&variable.name))?;
                range.total += values.len();
                for &value in values.iter().filter(|value| !value.is_nan()) {
                    range.valid += 1;
                    range.low = range.low.min(value);
                    range.high = range.high.max(value);
                }
            }
        }
        Ok(range)
    }
}

fn label(variable: &Variable, level: Level) -> String {
    if level == Level::Surface { variable.name.to_string() } else { format!("{} {level}", variable.name) }
}

fn span(times: &BTreeSet<String>) -> String {
    match (times.first(), times.last(), times.len()) {
        (Some(first), Some(last), n) if n > 1 => format!("{first} to {last} ({n})"),
        (Some(only), ..) => only.clone(),
        _ => "none at all".to_owned(),
    }
}

fn dedup(problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.to_string()));
}

fn real_times(variable: &SourceVariable) -> impl Iterator<Item = ValidTime> {
    variable.times.iter().filter_map(|time| match time {
        CfTime::Real(time) => Some(*time),
        CfTime::Model(_) => None,
    })
}

fn time_index(variable: &SourceVariable, time: ValidTime) -> Option<usize> {
    variable.times.iter().position(|other| *other == CfTime::Real(time))
}

/// One field in our order and units, missing values as NaN.
fn read_field(
    file: &netcdf::File,
    source: &SourceVariable,
    level: usize,
    time: usize,
    conversion: Conversion,
) -> Result<Array2<f32>, String> {
    let variable = file.variable(&source.name).ok_or("the variable is gone: the file has changed")?;
    let lengths: Vec<usize> = variable.dimensions().iter().map(netcdf::Dimension::len).collect();
    if lengths.len() != source.roles.len() {
        return Err("other dimensions than before: the file has changed".to_owned());
    }
    let (mut start, mut count) = (Vec::new(), Vec::new());
    let mut latitude_first = true;
    for (role, &length) in source.roles.iter().zip(&lengths) {
        let (from, n) = match role {
            Role::Time => (time / source.steps, 1),
            Role::Step => (time % source.steps, 1),
            Role::Level => (level, 1),
            Role::Single => (0, 1),
            Role::Latitude | Role::Longitude => (0, length),
        };
        start.push(from);
        count.push(n);
    }
    let axis = |wanted: Role| source.roles.iter().position(|role| *role == wanted).unwrap_or(0);
    let (latitude, longitude) = (axis(Role::Latitude), axis(Role::Longitude));
    if longitude < latitude {
        latitude_first = false;
    }
    let (source_h, source_w) = (lengths[latitude], lengths[longitude]);
    let stored = read_stored(&variable, &start, &count)?;
    if stored.len() != source_h * source_w {
        return Err(format!("{} values where {} are due", stored.len(), source_h * source_w));
    }
    let (h, w) = source.grid.shape();
    Ok(Array2::from_shape_fn((h, w), |(row, column)| {
        let (row, column) = (source.rows[row], source.columns[column]);
        let at = if latitude_first { row * source_w + column } else { column * source_h + row };
        conversion.apply(source.decoding.decode(stored[at])) as f32
    }))
}

/// Missing values, and values that contradict their unit: what was found, what was expected.
fn implausible(values: &Array2<f32>, variable: &Variable, grid: &Grid, units: &str) -> Option<(String, String)> {
    let place =
        |(row, column): (usize, usize)| format!("{:.2} °N {:.2} °E", grid.latitude()[row], grid.longitude()[column]);
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    if missing > 0 {
        let first =
            values.indexed_iter().find(|(_, value)| !value.is_finite()).map(|(at, _)| place(at)).unwrap_or_default();
        return Some((
            format!("{missing} missing values of {}, the first at {first}", values.len()),
            "a complete field".to_owned(),
        ));
    }
    let (low, high) = known_variable(&variable.name)?.plausible;
    let (least, most) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &value| (a.min(value), b.max(value)));
    if f64::from(least) < low || f64::from(most) > high {
        let found = format!("values from {least} to {most} {} (labelled {units:?})", variable.units);
        return Some((found, format!("{low} to {high} {}; is the unit in the file right?", variable.units)));
    }
    None
}
