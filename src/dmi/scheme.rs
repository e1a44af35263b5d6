//! A published forecast as DMI's pipelines pass it on: a store for each kind of level, under a path that tells all of it.
//!
//! `MODEL/CONFIG/w…_s…_e…_n…/dx…_dy…/TIME/memberN/KIND.zarr`, numbers with `p` for the decimal point; the paths are those of
//! <https://github.com/dmidk/mlwm-deployment>, the stores hold `(time[, pressure], y, x)` as the analyses do.

use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::ContractError;
use super::store::{PlainStore, Stored, texts};
use crate::atmos::{Attribute, Axes, Grid, LeadTime, Level, ReferenceTime};
use crate::location::Location;
use crate::store::{ForecastReader, Output};

/// Where stores go, and what of their path the forecast does not say.
#[derive(Debug, Clone)]
pub struct Scheme {
    root: Location,
    /// Which configuration of the model.
    config: String,
    member: u32,
}

/// `2p5` for 2.5.
fn number(value: f64) -> String {
    format!("{}", (value * 1e4).round() / 1e4).replace('.', "p")
}

/// `dx2p5km_dy2p5km`, from the mean spacing.
fn resolution(x: &[f64], y: &[f64], degrees: bool) -> String {
    let spacing = |axis: &[f64]| match axis {
        [first, .., last] => ((last - first) / (axis.len() - 1) as f64).abs(),
        _ => 0.0,
    };
    let (dx, dy) = (spacing(x), spacing(y));
    let (scale, unit) = match degrees {
        true => (1.0, "deg"),
        false if dx < 1000.0 || dy < 1000.0 => (1.0, "m"),
        false => (1e-3, "km"),
    };
    format!("dx{}{unit}_dy{}{unit}", number(dx * scale), number(dy * scale))
}

impl Scheme {
    /// `config` is one part of the path.
    pub fn new(root: Location, config: &str, member: u32) -> Result<Self, ContractError> {
        if config.is_empty() || config.contains('/') {
            let problem = format!("{config:?} is no name for a configuration: give --dmi-config one without a slash");
            return Err(ContractError::configuration(problem));
        }
        Ok(Self { root, config: config.to_owned(), member })
    }

    /// Path of the folder of a forecast's stores. `None` for grids without axes: their resolution is no one number.
    fn folder(&self, model: &str, grid: &Grid, time: ReferenceTime) -> Option<String> {
        let resolution = match grid.axes() {
            Axes::Rectilinear { latitude, longitude } => resolution(longitude, latitude, true),
            Axes::Projected { projection, y, x } => resolution(x, y, projection.is_angular()),
            Axes::None => return None,
        };
        let area: Vec<String> = ["w", "s", "e", "n"]
            .iter()
            .zip(grid.bounds())
            .map(|(side, degrees)| format!("{side}{}", number((degrees * 100.0).round() / 100.0)))
            .collect();
        let time = time.utc().format("%Y-%m-%dT%H%MZ");
        let Self { config, member, .. } = self;
        Some(format!("{model}/{config}/{}/{resolution}/{time}/member{member}", area.join("_")))
    }
}

/// The kind of a variable's levels: name of the store, of the dimension, CF standard name, direction.
type Kind = (&'static str, Option<(&'static str, &'static str, &'static str)>);

const KINDS: &[Kind] = &[
    ("single_levels", None),
    ("pressure_levels", Some(("pressure", "air_pressure", "down"))),
    ("height_levels", Some(("height", "height", "up"))),
    ("model_levels", Some(("model_level", "model_level_number", "down"))),
];

/// Writes the stores of a published forecast, its steps without the analysis; tells where.
pub fn publish(reader: &ForecastReader, scheme: &Scheme, runtime: &Runtime) -> Result<Vec<Location>, ContractError> {
    let spec = reader.spec();
    let folder = scheme.folder(&spec.model, &spec.grid, spec.reference_time).ok_or_else(|| {
        ContractError::configuration(format!(
            "the grid {} has no axes, which DMI's paths and stores need; leave --dmi-stores out",
            spec.grid
        ))
    })?;
    let mut written = Vec::new();
    for (name, dimension) in KINDS {
        let of_kind = |output: &&Output| {
            let own = output.levels.first().and_then(Level::dimension);
            own == dimension.map(|(name, ..)| name)
        };
        let outputs: Vec<&Output> = spec.outputs.iter().filter(of_kind).collect();
        if !outputs.is_empty() {
            let place = scheme.root.join(&format!("{folder}/{name}.zarr"));
            write(reader, &outputs, *dimension, &place, runtime)?;
            written.push(place);
        }
    }
    Ok(written)
}

fn write(
    reader: &ForecastReader,
    outputs: &[&Output],
    dimension: Option<(&str, &str, &str)>,
    place: &Location,
    runtime: &Runtime,
) -> Result<(), ContractError> {
    let spec = reader.spec();
    let leads: Vec<LeadTime> = reader.published_leads().iter().copied().filter(|lead| lead.seconds() > 0).collect();
    // every level that any of them has; of those that one lacks, its values are missing
    let mut levels: Vec<Level> = outputs.iter().flat_map(|output| output.levels.iter().copied()).collect();
    levels.sort();
    levels.dedup();
    let (h, w) = spec.grid.shape();
    let own: Vec<&str> = outputs.iter().map(|output| &*output.variable.name).collect();
    let coordinates =
        ["time", "y", "x", "lat", "lon", "latitude", "longitude", "projection", "forecastReferenceTime", "leadTime"];
    let names: Vec<&str> = own.iter().copied().chain(coordinates).chain(dimension.map(|(name, ..)| name)).collect();
    let mut store = PlainStore::begin(place, 2, &names, runtime)?;
    let (horizontal, auxiliary) = match spec.grid.rectilinear() {
        Some(_) => (["latitude", "longitude"], ""),
        None => (["y", "x"], " lat lon"),
    };
    for output in outputs {
        let vertical = dimension.map(|(name, ..)| (name, levels.len()));
        let dimensions = ["time"].into_iter().chain(vertical.map(|(name, _)| name)).chain(horizontal);
        let shape = [leads.len()].into_iter().chain(vertical.map(|(_, length)| length)).chain([h, w]);
        let auxiliary = format!("forecastReferenceTime leadTime{auxiliary}");
        let attributes = texts([
            ("standard_name", &*output.variable.standard_name),
            ("long_name", &output.variable.long_name),
            ("units", &output.variable.units),
            ("grid_mapping", "projection"),
            ("coordinates", &auxiliary),
        ]);
        store.declare(&output.variable.name, dimensions.map(str::to_owned).collect(), shape.collect(), attributes);
    }
    // analyses of projected grids count their rows from the south
    let rows: Vec<usize> = if spec.grid.rectilinear().is_some() { (0..h).collect() } else { (0..h).rev().collect() };
    for (n, &lead) in leads.iter().enumerate() {
        for output in outputs {
            let mut values = Vec::with_capacity(levels.len() * h * w);
            for &level in &levels {
                if output.levels.contains(&level) {
                    let field = runtime.block_on(reader.field(&output.variable.name, level, lead))?;
                    rows.iter().for_each(|&row| values.extend(field.row(row)));
                } else {
                    values.extend(std::iter::repeat_n(f32::NAN, h * w));
                }
            }
            store.write_step(&output.variable.name, n, values.into_iter())?;
        }
    }
    horizontal_coordinates(&mut store, &spec.grid, &rows)?;
    if let Some((name, standard_name, positive)) = dimension {
        let values: Vec<f64> = levels.iter().map(Level::value).collect();
        let units = levels.first().map_or("", Level::units);
        let attributes =
            texts([("axis", "Z"), ("standard_name", standard_name), ("units", units), ("positive", positive)]);
        store.small(name, (&[name], vec![values.len()]), (Stored::Float64, &values), attributes)?;
    }
    let seconds: Vec<f64> = leads.iter().map(|lead| lead.seconds() as f64).collect();
    store.times("time", spec.reference_time.timestamp(), &seconds, Map::new())?;
    let mut attributes = spec.provenance.clone();
    attributes.insert("Conventions".to_owned(), json!("CF-1.10"));
    attributes.insert("title".to_owned(), json!(spec.title));
    store.finish(attributes)
}

/// Axes in the order of `rows`, places on projected grids, and the grid mapping.
fn horizontal_coordinates(store: &mut PlainStore<'_>, grid: &Grid, rows: &[usize]) -> Result<(), ContractError> {
    let mut axis = |name: &str, values: &[f64], letter: &str, standard_name: &str, units: &str| {
        let attributes = texts([("axis", letter), ("standard_name", standard_name), ("units", units)]);
        store.small(name, (&[name], vec![values.len()]), (Stored::Float64, values), attributes)
    };
    let mapping: Map<String, Value> = match grid.axes() {
        Axes::Rectilinear { latitude, longitude } => {
            axis("latitude", latitude, "Y", "latitude", "degrees_north")?;
            axis("longitude", longitude, "X", "longitude", "degrees_east")?;
            texts([("grid_mapping_name", "latitude_longitude")])
        }
        Axes::Projected { projection, y, x } => {
            let (names, units) = match projection.is_angular() {
                true => (["grid_latitude", "grid_longitude"], "degrees"),
                false => (["projection_y_coordinate", "projection_x_coordinate"], "m"),
            };
            let y: Vec<f64> = rows.iter().map(|&row| y[row]).collect();
            axis("y", &y, "Y", names[0], units)?;
            axis("x", x, "X", names[1], units)?;
            let (places, (h, w)) = (grid.coordinates(), grid.shape());
            let two = [
                ("lat", "latitude", "degrees_north", &places.latitude),
                ("lon", "longitude", "degrees_east", &places.longitude),
            ];
            for (name, standard_name, units, values) in two {
                let values: Vec<f64> = rows.iter().flat_map(|&row| values.row(row).to_vec()).collect();
                let attributes = texts([("standard_name", standard_name), ("units", units)]);
                store.small(name, (&["y", "x"], vec![h, w]), (Stored::Float64, &values), attributes)?;
            }
            let value = |attribute| match attribute {
                Attribute::Number(number) => json!(number),
                Attribute::Numbers(numbers) => json!(numbers),
                Attribute::Text(text) => json!(text),
            };
            projection.cf_attributes().into_iter().map(|(name, found)| (name.to_owned(), value(found))).collect()
        }
        Axes::None => Map::new(),
    };
    store.small("projection", (&[], Vec::new()), (Stored::Int32, &[0.0]), mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_model_area_resolution_and_time() {
        let scheme = Scheme::new(Location::parse("memory:").unwrap(), "default", 3).unwrap();
        let latitude: Vec<f64> = (0..5).map(|n| 58.0 - 0.25 * f64::from(n)).collect();
        let longitude: Vec<f64> = (0..9).map(|n| -10.5 + 0.1 * f64::from(n)).collect();
        let grid = Grid::new(latitude, longitude).unwrap();
        let time: ReferenceTime = "2026-01-31T06:00Z".parse().unwrap();
        let path = scheme.folder("gefion-1", &grid, time).unwrap();
        assert!(path.ends_with("_n58/dx0p1deg_dy0p25deg/2026-01-31T0600Z/member3"), "{path}");
        assert!(path.starts_with("gefion-1/default/w") && path.contains("_s57_e"), "{path}");
        assert_eq!(resolution(&[0.0, 2500.0], &[5000.0, 2500.0], false), "dx2p5km_dy2p5km");
    }
}
