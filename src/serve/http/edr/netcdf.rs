//! NetCDF in the classic format with 64-bit offsets, which every reader knows, with CF-1.11 attributes.
//!
//! Dimensions are `time`, a vertical one where a variable has levels, and `latitude` and `longitude` (an area of parallels and
//! meridians), `y` and `x` (in the grid's projection), or `point` (places one by one). Missing values are NaN.

use std::collections::HashMap;

use netcdf::{AttributeValue, FileMut, Options, VariableMut};

use super::answer::{Answer, Values, origin};
use crate::atmos::{Attribute, Level, ValidTime};
use crate::serve::error::Error;
use crate::serve::places::{Crs, Places};

type Result<T> = std::result::Result<T, netcdf::Error>;

/// The classic format wants all definitions before the first value.
struct Writer<'a> {
    file: FileMut,
    values: Vec<(String, Data<'a>)>,
}

enum Data<'a> {
    Coordinates(Vec<f64>),
    Field(&'a [f32]),
}

/// The file's bytes. Blocks: the library writes to a temporary file.
pub fn encode(answer: &Answer) -> std::result::Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("writing NetCDF: {error}"));
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let path = folder.path().join("answer.nc");
    let file = netcdf::create_with(&path, Options::_64BIT_OFFSET).map_err(|error| failed(&error))?;
    Writer { file, values: Vec::new() }.write(answer).map_err(|error| failed(&error))?;
    std::fs::read(&path).map_err(|error| failed(&error))
}

impl<'a> Writer<'a> {
    fn write(mut self, answer: &'a Answer) -> Result<()> {
        define(&mut self, answer)?;
        let Self { mut file, values } = self;
        file.enddef()?;
        for (name, data) in values {
            if let Some(mut variable) = file.variable_mut(&name) {
                match data {
                    Data::Coordinates(values) => variable.put_values(&values, ..)?,
                    Data::Field(values) => variable.put_values(values, ..)?,
                }
            }
        }
        file.close()
    }

    fn dimension(&mut self, name: &str, length: usize) -> Result<()> {
        self.file.add_dimension(name, length).map(|_| ())
    }
}

fn define<'a>(file: &mut Writer<'a>, answer: &'a Answer) -> Result<()> {
    file.file.add_attribute("Conventions", "CF-1.11")?;
    for (name, value) in origin(&answer.forecast) {
        file.file.add_attribute(name, value)?;
    }
    let (horizontal, mapping) = places(file, answer)?;
    let reference = answer.forecast.manifest().reference_time.valid();
    let since = |time: ValidTime| (time.timestamp() - reference.timestamp()) as f64;
    let clock = format!("seconds since {}", reference.utc().format("%Y-%m-%d %H:%M:%S"));
    let time_dimension = match &answer.path {
        Some(path) => {
            let seconds: Vec<f64> = path.iter().map(|&time| since(time)).collect();
            coordinate(file, "time", &["point"], &seconds, &[("standard_name", "time"), ("units", &clock)])?;
            None
        }
        None => {
            let seconds: Vec<f64> = answer.times.iter().map(|&time| since(time)).collect();
            file.dimension("time", seconds.len())?;
            let attributes = [("standard_name", "time"), ("units", &*clock), ("axis", "T"), ("calendar", "standard")];
            coordinate(file, "time", &["time"], &seconds, &attributes)?;
            Some("time")
        }
    };
    let attributes = [("standard_name", "forecast_reference_time"), ("units", &*clock), ("calendar", "standard")];
    coordinate(file, "forecast_reference_time", &[], &[0.0], &attributes)?;
    let mut verticals: HashMap<&str, usize> = HashMap::new();
    for group in &answer.groups {
        let mut dimensions: Vec<String> = time_dimension.iter().map(ToString::to_string).collect();
        if let Some(kind) = group.levels.first().and_then(Level::dimension) {
            let number = verticals.entry(kind).and_modify(|number| *number += 1).or_insert(1);
            let name = if *number == 1 { kind.to_owned() } else { format!("{kind}_{number}") };
            vertical(file, &name, &group.levels)?;
            dimensions.push(name);
        }
        dimensions.extend(horizontal.iter().map(ToString::to_string));
        for values in &group.parameters {
            variable(file, &dimensions, values, mapping, answer.path.is_some())?;
        }
    }
    Ok(())
}

/// The horizontal dimensions with their coordinates; whether there is a grid mapping.
fn places(file: &mut Writer, answer: &Answer) -> Result<(Vec<&'static str>, bool)> {
    let native = answer.crs == Crs::Native;
    let latitude = [("standard_name", "latitude"), ("units", "degrees_north")];
    let longitude = [("standard_name", "longitude"), ("units", "degrees_east")];
    let projection = answer.forecast.reader.spec().grid.projection().filter(|_| native);
    if let Some(projection) = projection {
        let mut crs = file.file.add_variable::<i32>("crs", &[])?;
        for (name, value) in projection.cf_attributes() {
            put(&mut crs, name, &value)?;
        }
    }
    let (names, x, y) = match (&answer.places, native) {
        (Places::Spots(spots), _) => {
            file.dimension("point", spots.len())?;
            let (x, y): (Vec<f64>, Vec<f64>) = spots.iter().map(|spot| (spot.x, spot.y)).unzip();
            if !native {
                coordinate(file, "latitude", &["point"], &y, &latitude)?;
                coordinate(file, "longitude", &["point"], &x, &longitude)?;
                return Ok((vec!["point"], false));
            }
            (["point", "point"], x, y)
        }
        (Places::Lattice { x, y, .. }, false) => {
            file.dimension("latitude", y.len())?;
            file.dimension("longitude", x.len())?;
            coordinate(file, "latitude", &["latitude"], y, &[latitude[0], latitude[1], ("axis", "Y")])?;
            coordinate(file, "longitude", &["longitude"], x, &[longitude[0], longitude[1], ("axis", "X")])?;
            return Ok((vec!["latitude", "longitude"], false));
        }
        (Places::Lattice { x, y, .. }, true) => {
            file.dimension("y", y.len())?;
            file.dimension("x", x.len())?;
            (["y", "x"], x.clone(), y.clone())
        }
    };
    // positions in the projection, and where they lie
    let angular = projection.is_some_and(crate::atmos::Projection::is_angular);
    let (kind, units) = if angular { ("grid", "degrees") } else { ("projection", "m") };
    let standard = |axis: &str| {
        if angular {
            format!("{kind}_{}", if axis == "y" { "latitude" } else { "longitude" })
        } else {
            format!("{kind}_{axis}_coordinate")
        }
    };
    coordinate(file, "y", &names[..1], &y, &[("standard_name", &standard("y")), ("units", units)])?;
    coordinate(file, "x", &names[1..], &x, &[("standard_name", &standard("x")), ("units", units)])?;
    let lattice = names[0] != names[1];
    let at: Vec<(f64, f64)> = if lattice {
        y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y))).collect()
    } else {
        x.into_iter().zip(y).collect()
    };
    let inverse = |(x, y): (f64, f64)| projection.and_then(|p| p.inverse(x, y)).unwrap_or((f64::NAN, f64::NAN));
    let (north, east): (Vec<f64>, Vec<f64>) = at.into_iter().map(inverse).unzip();
    let dimensions: Vec<&'static str> = if lattice { names.to_vec() } else { names[..1].to_vec() };
    coordinate(file, "latitude", &dimensions, &north, &latitude)?;
    coordinate(file, "longitude", &dimensions, &east, &longitude)?;
    Ok((dimensions, projection.is_some()))
}

fn vertical(file: &mut Writer, name: &str, levels: &[Level]) -> Result<()> {
    let values: Vec<f64> = levels.iter().map(Level::value).collect();
    file.dimension(name, values.len())?;
    let (standard_name, positive) = match levels.first() {
        Some(Level::Pressure(_)) => ("air_pressure", "down"),
        Some(Level::Height(_)) => ("height", "up"),
        _ => ("model_level_number", "down"),
    };
    let units = levels.first().map_or("1", Level::units);
    let attributes = [("standard_name", standard_name), ("units", units), ("positive", positive), ("axis", "Z")];
    coordinate(file, name, &[name], &values, &attributes)
}

fn coordinate(
    file: &mut Writer,
    name: &str,
    dimensions: &[&str],
    values: &[f64],
    attributes: &[(&str, &str)],
) -> Result<()> {
    let mut variable = file.file.add_variable::<f64>(name, dimensions)?;
    for &(attribute, value) in attributes {
        variable.put_attribute(attribute, value)?;
    }
    file.values.push((name.to_owned(), Data::Coordinates(values.to_vec())));
    Ok(())
}

fn variable<'a>(
    file: &mut Writer<'a>,
    dimensions: &[String],
    values: &'a Values,
    mapping: bool,
    path: bool,
) -> Result<()> {
    let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
    let mut variable = file.file.add_variable::<f32>(&values.name, &dimensions)?;
    let found = &values.variable;
    for (name, value) in
        [("standard_name", &*found.standard_name), ("long_name", &*found.long_name), ("units", &*values.units)]
    {
        if !value.is_empty() {
            variable.put_attribute(name, value)?;
        }
    }
    if mapping {
        variable.put_attribute("grid_mapping", "crs")?;
    }
    let places = dimensions.contains(&"point") || mapping;
    if places {
        variable.put_attribute("coordinates", if path { "time latitude longitude" } else { "latitude longitude" })?;
    }
    variable.put_attribute("_FillValue", f32::NAN)?;
    file.values.push((values.name.clone(), Data::Field(&values.values)));
    Ok(())
}

fn put(variable: &mut VariableMut, name: &str, value: &Attribute) -> Result<()> {
    let value = match value {
        Attribute::Text(text) => AttributeValue::Str(text.clone()),
        Attribute::Number(number) => AttributeValue::Double(*number),
        Attribute::Numbers(numbers) => AttributeValue::Doubles(numbers.clone()),
    };
    variable.put_attribute(name, value).map(|_| ())
}
