//! A plain Zarr store, written array by array: version 2 or 3, consolidated.
//!
//! The group's document comes last: a reader finds all of it, or no store.
//! <https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html>, <https://zarr-specs.readthedocs.io/en/latest/v3/core/>

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::ContractError;
use crate::location::Location;

/// Compression of Zstandard: its default.
const ZSTD_LEVEL: i32 = 3;
const GROUP: &[&str] = &["zarr.json", ".zgroup", ".zmetadata", ".zattrs"];

/// A store on its way.
pub struct PlainStore<'a> {
    location: Location,
    /// 2 or 3.
    format: u8,
    runtime: &'a Runtime,
    arrays: Vec<ArrayDocument>,
}

/// Metadata of an array. One without dimensions is a scalar.
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
pub enum Stored {
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

/// Attributes that are texts; an empty one is none.
pub fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    pairs.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

impl<'a> PlainStore<'a> {
    /// Replaces the store that is there; what is no store is not touched. `names`: the arrays that it will have, for what a
    /// killed run left has no group yet.
    pub fn begin(location: &Location, format: u8, names: &[&str], runtime: &'a Runtime) -> Result<Self, ContractError> {
        let store = Self { location: location.clone(), format, runtime, arrays: Vec::new() };
        runtime.block_on(store.clear(names))?;
        Ok(store)
    }

    fn failed(&self, doing: &str, error: impl std::fmt::Display) -> ContractError {
        ContractError::Storage(format!(
            "{doing} the output store {}: {error}; check that it can be written, its space, its credentials and its endpoint \
             (AWS_…, in a container DST_…)",
            self.location
        ))
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ContractError> {
        let put = self.runtime.block_on(self.location.store().put(&Path::from(path), PutPayload::from(bytes)));
        put.map(drop).map_err(|error| self.failed("writing to", error))
    }

    /// Deletes a store: its group first, so that nobody reads half of it.
    async fn clear(&self, names: &[&str]) -> Result<(), ContractError> {
        let failed = |error: object_store::Error| self.failed("clearing", error);
        let store = self.location.store();
        let objects: Vec<Path> =
            store.list(None).map_ok(|object| object.location).try_collect().await.map_err(failed)?;
        let is_group = |path: &Path| GROUP.contains(&path.as_ref());
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

    fn chunk_path(&self, array: &str, place: &[usize]) -> String {
        let parts: Vec<String> = place.iter().map(ToString::to_string).collect();
        match (self.format, parts.is_empty()) {
            (2, true) => format!("{array}/0"),
            (2, false) => format!("{array}/{}", parts.join(".")),
            (_, true) => format!("{array}/c"),
            (_, false) => format!("{array}/c/{}", parts.join("/")),
        }
    }

    /// Declares an array of float32 fields with one timestep in a chunk.
    pub fn declare(&mut self, name: &str, dimensions: Vec<String>, shape: Vec<usize>, attributes: Map<String, Value>) {
        let chunk = [1].into_iter().chain(shape[1..].iter().copied()).collect();
        let (name, data_type, compressed) = (name.to_owned(), Stored::Float32, true);
        self.arrays.push(ArrayDocument { name, shape, chunk, data_type, compressed, dimensions, attributes });
    }

    /// Everything of one timestep of an array that is declared, row-major.
    pub fn write_step(&self, name: &str, step: usize, values: impl Iterator<Item = f32>) -> Result<(), ContractError> {
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        let packed = zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(|error| self.failed("compressing for", error))?;
        let declared = self.arrays.iter().find(|array| array.name == name);
        let rank = declared.map_or(0, |array| array.shape.len());
        let place: Vec<usize> = [step].into_iter().chain(std::iter::repeat_n(0, rank.saturating_sub(1))).collect();
        self.put(&self.chunk_path(name, &place), packed)
    }

    /// A small array in one chunk, along one dimension or two, or a scalar.
    pub fn small(
        &mut self,
        name: &str,
        (dimensions, shape): (&[&str], Vec<usize>),
        (data_type, values): (Stored, &[f64]),
        attributes: Map<String, Value>,
    ) -> Result<(), ContractError> {
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

    /// Valid times along `time`, the reference time and the lead times. `attributes`: of the time coordinate.
    pub fn times(
        &mut self,
        time: &str,
        reference: i64,
        leads: &[f64],
        attributes: Map<String, Value>,
    ) -> Result<(), ContractError> {
        let since = [("units", "seconds since 1970-01-01T00:00:00"), ("calendar", "proleptic_gregorian")];
        let times: Vec<f64> = leads.iter().map(|lead| reference as f64 + lead).collect();
        let mut of_time = texts([("axis", "T"), ("standard_name", "time")]);
        of_time.extend(attributes);
        of_time.extend(texts(since));
        self.small(time, (&[time], vec![times.len()]), (Stored::Int64, &times), of_time)?;
        let mut attributes = texts([("standard_name", "forecast_reference_time"), ("long_name", "analysis time")]);
        attributes.extend(texts(since));
        self.small("forecastReferenceTime", (&[], Vec::new()), (Stored::Int64, &[reference as f64]), attributes)?;
        let attributes =
            texts([("standard_name", "forecast_period"), ("long_name", "time since analysis"), ("units", "seconds")]);
        self.small("leadTime", (&[time], vec![leads.len()]), (Stored::Int64, leads), attributes)
    }

    /// Metadata, and at last the group.
    pub fn finish(self, attributes: Map<String, Value>) -> Result<(), ContractError> {
        let mut all = Map::new();
        for array in &self.arrays {
            for (path, document) in array.documents(self.format) {
                self.put(&path, document.to_string().into_bytes())?;
                all.insert(path, document);
            }
        }
        self.sync()?;
        if self.format == 2 {
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
        self.location.sync().map_err(|error| self.failed("bringing to the disk", error))
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
