//! One NetCDF file: what its variables are and how they lie.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::axis::{self, Axis};
use super::calendar::CfTime;
use super::units::{self, Conversion, conversion};
use super::values::{Decoding, is_numeric, text};
use super::{Problem, lexicon};
use crate::atmos::{Grid, Level, Variable, known_variable};

/// Coordinates longer than this are nobody's; a damaged header claims billions.
const LONGEST_AXIS: usize = 1 << 20;

/// What a dimension of a data variable is, with the place of its values in our order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    Time,
    Step,
    Level,
    Latitude,
    Longitude,
    Single,
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
}

/// A data variable that can be read.
#[derive(Debug, Clone)]
pub struct SourceVariable {
    pub name: String,
    pub standard_name: String,
    pub long_name: String,
    pub units: String,
    pub recognition: Recognition,
    /// In the file's order; one `Surface` where there is no vertical axis.
    pub levels: Vec<Level>,
    /// Valid times in the file's order; with steps, all steps of the first base time, then the second's, …
    pub times: Vec<CfTime>,
    pub(super) steps: usize,
    pub grid: Arc<Grid>,
    pub(super) roles: Vec<Role>,
    /// Source row of each of our rows, source column of each of our columns.
    pub(super) rows: Vec<usize>,
    pub(super) columns: Vec<usize>,
    pub(super) decoding: Decoding,
}

/// A file, looked at.
#[derive(Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    pub format: String,
    pub variables: Vec<SourceVariable>,
    /// Data variables that cannot be read, and why.
    pub unread: Vec<(String, String)>,
}

/// Opens a NetCDF file, after a look at its first bytes: messages of the library below are of little help.
pub(super) fn open(path: &Path) -> Result<netcdf::File, Problem> {
    let expected = "a NetCDF file (classic, 64-bit offset, CDF-5 or NetCDF-4)";
    let problem = |found: String| Problem::in_file(path, found, expected);
    let metadata = std::fs::metadata(path).map_err(|error| problem(format!("no readable file ({error})")))?;
    if metadata.is_dir() {
        return Err(problem("a folder".to_owned()));
    }
    let mut magic = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| problem(format!("no readable file ({error})")))?;
    file.take(8).read_to_end(&mut magic).map_err(|error| problem(format!("no readable file ({error})")))?;
    match magic.as_slice() {
        [] => return Err(problem("an empty file".to_owned())),
        [b'C', b'D', b'F', 1 | 2 | 5, ..] | [0x89, b'H', b'D', b'F', ..] => {}
        [b'G', b'R', b'I', b'B', ..] => {
            return Err(problem("a GRIB file; convert it, for instance with grib_to_netcdf".to_owned()));
        }
        [b'P', b'K', ..] => return Err(problem("a zip archive".to_owned())),
        other => return Err(problem(format!("a file that begins with {:?}", String::from_utf8_lossy(other)))),
    }
    netcdf::open(path).map_err(|error| problem(format!("a damaged file ({error})")))
}

impl SourceFile {
    /// Reads metadata and coordinates. Only a file of which nothing can be read is a problem.
    pub(super) fn inspect(path: &Path) -> Result<Self, Vec<Problem>> {
        let file = open(path).map_err(|problem| vec![problem])?;
        let format = format_name(path);
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut source = Self { path: path.to_owned(), format, variables: Vec::new(), unread: Vec::new() };
        let mut axes = Axes { file: &file, known: BTreeMap::new() };
        let coordinates = coordinate_names(&file);
        for variable in file.variables().filter(|variable| !coordinates.contains(&variable.name())) {
            match understand(&variable, &mut axes, size) {
                Ok(Some(understood)) => source.variables.push(understood),
                Ok(None) => {}
                Err(reason) => source.unread.push((variable.name(), reason)),
            }
        }
        if source.variables.is_empty() {
            let mut problems: Vec<Problem> = source
                .unread
                .iter()
                .map(|(name, reason)| {
                    Problem::in_file(path, reason.clone(), "a field on latitudes and longitudes").of(name.as_str())
                })
                .collect();
            if problems.is_empty() {
                let groups = file.groups().map(Iterator::count).unwrap_or(0);
                let found = if groups > 0 { "data in groups only" } else { "no data variables" };
                problems.push(Problem::in_file(path, found, "fields on latitudes and longitudes in the root group"));
            }
            return Err(problems);
        }
        Ok(source)
    }
}

fn format_name(path: &Path) -> String {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match (read, magic) {
        (Ok(()), [b'C', b'D', b'F', 1]) => "NetCDF classic",
        (Ok(()), [b'C', b'D', b'F', 2]) => "NetCDF 64-bit offset",
        (Ok(()), [b'C', b'D', b'F', 5]) => "NetCDF CDF-5",
        _ => "NetCDF-4",
    }
    .to_owned()
}

/// Names of the variables that describe others: dimension variables, and those in `coordinates`, `bounds`, …
fn coordinate_names(file: &netcdf::File) -> Vec<String> {
    let mut names: Vec<String> = file.dimensions().map(|dimension| dimension.name()).collect();
    for variable in file.variables() {
        for attribute in
            ["coordinates", "bounds", "grid_mapping", "climatology", "ancillary_variables", "formula_terms"]
        {
            names.extend(
                text(&variable, attribute)
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(|word| word.trim_end_matches(':').to_owned()),
            );
        }
    }
    // formula terms name surface pressure, which is data
    names.retain(|name| {
        !file.variable(name).is_some_and(|variable| {
            variable.dimensions().len() >= 2
                && text(&variable, "standard_name").as_deref() == Some("surface_air_pressure")
        })
    });
    names
}

/// The axes of a file, each understood once.
struct Axes<'f> {
    file: &'f netcdf::File,
    known: BTreeMap<String, Result<Axis, String>>,
}

impl Axes<'_> {
    fn of(&mut self, dimension: &str, length: usize) -> Result<Axis, String> {
        if let Some(axis) = self.known.get(dimension) {
            return axis.clone();
        }
        let axis = self.understand(dimension, length);
        self.known.insert(dimension.to_owned(), axis.clone());
        axis
    }

    fn understand(&self, dimension: &str, length: usize) -> Result<Axis, String> {
        if length > LONGEST_AXIS {
            return Err(format!("dimension {dimension} of length {length}"));
        }
        // the coordinate has its dimension's name; some producers name valid times otherwise
        let own = self.file.variable(dimension).filter(|variable| one_dimensional(variable, dimension));
        let only = || {
            self.file.variables().find(|variable| {
                one_dimensional(variable, dimension)
                    && is_numeric(variable)
                    && text(variable, "units").is_some_and(|u| u.contains(" since "))
            })
        };
        match own.filter(is_numeric).or_else(only) {
            Some(variable) => {
                axis::understand(&variable).map_err(|reason| format!("coordinate {}: {reason}", variable.name()))
            }
            None if length == 1 => Ok(Axis::Single),
            None => Ok(Axis::Foreign(format!("dimension {dimension} without a coordinate"))),
        }
    }
}

fn one_dimensional(variable: &netcdf::Variable<'_>, dimension: &str) -> bool {
    matches!(variable.dimensions(), [only] if only.name() == dimension)
}

/// `None`: not data (a character array, a scalar, something without a horizontal extent).
fn understand(
    variable: &netcdf::Variable<'_>,
    axes: &mut Axes<'_>,
    file_size: u64,
) -> Result<Option<SourceVariable>, String> {
    if !is_numeric(variable) || variable.dimensions().len() < 2 {
        return Ok(None);
    }
    let mut elements: u128 = 1;
    let (mut latitude, mut longitude, mut levels, mut times, mut steps) = (None, None, None, None, None);
    let mut roles = Vec::new();
    let mut foreign = Vec::new();
    for dimension in variable.dimensions() {
        let (name, length) = (dimension.name(), dimension.len());
        elements = elements.saturating_mul(length as u128);
        if length == 0 {
            return Err(format!("dimension {name} of length 0: no data"));
        }
        let role = match axes.of(&name, length)? {
            Axis::Latitude(values) if latitude.is_none() => {
                latitude = Some(values);
                Role::Latitude
            }
            Axis::Longitude(values) if longitude.is_none() => {
                longitude = Some(values);
                Role::Longitude
            }
            Axis::Levels(values) if levels.is_none() => {
                levels = Some(values);
                Role::Level
            }
            Axis::Times(values) if times.is_none() => {
                times = Some(values);
                Role::Time
            }
            Axis::Steps(values) if steps.is_none() => {
                steps = Some(values);
                Role::Step
            }
            Axis::Members(1) | Axis::Single => Role::Single,
            Axis::Members(count) => return Err(format!("{count} ensemble members; select one first")),
            Axis::Foreign(_) if length == 1 => Role::Single,
            Axis::Foreign(what) => {
                foreign.push(what);
                Role::Single
            }
            _ => return Err(format!("two axes of one kind (dimension {name})")),
        };
        roles.push(role);
    }
    // a file cannot hold more than a few hundred times its size: deflate's limit is about 1000
    if elements > u128::from(file_size).saturating_mul(1100).max(1 << 20) {
        return Err(format!("{elements} values in a file of {file_size} bytes: a damaged header"));
    }
    let file = axes.file;
    let (Some(latitude), Some(longitude)) = (latitude, longitude) else {
        return match (foreign.first(), two_dimensional_coordinates(file, variable)) {
            (Some(what), _) if what.contains("grid") => Err(format!("{what}; only latitude-longitude grids are read so far")),
            (_, true) => Err("a curvilinear grid (two-dimensional latitude and longitude); only latitude-longitude grids are read so far".to_owned()),
            (Some(what), _) => Err(what.clone()),
            // means over longitudes, time series and the like
            (None, _) => Err("no latitude and longitude axes".to_owned()),
        };
    };
    if let Some(what) = foreign.first() {
        return Err(what.clone());
    }
    let decoding = Decoding::of(variable)?;
    let (grid, rows, columns) = order_grid(&latitude, &longitude)?;
    let scalar = ScalarCoordinates::of(file, variable);
    let levels = levels.or(scalar.level.map(|level| vec![level])).unwrap_or_else(|| vec![Level::Surface]);
    let step_count = steps.as_ref().map_or(1, Vec::len);
    let times = valid_times(times, steps, &scalar)?;

    let attribute = |name: &str| text(variable, name).unwrap_or_default();
    let (name, standard_name, units) = (variable.name(), attribute("standard_name"), attribute("units"));
    let recognition = recognise(&name, &standard_name, &units, &levels[0], scalar.height);
    let long_name = attribute("long_name");
    Ok(Some(SourceVariable {
        name,
        standard_name,
        long_name,
        units,
        recognition,
        levels,
        times,
        steps: step_count,
        grid: Arc::new(grid),
        roles,
        rows,
        columns,
        decoding,
    }))
}

fn two_dimensional_coordinates(file: &netcdf::File, variable: &netcdf::Variable<'_>) -> bool {
    let named = text(variable, "coordinates").unwrap_or_default();
    named.split_whitespace().filter_map(|name| file.variable(name)).any(|other| other.dimensions().len() == 2)
}

/// Scalar coordinates that say when and how high.
#[derive(Default)]
struct ScalarCoordinates {
    level: Option<Level>,
    /// In m.
    height: Option<f64>,
    time: Option<CfTime>,
}

impl ScalarCoordinates {
    fn of(file: &netcdf::File, variable: &netcdf::Variable<'_>) -> Self {
        let mut found = Self::default();
        let named = text(variable, "coordinates").unwrap_or_default();
        let own: Vec<String> = variable.dimensions().iter().map(netcdf::Dimension::name).collect();
        // length-1 dimensions of the variable itself are scalar coordinates in another spelling
        for coordinate in named.split_whitespace().map(str::to_owned).chain(own) {
            let Some(coordinate) = file.variable(&coordinate).filter(|c| c.dimensions().iter().all(|d| d.len() == 1))
            else {
                continue;
            };
            let lower = coordinate.name().to_lowercase();
            match axis::understand(&coordinate) {
                Ok(Axis::Times(times)) if !axis::is_reference_time(&coordinate) => {
                    found.time = times.into_iter().next()
                }
                Ok(Axis::Levels(levels)) => match levels.first() {
                    Some(Level::Height(height)) => found.height = Some(*height),
                    Some(level) => found.level = Some(*level),
                    None => {}
                },
                _ if lower.starts_with("height") => {
                    found.height = axis::coordinate_values(&coordinate).ok().and_then(|values| values.first().copied());
                }
                _ => {}
            }
        }
        found
    }
}

/// Valid times: those of the axis, or base times plus steps.
fn valid_times(
    times: Option<Vec<CfTime>>,
    steps: Option<Vec<i64>>,
    scalar: &ScalarCoordinates,
) -> Result<Vec<CfTime>, String> {
    let times = times.or(scalar.time.clone().map(|time| vec![time]));
    let Some(steps) = steps else { return Ok(times.unwrap_or_default()) };
    let times = times.ok_or("forecast steps without a reference time")?;
    let mut valid = Vec::new();
    for time in &times {
        for &step in &steps {
            valid.push(match time {
                CfTime::Real(time) => CfTime::Real(*time + crate::atmos::LeadTime::from_seconds(step)),
                CfTime::Model(text) => CfTime::Model(format!("{text} + {step} s")),
            });
        }
    }
    Ok(valid)
}

/// Our order: latitudes from the north, longitudes eastward; for a global grid from the first meridian at or east of
/// Greenwich. A meridian that closes the circle a second time is left out.
fn order_grid(latitude: &[f64], longitude: &[f64]) -> Result<(Grid, Vec<usize>, Vec<usize>), String> {
    let mut rows: Vec<usize> = (0..latitude.len()).collect();
    if latitude.first() < latitude.last() {
        rows.reverse();
    }
    let mut columns: Vec<usize> = (0..longitude.len()).collect();
    if longitude.first() > longitude.last() && longitude.windows(2).all(|pair| pair[1] < pair[0]) {
        columns.reverse();
    }
    // ascending: a step back is the date line
    let mut turned: Vec<f64> = Vec::with_capacity(columns.len());
    for &column in &columns {
        let mut value = longitude[column];
        if let Some(&previous) = turned.last() {
            while value < previous && value < 720.0 {
                value += 360.0;
            }
        }
        turned.push(value);
    }
    const TOLERANCE: f64 = 1e-3;
    if turned.len() > 2 && (turned[turned.len() - 1] - turned[0] - 360.0).abs() < TOLERANCE {
        turned.pop();
        columns.pop();
    }
    let span = turned[turned.len() - 1] - turned[0];
    let step = span / (turned.len().max(2) - 1) as f64;
    let mut points: Vec<(f64, usize)> = turned.into_iter().zip(columns).collect();
    if (span + step - 360.0).abs() < 0.5 * step {
        for (value, _) in &mut points {
            *value = value.rem_euclid(360.0);
            // 359.9999999 is Greenwich, stored with float32's rounding
            if 360.0 - *value < TOLERANCE.min(0.1 * step) {
                *value -= 360.0;
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    } else if points[0].0 < -180.0 || points[0].0 >= 360.0 {
        let turn = (points[0].0 / 360.0).floor() * 360.0;
        points.iter_mut().for_each(|(value, _)| *value -= turn);
    }
    let ordered = rows.iter().map(|&row| latitude[row]).collect();
    let (values, columns): (Vec<f64>, Vec<usize>) = points.into_iter().unzip();
    let grid = Grid::new(ordered, values).map_err(|error| error.to_string())?;
    Ok((grid, rows, columns))
}

/// CF attributes first, then the short names of producers.
fn recognise(name: &str, standard_name: &str, units: &str, level: &Level, height: Option<f64>) -> Recognition {
    let by_attributes = lexicon::by_standard_name(standard_name, level, height);
    let Some(known) = by_attributes.or_else(|| lexicon::lookup(name, level)).and_then(known_variable) else {
        return Recognition::Unnamed;
    };
    // CF calls vertical motion by two names that differ in their units
    let known = match known.name {
        "w" if conversion(units, "m s-1").is_some() => known_variable("wz").unwrap_or(known),
        _ => known,
    };
    let variable = Variable::from(known);
    match conversion(units, known.units) {
        Some(conversion) => Recognition::Known { variable, conversion },
        None => Recognition::WrongUnits { variable, accepted: units::accepted(known.units) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longitudes_in_every_order() {
        let latitude = [-10.0, 0.0, 10.0];
        let (grid, rows, columns) = order_grid(&latitude, &[-180.0, -90.0, 0.0, 90.0]).unwrap();
        assert_eq!((grid.longitude(), columns.as_slice()), (&[0.0, 90.0, 180.0, 270.0][..], &[2, 3, 0, 1][..]));
        assert_eq!((grid.latitude(), rows.as_slice()), (&[10.0, 0.0, -10.0][..], &[2, 1, 0][..]));
        let (grid, _, columns) = order_grid(&latitude, &[0.0, 90.0, 180.0, 270.0, 360.0]).unwrap();
        assert_eq!((grid.shape(), columns.len()), ((3, 4), 4), "the meridian that closes the circle is left out");
        let (grid, ..) = order_grid(&latitude, &[350.0, 355.0, 0.0, 5.0]).unwrap();
        assert_eq!(grid.longitude(), [350.0, 355.0, 360.0, 365.0]);
        let (grid, ..) = order_grid(&latitude, &[-10.0, -5.0, 0.0]).unwrap();
        assert_eq!(grid.longitude(), [-10.0, -5.0, 0.0]);
        assert!(order_grid(&latitude, &[0.0, 10.0, 5.0, 7.0]).is_err());
    }
}
