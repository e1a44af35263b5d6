//! `*.datastore.yaml`: which variables and levels of which stores become which features, in which order.
//!
//! The grammar of `mllam-data-prep`, schema v0.5 and v0.6 (<https://github.com/mllam/mllam-data-prep>). Paths, ranges and
//! splits are those of the training and do not matter here.

use indexmap::IndexMap;
use serde::Deserialize;

use super::projection::CartopyProjection;
use crate::atmos::{LeadTime, Level, ValidTime};
use crate::model::Formula;

#[derive(Debug, Deserialize)]
pub struct DatastoreConfig {
    pub inputs: IndexMap<String, Input>,
    pub output: Output,
    #[serde(default)]
    pub extra: Option<Extra>,
}

#[derive(Debug, Deserialize)]
pub struct Input {
    #[serde(default)]
    pub variables: Option<Variables>,
    #[serde(default)]
    pub derived_variables: Option<IndexMap<String, Derived>>,
    pub dim_mapping: IndexMap<String, DimMapping>,
    pub target_output_variable: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Variables {
    Names(Vec<String>),
    /// Coordinate values to select, by variable and coordinate.
    Selected(IndexMap<String, Option<IndexMap<String, Selection>>>),
}

#[derive(Debug, Deserialize)]
pub struct Selection {
    pub values: Vec<f64>,
    #[serde(default)]
    pub units: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct DimMapping {
    pub method: String,
    #[serde(default)]
    pub dims: Option<Vec<String>>,
    #[serde(default)]
    pub name_format: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Derived {
    pub function: String,
    #[serde(default)]
    pub kwargs: IndexMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct Output {
    /// Dimensions by category.
    #[serde(default)]
    pub variables: IndexMap<String, Vec<String>>,
    #[serde(default)]
    pub coord_ranges: Option<IndexMap<String, CoordRange>>,
}

#[derive(Debug, Deserialize)]
pub struct CoordRange {
    #[serde(default)]
    pub start: Option<String>,
    #[serde(default)]
    pub step: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Extra {
    #[serde(default)]
    pub projection: Option<CartopyProjection>,
}

/// Where a feature comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Variable(String, Level),
    Formula(Formula),
}

/// One feature of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// The names that the training may have given it: of a level as an integer and as a decimal fraction.
    pub names: Vec<String>,
    pub source: Source,
}

/// The features by category, in the network's order.
#[derive(Debug, Default, PartialEq)]
pub struct Features {
    pub state: Vec<Feature>,
    pub forcing: Vec<Feature>,
    pub statics: Vec<Feature>,
}

impl DatastoreConfig {
    /// Adds what cannot be understood or supported to `problems`.
    pub fn features(&self, problems: &mut Vec<String>) -> Features {
        let mut features = Features::default();
        for (name, input) in &self.inputs {
            let target = match input.target_output_variable.as_str() {
                "state" => &mut features.state,
                "forcing" => &mut features.forcing,
                "static" => &mut features.statics,
                other => {
                    problems.push(format!(
                        "inputs.{name}: target_output_variable {other:?}; expected state, forcing or static"
                    ));
                    continue;
                }
            };
            for feature in input.features(name) {
                match feature {
                    Ok(feature) => target.push(feature),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        features
    }

    /// Whether it has what a model forecasts.
    pub fn has_state(&self) -> bool {
        self.inputs.values().any(|input| input.target_output_variable == "state")
    }

    /// Whether its times are those of forecasts, each with a start and leads.
    pub fn is_forecast(&self) -> bool {
        self.output.variables.values().flatten().any(|dim| dim == "elapsed_forecast_duration")
    }

    /// Whether latitudes and longitudes are called y and x in what is made of it.
    pub fn renames_places(&self) -> bool {
        let renamed = |input: &Input| {
            let mapping = ["x", "y"].map(|axis| input.dim_mapping.get(axis));
            mapping.iter().flatten().any(|mapping| mapping.method == "rename")
        };
        self.inputs.values().any(renamed)
    }

    pub fn projection(&self) -> Option<&CartopyProjection> {
        self.extra.as_ref().and_then(|extra| extra.projection.as_ref())
    }

    /// Points are numbered column by column: the one order that the reference's graphs have.
    pub fn check_node_order(&self, problems: &mut Vec<String>) {
        for (name, input) in &self.inputs {
            let dims = input.dim_mapping.get("grid_index").and_then(|mapping| mapping.dims.as_deref()).unwrap_or(&[]);
            let is_x = |dim: &str| ["x", "xc", "longitude", "lon", "rlon"].contains(&dim);
            let is_y = |dim: &str| ["y", "yc", "latitude", "lat", "rlat"].contains(&dim);
            if !matches!(dims, [x, y] if is_x(x) && is_y(y)) {
                problems.push(format!("inputs.{name}.dim_mapping.grid_index.dims: {dims:?}; expected [\"x\", \"y\"]"));
            }
        }
    }

    /// The step of the training data along an axis of time, where it is told.
    pub fn step(&self, axis: &str, problems: &mut Vec<String>) -> Option<LeadTime> {
        let text = self.output.coord_ranges.as_ref()?.get(axis)?.step.as_ref()?;
        text.parse::<LeadTime>()
            .map_err(|error| {
                problems.push(format!("output.coord_ranges.{axis}.step: {text:?}; expected {}", error.expected));
            })
            .ok()
    }

    /// The first time of the training data along an axis, UTC, where it is told.
    pub fn start(&self, axis: &str) -> Option<ValidTime> {
        let text = self.output.coord_ranges.as_ref()?.get(axis)?.start.as_ref()?;
        text.parse().or_else(|_| format!("{text}Z").parse()).ok()
    }
}

impl Input {
    /// Features in order, or what is wrong in their place.
    fn features(&self, name: &str) -> Vec<Result<Feature, String>> {
        let category = &self.target_output_variable;
        let mapping = self.dim_mapping.get(&format!("{category}_feature"));
        let Some(mapping) = mapping.filter(|mapping| mapping.method == "stack_variables_by_var_name") else {
            let place = format!("inputs.{name}.dim_mapping.{category}_feature");
            return vec![Err(format!("{place}: expected method stack_variables_by_var_name"))];
        };
        let format = mapping.name_format.as_deref().unwrap_or("{var_name}");
        let stacked: Vec<&str> = mapping.dims.iter().flatten().map(String::as_str).collect();
        let one = |variable: &String| match render(format, variable, None) {
            Some(names) => Ok(Feature { names, source: Source::Variable(variable.clone(), Level::Surface) }),
            None => Err(format!("inputs.{name}: name_format {format:?} for {variable}, which has no levels")),
        };
        let mut features: Vec<Result<Feature, String>> = match &self.variables {
            None => Vec::new(),
            Some(Variables::Names(names)) if stacked.is_empty() => names.iter().map(one).collect(),
            Some(Variables::Names(names)) => vec![Err(format!(
                "inputs.{name}.variables: {names:?} stacked along {stacked:?} without values; expected the levels of each"
            ))],
            Some(Variables::Selected(variables)) => variables
                .iter()
                .flat_map(|(variable, selection)| {
                    let selection: Vec<_> = selection.iter().flatten().collect();
                    match selection.as_slice() {
                        [] => vec![one(variable)],
                        [(dim, selection)] => levels(name, (variable, dim), selection, format),
                        more => vec![Err(format!(
                            "inputs.{name}.variables.{variable}: values along {} coordinates; expected one, the vertical",
                            more.len()
                        ))],
                    }
                })
                .collect(),
        };
        let derived = self.derived_variables.iter().flatten().map(|(feature, derived)| match derived.formula() {
            Some(formula) => Ok(Feature { names: vec![feature.clone()], source: Source::Formula(formula) }),
            None => Err(format!(
                "inputs.{name}.derived_variables.{feature}: {} ({}) is not supported; there are toa_radiation, hour of day \
                 and day of year",
                derived.function,
                derived.kwargs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
            )),
        });
        features.extend(derived);
        features
    }
}

/// A variable on the selected levels.
fn levels(
    input: &str,
    (variable, dim): (&str, &str),
    selection: &Selection,
    format: &str,
) -> Vec<Result<Feature, String>> {
    let units = selection.units.as_deref().unwrap_or("");
    let feature = |&value: &f64| {
        let level = match (dim, units) {
            ("pressure" | "pressure_level" | "isobaricInhPa", "") => Level::Pressure(value),
            (_, "hPa" | "millibar" | "mbar") => Level::Pressure(value),
            (_, "Pa") => Level::Pressure(value / 100.0),
            ("height" | "altitude" | "heightAboveGround", "m" | "") => Level::Height(value),
            ("level" | "model_level" | "hybrid", "" | "1") if value >= 0.0 && value.fract() == 0.0 => {
                Level::Model(value as u32)
            }
            _ => {
                return Err(format!(
                    "inputs.{input}.variables.{variable}: {dim} {value} in units {units:?}; expected pressure in hPa, height \
                     in m, or model levels"
                ));
            }
        };
        match render(format, variable, Some((dim, value))) {
            Some(names) => Ok(Feature { names, source: Source::Variable(variable.to_owned(), level) }),
            None => Err(format!("inputs.{input}: name_format {format:?}; expected {{var_name}} and {{{dim}}}")),
        }
    };
    selection.values.iter().map(feature).collect()
}

/// A Python format of plain names; the level's number as the store may hold it, as an integer or not.
fn render(format: &str, variable: &str, level: Option<(&str, f64)>) -> Option<Vec<String>> {
    let name = format.replace("{var_name}", variable);
    let names = match level {
        None => vec![name],
        Some((dim, value)) => {
            let place = format!("{{{dim}}}");
            // Python writes a whole float with ".0"
            let float = if value.fract() == 0.0 { format!("{value}.0") } else { value.to_string() };
            vec![name.replace(&place, &value.to_string()), name.replace(&place, &float)]
        }
    };
    names.iter().all(|name| !name.contains(['{', '}'])).then_some(names)
}

impl Derived {
    fn formula(&self) -> Option<Formula> {
        let function = self.function.rsplit('.').next().unwrap_or_default();
        let of_input = |key: &str| self.kwargs.get(key).is_some_and(|value| value.starts_with("ds_input."));
        if !of_input("time") {
            return None;
        }
        match (function, self.kwargs.get("component").map(String::as_str)) {
            ("calculate_toa_radiation", None) if of_input("lat") && of_input("lon") => Some(Formula::ToaRadiation),
            ("calculate_hour_of_day", Some("sin")) => Some(Formula::HourOfDaySin),
            ("calculate_hour_of_day", Some("cos")) => Some(Formula::HourOfDayCos),
            ("calculate_day_of_year", Some("sin")) => Some(Formula::DayOfYearSin),
            ("calculate_day_of_year", Some("cos")) => Some(Formula::DayOfYearCos),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
inputs:
  surface:
    path: /a.zarr
    dims: [time, x, y]
    variables: [t2m, u10m]
    dim_mapping:
      grid_index: {method: stack, dims: [x, y]}
      state_feature: {method: stack_variables_by_var_name, name_format: '{var_name}'}
    target_output_variable: state
  levels:
    path: /b.zarr
    dims: [time, x, y, pressure]
    variables:
      z: {pressure: {values: [1000, 500], units: hPa}}
      t: {pressure: {values: [850.5], units: hPa}}
    dim_mapping:
      grid_index: {method: stack, dims: [x, y]}
      state_feature: {method: stack_variables_by_var_name, dims: [pressure], name_format: '{var_name}{pressure}'}
    target_output_variable: state
  sun:
    path: /a.zarr
    dims: [time, x, y]
    derived_variables:
      toa: {function: a.b.calculate_toa_radiation, kwargs: {time: ds_input.time, lat: ds_input.lat, lon: ds_input.lon}}
      hour: {function: a.b.calculate_hour_of_day, kwargs: {time: ds_input.time, component: cos}}
    dim_mapping:
      grid_index: {method: stack, dims: [x, y]}
      forcing_feature: {method: stack_variables_by_var_name, name_format: '{var_name}'}
    target_output_variable: forcing
output:
  variables: {state: [time, grid_index, state_feature]}
  coord_ranges: {time: {start: 2020-01-01T00:00, end: 2020-02-01T00:00, step: PT3H}}
extra:
  projection:
    class_name: LambertConformal
    kwargs: {central_longitude: 25.0, central_latitude: 56.7, standard_parallels: [56.7, 56.7],
             globe: {semimajor_axis: 6367470.0, semiminor_axis: 6367470.0}}
";

    #[test]
    fn features_come_in_the_order_of_the_file() {
        let config: DatastoreConfig = serde_saphyr::from_str(CONFIG).unwrap();
        let mut problems = Vec::new();
        let features = config.features(&mut problems);
        assert_eq!(problems, Vec::<String>::new());
        let names: Vec<&str> = features.state.iter().map(|feature| feature.names[0].as_str()).collect();
        assert_eq!(names, ["t2m", "u10m", "z1000", "z500", "t850.5"]);
        assert_eq!(features.state[3].names, ["z500", "z500.0"]);
        assert_eq!(features.state[3].source, Source::Variable("z".to_owned(), Level::Pressure(500.0)));
        assert_eq!(features.forcing[0].source, Source::Formula(Formula::ToaRadiation));
        config.check_node_order(&mut problems);
        assert_eq!(config.step("time", &mut problems), Some(LeadTime::from_hours(3)));
        let projection = config.extra.unwrap().projection.unwrap().cf().unwrap();
        let projection = crate::atmos::Projection::from_cf(&projection).unwrap();
        assert!(projection.to_string().contains("sphere 6367470 m"), "{projection}");
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_supported_is_named_all_at_once() {
        let text = CONFIG.replace("calculate_hour_of_day", "moon_phase").replace("hPa}}\n      t:", "ft}}\n      t:");
        let text = text.replacen("dims: [x, y]}\n      forcing", "dims: [cell]}\n      forcing", 1);
        let config: DatastoreConfig = serde_saphyr::from_str(&text).unwrap();
        let mut problems = Vec::new();
        config.features(&mut problems);
        config.check_node_order(&mut problems);
        let all = problems.join("\n");
        for expected in ["moon_phase", "pressure 1000 in units \"ft\"", "[\"cell\"]"] {
            assert!(all.contains(expected), "{expected}: {all}");
        }
    }
}
