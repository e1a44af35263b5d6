//! What the input store must be: coordinates by their CF attributes, an even grid, even times, the declared variables.

use std::collections::BTreeSet;
use std::ops::Range;

use tracing::info;

use super::ContractError;
use super::declared::Declared;
use super::settings::Settings;
use crate::atmos::ValidTime;
use crate::ingest::{Array, CfTime, Dataset, Inventory, SourceVariable, decode_times, is_time_units};

/// How much a spacing may differ from the mean.
const EVEN: f64 = 1e-3;
const VERTICAL: &[&str] = &[
    "air_pressure",
    "height",
    "altitude",
    "depth",
    "geopotential_height",
    "height_above_geopotential_datum",
    "height_above_mean_sea_level",
    "model_level_number",
    "atmosphere_sigma_coordinate",
    "atmosphere_hybrid_sigma_pressure_coordinate",
    "atmosphere_hybrid_height_coordinate",
    "atmosphere_ln_pressure_coordinate",
];
const PRESSURE_UNITS: &[&str] = &["Pa", "hPa", "mbar", "millibar", "bar", "dbar", "kPa", "pascal", "hectopascal"];

/// The store's coordinates.
#[derive(Debug, Clone)]
pub struct StoreLayout {
    pub time: String,
    pub y: String,
    pub x: String,
    /// `latlon` or `projected`.
    pub kind: &'static str,
    /// Ascending and even.
    pub times: Vec<ValidTime>,
    /// Grid mappings of the declared variables.
    pub grid_mappings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Time,
    Y,
    X,
}

impl StoreLayout {
    /// Everything that is wrong is reported together.
    pub fn check(dataset: &Dataset, settings: &Settings) -> Result<Self, ContractError> {
        let mut problems = Vec::new();
        let mut resolve = |axis, chosen: usize| {
            resolve(dataset, axis, settings.coordinates[chosen].as_deref())
                .map_err(|problem| problems.push(problem))
                .ok()
        };
        let axes = [resolve(Axis::Time, 0), resolve(Axis::Y, 1), resolve(Axis::X, 2)];
        let times = axes[0].map(|time| check_times(dataset, time, &mut problems)).unwrap_or_default();
        for axis in axes[1..].iter().flatten() {
            problems.extend(check_even(dataset, axis));
        }
        check_levels(dataset, settings, &mut problems);
        for declared in &settings.input_variables {
            check_variable(dataset, declared, axes, &mut problems);
        }
        let (true, [Some(time), Some(y), Some(x)]) = (problems.is_empty(), axes) else {
            return Err(ContractError::Input(problems));
        };
        let geographic = |array: &Array| {
            ["latitude", "longitude"].contains(&array.text("standard_name").as_str())
                || array.text("units").contains("degree")
        };
        let kind = if geographic(y) || geographic(x) { "latlon" } else { "projected" };
        let (h, w) = (y.shape()[0], x.shape()[0]);
        info!("Coordinates: time={} y={} x={} ({kind} grid)", time.name, y.name, x.name);
        info!(
            "Input validated: {} variable(s), {} timestep(s), grid {h}x{w}",
            settings.input_variables.len(),
            times.len()
        );
        let mut grid_mappings = Vec::new();
        for array in settings.input_variables.iter().filter_map(|declared| array(dataset, &declared.name)) {
            let name = array.text("grid_mapping");
            if dataset.arrays.iter().any(|array| array.name == name) && !grid_mappings.contains(&name) {
                grid_mappings.push(name);
            }
        }
        let name = |array: &Array| array.name.clone();
        Ok(Self { time: name(time), y: name(y), x: name(x), kind, times, grid_mappings })
    }

    /// Which of the times the model is to see.
    pub fn select(&self, settings: &Settings) -> Result<Range<usize>, ContractError> {
        let there = self.times.len();
        let Some(n) = settings.input_timesteps else { return Ok(0..there) };
        let count = n.unsigned_abs() as usize;
        if count > there {
            return Err(ContractError::Input(vec![format!(
                "N_INPUT_TIMESTEPS={n} asks for {count} timestep(s), and the input has only {there}"
            )]));
        }
        let selected = if n > 0 { 0..count } else { there - count..there };
        let (first, last) = (self.times[selected.start], self.times[selected.end - 1]);
        info!(
            "Using {count} of {there} input timestep(s) ({}): {first} to {last}",
            if n > 0 { "first" } else { "last" }
        );
        Ok(selected)
    }

    /// A declared variable as ingest sees it: how fields lie in the store.
    pub fn shown<'a>(
        &self,
        inventory: &'a Inventory,
        settings: &Settings,
    ) -> Result<&'a SourceVariable, ContractError> {
        let declared = |name: &str| settings.input_variables.iter().any(|declared| declared.name == name);
        let found = inventory.variables().map(|(_, variable)| variable).find(|variable| declared(&variable.name));
        found.ok_or_else(|| {
            ContractError::Input(vec!["none of INPUT_VARIABLES is on a grid that can be read".to_owned()])
        })
    }
}

fn array<'a>(dataset: &'a Dataset, name: &str) -> Option<&'a Array> {
    dataset.arrays.iter().find(|array| array.name == name)
}

/// Arrays that are coordinates: along a dimension of their own name, or named as such by a variable.
fn coordinates(dataset: &Dataset) -> Vec<&Array> {
    let lists =
        dataset.arrays.iter().map(|array| array.text("coordinates")).chain([dataset.attributes.text("coordinates")]);
    let named: BTreeSet<String> =
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let own = |array: &Array| array.dimensions.len() == 1 && array.dimensions[0].name == array.name;
    dataset.arrays.iter().filter(|array| own(array) || named.contains(&array.name)).collect()
}

/// How sure an array is of its axis: 2 by `axis` or the name of a projection's coordinate, 1 by any other attribute.
fn likeness(array: &Array, axis: Axis) -> u8 {
    let (letter, plane, geographic, units): (_, &[&str], _, &[&str]) = match axis {
        Axis::Time => ("T", &[], "time", &[]),
        Axis::Y => (
            "Y",
            &["projection_y_coordinate", "grid_latitude"],
            "latitude",
            &["degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN", "degreesN"],
        ),
        Axis::X => (
            "X",
            &["projection_x_coordinate", "grid_longitude"],
            "longitude",
            &["degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE", "degreesE"],
        ),
    };
    let (standard_name, found) = (array.text("standard_name"), array.text("units"));
    let is_time = axis == Axis::Time && standard_name != "forecast_reference_time" && is_time_units(&found);
    if array.text("axis") == letter || plane.contains(&standard_name.as_str()) {
        2
    } else if standard_name == geographic || units.contains(&found.as_str()) || is_time {
        1
    } else {
        0
    }
}

fn resolve<'a>(dataset: &'a Dataset, axis: Axis, chosen: Option<&str>) -> Result<&'a Array, String> {
    let (what, variable) = match axis {
        Axis::Time => ("time", "TIME_COORD"),
        Axis::Y => ("y", "Y_COORD"),
        Axis::X => ("x", "X_COORD"),
    };
    let all = coordinates(dataset);
    let names = |arrays: &[&Array]| arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", ");
    let candidates: Vec<&Array> = all.iter().copied().filter(|array| likeness(array, axis) > 0).collect();
    if let Some(chosen) = chosen {
        return candidates.iter().copied().find(|array| array.name == chosen).ok_or_else(|| {
            format!(
                "{variable}={chosen:?} is not identified as the {what} coordinate by CF attributes; those that are: {}",
                names(&candidates)
            )
        });
    }
    let surest = candidates.iter().map(|array| likeness(array, axis)).max();
    let surest: Vec<&Array> = candidates.into_iter().filter(|array| Some(likeness(array, axis)) == surest).collect();
    match surest.as_slice() {
        [one] => Ok(one),
        [] => Err(format!(
            "no {what} coordinate: none of {} has CF attributes (axis, standard_name, units) of one",
            names(&all)
        )),
        several => Err(format!("several {what} coordinates: {}; set {variable} to one of them", names(several))),
    }
}

/// Values as they are meant: unpacked.
pub fn values(dataset: &Dataset, array: &Array) -> Result<Vec<f64>, String> {
    let number = |name: &str, default: f64| array.attributes.numbers(name).first().copied().unwrap_or(default);
    let (scale, offset) = (number("scale_factor", 1.0), number("add_offset", 0.0));
    let stored = dataset.numbers(&array.name).map_err(|reason| format!("{}: {reason}", array.name))?;
    Ok(if (scale, offset) == (1.0, 0.0) { stored } else { stored.iter().map(|value| value * scale + offset).collect() })
}

fn check_times(dataset: &Dataset, time: &Array, problems: &mut Vec<String>) -> Vec<ValidTime> {
    let name = &time.name;
    if time.dimensions.len() != 1 {
        problems.push(format!("time coordinate {name:?} has {} dimensions; one is expected", time.dimensions.len()));
        return Vec::new();
    }
    let decoded = values(dataset, time)
        .and_then(|values| decode_times(&values, &time.text("units"), &time.text("calendar")))
        .and_then(|times| {
            times
                .iter()
                .map(CfTime::real)
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| "a calendar that is not real".into())
        });
    let times = match decoded {
        Ok(times) => times,
        Err(reason) => {
            problems.push(format!("time coordinate {name:?} cannot be understood: {reason}"));
            return Vec::new();
        }
    };
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1].timestamp() - pair[0].timestamp()).collect();
    if let Some(n) = steps.iter().position(|step| *step <= 0) {
        problems.push(format!("time coordinate {name:?} does not increase between {} and {}", times[n], times[n + 1]));
    } else if let Some(n) = steps.iter().position(|step| *step != steps[0]) {
        problems.push(format!(
            "time coordinate {name:?} is not evenly spaced: {} s at first, {} s between {} and {}",
            steps[0],
            steps[n],
            times[n],
            times[n + 1]
        ));
    }
    times
}

fn check_even(dataset: &Dataset, array: &Array) -> Option<String> {
    let name = &array.name;
    if array.dimensions.len() != 1 {
        return Some(format!(
            "coordinate {name:?} has {} dimensions; a regular grid with one for y and one for x is expected",
            array.dimensions.len()
        ));
    }
    let values = match values(dataset, array) {
        Ok(values) => values,
        Err(reason) => return Some(reason),
    };
    if values.len() < 2 {
        return Some(format!("coordinate {name:?} has {} point(s); at least 2 are needed", values.len()));
    }
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if !(steps.iter().all(|step| *step > 0.0) || steps.iter().all(|step| *step < 0.0)) {
        return Some(format!("coordinate {name:?} is not monotonic"));
    }
    let mean = (values[values.len() - 1] - values[0]) / steps.len() as f64;
    let (n, worst) =
        steps.iter().enumerate().max_by(|(_, a), (_, b)| (*a - mean).abs().total_cmp(&(*b - mean).abs()))?;
    ((worst - mean).abs() > EVEN * mean.abs()).then(|| {
        format!(
            "coordinate {name:?} is not evenly spaced: {mean} on average, {worst} between {} and {}",
            values[n],
            values[n + 1]
        )
    })
}

fn check_levels(dataset: &Dataset, settings: &Settings, problems: &mut Vec<String>) {
    let used: BTreeSet<&String> =
        settings.input_variables.iter().filter_map(|declared| declared.level.as_ref()).collect();
    for level in settings.levels.iter().filter(|level| used.contains(&level.name)) {
        let Some(array) = array(dataset, &level.name) else {
            problems.push(format!("level coordinate {:?} (from LEVEL_COORDS) is not in the input", level.name));
            continue;
        };
        if !is_vertical(array) {
            problems.push(format!(
                "level coordinate {:?} is not identified as vertical by CF attributes (axis Z, positive, standard_name, \
                 pressure units)",
                level.name
            ));
        }
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-8 + 1e-5 * b.abs();
        match values(dataset, array) {
            Ok(found) if found.len() == level.values.len() && found.iter().zip(&level.values).all(near) => {}
            Ok(found) => problems.push(format!(
                "level coordinate {:?} is {found:?} in the input, LEVEL_COORDS declares {level}",
                level.name
            )),
            Err(reason) => problems.push(reason),
        }
    }
}

fn is_vertical(array: &Array) -> bool {
    array.text("axis") == "Z"
        || ["up", "down"].contains(&array.text("positive").to_lowercase().as_str())
        || VERTICAL.contains(&array.text("standard_name").as_str())
        || PRESSURE_UNITS.contains(&array.text("units").as_str())
}

fn check_variable(dataset: &Dataset, declared: &Declared, axes: [Option<&Array>; 3], problems: &mut Vec<String>) {
    let name = &declared.name;
    let Some(array) = array(dataset, name) else {
        let coordinates: BTreeSet<&str> = coordinates(dataset).iter().map(|array| array.name.as_str()).collect();
        let data = dataset.arrays.iter().map(|array| array.name.as_str()).filter(|name| !coordinates.contains(name));
        problems.push(format!(
            "variable {name:?} (from INPUT_VARIABLES) is not in the input; there are {}",
            data.collect::<Vec<_>>().join(", ")
        ));
        return;
    };
    if let [Some(time), Some(y), Some(x)] = axes {
        // a horizontal coordinate may lie along a dimension of another name
        let own = |array: &Array| array.dimensions.first().map(|dimension| dimension.name.clone());
        let level = declared.level.clone();
        let expected: Vec<String> = [own(time), level, own(y), own(x)].into_iter().flatten().collect();
        let found: Vec<&str> = array.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
        if found.iter().copied().collect::<BTreeSet<_>>() != expected.iter().map(String::as_str).collect() {
            problems.push(format!("variable {name:?} has the dimensions {found:?}; {declared} means {expected:?}"));
        }
    }
    for (attribute, wanted) in [("units", &declared.units), ("standard_name", &declared.standard_name)] {
        let Some(wanted) = wanted else { continue };
        let found = array.text(attribute);
        if !array.attributes.contains(attribute) {
            problems.push(format!("variable {name:?} has no {attribute}; INPUT_VARIABLES declares {wanted:?}"));
        } else if found != *wanted {
            problems.push(format!(
                "variable {name:?} has the {attribute} {found:?}; INPUT_VARIABLES declares {wanted:?} (compared letter by \
                 letter)"
            ));
        }
    }
}
