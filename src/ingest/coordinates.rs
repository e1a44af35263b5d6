//! The coordinates of a file, and which of them a variable lies on.

use std::collections::{BTreeMap, BTreeSet};

use super::CfTime;
use super::axis::{self, Axis};
use super::file::Role;
use super::values::{is_numeric, text};
use crate::atmos::{LeadTime, Level};

/// Coordinates longer than this are nobody's; a damaged header claims billions.
const LONGEST_AXIS: usize = 1 << 20;

/// The coordinates of a file, each understood once.
pub(super) struct Coordinates<'f> {
    file: &'f netcdf::File,
    /// Names of the variables that describe others.
    names: BTreeSet<String>,
    /// What lies along each dimension.
    along: BTreeMap<String, Vec<Along>>,
}

/// A coordinate variable's name, and what it is.
type Along = (String, Result<Axis, String>);

/// What a variable lies on.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub roles: Vec<Role>,
    pub latitude: Option<Vec<f64>>,
    pub longitude: Option<Vec<f64>>,
    pub levels: Option<Vec<Level>>,
    /// In m, of a single level.
    pub height: Option<f64>,
    pub time: Time,
    /// Why it can be looked at, but not read.
    pub blocked: Option<String>,
}

/// When the fields of a variable are valid.
#[derive(Debug, Default)]
pub(super) enum Time {
    #[default]
    None,
    /// All steps of the first base time, then the second's, …
    Known {
        times: Vec<CfTime>,
        steps: usize,
    },
    Unclear {
        reason: String,
        steps: usize,
    },
}

/// Time coordinates of a variable: along its dimensions, then scalar ones.
#[derive(Default)]
struct TimeAxes {
    times: Option<Vec<CfTime>>,
    references: Option<Vec<CfTime>>,
    steps: Option<Vec<i64>>,
    scalar_time: Option<CfTime>,
    /// The scalar time says itself that it is the valid time, and no base for steps.
    scalar_is_valid: bool,
    scalar_reference: Option<CfTime>,
    scalar_step: Option<i64>,
}

impl<'f> Coordinates<'f> {
    pub fn new(file: &'f netcdf::File) -> Self {
        const DESCRIBING: &[&str] =
            &["coordinates", "bounds", "grid_mapping", "climatology", "ancillary_variables", "formula_terms"];
        let mut names: BTreeSet<String> = file.dimensions().map(|dimension| dimension.name()).collect();
        for variable in file.variables() {
            for attribute in DESCRIBING {
                let listed = text(&variable, attribute).unwrap_or_default();
                names.extend(listed.split_whitespace().map(|word| word.trim_end_matches(':').to_owned()));
            }
        }
        // formula terms name surface pressure, which is data
        names.retain(|name| {
            !file.variable(name).is_some_and(|variable| {
                variable.dimensions().len() >= 2
                    && text(&variable, "standard_name").as_deref() == Some("surface_air_pressure")
            })
        });
        Self { file, names, along: BTreeMap::new() }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// All one-dimensional coordinates along a dimension, the one with its name first.
    fn along(&mut self, dimension: &str, length: usize) -> Result<&[Along], String> {
        if length > LONGEST_AXIS {
            return Err(format!("dimension {dimension:?} of length {length}: more than {LONGEST_AXIS}"));
        }
        if !self.along.contains_key(dimension) {
            let one_dimensional =
                |variable: &netcdf::Variable<'_>| matches!(variable.dimensions(), [only] if only.name() == dimension);
            let mut variables: Vec<_> = self.file.variables().filter(one_dimensional).collect();
            // CF: the coordinate has its dimension's name; some producers name it otherwise
            variables.sort_by_key(|variable| variable.name() != dimension);
            let axes = variables.iter().map(|variable| (variable.name(), axis::understand(variable))).collect();
            self.along.insert(dimension.to_owned(), axes);
        }
        Ok(self.along.get(dimension).map(Vec::as_slice).unwrap_or_default())
    }

    /// What a variable lies on. An error where one of its coordinates cannot be read.
    pub fn of(&mut self, variable: &netcdf::Variable<'_>) -> Result<Found, String> {
        let mut found = Found::default();
        let mut time = TimeAxes::default();
        let mut unclear: Option<String> = None;
        for dimension in variable.dimensions() {
            let (name, length) = (dimension.name(), dimension.len());
            let axes = self.along(&name, length)?;
            let own_error = axes.iter().find_map(|(other, axis)| match axis {
                Err(reason) if *other == name => Some(format!("coordinate {other:?}: {reason}")),
                _ => None,
            });
            let mut role = Role::Other;
            let mut what = None;
            for axis in axes.iter().filter_map(|(_, axis)| axis.as_ref().ok()) {
                match axis {
                    Axis::Latitude(values) if found.latitude.is_none() && role == Role::Other => {
                        found.latitude = Some(values.clone());
                        role = Role::Latitude;
                    }
                    Axis::Longitude(values) if found.longitude.is_none() && role == Role::Other => {
                        found.longitude = Some(values.clone());
                        role = Role::Longitude;
                    }
                    Axis::Levels(levels)
                        if role == Role::Other && !found.take_single(levels) && found.levels.is_none() =>
                    {
                        found.levels = Some(levels.clone());
                        role = Role::Level;
                    }
                    Axis::Times(times) if time.times.is_none() && matches!(role, Role::Other | Role::Step) => {
                        // valid times along a step axis are all that is to be known
                        time.steps = if role == Role::Step { None } else { time.steps.take() };
                        time.times = Some(times.clone());
                        role = Role::Time;
                    }
                    Axis::Steps(steps) if role == Role::Other && time.steps.is_none() => {
                        time.steps = Some(steps.clone());
                        role = Role::Step;
                    }
                    Axis::References(times) if role == Role::Other && time.references.is_none() => {
                        time.references = Some(times.clone());
                        role = Role::Time;
                    }
                    Axis::Members(count) if role == Role::Other && *count > 1 => {
                        found.blocked =
                            Some(format!("{count} ensemble members along {name:?}; select one of them first"));
                    }
                    Axis::Foreign(reason) if what.is_none() => what = Some(reason.clone()),
                    _ => {}
                }
            }
            if role == Role::Other && length > 1 {
                let reason =
                    own_error.or(what).unwrap_or_else(|| format!("dimension {name:?} ({length}) without a coordinate"));
                found.blocked.get_or_insert(reason);
            } else if let Some(reason) = own_error {
                unclear.get_or_insert(reason);
            }
            // valid times on a dimension of references: the dimension is taken, the times are known
            found.roles.push(role);
        }
        self.scalars(variable, &mut found, &mut time);
        found.time = time.valid(unclear);
        Ok(found)
    }

    /// Coordinates of length 1 that a variable names, or that lie on its dimensions of length 1.
    fn scalars(&self, variable: &netcdf::Variable<'_>, found: &mut Found, time: &mut TimeAxes) {
        let own: BTreeSet<String> = variable.dimensions().iter().map(netcdf::Dimension::name).collect();
        let mut named = text(variable, "coordinates").unwrap_or_default();
        // xarray lists what belongs to no single variable in the file's own attribute
        if let Some(Ok(netcdf::AttributeValue::Str(global))) = self.file.attribute("coordinates").map(|a| a.value()) {
            named = format!("{named} {global}");
        }
        let single = |other: &netcdf::Variable<'_>| other.dimensions().iter().all(|dimension| dimension.len() == 1);
        let listed = named.split_whitespace().filter_map(|name| self.file.variable(name));
        let along = self.file.variables().filter(|other| {
            other.name() != variable.name()
                && !other.dimensions().is_empty()
                && other.dimensions().iter().all(|dimension| own.contains(&dimension.name()))
        });
        let candidates: Vec<_> = listed.chain(along).filter(|other| single(other) && is_numeric(other)).collect();
        for coordinate in &candidates {
            match axis::understand(coordinate) {
                Ok(Axis::Times(times)) => {
                    let valid = text(coordinate, "standard_name").as_deref() == Some("time")
                        || coordinate.name() == "valid_time";
                    if time.scalar_time.is_none() || (valid && !time.scalar_is_valid) {
                        (time.scalar_time, time.scalar_is_valid) = (times.into_iter().next(), valid);
                    }
                }
                Ok(Axis::References(times)) => {
                    time.scalar_reference = time.scalar_reference.take().or(times.into_iter().next())
                }
                Ok(Axis::Steps(steps)) => time.scalar_step = time.scalar_step.or(steps.first().copied()),
                Ok(Axis::Levels(levels)) if !found.take_single(&levels) && found.levels.is_none() => {
                    found.levels = Some(levels)
                }
                _ => {}
            }
        }
    }
}

impl Found {
    /// A single height belongs to the variable (2 m temperature): it is no level to choose from.
    fn take_single(&mut self, levels: &[Level]) -> bool {
        match levels {
            [Level::Height(metres)] => {
                self.height.get_or_insert(*metres);
                true
            }
            _ => false,
        }
    }
}

impl TimeAxes {
    /// Valid times: those of the axis, or base times plus steps. `unclear`: what is wrong with a time axis of length 1.
    fn valid(self, unclear: Option<String>) -> Time {
        let step_count = self.steps.as_ref().map_or(1, Vec::len);
        let known = |times: Vec<CfTime>| Time::Known { times, steps: step_count };
        let no = |reason: &str| Time::Unclear { reason: reason.to_owned(), steps: step_count };
        let scalar = |time: Option<CfTime>| time.map(|time| vec![time]);
        match (self.times, self.references, self.steps) {
            (Some(_), Some(references), _) if references.len() > 1 => {
                no("reference times and valid times along two dimensions; select one reference time first")
            }
            (Some(times), _, None) => no_duplicates(times),
            (times, references, Some(steps)) => {
                let base = references.or(times).or(scalar(self.scalar_reference)).or(scalar(self.scalar_time));
                match base {
                    Some(base) => match add(&base, &steps) {
                        Ok(times) => known(times),
                        Err(reason) => no(&reason),
                    },
                    None => no("forecast steps without a reference time"),
                }
            }
            (None, Some(references), None) => match (self.scalar_step, self.scalar_time) {
                (Some(step), _) => add(&references, &[step]).map_or_else(|reason| no(&reason), no_duplicates),
                (None, Some(time)) if references.len() == 1 => known(vec![time]),
                _ => no("reference times without forecast steps or valid times"),
            },
            (None, None, None) => match (self.scalar_time, self.scalar_reference, self.scalar_step) {
                (Some(time), None, Some(step)) if !self.scalar_is_valid => {
                    add(&[time], &[step]).map_or_else(|reason| no(&reason), known)
                }
                (Some(time), ..) => known(vec![time]),
                (None, Some(reference), Some(step)) => {
                    add(&[reference], &[step]).map_or_else(|reason| no(&reason), known)
                }
                (None, Some(_), None) => no("a reference time without a forecast step or a valid time"),
                _ => unclear.map_or(Time::None, |reason| no(&reason)),
            },
        }
    }
}

/// A time that comes twice names two fields at once.
fn no_duplicates(times: Vec<CfTime>) -> Time {
    let mut seen = BTreeSet::new();
    match times.iter().find(|time| !seen.insert(time.to_string())) {
        Some(twice) => Time::Unclear { reason: format!("the time {twice} more than once"), steps: 1 },
        None => Time::Known { times, steps: 1 },
    }
}

fn add(base: &[CfTime], steps: &[i64]) -> Result<Vec<CfTime>, String> {
    let mut valid = Vec::new();
    for time in base {
        let time = time.real().ok_or_else(|| format!("forecast steps from {time}"))?;
        valid.extend(steps.iter().map(|&step| CfTime::Real(time + LeadTime::from_seconds(step))));
    }
    Ok(valid)
}
