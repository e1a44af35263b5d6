//! The `zarr.json` documents of a forecast.
//!
//! Zarr core specification 3 (<https://zarr-specs.readthedocs.io/en/latest/v3/core/>), its sharding codec, CF-1.11, and
//! the traits of mlwp-data-specs for forecasts. They are written as JSON and not through the array library, because every
//! attribute is ours to say.

use serde_json::{Map, Value, json};

use super::spec::{Encoding, ForecastSpec, Output};
use crate::atmos::Level;

/// Inner chunks have at most this many points a side: a map tile reads one to four of them.
const MAP_CHUNK: usize = 96;
/// Points a side of the inner chunks of the series copy.
pub(super) const SERIES_CHUNK: usize = 16;
/// Rows of one object of the series copy: bounds the memory that writing it takes.
pub(super) const SERIES_BAND: usize = 128;
/// IFS and most NWP models compute on a sphere of this radius, in m.
const EARTH_RADIUS: f64 = 6_371_229.0;

/// Which of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    Map,
    Series,
}

/// How one variable is packed: `value = integer × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Packing {
    pub scale: f64,
    pub offset: f64,
    /// Bits of the integer: 16 or 32.
    pub bits: u32,
}

impl Packing {
    /// 16 bits where the output's range fits at its precision, else 32.
    pub fn of(output: &Output) -> Self {
        let (low, high) = output.range;
        let offset = if (low + high).is_finite() {
            ((low + high) / 2.0 / output.precision).round() * output.precision
        } else {
            0.0
        };
        let bits = if (high - low) / output.precision < 65_000.0 { 16 } else { 32 };
        Self { scale: output.precision, offset, bits }
    }

    /// Stored where the value is missing; no value is packed to it.
    pub fn fill(self) -> i64 {
        if self.bits == 16 { i64::from(i16::MIN) } else { i64::from(i32::MIN) }
    }

    pub fn pack(self, value: f32) -> Option<i64> {
        if value.is_nan() {
            return Some(self.fill());
        }
        let packed = ((f64::from(value) - self.offset) / self.scale).round();
        let limit = -self.fill() as f64 - 1.0;
        (packed.abs() <= limit).then_some(packed as i64)
    }

    pub fn unpack(self, packed: i64) -> f32 {
        if packed == self.fill() { f32::NAN } else { (packed as f64 * self.scale + self.offset) as f32 }
    }
}

/// The arrays of a copy with their metadata, by name, and the group's attributes.
pub(super) struct Documents {
    pub arrays: Vec<(String, Value)>,
    /// Small arrays with their bytes (one chunk each).
    pub coordinates: Vec<(String, Vec<u8>)>,
    pub group: Value,
}

/// Shape of one object (shard) and of its inner chunks, both `[1, lead, level?, rows, columns]` without the level for
/// single-level variables.
pub(super) fn chunk_shapes(spec: &ForecastSpec, output: &Output, copy: Copy) -> (Vec<u64>, Vec<u64>) {
    let (h, w) = spec.grid.shape();
    let split = |n: usize| n.div_ceil(n.div_ceil(MAP_CHUNK));
    let (leads, inner, object) = match copy {
        Copy::Map => (1, (split(h), split(w)), (h, w)),
        Copy::Series => (spec.lead_times.len(), (SERIES_CHUNK, SERIES_CHUNK), (h.min(SERIES_BAND), w)),
    };
    let whole = |n: usize, chunk: usize| n.div_ceil(chunk) * chunk;
    let shape = |rows: usize, columns: usize| {
        let mut shape = vec![1, leads as u64];
        shape.extend(has_levels(output).then_some(1));
        shape.extend([rows as u64, columns as u64]);
        shape
    };
    (shape(whole(object.0, inner.0), whole(object.1, inner.1)), shape(inner.0, inner.1))
}

pub(super) fn has_levels(output: &Output) -> bool {
    output.levels.iter().any(|level| level.dimension().is_some())
}

/// Shape of a variable: `[1, leads, levels?, H, W]`.
pub(super) fn array_shape(spec: &ForecastSpec, output: &Output) -> Vec<u64> {
    let (h, w) = spec.grid.shape();
    let mut shape = vec![1, spec.lead_times.len() as u64];
    shape.extend(has_levels(output).then_some(output.levels.len() as u64));
    shape.extend([h as u64, w as u64]);
    shape
}

/// Metadata of a variable's array.
pub(super) fn variable_document(spec: &ForecastSpec, output: &Output, vertical: Option<&str>, copy: Copy) -> Value {
    let (object, inner) = chunk_shapes(spec, output, copy);
    let packing = (spec.encoding == Encoding::Packed).then(|| Packing::of(output));
    let (data_type, size, fill) = match packing {
        None => ("float32", 4, json!("NaN")),
        Some(packing) if packing.bits == 16 => ("int16", 2, json!(packing.fill())),
        Some(packing) => ("int32", 4, json!(packing.fill())),
    };
    let bytes = json!({ "name": "bytes", "configuration": { "endian": "little" } });
    let checksum = json!({ "name": "crc32c" });
    let blosc = json!({ "name": "blosc", "configuration": {
        "cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": size, "blocksize": 0
    } });
    let sharding = json!({ "name": "sharding_indexed", "configuration": {
        "chunk_shape": inner,
        "codecs": [bytes, blosc, checksum],
        "index_codecs": [bytes, checksum],
        "index_location": "end",
    } });
    let [y, x] = spec.grid.dimensions();
    let mut dimensions = vec!["reference_time", "lead_time"];
    dimensions.extend(vertical);
    dimensions.extend([y, x]);
    let mut attributes = attributes(&[
        ("standard_name", &output.variable.standard_name),
        ("long_name", &output.variable.long_name),
        ("units", &output.variable.units),
    ]);
    attributes.insert("grid_mapping".into(), json!("crs"));
    attributes.insert("cell_methods".into(), json!("lead_time: point"));
    attributes.insert("coordinates".into(), json!("valid_time"));
    if let Some(packing) = packing {
        attributes.insert("scale_factor".into(), json!(packing.scale));
        attributes.insert("add_offset".into(), json!(packing.offset));
        attributes.insert("_FillValue".into(), json!(packing.fill()));
    }
    array_document(&array_shape(spec, output), data_type, &object, &fill, &json!([sharding]), &dimensions, attributes)
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
        coordinates.push((name.to_owned(), bytes));
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
    let leads: Vec<i64> = spec.lead_times.iter().map(|lead| lead.seconds()).collect();
    let n = leads.len() as u64;
    add("lead_time", "int64", &["lead_time"], &[n], integer(&leads), {
        attributes(&[
            ("standard_name", "forecast_period"),
            ("long_name", "time since the analysis"),
            ("units", "seconds"),
        ])
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
    let [y, x] = spec.grid.dimensions();
    let axis = |standard: &str, units: &str, axis: &str| {
        attributes(&[("standard_name", standard), ("long_name", standard), ("units", units), ("axis", axis)])
    };
    let (latitude, longitude) = (spec.grid.latitude(), spec.grid.longitude());
    add("latitude", "float64", &[y], &[latitude.len() as u64], float(latitude), axis("latitude", "degrees_north", "Y"));
    add(
        "longitude",
        "float64",
        &[x],
        &[longitude.len() as u64],
        float(longitude),
        axis("longitude", "degrees_east", "X"),
    );
    let verticals = vertical_dimensions(spec);
    for (output, vertical) in spec.outputs.iter().zip(&verticals) {
        if let (Some(name), Some(level)) = (vertical, output.levels.first()) {
            let values: Vec<f64> = output.levels.iter().map(Level::value).collect();
            add(name, "float64", &[name], &[values.len() as u64], float(&values), vertical_attributes(level));
        }
    }
    let crs = Map::from_iter([
        ("grid_mapping_name".to_owned(), json!("latitude_longitude")),
        ("earth_radius".to_owned(), json!(EARTH_RADIUS)),
        ("longitude_of_prime_meridian".to_owned(), json!(0.0)),
    ]);
    add("crs", "int64", &[], &[], integer(&[0]), crs);

    for (output, vertical) in spec.outputs.iter().zip(&verticals) {
        let document = variable_document(spec, output, vertical.as_deref(), copy);
        arrays.push((output.variable.name.to_string(), document));
    }
    let mut group_attributes = attributes(&[
        ("Conventions", "CF-1.11"),
        ("title", &spec.title),
        ("source", &format!("vejr {}, model {}", env!("CARGO_PKG_VERSION"), spec.model)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::Variable;

    fn output(range: (f64, f64), precision: f64) -> Output {
        Output { variable: Variable::new("x", "", "", "1"), levels: vec![Level::Surface], precision, range }
    }

    #[test]
    fn packing_keeps_the_precision_and_refuses_what_does_not_fit() {
        for (range, precision, bits) in
            [((150.0, 350.0), 0.01, 16), ((30_000.0, 120_000.0), 1.0, 32), ((-250.0, 250.0), 0.01, 16)]
        {
            let packing = Packing::of(&output(range, precision));
            assert_eq!(packing.bits, bits);
            for i in 0..=1000 {
                let value = (range.0 + (range.1 - range.0) * f64::from(i) / 1000.0) as f32;
                let back = packing.unpack(packing.pack(value).unwrap());
                assert!(
                    f64::from((back - value).abs()) <= 0.5001 * precision + f64::from(value.abs()) * 1e-7,
                    "{value} {back}"
                );
                assert_eq!(packing.pack(back), packing.pack(value), "packing again changes nothing");
            }
            assert!(packing.unpack(packing.pack(f32::NAN).unwrap()).is_nan());
            assert_eq!(packing.pack(f32::MAX), None);
            assert_eq!(packing.pack(f32::INFINITY), None);
        }
    }
}
