//! One file or store: what its variables are and how they lie.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use super::coordinates::{Coordinates, Time};
use super::dataset::{Array, Dataset, Isolation};
use super::units::{self, Conversion, conversion};
use super::values::Decoding;
use super::{CfTime, Problem, field, lexicon};
use crate::atmos::{Grid, Level, ValidTime, Variable, known_variable};
use crate::location::Location;

/// What a dimension of a data variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Step,
    Level,
    Member,
    /// Of the field: latitude, or y.
    Row,
    /// Of the field: longitude, or x, or places one after the other.
    Column,
    /// Length 1, or of a kind that blocks reading.
    Other,
}

/// What a variable was recognised as.
#[derive(Debug, Clone, PartialEq)]
pub enum Recognition {
    /// Ours, with the conversion to our units.
    Known { variable: Variable, conversion: Conversion },
    /// Readable under its own name, by whoever knows what it is.
    Unnamed,
    /// Its units are none of the quantity's.
    WrongUnits { variable: Variable, accepted: String },
    /// It carries no units: what its numbers mean is not said.
    NoUnits { variable: Variable, accepted: String },
}

impl Recognition {
    /// Ours, whatever its units.
    pub fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Unnamed => None,
            Self::Known { variable, .. } | Self::WrongUnits { variable, .. } | Self::NoUnits { variable, .. } => {
                Some(variable)
            }
        }
    }
}

/// A data variable on a grid that we read.
#[derive(Debug, Clone)]
pub struct SourceVariable {
    pub name: String,
    /// Empty where there is none.
    pub standard_name: String,
    pub long_name: String,
    /// Empty where there are none.
    pub units: String,
    pub recognition: Recognition,
    /// In the file's order; one `Surface` where there is no vertical axis.
    pub levels: Vec<Level>,
    /// Height above ground in m of a single level, where the file says it.
    pub height: Option<f64>,
    /// Valid times in the file's order; with steps, all steps of the first base time, then the second's, …
    pub times: Vec<CfTime>,
    /// When the forecast of each of these times started, where the file says it; empty where it does not.
    pub base_times: Vec<ValidTime>,
    /// Numbers of its ensemble members; empty where it has none.
    pub members: Vec<i64>,
    /// Why the variable can be looked at, but not be made part of an analysis, whichever member is chosen.
    pub(super) unusable: Option<String>,
    pub grid: Arc<Grid>,
    pub(super) layout: Layout,
}

impl SourceVariable {
    /// Its name without the groups that it lies in.
    pub fn own_name(&self) -> &str {
        self.layout.array.own_name()
    }

    /// Units of the values as they are read: ours where it is recognised.
    pub fn units_read(&self) -> &str {
        match &self.recognition {
            Recognition::Known { variable, .. } => &variable.units,
            _ => &self.units,
        }
    }

    /// Why the variable can be looked at, but not be made part of an analysis: members of which none is chosen, times that
    /// are none, …
    pub fn blocked(&self) -> Option<String> {
        let unchosen = !self.members.is_empty() && self.layout.member.is_none();
        let members = || match (self.members.first(), self.members.last()) {
            (Some(first), Some(last)) if unchosen => {
                Some(format!("{} ensemble members, {first} to {last}; --member says which", self.members.len()))
            }
            _ => None,
        };
        self.unusable.clone().or_else(members)
    }

    /// Takes this member's fields, where there are members; whether it has it.
    pub(super) fn choose(&mut self, member: i64) -> bool {
        self.layout.member = self.members.iter().position(|other| *other == member);
        self.members.is_empty() || self.layout.member.is_some()
    }

    /// Whether the field at a level and a time, by their places in the lists, is in the file: of GRIB not all must be.
    pub(super) fn holds(&self, level: usize, time: usize) -> bool {
        let Some(present) = &self.layout.array.present else { return true };
        let place = field::place(self, level, time);
        let leading: Vec<usize> =
            (0..place.len()).filter(|&d| !self.layout.is_horizontal(d)).map(|d| place[d]).collect();
        present.contains(&leading)
    }

    /// Fields of levels and times that the file has not, where it has others of both; of a member, where one was chosen.
    pub fn absent(&self) -> Vec<(Level, Option<CfTime>)> {
        if self.layout.array.present.is_none() || (!self.members.is_empty() && self.layout.member.is_none()) {
            return Vec::new();
        }
        let times = self.times.len().max(1);
        let all = (0..self.levels.len()).flat_map(|level| (0..times).map(move |time| (level, time)));
        let absent = all.filter(|&(level, time)| !self.holds(level, time));
        absent.map(|(level, time)| (self.levels[level], self.times.get(time).cloned())).collect()
    }

    /// A field of its grid in the order of the file: rows and columns as they are stored, `[height, width]`.
    pub fn in_file_order(&self, field: ArrayView2<'_, f32>) -> Array2<f32> {
        let Layout { roles, array, rows, columns, repeated, gathered, .. } = &self.layout;
        if let Some(places) = gathered {
            let length = |wanted: Role| {
                let place = roles.iter().position(|role| *role == wanted);
                place.map_or(1, |place| array.dimensions[place].length)
            };
            let mut stored = Array2::from_elem((length(Role::Row), length(Role::Column)), f32::NAN);
            places.iter().zip(field).for_each(|(&place, value)| stored[place] = *value);
            return stored;
        }
        let width = columns.len() + usize::from(repeated.is_some());
        let mut stored = Array2::zeros((rows.len(), width));
        for (row, &to_row) in field.rows().into_iter().zip(rows) {
            for (value, &to_column) in row.iter().zip(columns) {
                stored[[to_row, to_column]] = *value;
            }
            if let Some((repeat, first)) = *repeated {
                stored[[to_row, repeat]] = stored[[to_row, first]];
            }
        }
        stored
    }

    /// How it lies in the file where that is not our order, for people; empty where it is.
    pub fn order_found(&self) -> String {
        let Layout { roles, rows, columns, repeated, gathered, .. } = &self.layout;
        let mut found = Vec::new();
        if rows.first() > rows.last() {
            found.push("rows from the south".to_owned());
        }
        if columns.windows(2).any(|pair| pair[1] + 1 == pair[0]) {
            found.push("columns westward".to_owned());
        } else if columns.first() != Some(&0) {
            found.push("columns from another meridian".to_owned());
        }
        if gathered.is_some() {
            found.push("rows filled up to the longest".to_owned());
        }
        if repeated.is_some() {
            found.push("the first meridian repeated at the end".to_owned());
        }
        let place = |wanted: Role| roles.iter().position(|role| *role == wanted);
        // a list of places has no rows
        let rows = place(Role::Row).or(place(Role::Column));
        if place(Role::Column) < rows {
            found.push("columns before rows".to_owned());
        }
        if [Role::Time, Role::Step, Role::Level].into_iter().any(|role| place(role) > rows) {
            found.push("time or level after the rows".to_owned());
        }
        found.join(", ")
    }
}

/// How a variable lies in its file.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub roles: Vec<Role>,
    /// The array as it was when the file was looked at.
    pub array: Array,
    /// Length of the step axis; 1 without one.
    pub steps: usize,
    /// Source row of each of our rows, source column of each of our columns.
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    /// A source column that repeats another after a full turn.
    pub repeated: Option<(usize, usize)>,
    /// Row and column of each place in the file, where rows are filled up to the longest.
    pub gathered: Option<Vec<(usize, usize)>>,
    pub decoding: Decoding,
    /// The place of the member that was chosen.
    pub member: Option<usize>,
}

impl Layout {
    /// Whether a dimension of the array is one of the two that a field has.
    pub fn is_horizontal(&self, dimension: usize) -> bool {
        matches!(self.roles[dimension], Role::Row | Role::Column)
    }
}

/// A file, looked at.
#[derive(Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    /// Where it lies, if its path does not say all of it.
    store: Option<Location>,
    /// For people: `NetCDF-4`, `Zarr v2`.
    pub format: String,
    pub variables: Vec<SourceVariable>,
    /// Data variables that cannot be read, and why.
    pub unread: Vec<(String, String)>,
}

impl SourceFile {
    /// Reads metadata and coordinates. Only a file of which nothing can be read is a problem.
    pub(super) fn inspect(path: &Path, isolation: &Isolation) -> Result<Self, Vec<Problem>> {
        Self::survey(path.to_owned(), None, isolation)
    }

    /// The same of a Zarr store at a place with settings of its own.
    pub(super) fn of_store(store: &Location) -> Result<Self, Vec<Problem>> {
        Self::survey(PathBuf::from(store.to_string()), Some(store.clone()), &Isolation::None)
    }

    /// Opens it, once more after it was looked at.
    pub(super) fn open(&self, isolation: &Isolation) -> Result<Dataset, Problem> {
        match &self.store {
            Some(store) => Dataset::of_store(store),
            None => Dataset::open(&self.path, isolation),
        }
    }

    fn survey(path: PathBuf, store: Option<Location>, isolation: &Isolation) -> Result<Self, Vec<Problem>> {
        let mut source = Self { path, store, format: String::new(), variables: Vec::new(), unread: Vec::new() };
        let dataset = source.open(isolation).map_err(|problem| vec![problem])?;
        source.format.clone_from(&dataset.format);
        let mut coordinates = Coordinates::new(&dataset);
        let is_data = |array: &&Array| dataset.is_in_scope(array) && !coordinates.contains(&array.name);
        let data: Vec<&Array> = dataset.arrays.iter().filter(is_data).collect();
        for array in data {
            match understand(array, &mut coordinates) {
                Ok(Some(understood)) => source.variables.push(understood),
                Ok(None) => {}
                Err(reason) => source.unread.push((array.name.clone(), reason)),
            }
        }
        if source.variables.is_empty() { Err(source.nothing_to_read(&dataset.groups)) } else { Ok(source) }
    }

    /// Says it once per reason, not once per variable.
    fn nothing_to_read(&self, groups: &[String]) -> Vec<Problem> {
        let expected = "fields on latitudes and longitudes, on a projection that grid_mapping describes, or with latitude and \
                        longitude of every point";
        let reasons: BTreeSet<&str> = self.unread.iter().map(|(_, reason)| reason.as_str()).collect();
        let problem = |reason: &str| {
            let names = self.unread.iter().filter(|(_, other)| other == reason).map(|(name, _)| name.as_str());
            Problem::in_file(&self.path, reason, expected).of(names.collect::<Vec<_>>().join(", "))
        };
        match (reasons.is_empty(), groups) {
            (false, _) => reasons.into_iter().map(problem).collect(),
            (true, []) => vec![Problem::in_file(&self.path, "no data variables", expected)],
            (true, [first, ..]) => {
                let found = format!("no data variables but in the groups {}", groups.join(", "));
                let place = self.path.join(first);
                vec![Problem::in_file(&self.path, found, format!("one group, such as {}", place.display()))]
            }
        }
    }
}

/// `None`: not data (a character array, a scalar, a table of bounds).
fn understand(array: &Array, coordinates: &mut Coordinates<'_>) -> Result<Option<SourceVariable>, String> {
    if let Some(reason) = &array.unreadable {
        return Err(reason.clone());
    }
    if !array.is_numeric() || array.dimensions.len() < 2 {
        return Ok(None);
    }
    if let Some(empty) = array.dimensions.iter().find(|dimension| dimension.length == 0) {
        return Err(format!("dimension {:?} of length 0: no data", empty.name));
    }
    let found = coordinates.of(array)?;
    let Some(placed) = found.placement else {
        let what = found.blocked.map(|what| format!("; {what}")).unwrap_or_default();
        return Err(format!("no latitude and longitude axes{what}"));
    };
    let decoding = Decoding::of(array)?;
    let levels = found.levels.unwrap_or_else(|| vec![Level::Surface]);
    let ((times, base_times), steps, no_time) = match found.time {
        Time::Known { times, steps, bases } => {
            let bases: Option<Vec<ValidTime>> = bases.iter().map(CfTime::real).collect();
            let bases = bases.filter(|bases| bases.len() == times.len()).unwrap_or_default();
            ((times, bases), steps, None)
        }
        Time::None => (Default::default(), 1, None),
        Time::Unclear { reason, steps } => (Default::default(), steps, Some(reason)),
    };
    // ecCodes writes what it does not know as "unknown"
    let standard_name = Some(array.text("standard_name")).filter(|name| name != "unknown").unwrap_or_default();
    let mut names = vec![array.own_name().to_owned()];
    names.extend(["GRIB_cfVarName", "GRIB_shortName", "short_name"].map(|name| array.text(name)));
    names.extend(found.labels);
    let units = array.text("units");
    let recognition = match recognise(&names, &standard_name, &units, &levels[0], found.height) {
        found if found.variable().is_some_and(|ours| may_be_along_axes(ours, &standard_name, &placed.grid)) => {
            Recognition::Unnamed
        }
        found => found,
    };
    Ok(Some(SourceVariable {
        name: array.name.clone(),
        standard_name,
        long_name: array.text("long_name"),
        units,
        recognition,
        levels,
        height: found.height,
        times,
        base_times,
        members: found.members,
        unusable: found.blocked.or(no_time),
        grid: Arc::new(placed.grid),
        layout: Layout {
            roles: found.roles,
            array: array.clone(),
            steps,
            rows: placed.rows,
            columns: placed.columns,
            repeated: placed.repeated,
            gathered: placed.gathered,
            decoding,
            member: None,
        },
    }))
}

/// Winds that may follow the axes of their grid, which are not those of the compass: none that we have names for, unless
/// CF attributes say so.
fn may_be_along_axes(ours: &Variable, standard_name: &str, grid: &Grid) -> bool {
    let is_wind = ["eastward_wind", "northward_wind"].contains(&&*ours.standard_name);
    is_wind && grid.rectilinear().is_none() && *standard_name != *ours.standard_name
}

/// CF attributes first, then the short names of producers.
fn recognise(names: &[String], standard_name: &str, units: &str, level: &Level, height: Option<f64>) -> Recognition {
    let by_attributes = lexicon::by_standard_name(standard_name, level, height);
    let by_name = || names.iter().find_map(|name| lexicon::lookup(name, level, height));
    let Some(known) = by_attributes.or_else(by_name).and_then(known_variable) else {
        return Recognition::Unnamed;
    };
    // producers call both kinds of vertical motion w; the units tell
    let other = match known.name {
        "w" if conversion(units, "m s-1").is_some() => known_variable("wz"),
        _ => None,
    };
    let known = other.unwrap_or(known);
    let variable = Variable::from(known);
    match conversion(units, known.units) {
        Some(conversion) => Recognition::Known { variable, conversion },
        None if units.is_empty() => Recognition::NoUnits { variable, accepted: units::accepted(known.units) },
        None => Recognition::WrongUnits { variable, accepted: units::accepted(known.units) },
    }
}
