//! Zarr, version 2 (with xarray's `_ARRAY_DIMENSIONS`) and version 3, in any object store or in a zip file.
//!
//! <https://zarr-specs.readthedocs.io/en/latest/v3/core/>,
//! <https://docs.xarray.dev/en/stable/internals/zarr-encoding-spec.html>

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use serde_json::{Map, Value};
use zarrs::array::{Array as ZarrArray, ArrayBytes, ArrayMetadata, ArraySubset};
use zarrs::metadata::v2::ArrayMetadataV2;
use zarrs::storage::{ReadableStorageTraits, StoreKey};

use super::archive::Archive;
use super::format::ZarrPlace;
use super::objects::Objects;
use super::{Array, Attribute, Attributes, Dataset, Dimension, ElementType, Numbers, Source};
use crate::location::Location;

/// Larger metadata are damaged ones.
const MOST_METADATA_BYTES: usize = 64 << 20;

/// Larger chunks are nobody's: one would have to fit into memory.
const MOST_CHUNK_BYTES: usize = 8 << 30;
/// Longer texts are no names.
const MOST_TEXT_BYTES: u64 = 1 << 16;
const UTF32: &str = "fixed_length_utf32";

type Storage = dyn ReadableStorageTraits;

/// The arrays of a store, each opened once.
struct Zarr {
    arrays: Vec<(String, ZarrArray<Storage>)>,
}

pub fn open(place: ZarrPlace) -> Result<Dataset, String> {
    match place {
        ZarrPlace::Zip(path) => open_zip(&path),
        ZarrPlace::Objects(location) => open_objects(&location),
    }
}

fn open_zip(path: &Path) -> Result<Dataset, String> {
    let archive = Arc::new(Archive::open(path)?);
    let keys = archive.keys();
    // a store is zipped with its folder, or without
    let group = |key: &String| {
        let documents = [".zgroup", ".zmetadata", "zarr.json"];
        documents
            .iter()
            .find_map(|name| key.strip_suffix(name))
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .map(str::to_owned)
    };
    let root = keys.iter().filter_map(group).min_by_key(String::len).ok_or("a zip file without a Zarr store in it")?;
    let names = || Ok(keys.iter().filter_map(|key| array_name(key.strip_prefix(&root)?)).collect());
    assemble(Metadata::read(archive, &root)?, names)
}

fn open_objects(location: &Location) -> Result<Dataset, String> {
    let objects = Arc::new(Objects::new(location)?);
    let names = || {
        let alone = "a store without consolidated metadata (.zmetadata, or consolidated_metadata in zarr.json)";
        if !location.can_list() {
            return Err(format!("{alone}, which is needed where objects cannot be listed"));
        }
        let listed = objects.folders().map_err(|error| format!("{alone} that cannot be listed ({error})"))?;
        Ok(listed.into_iter().collect())
    };
    assemble(Metadata::read(objects.clone(), "")?, names)
}

/// `t` of `t/.zarray` and of `t/zarr.json`.
fn array_name(key: &str) -> Option<String> {
    let name = key.strip_suffix("/.zarray").or_else(|| key.strip_suffix("/zarr.json"))?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// A document of the store, `None` where there is none.
fn document(storage: &Arc<Storage>, key: &str) -> Result<Option<Value>, String> {
    let store_key = StoreKey::new(key).map_err(|error| error.to_string())?;
    let Some(bytes) = storage.get(&store_key).map_err(|error| format!("{key} that cannot be read ({error})"))? else {
        return Ok(None);
    };
    if bytes.len() > MOST_METADATA_BYTES {
        return Err(format!("{key} of {} bytes", bytes.len()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("a damaged {key} ({error})"))?;
    serde_json::from_str(&quote_numbers(text)).map(Some).map_err(|error| format!("a damaged {key} ({error})"))
}

/// Python writes NaN and Infinity into JSON, which knows neither; the Zarr specification has them as strings.
fn quote_numbers(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 64);
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let bare = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = bare {
            quoted.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
        quoted.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(quoted)
}

/// Metadata of a store: all in one document, or one for each array.
struct Metadata {
    storage: Arc<Storage>,
    /// With a slash at the end, or empty.
    root: String,
    /// `zarr.json` of the group, where it is version 3.
    group: Option<Value>,
    /// `.zmetadata`.
    consolidated_v2: Option<Value>,
}

impl Metadata {
    fn read(storage: Arc<Storage>, root: &str) -> Result<Self, String> {
        let group = document(&storage, &format!("{root}zarr.json"))?;
        let consolidated_v2 = match group {
            Some(_) => None,
            None => document(&storage, &format!("{root}.zmetadata"))?,
        };
        if group.is_none() && consolidated_v2.is_none() && document(&storage, &format!("{root}.zgroup"))?.is_none() {
            return Err("no Zarr group (neither zarr.json, .zmetadata nor .zgroup)".to_owned());
        }
        if group.as_ref().is_some_and(|group| group["node_type"] != "group") {
            return Err("a single Zarr array; give the group that holds it".to_owned());
        }
        Ok(Self { storage, root: root.to_owned(), group, consolidated_v2 })
    }

    fn entries(&self) -> Option<&Map<String, Value>> {
        match (&self.group, &self.consolidated_v2) {
            (Some(group), _) => group["consolidated_metadata"]["metadata"].as_object(),
            (None, Some(all)) => all["metadata"].as_object(),
            (None, None) => None,
        }
    }

    /// Names below the root, where one document has them all.
    fn names(&self) -> Option<BTreeSet<String>> {
        let name = |key: &String| if self.group.is_some() { Some(key.clone()) } else { array_name(key) };
        self.entries().map(|entries| entries.keys().filter_map(name).collect())
    }

    /// A document of the store by its key below the root.
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        let consolidated = self.entries().and_then(|entries| match &self.group {
            Some(_) => entries.get(key.strip_suffix("/zarr.json")?),
            None => entries.get(key),
        });
        match consolidated {
            Some(value) => Ok(Some(value.clone())),
            None => document(&self.storage, &format!("{}{key}", self.root)),
        }
    }

    fn attributes(&self) -> Result<Attributes, String> {
        let json = match &self.group {
            Some(group) => Some(group["attributes"].clone()),
            None => self.get(".zattrs")?,
        };
        Ok(json.as_ref().and_then(Value::as_object).map(attributes_of).unwrap_or_default())
    }

    /// `None`: a group.
    fn array(&self, name: &str) -> Result<Option<ZarrArray<Storage>>, String> {
        let read = |error: serde_json::Error| format!("damaged metadata ({error})");
        let metadata = if self.group.is_some() {
            match self.get(&format!("{name}/zarr.json"))? {
                Some(mut json) if json["node_type"] == "array" => {
                    texts_as_bytes(&mut json);
                    ArrayMetadata::V3(serde_json::from_value(json).map_err(read)?)
                }
                _ => return Ok(None),
            }
        } else {
            let Some(mut json) = self.get(&format!("{name}/.zarray"))? else { return Ok(None) };
            texts_as_bytes(&mut json);
            let mut metadata: ArrayMetadataV2 = serde_json::from_value(json).map_err(read)?;
            if let Some(Value::Object(attributes)) = self.get(&format!("{name}/.zattrs"))? {
                metadata.attributes = attributes;
            }
            ArrayMetadata::V2(metadata)
        };
        let array = ZarrArray::new_with_metadata(self.storage.clone(), &format!("/{}{name}", self.root), metadata);
        array.map(Some).map_err(|error| error.to_string())
    }
}

/// `names`: what lies below the root, unless one document tells.
fn assemble(metadata: Metadata, names: impl FnOnce() -> Result<BTreeSet<String>, String>) -> Result<Dataset, String> {
    let (mut arrays, mut opened, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for name in metadata.names().map_or_else(names, Ok)? {
        match metadata.array(&name) {
            _ if name.contains('/') => {} // in a group of its own
            Ok(Some(array)) => {
                arrays.push(describe(&name, &array));
                opened.push((name, array));
            }
            Ok(None) => groups.push(name),
            // named where it is asked for
            Err(reason) => arrays.push(Array {
                name,
                dimensions: Vec::new(),
                kind: ElementType::Other,
                attributes: Attributes::default(),
                chunks: None,
                present: None,
                unreadable: Some(reason),
            }),
        }
    }
    let dimensions = dimensions_of(&mut arrays);
    let format = if metadata.group.is_some() { "Zarr v3" } else { "Zarr v2" };
    let attributes = metadata.attributes()?;
    Ok(Dataset { attributes, arrays, dimensions, groups, ..Dataset::new(format, Box::new(Zarr { arrays: opened })) })
}

/// Every dimension once. Each array tells its own: where two say otherwise of one, neither is believed.
fn dimensions_of(arrays: &mut [Array]) -> Vec<Dimension> {
    let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut dimensions, mut contradicted) = (Vec::new(), BTreeSet::new());
    for dimension in arrays.iter().flat_map(|array| &array.dimensions) {
        match lengths.insert(&dimension.name, dimension.length) {
            None => dimensions.push(dimension.clone()),
            Some(other) if other != dimension.length => {
                contradicted.insert(dimension.name.clone());
            }
            Some(_) => {}
        }
    }
    for array in arrays {
        if let Some(Dimension { name, length }) = array.dimensions.iter().find(|own| contradicted.contains(&own.name)) {
            let reason = format!("dimension {name:?} of length {length}, and of another length in other arrays");
            array.unreadable.get_or_insert(reason);
        }
    }
    dimensions
}

fn describe(name: &str, array: &ZarrArray<Storage>) -> Array {
    let metadata = serde_json::to_value(array.metadata()).unwrap_or(Value::Null);
    let is_v2 = metadata["zarr_format"] == 2;
    let kind = if is_v2 { kind_v2(&metadata["dtype"]) } else { kind_v3(&metadata["data_type"]) };
    let json = array.attributes();
    let mut attributes = attributes_of(json);
    // version 2: the fill value of the array is what stands for missing values, as xarray reads and writes it
    if is_v2
        && !attributes.contains("_FillValue")
        && let Some(fill) = attribute_of(&metadata["fill_value"])
    {
        attributes.insert("_FillValue", fill);
    }
    // version 3: xarray writes floating-point fill values as base64 of eight bytes
    if let Some(Attribute::Text(text)) = attributes.get("_FillValue").filter(|_| kind.is_float()) {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
        let value = match bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
            Some(bytes) => f64::from_le_bytes(bytes),
            None => text.parse().unwrap_or(f64::NAN),
        };
        attributes.insert("_FillValue", Attribute::Numbers { values: vec![value], float: true });
    }
    if metadata["dtype"].as_str().is_some_and(|dtype| dtype.contains("M8[ns]")) {
        attributes.insert("units", Attribute::Text("nanoseconds since 1970-01-01".to_owned()));
    }
    let named = |place: usize| {
        let v3 = array.dimension_names().as_ref().and_then(|names| names.get(place).cloned().flatten());
        let v2 = || json.get("_ARRAY_DIMENSIONS").and_then(|names| names[place].as_str().map(str::to_owned));
        v3.or_else(v2).unwrap_or_else(|| format!("dim_{place}"))
    };
    let dimension = |(place, length): (usize, &u64)| Dimension {
        name: named(place),
        length: usize::try_from(*length).unwrap_or(usize::MAX),
    };
    let dimensions = array.shape().iter().enumerate().map(dimension).collect();
    let chunks = array.chunk_shape(&vec![0; array.dimensionality()]).ok();
    let chunks: Option<Vec<usize>> =
        chunks.map(|chunks| chunks.iter().map(|length| usize::try_from(length.get()).unwrap_or(usize::MAX)).collect());
    let bytes = chunks.iter().flatten().try_fold(kind.size(), |bytes, length| bytes.checked_mul(*length));
    let unreadable = bytes
        .is_none_or(|bytes| bytes > MOST_CHUNK_BYTES)
        .then(|| format!("chunks of more than {} GiB", MOST_CHUNK_BYTES >> 30));
    Array { name: name.to_owned(), dimensions, kind, attributes, chunks, present: None, unreadable }
}

fn attributes_of(map: &Map<String, Value>) -> Attributes {
    let mut attributes = Attributes::default();
    for (name, value) in map.iter().filter(|(name, _)| *name != "_ARRAY_DIMENSIONS") {
        if let Some(value) = attribute_of(value) {
            attributes.insert(name, value);
        }
    }
    attributes
}

/// JSON of another kind says nothing.
fn attribute_of(value: &Value) -> Option<Attribute> {
    let number = |value: &Value| match value {
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        other => other.as_f64(),
    };
    match value {
        Value::Number(found) => Some(Attribute::Numbers { values: vec![found.as_f64()?], float: found.is_f64() }),
        Value::Bool(flag) => Some(Attribute::Numbers { values: vec![f64::from(u8::from(*flag))], float: false }),
        Value::String(text) => match number(value) {
            Some(found) => Some(Attribute::Numbers { values: vec![found], float: true }),
            None => Some(Attribute::Text(text.clone())),
        },
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            Some(Attribute::Texts(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()))
        }
        Value::Array(items) => {
            let values: Option<Vec<f64>> = items.iter().map(number).collect();
            values.map(|values| Attribute::Numbers { values, float: items.iter().any(Value::is_f64) })
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Texts of one length, four bytes a letter, are known to NumPy (`<U15`) and to zarr-python (`fixed_length_utf32`) but in no
/// standard: the library below takes them as bytes, and [`Source::read_texts`] as letters.
fn texts_as_bytes(json: &mut Value) {
    let letters = json["dtype"].as_str().and_then(|dtype| dtype.strip_prefix("<U")?.parse::<u64>().ok());
    if let Some(bytes) = letters.and_then(|letters| letters.checked_mul(4)).filter(|bytes| *bytes <= MOST_TEXT_BYTES) {
        json["dtype"] = Value::from(format!("|V{bytes}"));
        json["fill_value"] = Value::from(base64::engine::general_purpose::STANDARD.encode(vec![0u8; bytes as usize]));
    }
    let bytes = json["data_type"]["configuration"]["length_bytes"].as_u64();
    if let Some(bytes) = bytes.filter(|bytes| *bytes <= MOST_TEXT_BYTES && json["data_type"]["name"] == UTF32) {
        json["data_type"] = Value::from(format!("r{}", bytes * 8));
        json["fill_value"] = Value::from(vec![0; bytes as usize]);
    }
}

/// NumPy's spelling: `<f4`, `|i1`, `>i2`, `<M8[ns]`, `<U12`, `|S4`, `|O`.
fn kind_v2(dtype: &Value) -> ElementType {
    let name = dtype.as_str().unwrap_or_default().trim_start_matches(['<', '>', '|', '=']);
    match name {
        "i1" => ElementType::I8,
        "u1" | "b1" => ElementType::U8,
        "i2" => ElementType::I16,
        "u2" => ElementType::U16,
        "i4" => ElementType::I32,
        "u4" => ElementType::U32,
        "u8" => ElementType::U64,
        "f2" => ElementType::F16,
        "f4" => ElementType::F32,
        "f8" => ElementType::F64,
        name if name == "i8" || name.starts_with("M8") || name.starts_with("m8") => ElementType::I64,
        name if name == "O" || name.starts_with(['U', 'S', 'V']) => ElementType::Text,
        _ => ElementType::Other,
    }
}

fn kind_v3(data_type: &Value) -> ElementType {
    match data_type.as_str().or_else(|| data_type["name"].as_str()).unwrap_or_default() {
        "int8" => ElementType::I8,
        "uint8" | "bool" => ElementType::U8,
        "int16" => ElementType::I16,
        "uint16" => ElementType::U16,
        "int32" => ElementType::I32,
        "uint32" => ElementType::U32,
        "int64" | "numpy.datetime64" | "numpy.timedelta64" => ElementType::I64,
        "uint64" => ElementType::U64,
        "float16" => ElementType::F16,
        "float32" => ElementType::F32,
        "float64" => ElementType::F64,
        "string" | UTF32 | "null_terminated_bytes" => ElementType::Text,
        // what texts are made of, see `texts_as_bytes`
        name if name.strip_prefix('r').is_some_and(|bits| bits.parse::<u32>().is_ok()) => ElementType::Text,
        _ => ElementType::Other,
    }
}

impl Zarr {
    fn bytes(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<ArrayBytes<'static>, String> {
        let found = self.arrays.iter().find(|(name, _)| *name == array.name).map(|(_, found)| found);
        let found = found.ok_or("no such array")?;
        let wide = |values: &[usize]| values.iter().map(|value| *value as u64).collect::<Vec<u64>>();
        let subset = ArraySubset::new_with_start_shape(wide(start), wide(count)).map_err(|error| error.to_string())?;
        found.retrieve_array_subset(&subset).map_err(|error| error.to_string())
    }
}

impl Source for Zarr {
    fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String> {
        let ArrayBytes::Fixed(bytes) = self.bytes(array, start, count)? else {
            return Err("values of varying length".to_owned());
        };
        // decoded chunks are in the machine's own byte order
        Numbers::from_ne_bytes(array.kind, &bytes).map_err(|what| format!("{} holds {what}", array.name))
    }

    fn read_texts(&self, array: &Array) -> Result<Vec<String>, String> {
        let shape = array.shape();
        let count: usize = shape.iter().product();
        match self.bytes(array, &vec![0; shape.len()], &shape)? {
            ArrayBytes::Variable(texts) => {
                let offsets: Vec<usize> = texts.offsets().iter().copied().collect();
                let text = |pair: &[usize]| {
                    String::from_utf8_lossy(texts.bytes().get(pair[0]..pair[1]).unwrap_or_default()).into_owned()
                };
                Ok(offsets.windows(2).map(text).collect())
            }
            ArrayBytes::Fixed(bytes) if count > 0 && bytes.len() % (4 * count) == 0 => {
                let text = |bytes: &[u8]| {
                    let codes = bytes.as_chunks::<4>().0.iter().map(|code| u32::from_ne_bytes(*code));
                    codes.take_while(|code| *code != 0).filter_map(char::from_u32).collect()
                };
                Ok(bytes.chunks(bytes.len() / count).map(text).collect())
            }
            _ => Err("texts of a kind that is not read".to_owned()),
        }
    }
}
