//! The store that is written: `(time[, level], y, x)` on the input's own coordinates, one timestep in a chunk, consolidated.
//!
//! The group's document comes last: a reader finds the whole forecast, or no store.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::ContractError;
use super::input::{StoreLayout, values};
use super::predicted::Predicted;
use super::settings::Settings;
use crate::atmos::{Field, LeadTime, ReferenceTime};
use crate::ingest::{Array, Attribute, Attributes, Dataset, ElementType, SourceVariable};
use crate::model::ModelPackage;

/// Compression of Zstandard: its default.
const ZSTD_LEVEL: i32 = 3;
/// What a copied coordinate must not carry along: they say how its numbers were stored.
const OF_THE_ENCODING: &[&str] = &[
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_ARRAY_DIMENSIONS",
    "units_metadata",
    "coordinates",
];

/// Level coordinates with a description of their own, for those that no input variable lies on: name, standard name, long
/// name, units, positive; as cfgrib describes them.
pub const KNOWN_LEVELS: &[(&str, &str, &str, &str, &str)] = &[
    ("isobaricInhPa", "air_pressure", "pressure", "hPa", "down"),
    ("isobaricInPa", "air_pressure", "pressure", "Pa", "down"),
    ("heightAboveGround", "height", "height above the surface", "m", "up"),
    ("heightAboveSea", "height_above_mean_sea_level", "height above mean sea level", "m", "up"),
    ("depthBelowLand", "depth", "soil depth", "m", "down"),
    ("hybrid", "atmosphere_hybrid_sigma_pressure_coordinate", "hybrid level", "1", "down"),
];

/// What the store says beside its fields.
pub struct Header<'a> {
    pub settings: &'a Settings,
    pub dataset: &'a Dataset,
    pub layout: &'a StoreLayout,
    pub package: &'a ModelPackage,
    pub device: String,
    pub reference_time: ReferenceTime,
    pub lead_times: Vec<LeadTime>,
    /// 2 or 3.
    pub format: u8,
}

/// A store on its way.
pub struct OutputStore<'a> {
    header: &'a Header<'a>,
    outputs: &'a [Predicted],
    runtime: &'a Runtime,
    /// Metadata of the arrays that are told so far.
    arrays: Vec<ArrayDocument>,
}

struct ArrayDocument {
    name: String,
    shape: Vec<usize>,
    chunk: Vec<usize>,
    data_type: Stored,
    compressed: bool,
    dimensions: Vec<String>,
    attributes: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Float32,
    Float64,
    Int32,
    Int64,
}

impl Stored {
    fn name(self, format: u8) -> &'static str {
        match (self, format) {
            (Self::Float32, 2) => "<f4",
            (Self::Float64, 2) => "<f8",
            (Self::Int32, 2) => "<i4",
            (Self::Int64, 2) => "<i8",
            (Self::Float32, _) => "float32",
            (Self::Float64, _) => "float64",
            (Self::Int32, _) => "int32",
            (Self::Int64, _) => "int64",
        }
    }

    fn bytes(self, values: &[f64]) -> Vec<u8> {
        match self {
            Self::Float32 => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
            Self::Float64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Int32 => values.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect(),
            Self::Int64 => values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect(),
        }
    }
}

fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    pairs.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

/// Attributes of an array of the input, as JSON.
fn copied(attributes: &Attributes, without: &[&str]) -> Map<String, Value> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(text) => json!(text),
        Attribute::Texts(texts) => json!(texts),
        Attribute::Numbers { values, float } => {
            let number = |value: &f64| if *float { json!(value) } else { json!(*value as i64) };
            match values.as_slice() {
                [one] => number(one),
                several => several.iter().map(number).collect(),
            }
        }
    };
    attributes
        .iter()
        .filter(|(name, _)| !OF_THE_ENCODING.contains(name) && !without.contains(name))
        .map(|(name, attribute)| (name.to_owned(), value(attribute)))
        .collect()
}

impl<'a> OutputStore<'a> {
    /// Replaces the store that is there, as the contract has it; what is no store is not touched.
    pub fn begin(
        header: &'a Header<'a>,
        outputs: &'a [Predicted],
        runtime: &'a Runtime,
    ) -> Result<Self, ContractError> {
        let mut store = Self { header, outputs, runtime, arrays: Vec::new() };
        store.describe()?;
        store.runtime.block_on(store.clear())?;
        Ok(store)
    }

    fn failed(&self, doing: &str, error: impl std::fmt::Display) -> ContractError {
        let uri = &self.header.settings.output_zarr;
        ContractError::Storage(format!(
            "{doing} the output store {uri}: {error}; check that it can be written, its space, DST_AWS_PROFILE, the \
             credentials and the endpoint"
        ))
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ContractError> {
        let store = self.header.settings.destination.store();
        let put = self.runtime.block_on(store.put(&Path::from(path), PutPayload::from(bytes)));
        put.map(drop).map_err(|error| self.failed("writing to", error))
    }

    /// Deletes a store: its group first, so that nobody reads half of it.
    async fn clear(&self) -> Result<(), ContractError> {
        let failed = |error: object_store::Error| self.failed("clearing", error);
        let store = self.header.settings.destination.store();
        let objects: Vec<Path> =
            store.list(None).map_ok(|object| object.location).try_collect().await.map_err(failed)?;
        const GROUP: &[&str] = &["zarr.json", ".zgroup", ".zmetadata", ".zattrs"];
        let is_group = |path: &Path| GROUP.contains(&path.as_ref());
        // what a run that was killed left has no group yet
        let names = self.names();
        let is_ours =
            |path: &Path| path.parts().next().is_some_and(|top| names.iter().any(|name| *name == top.as_ref()));
        if !objects.iter().any(is_group)
            && let Some(other) = objects.iter().find(|path| !is_ours(path))
        {
            return Err(self.failed("replacing", format!("{other} is there, and no Zarr store around it")));
        }
        let (groups, others): (Vec<Path>, Vec<Path>) = objects.into_iter().partition(is_group);
        for path in groups.into_iter().chain(others) {
            match store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Metadata of all arrays.
    fn describe(&mut self) -> Result<(), ContractError> {
        let layout = self.header.layout;
        let StoreLayout { time, y, x, .. } = layout;
        let leads = self.header.lead_times.len();
        let horizontal = [self.length(y)?, self.length(x)?];
        let mapping = match layout.grid_mappings.as_slice() {
            [one] => one.as_str(),
            _ => "",
        };
        for output in self.outputs {
            let mut dimensions = vec![time.clone()];
            let mut shape = vec![leads];
            if let Some(level) = &output.level {
                dimensions.push(level.clone());
                shape.push(output.channels.len());
            }
            // the name of a dimension is that of its coordinate
            dimensions.extend([y.clone(), x.clone()]);
            shape.extend(horizontal);
            let chunk = [1].into_iter().chain(shape[1..].iter().copied()).collect();
            let attributes = texts([
                ("standard_name", output.standard_name.as_str()),
                ("long_name", &output.long_name),
                ("units", &output.units),
                ("grid_mapping", mapping),
                ("coordinates", "forecastReferenceTime leadTime"),
            ]);
            let name = output.name.clone();
            let data_type = Stored::Float32;
            self.arrays.push(ArrayDocument { name, shape, chunk, data_type, compressed: true, dimensions, attributes });
        }
        Ok(())
    }

    /// All arrays that the store gets.
    fn names(&self) -> Vec<&str> {
        let StoreLayout { time, y, x, grid_mappings, .. } = self.header.layout;
        let outputs = self.outputs.iter().flat_map(|output| [Some(&output.name), output.level.as_ref()]).flatten();
        let coordinates = [time, y, x].into_iter().chain(grid_mappings).chain(outputs).map(String::as_str);
        coordinates.chain(["forecastReferenceTime", "leadTime"]).collect()
    }

    fn array(&self, name: &str) -> Option<&'a Array> {
        self.header.dataset.arrays.iter().find(|array| array.name == name)
    }

    fn length(&self, name: &str) -> Result<usize, ContractError> {
        let length = self.array(name).and_then(|array| array.shape().first().copied());
        length.ok_or_else(|| ContractError::Input(vec![format!("coordinate {name:?} has no length")]))
    }

    /// One step: fields in the order of the model's channels. `shown` says how they lie in the input.
    pub fn write_step(&mut self, n: usize, fields: &[Field], shown: &SourceVariable) -> Result<(), ContractError> {
        for output in self.outputs {
            let scale = output.conversion;
            let mut bytes = Vec::new();
            for &channel in &output.channels {
                for value in shown.in_file_order(fields[channel].values().view()) {
                    let value = match scale == crate::ingest::Conversion::NONE {
                        true => value,
                        false => ((f64::from(value) - scale.offset) / scale.scale) as f32,
                    };
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
            let rank = 3 + usize::from(output.level.is_some());
            let packed =
                zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(|error| self.failed("compressing for", error))?;
            let place: Vec<usize> = [n].into_iter().chain(std::iter::repeat_n(0, rank - 1)).collect();
            self.put(&self.chunk_path(&output.name, &place), packed)?;
        }
        Ok(())
    }

    fn chunk_path(&self, array: &str, place: &[usize]) -> String {
        let parts: Vec<String> = place.iter().map(ToString::to_string).collect();
        match (self.header.format, parts.is_empty()) {
            (2, true) => format!("{array}/0"),
            (2, false) => format!("{array}/{}", parts.join(".")),
            (_, true) => format!("{array}/c"),
            (_, false) => format!("{array}/c/{}", parts.join("/")),
        }
    }

    /// A small array in one chunk.
    fn small(
        &mut self,
        name: &str,
        dimensions: &[&str],
        (data_type, values): (Stored, &[f64]),
        attributes: Map<String, Value>,
    ) -> Result<(), ContractError> {
        let shape = if dimensions.is_empty() { Vec::new() } else { vec![values.len()] };
        let place = vec![0; shape.len()];
        self.put(&self.chunk_path(name, &place), data_type.bytes(values))?;
        self.arrays.push(ArrayDocument {
            name: name.to_owned(),
            chunk: shape.clone(),
            shape,
            data_type,
            compressed: false,
            dimensions: dimensions.iter().map(|name| (*name).to_owned()).collect(),
            attributes,
        });
        Ok(())
    }

    /// A coordinate of the input, with an axis and a standard name where it had none.
    fn copy(&mut self, name: &str, along: &str, defaults: &[(&str, &str)]) -> Result<(), ContractError> {
        let array =
            self.array(name).ok_or_else(|| ContractError::Input(vec![format!("{name:?} is not in the input")]))?;
        let numbers = values(self.header.dataset, array).map_err(|reason| ContractError::Input(vec![reason]))?;
        let packed = array.attributes.contains("scale_factor") || array.attributes.contains("add_offset");
        let stored = match array.kind {
            _ if packed => Stored::Float64,
            ElementType::F32 => Stored::Float32,
            ElementType::I8 | ElementType::I16 | ElementType::I32 | ElementType::U8 | ElementType::U16 => Stored::Int32,
            ElementType::I64 | ElementType::U32 => Stored::Int64,
            _ => Stored::Float64,
        };
        let mut attributes = texts(defaults.iter().copied());
        attributes.extend(copied(&array.attributes, &[]));
        self.small(name, &[along], (stored, &numbers), attributes)
    }

    fn coordinates(&mut self) -> Result<(), ContractError> {
        let Header { layout, settings, .. } = self.header;
        let StoreLayout { time, y, x, kind, grid_mappings, .. } = layout;
        let names = match *kind {
            "latlon" => ["latitude", "longitude"],
            _ => ["projection_y_coordinate", "projection_x_coordinate"],
        };
        self.copy(y, y, &[("axis", "Y"), ("standard_name", names[0])])?;
        self.copy(x, x, &[("axis", "X"), ("standard_name", names[1])])?;
        let reference = self.header.reference_time.timestamp();
        let leads: Vec<f64> = self.header.lead_times.iter().map(|lead| lead.seconds() as f64).collect();
        let times: Vec<f64> = leads.iter().map(|lead| reference as f64 + lead).collect();
        let since = [("units", "seconds since 1970-01-01T00:00:00"), ("calendar", "proleptic_gregorian")];
        let mut attributes = texts([("axis", "T"), ("standard_name", "time")]);
        if let Some(array) = self.array(time) {
            attributes.extend(copied(&array.attributes, &["units", "calendar", "bounds"]));
        }
        attributes.extend(texts(since));
        self.small(time, &[time], (Stored::Int64, &times), attributes)?;
        let mut attributes = texts([("standard_name", "forecast_reference_time"), ("long_name", "analysis time")]);
        attributes.extend(texts(since));
        self.small("forecastReferenceTime", &[], (Stored::Int64, &[reference as f64]), attributes)?;
        let attributes =
            texts([("standard_name", "forecast_period"), ("long_name", "time since analysis"), ("units", "seconds")]);
        self.small("leadTime", &[time], (Stored::Int64, &leads), attributes)?;
        for level in &settings.levels {
            if !self.outputs.iter().any(|output| output.level.as_ref() == Some(&level.name)) {
                continue;
            }
            let there = self.array(&level.name).is_some_and(|array| array.shape() == [level.values.len()]);
            if there {
                self.copy(&level.name, &level.name, &[("axis", "Z")])?;
            } else {
                let integral = level.values.iter().all(|value| value.fract() == 0.0 && value.abs() < 2e9);
                let stored = if integral { Stored::Int32 } else { Stored::Float64 };
                let known = KNOWN_LEVELS.iter().find(|(name, ..)| *name == level.name);
                let (_, standard_name, long_name, units, positive) = *known.unwrap_or(&("", "", "", "", ""));
                let attributes = texts([
                    ("axis", "Z"),
                    ("standard_name", standard_name),
                    ("long_name", long_name),
                    ("units", units),
                    ("positive", positive),
                ]);
                self.small(&level.name, &[&level.name], (stored, &level.values), attributes)?;
            }
        }
        for name in grid_mappings {
            let attributes = self.array(name).map(|array| copied(&array.attributes, &[])).unwrap_or_default();
            self.small(name, &[], (Stored::Int32, &[0.0]), attributes)?;
        }
        if grid_mappings.len() > 1 {
            tracing::warn!("the input has several grid mappings, {}: none is attached", grid_mappings.join(", "));
        }
        Ok(())
    }

    /// Coordinates, metadata, and at last the group.
    pub fn finish(mut self) -> Result<(), ContractError> {
        self.coordinates()?;
        let format = self.header.format;
        let mut all = Map::new();
        for array in &self.arrays {
            for (path, document) in array.documents(format) {
                self.put(&path, document.to_string().into_bytes())?;
                all.insert(path, document);
            }
        }
        self.sync()?;
        let attributes = self.group_attributes();
        if format == 2 {
            self.put(".zattrs", json!(attributes).to_string().into_bytes())?;
            all.insert(".zgroup".to_owned(), json!({"zarr_format": 2}));
            all.insert(".zattrs".to_owned(), json!(attributes));
            let consolidated = json!({"zarr_consolidated_format": 1, "metadata": all});
            self.put(".zmetadata", consolidated.to_string().into_bytes())?;
            self.put(".zgroup", json!({"zarr_format": 2}).to_string().into_bytes())?;
        } else {
            let arrays: Map<String, Value> = all
                .into_iter()
                .map(|(path, document)| (path.trim_end_matches("/zarr.json").to_owned(), document))
                .collect();
            let group = json!({
                "zarr_format": 3,
                "node_type": "group",
                "attributes": attributes,
                "consolidated_metadata": {"kind": "inline", "must_understand": false, "metadata": arrays},
            });
            self.put("zarr.json", group.to_string().into_bytes())?;
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), ContractError> {
        self.header.settings.destination.sync().map_err(|error| self.failed("bringing to the disk", error))
    }

    fn group_attributes(&self) -> Map<String, Value> {
        let Header { settings, layout, package, device, reference_time, .. } = self.header;
        let model = &package.manifest().model;
        let list = |variables: &[super::declared::Declared]| {
            variables.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        let version = env!("CARGO_PKG_VERSION");
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
        let pairs = [
            ("title", format!("{}, forecast from {reference_time}", model.title)),
            ("source", format!("vejr {version}, {} {}", model.name, model.version)),
            ("Conventions", "CF-1.10".to_owned()),
            ("history", format!("{now}: created by vejr {version}")),
            ("grid_type", layout.kind.to_owned()),
            ("device", device.clone()),
            ("model_digest", package.digest().to_owned()),
            ("model_licence", model.licence.clone()),
            ("input_variables", list(&settings.input_variables)),
            ("output_variables", list(&settings.output_variables)),
            ("n_forecast_steps", settings.forecast_steps.to_string()),
            ("input_store", settings.input_zarr.clone()),
        ];
        texts(pairs.iter().map(|(name, text)| (*name, text.as_str())))
    }
}

impl ArrayDocument {
    /// Paths and documents.
    fn documents(&self, format: u8) -> Vec<(String, Value)> {
        let Self { name, shape, chunk, data_type, compressed, dimensions, attributes } = self;
        let stored = data_type.name(format);
        let float = matches!(data_type, Stored::Float32 | Stored::Float64);
        // of integers no value is missing: 0 would be one in xarray's eyes
        if format == 2 {
            let mut attributes = attributes.clone();
            attributes.insert("_ARRAY_DIMENSIONS".to_owned(), json!(dimensions));
            let array = json!({
                "zarr_format": 2,
                "shape": shape,
                "chunks": chunk,
                "dtype": stored,
                "order": "C",
                "compressor": compressed.then(|| json!({"id": "zstd", "level": ZSTD_LEVEL})),
                "filters": null,
                "fill_value": if float { json!("NaN") } else { Value::Null },
                "dimension_separator": ".",
            });
            return vec![(format!("{name}/.zarray"), array), (format!("{name}/.zattrs"), json!(attributes))];
        }
        let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
        if *compressed {
            codecs.push(json!({"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": false}}));
        }
        let array = json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": stored,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": if float { json!("NaN") } else { json!(0) },
            "codecs": codecs,
            "dimension_names": dimensions,
            "attributes": attributes,
            "storage_transformers": [],
        });
        vec![(format!("{name}/zarr.json"), array)]
    }
}
