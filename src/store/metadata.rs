//! The `zarr.json` documents of a forecast.
//!
//! Zarr core specification 3 (<https://zarr-specs.readthedocs.io/en/latest/v3/core/>), its sharding codec, CF-1.11, and
//! the traits of mlwp-data-specs for forecasts. They are written as JSON and not through the array library, because every
//! attribute is ours to say.

use serde_json::{Map, Value, json};

use super::packing::{Packing, Width};
use super::shard::{self, Shape};
use super::spec::{Encoding, ForecastSpec, Output};
use crate::atmos::{Attribute, Axes, DEFAULT_EARTH_RADIUS, Grid, Level};

/// Which of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    Map,
    Series,
}

/// The arrays of a copy with their metadata, by name, and the group's attributes.
pub(super) struct Documents {
    pub arrays: Vec<(String, Value)>,
    /// The one chunk of each small array: path and bytes.
    pub coordinates: Vec<(String, Vec<u8>)>,
    pub group: Value,
}

pub(super) fn has_levels(output: &Output) -> bool {
    output.levels.iter().any(|level| level.dimension().is_some())
}

/// The part of an array's shape that is the grid's: rows and columns, or of points, which have one row, their number.
fn horizontal(grid: &Grid, rows: usize, columns: usize) -> impl Iterator<Item = usize> {
    (grid.dimensions().len() > 1).then_some(rows).into_iter().chain([columns])
}

/// Metadata of a variable's array, `[reference_time, lead_time, member?, level?, H, W]`, or `[…, N]` for points.
fn variable_document(spec: &ForecastSpec, output: &Output, vertical: Option<&str>, copy: Copy) -> Value {
    let with_levels = |leads: usize, members: usize, levels: usize, rows: usize, columns: usize| -> Vec<u64> {
        let members = spec.is_ensemble().then_some(members);
        let levels = has_levels(output).then_some(levels);
        let horizontal = horizontal(&spec.grid, rows, columns);
        [1, leads].into_iter().chain(members).chain(levels).chain(horizontal).map(|n| n as u64).collect()
    };
    let (h, w) = spec.grid.shape();
    let shape = with_levels(spec.lead_times.len(), spec.members, output.levels.len(), h, w);
    let Shape { leads, rows, columns, chunk_rows, chunk_columns } = Shape::of(spec, copy);
    let object = with_levels(leads, 1, 1, rows, columns);
    let chunk = with_levels(leads, 1, 1, chunk_rows, chunk_columns);
    let packing = (spec.encoding == Encoding::Packed).then(|| Packing::of(output));
    let (data_type, fill) = match packing {
        None => ("float32", json!("NaN")),
        Some(packing) => match packing.width {
            Width::Bits16 => ("int16", json!(packing.fill())),
            Width::Bits32 => ("int32", json!(packing.fill())),
        },
    };
    let sharding = shard::sharding_document(packing, &chunk);
    let mut dimensions = vec!["reference_time", "lead_time"];
    dimensions.extend(spec.is_ensemble().then_some("member"));
    dimensions.extend(vertical);
    dimensions.extend(spec.grid.dimensions());
    let mut attributes = attributes(&[
        ("standard_name", &output.variable.standard_name),
        ("long_name", &output.variable.long_name),
        ("units", &output.variable.units),
    ]);
    attributes.insert("grid_mapping".into(), json!("crs"));
    let auxiliary = if spec.grid.rectilinear().is_some() { "valid_time" } else { "valid_time latitude longitude" };
    attributes.insert("coordinates".into(), json!(auxiliary));
    if let Some(packing) = packing {
        attributes.insert("scale_factor".into(), json!(packing.scale));
        attributes.insert("add_offset".into(), json!(packing.offset));
        attributes.insert("_FillValue".into(), json!(packing.fill()));
    }
    array_document(&shape, data_type, &object, &fill, &json!([sharding]), &dimensions, attributes)
}

fn array_document(
    shape: &[u64],
    data_type: &str,
    chunk: &[u64],
    fill: &Value,
    codecs: &Value,
    dimensions: &[&str],
    attributes: Map<String, Value>,
) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunk } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": fill,
        "codecs": codecs,
        "attributes": attributes,
        "dimension_names": dimensions,
        "storage_transformers": [],
    })
}

/// Attributes whose value is not empty.
fn attributes(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

/// One name per set of levels: `pressure`, and `pressure_2` for variables on other pressures.
pub(super) fn vertical_dimensions(spec: &ForecastSpec) -> Vec<Option<String>> {
    let mut sets: Vec<(&'static str, &[Level])> = Vec::new();
    spec.outputs
        .iter()
        .map(|output| {
            let kind = output.levels.first()?.dimension()?;
            if !sets.iter().any(|set| *set == (kind, &output.levels[..])) {
                sets.push((kind, &output.levels));
            }
            let same_kind = sets.iter().filter(|(other, _)| *other == kind);
            let number = same_kind.take_while(|(_, levels)| *levels != &output.levels[..]).count() + 1;
            Some(if number == 1 { kind.to_owned() } else { format!("{kind}_{number}") })
        })
        .collect()
}

/// All documents of one copy. `attributes` are the group's own.
pub(super) fn documents(spec: &ForecastSpec, copy: Copy, provenance: &Map<String, Value>) -> Documents {
    let mut arrays: Vec<(String, Value)> = Vec::new();
    let mut coordinates: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str,
                   data_type: &str,
                   dimensions: &[&str],
                   shape: &[u64],
                   bytes: Vec<u8>,
                   attributes: Map<String, Value>| {
        if arrays.iter().any(|(other, _)| other == name) {
            return;
        }
        let codecs = json!([{ "name": "bytes", "configuration": { "endian": "little" } }]);
        let fill = if data_type == "float64" { json!("NaN") } else { json!(i64::MIN) };
        let chunk: Vec<u64> = shape.iter().map(|&n| n.max(1)).collect();
        arrays
            .push((name.to_owned(), array_document(shape, data_type, &chunk, &fill, &codecs, dimensions, attributes)));
        coordinates.push((format!("{name}/c{}", "/0".repeat(shape.len())), bytes));
    };
    let float = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let integer = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();

    let epoch = "seconds since 1970-01-01T00:00:00";
    let instant = |standard: &str, long: &str| {
        attributes(&[
            ("standard_name", standard),
            ("long_name", long),
            ("units", epoch),
            ("calendar", "proleptic_gregorian"),
        ])
    };
    let reference = spec.reference_time;
    add("reference_time", "int64", &["reference_time"], &[1], integer(&[reference.timestamp()]), {
        instant("forecast_reference_time", "time of the analysis")
    });
    // hours are what people select by; the exchange format allows both
    let whole_hours = spec.lead_times.iter().all(|lead| lead.seconds() % 3600 == 0);
    let (units, unit) = if whole_hours { ("hours", 3600) } else { ("seconds", 1) };
    let leads: Vec<i64> = spec.lead_times.iter().map(|lead| lead.seconds() / unit).collect();
    let n = leads.len() as u64;
    add("lead_time", "int64", &["lead_time"], &[n], integer(&leads), {
        attributes(&[("standard_name", "forecast_period"), ("long_name", "time since the analysis"), ("units", units)])
    });
    let valid: Vec<i64> = spec.lead_times.iter().map(|&lead| (reference + lead).timestamp()).collect();
    add(
        "valid_time",
        "int64",
        &["reference_time", "lead_time"],
        &[1, n],
        integer(&valid),
        instant("time", "time that the values are valid for"),
    );
    if spec.is_ensemble() {
        let members: Vec<i64> = (0..).take(spec.members).collect();
        add("member", "int64", &["member"], &[spec.members as u64], integer(&members), {
            attributes(&[
                ("standard_name", "realization"),
                ("long_name", "member of the ensemble; 0 is the control"),
                ("units", "1"),
            ])
        });
    }
    for coordinate in grid_coordinates(&spec.grid) {
        let Coordinate { name, dimensions, shape, values, attributes } = coordinate;
        add(name, "float64", dimensions, &shape, float(&values), attributes);
    }
    let verticals = vertical_dimensions(spec);
    for (output, vertical) in spec.outputs.iter().zip(&verticals) {
        if let (Some(name), Some(level)) = (vertical, output.levels.first()) {
            let values: Vec<f64> = output.levels.iter().map(Level::value).collect();
            add(name, "float64", &[name], &[values.len() as u64], float(&values), vertical_attributes(level));
        }
    }
    add("crs", "int64", &[], &[], integer(&[0]), grid_mapping(&spec.grid));

    for (output, vertical) in spec.outputs.iter().zip(&verticals) {
        let document = variable_document(spec, output, vertical.as_deref(), copy);
        arrays.push((output.variable.name.to_string(), document));
    }
    let mut group_attributes = attributes(&[
        ("Conventions", "CF-1.11"),
        ("title", &spec.title),
        ("source", &format!("vejr {}, model {}", env!("CARGO_PKG_VERSION"), spec.model)),
        ("coordinates", "crs"), // which xarray would take for data else
    ]);
    group_attributes.extend(provenance.clone());
    let consolidated: Map<String, Value> = arrays.iter().cloned().collect();
    let group = json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": group_attributes,
        "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": consolidated },
    });
    Documents { arrays, coordinates, group }
}

/// A coordinate of the grid.
struct Coordinate {
    name: &'static str,
    dimensions: &'static [&'static str],
    shape: Vec<u64>,
    values: Vec<f64>,
    attributes: Map<String, Value>,
}

/// The axes; latitude and longitude always, of every point where they are no axes.
fn grid_coordinates(grid: &Grid) -> Vec<Coordinate> {
    let dimensions = grid.dimensions();
    let describe = |standard: &str, units: &str, axis: &str| {
        attributes(&[("standard_name", standard), ("long_name", standard), ("units", units), ("axis", axis)])
    };
    let along = |index: usize, name, values: &[f64], attributes| Coordinate {
        name,
        dimensions: &dimensions[index..=index],
        shape: vec![values.len() as u64],
        values: values.to_vec(),
        attributes,
    };
    let mut coordinates = match grid.axes() {
        Axes::Rectilinear { latitude, longitude } => {
            return vec![
                along(0, "latitude", latitude, describe("latitude", "degrees_north", "Y")),
                along(1, "longitude", longitude, describe("longitude", "degrees_east", "X")),
            ];
        }
        Axes::Projected { projection, y, x } => {
            let (names, units) = match projection.is_angular() {
                true => (["grid_latitude", "grid_longitude"], "degrees"),
                false => (["projection_y_coordinate", "projection_x_coordinate"], "m"),
            };
            vec![along(0, "yc", y, describe(names[0], units, "Y")), along(1, "xc", x, describe(names[1], units, "X"))]
        }
        Axes::None => Vec::new(),
    };
    let (h, w) = grid.shape();
    let places = grid.coordinates();
    let two = [("latitude", "degrees_north", &places.latitude), ("longitude", "degrees_east", &places.longitude)];
    coordinates.extend(two.map(|(name, units, values)| Coordinate {
        name,
        dimensions,
        shape: horizontal(grid, h, w).map(|n| n as u64).collect(),
        values: values.iter().copied().collect(),
        attributes: describe(name, units, ""),
    }));
    coordinates
}

/// Attributes of the grid mapping; of grids without a projection the sphere that most models compute on.
fn grid_mapping(grid: &Grid) -> Map<String, Value> {
    let Some(projection) = grid.projection() else {
        return Map::from_iter([
            ("grid_mapping_name".to_owned(), json!("latitude_longitude")),
            ("earth_radius".to_owned(), json!(DEFAULT_EARTH_RADIUS)),
            ("longitude_of_prime_meridian".to_owned(), json!(0.0)),
        ]);
    };
    let value = |attribute| match attribute {
        Attribute::Number(number) => json!(number),
        Attribute::Numbers(numbers) => json!(numbers),
        Attribute::Text(text) => json!(text),
    };
    projection.cf_attributes().into_iter().map(|(name, attribute)| (name.to_owned(), value(attribute))).collect()
}

fn vertical_attributes(level: &Level) -> Map<String, Value> {
    let (standard, long, positive) = match level {
        Level::Pressure(_) => ("air_pressure", "pressure", "down"),
        Level::Height(_) => ("height", "height above ground", "up"),
        Level::Model(_) | Level::Surface => ("model_level_number", "model level, counted from the top", "down"),
    };
    attributes(&[
        ("standard_name", standard),
        ("long_name", long),
        ("units", level.units()),
        ("positive", positive),
        ("axis", "Z"),
    ])
}
