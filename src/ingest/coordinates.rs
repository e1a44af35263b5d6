//! The coordinates of a file, and which of them a variable lies on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::CfTime;
use super::axis::{self, Axis, Plane};
use super::calendar;
use super::dataset::{Array, Attribute, Dataset};
use super::file::Role;
use super::horizontal::{self, Placement};
use crate::atmos::{LeadTime, Level};

/// Coordinates longer than this are nobody's; a damaged header claims billions.
const LONGEST_AXIS: usize = 1 << 20;

/// The coordinates of a file, each understood once.
pub(super) struct Coordinates<'f> {
    dataset: &'f Dataset,
    /// Names of the variables that describe others.
    names: BTreeSet<String>,
    /// What lies along each dimension, as each group sees it.
    along: BTreeMap<(String, String), Vec<Along>>,
}

/// A coordinate variable's name, and what it is.
type Along = (String, Result<Axis, String>);

/// What a variable lies on.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub roles: Vec<Role>,
    pub latitude: Option<Vec<f64>>,
    pub longitude: Option<Vec<f64>>,
    /// Where the grid is a projection's.
    pub y: Option<Plane>,
    pub x: Option<Plane>,
    /// The grid; none where nothing is horizontal.
    pub placement: Option<Placement>,
    pub levels: Option<Vec<Level>>,
    /// Numbers of ensemble members, where there are several.
    pub members: Vec<i64>,
    /// In m, of a single level.
    pub height: Option<f64>,
    pub time: Time,
    /// Texts along dimensions of length 1: some producers stack variables and name them there.
    pub labels: Vec<String>,
    /// Why it can be looked at, but not read.
    pub blocked: Option<String>,
}

/// When the fields of a variable are valid.
#[derive(Debug, Default)]
pub(super) enum Time {
    #[default]
    None,
    /// All steps of the first base time, then the second's, …; and the base time of each, where they are known.
    Known {
        times: Vec<CfTime>,
        steps: usize,
        bases: Vec<CfTime>,
    },
    Unclear {
        reason: String,
        steps: usize,
    },
}

/// Time coordinates of a variable: along its dimensions, then scalar ones.
#[derive(Default)]
struct TimeAxes {
    /// Valid times of all steps of the first base time, then the second's, …, and the number of steps.
    table: Option<(Vec<CfTime>, usize)>,
    times: Option<Vec<CfTime>>,
    /// Base times along the dimension of the valid times, or of each in the table.
    bases: Option<Vec<CfTime>>,
    references: Option<Vec<CfTime>>,
    steps: Option<Vec<i64>>,
    scalar_time: Option<CfTime>,
    /// The scalar time says itself that it is the valid time, and no base for steps.
    scalar_is_valid: bool,
    scalar_reference: Option<CfTime>,
    scalar_step: Option<i64>,
}

impl<'f> Coordinates<'f> {
    pub fn new(dataset: &'f Dataset) -> Self {
        const DESCRIBING: &[&str] = &["coordinates", "bounds", "grid_mapping", "climatology", "ancillary_variables"];
        let mut names: BTreeSet<String> = dataset.dimensions.iter().map(|dimension| dimension.name.clone()).collect();
        for array in &dataset.arrays {
            for attribute in DESCRIBING {
                let listed = array.text(attribute);
                names.extend(listed.split_whitespace().map(|word| word.trim_end_matches(':').to_owned()));
            }
            // formula terms name fields too, surface pressure first of all
            let terms = array.text("formula_terms");
            let is_field = |name: &str| dataset.array(name).is_some_and(|array| array.dimensions.len() >= 2);
            names.extend(terms.split_whitespace().filter(|word| !is_field(word)).map(str::to_owned));
        }
        Self { dataset, names, along: BTreeMap::new() }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// All one-dimensional coordinates along a dimension that a group sees, the one with its name first, the nearest of
    /// several.
    fn along(&mut self, dimension: &str, length: usize, group: &str) -> Result<&[Along], String> {
        if length > LONGEST_AXIS {
            return Err(format!("dimension {dimension:?} of length {length}: more than {LONGEST_AXIS}"));
        }
        let key = (dimension.to_owned(), group.to_owned());
        if !self.along.contains_key(&key) {
            let one_dimensional = |array: &&Array| matches!(&*array.dimensions, [only] if only.name == dimension);
            let seen = |array: &&Array| one_dimensional(array) && array.is_seen_from(group);
            let mut arrays: Vec<&Array> = self.dataset.arrays.iter().filter(seen).collect();
            // CF: the coordinate has its dimension's name; some producers name it otherwise
            arrays.sort_by_key(|array| (!is_named_for(&array.name, dimension), Reverse(array.group().len())));
            let understand = |array: &&Array| (array.name.clone(), axis::understand(self.dataset, array));
            let axes = arrays.iter().map(understand).collect();
            self.along.insert(key.clone(), axes);
        }
        Ok(self.along.get(&key).map(Vec::as_slice).unwrap_or_default())
    }

    /// What a variable lies on. An error where one of its coordinates cannot be read.
    pub fn of(&mut self, variable: &Array) -> Result<Found, String> {
        let mut found = Found::default();
        let mut time = TimeAxes::default();
        let mut unclear: Option<String> = None;
        // places of dimensions that are not understood, and what is known of them
        let mut blocking: Vec<(usize, String)> = Vec::new();
        for dimension in &variable.dimensions {
            let (name, length) = (&dimension.name, dimension.length);
            let axes = self.along(name, length, variable.group())?;
            let own_error = axes.iter().find_map(|(other, axis)| match axis {
                Err(reason) if is_named_for(other, name) => Some(format!("coordinate {other:?}: {reason}")),
                _ => None,
            });
            let mut role = Role::Other;
            let mut what = None;
            let has = |kind: fn(&Axis) -> bool| axes.iter().filter_map(|(_, axis)| axis.as_ref().ok()).any(kind);
            // latitudes and longitudes of places one after the other: the grid's own affair
            let list = has(|axis| matches!(axis, Axis::Latitude(_))) && has(|axis| matches!(axis, Axis::Longitude(_)));
            for axis in axes.iter().filter_map(|(_, axis)| axis.as_ref().ok()) {
                match axis {
                    Axis::Latitude(_) | Axis::Longitude(_) if list => {}
                    Axis::Latitude(values) if found.latitude.is_none() && role == Role::Other => {
                        found.latitude = Some(values.clone());
                        role = Role::Row;
                    }
                    Axis::Longitude(values) if found.longitude.is_none() && role == Role::Other => {
                        found.longitude = Some(values.clone());
                        role = Role::Column;
                    }
                    Axis::Y(plane) if found.y.is_none() && role == Role::Other => {
                        found.y = Some(plane.clone());
                        role = Role::Row;
                    }
                    Axis::X(plane) if found.x.is_none() && role == Role::Other => {
                        found.x = Some(plane.clone());
                        role = Role::Column;
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
                    // base times and valid times along one dimension, whichever has its name
                    Axis::Times(times) if time.times.is_none() && time.references.is_some() && role == Role::Time => {
                        time.times = Some(times.clone());
                        time.bases = time.references.take();
                    }
                    Axis::References(times) if time.times.is_some() && time.bases.is_none() && role == Role::Time => {
                        time.bases = Some(times.clone());
                    }
                    Axis::Steps(steps) if role == Role::Other && time.steps.is_none() => {
                        time.steps = Some(steps.clone());
                        role = Role::Step;
                    }
                    Axis::References(times) if role == Role::Other && time.references.is_none() => {
                        time.references = Some(times.clone());
                        role = Role::Time;
                    }
                    Axis::Members(members)
                        if role == Role::Other && found.members.is_empty() && members.len() == length && length > 1 =>
                    {
                        found.members = members.clone();
                        role = Role::Member;
                    }
                    Axis::Foreign(reason) if what.is_none() => what = Some(reason.clone()),
                    _ => {}
                }
            }
            if role == Role::Other && length > 1 {
                let unreadable =
                    || Some(format!("coordinate {name:?}: {}", self.dataset.array(name)?.unreadable.as_ref()?));
                let reason = own_error
                    .or(what)
                    .or_else(unreadable)
                    .unwrap_or_else(|| format!("dimension {name:?} ({length}) without a coordinate"));
                blocking.push((found.roles.len(), reason));
            } else if let Some(reason) = own_error {
                unclear.get_or_insert(reason);
            }
            found.roles.push(role);
        }
        self.scalars(variable, &mut found, &mut time);
        self.time_table(variable, &mut found, &mut time);
        found.placement = horizontal::place(self.dataset, variable, &mut found)?;
        found.labels = self.labels(variable);
        let blocking = blocking.into_iter().find(|(place, _)| found.roles[*place] == Role::Other);
        found.blocked = blocking.map(|(_, reason)| reason);
        found.time = time.valid(unclear);
        Ok(found)
    }

    /// Valid times in a table of base times and steps, where a variable has one: it says more than its axes.
    fn time_table(&self, variable: &Array, found: &mut Found, time: &mut TimeAxes) {
        let is_table = |other: &&Array| {
            let is_time = other.is_numeric() && calendar::is_time_units(&other.text("units"));
            is_time && other.is_beside(variable) && other.dimensions.len() == 2
        };
        let listed = variable.text("coordinates");
        let named = |other: &Array| listed.split_whitespace().any(|name| name == other.name);
        let mut tables: Vec<&Array> = self.dataset.arrays.iter().filter(is_table).collect();
        tables.sort_by_key(|other| !named(other));
        for table in tables {
            let Ok(Axis::Times(times)) = axis::understand(self.dataset, table) else { continue };
            let place = |d: usize| variable.dimensions.iter().position(|own| own.name == table.dimensions[d].name);
            let (Some(base), Some(step)) = (place(0), place(1)) else { continue };
            let free = |place: usize| matches!(found.roles[place], Role::Other | Role::Time | Role::Step);
            if !free(base) || !free(step) {
                continue;
            }
            let steps = table.dimensions[1].length;
            // base times lie along the dimension that they made one of times
            time.bases = time.references.take().and_then(|references| {
                let along_first = found.roles[base] == Role::Time;
                let of = |n: usize| references.get(if along_first { n / steps } else { n % steps }).cloned();
                (0..times.len()).map(of).collect()
            });
            (found.roles[base], found.roles[step]) = (Role::Time, Role::Step);
            time.table = Some((times, steps));
            return;
        }
    }

    fn labels(&self, variable: &Array) -> Vec<String> {
        let single = variable.dimensions.iter().filter(|dimension| dimension.length == 1);
        let texts =
            single.filter_map(|dimension| self.dataset.array(&dimension.name)).filter(|other| !other.is_numeric());
        texts.flat_map(|other| self.dataset.read_texts(other).unwrap_or_default()).collect()
    }

    /// Coordinates of length 1 that a variable names, or that lie on its dimensions of length 1.
    fn scalars(&self, variable: &Array, found: &mut Found, time: &mut TimeAxes) {
        let mut named = variable.text("coordinates");
        // xarray lists what belongs to no single variable in the file's own attribute
        if let Some(Attribute::Text(global)) = self.dataset.attributes.get("coordinates") {
            named = format!("{named} {global}");
        }
        let single = |other: &Array| other.dimensions.iter().all(|dimension| dimension.length == 1);
        let listed = named.split_whitespace().filter_map(|name| self.dataset.array(name));
        let along =
            self.dataset.arrays.iter().filter(|other| other.is_beside(variable) && !other.dimensions.is_empty());
        let candidates: Vec<&Array> = listed.chain(along).filter(|other| single(other) && other.is_numeric()).collect();
        for coordinate in candidates {
            match axis::understand(self.dataset, coordinate) {
                Ok(Axis::Times(times)) => {
                    let valid = coordinate.text("standard_name") == "time" || coordinate.own_name() == "valid_time";
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
        if let Some((times, steps)) = self.table {
            return Time::Known { times, steps, bases: self.bases.unwrap_or_default() };
        }
        let step_count = self.steps.as_ref().map_or(1, Vec::len);
        let known = |times: Vec<CfTime>, bases: Vec<CfTime>| Time::Known { times, steps: step_count, bases };
        let from = |bases: &[CfTime], steps: &[i64]| match add(bases, steps) {
            Ok(times) => {
                once_each(times, bases.iter().flat_map(|base| vec![base.clone(); steps.len()]).collect(), steps.len())
            }
            Err(reason) => Time::Unclear { reason, steps: step_count },
        };
        let reference = self.scalar_reference.clone();
        let all_from = |count: usize| reference.clone().map(|base| vec![base; count]).unwrap_or_default();
        let no = |reason: &str| Time::Unclear { reason: reason.to_owned(), steps: step_count };
        let scalar = |time: Option<CfTime>| time.map(|time| vec![time]);
        match (self.times, self.references, self.steps) {
            (Some(_), Some(references), _) if references.len() > 1 => {
                no("reference times and valid times along two dimensions; select one reference time first")
            }
            (Some(times), references, None) => {
                let one = references.and_then(|references| references.into_iter().next());
                let one = || one.map(|base| vec![base; times.len()]).unwrap_or_else(|| all_from(times.len()));
                let bases = self.bases.filter(|bases| bases.len() == times.len()).unwrap_or_else(one);
                once_each(times, bases, 1)
            }
            (times, references, Some(steps)) => {
                let base = references.or(times).or(scalar(self.scalar_reference)).or(scalar(self.scalar_time));
                match base {
                    Some(base) => from(&base, &steps),
                    None => no("forecast steps without a reference time"),
                }
            }
            (None, Some(references), None) => match (self.scalar_step, self.scalar_time) {
                (Some(step), _) => from(&references, &[step]),
                (None, Some(time)) if references.len() == 1 => known(vec![time], references),
                _ => no("reference times without forecast steps or valid times"),
            },
            (None, None, None) => match (self.scalar_time, self.scalar_reference, self.scalar_step) {
                (Some(time), None, Some(step)) if !self.scalar_is_valid => from(&[time], &[step]),
                (Some(time), ..) => known(vec![time], all_from(1)),
                (None, Some(reference), Some(step)) => from(&[reference], &[step]),
                (None, Some(_), None) => no("a reference time without a forecast step or a valid time"),
                _ => unclear.map_or(Time::None, |reason| no(&reason)),
            },
        }
    }
}

/// Whether a coordinate has the name of its dimension, in whichever groups they lie.
fn is_named_for(coordinate: &str, dimension: &str) -> bool {
    let own = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    own(coordinate) == own(dimension)
}

/// A time that comes twice names two fields at once, unless they are forecasts from different times.
fn once_each(times: Vec<CfTime>, bases: Vec<CfTime>, steps: usize) -> Time {
    let mut seen = BTreeSet::new();
    let base = |n: usize| bases.get(n).map(ToString::to_string);
    match times.iter().enumerate().find(|(n, time)| !seen.insert((time.to_string(), base(*n)))) {
        Some((_, twice)) => Time::Unclear { reason: format!("the time {twice} more than once"), steps },
        None => Time::Known { times, steps, bases },
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
