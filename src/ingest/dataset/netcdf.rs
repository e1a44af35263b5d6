//! NetCDF by way of the C library, which believes too much: what makes it panic, and what a header claims, is caught here.

use std::fs::TryLockError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use ::netcdf::AttributeValue;
use ::netcdf::types::{FloatType, IntType, NcVariableType};
use ndarray::Dimension as _;

use super::{Array, Attribute, Attributes, Dataset, Dimension, ElementType, Numbers, Source, classic, groups};

/// How long a file may stay locked.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

struct NetCdf(::netcdf::File);

pub fn open(path: &Path, format: &'static str) -> Result<Dataset, String> {
    classic::check_extent(path)?;
    wait_for_writer(path)?;
    // the library takes "name#mode=…" and URLs for more than names of files; an absolute path is neither
    let absolute = path.canonicalize().map_err(|error| format!("no readable file ({error})"))?;
    guarded(|| {
        let file = ::netcdf::open(&absolute).map_err(|error| format!("a damaged file ({error})"))?;
        let mut attributes = Attributes::default();
        file.attributes().for_each(|attribute| insert(&mut attributes, &attribute));
        let dimensions: Vec<Dimension> = file.dimensions().map(|dimension| dimension_of(&dimension)).collect();
        let arrays = file.variables().map(|variable| describe(&variable)).collect();
        let mut found = Found { around: dimensions.clone(), arrays, dimensions };
        // of classic formats there are none
        for group in file.groups().into_iter().flatten() {
            found.walk(&group, "", 1)?;
        }
        groups::resolve(&mut found.arrays);
        let Found { arrays, dimensions, .. } = found;
        Ok(Dataset { attributes, arrays, dimensions, ..Dataset::new(format, Box::new(NetCdf(file))) })
    })
}

/// What groups hold.
struct Found {
    arrays: Vec<Array>,
    dimensions: Vec<Dimension>,
    /// Dimensions that a group sees, its own last.
    around: Vec<Dimension>,
}

impl Found {
    /// A group in the group `outer`, and those in it.
    fn walk(&mut self, group: &::netcdf::Group<'_>, outer: &str, depth: usize) -> Result<(), String> {
        let path = groups::join(outer, &group.name());
        if depth > groups::DEEPEST {
            return Err(format!("groups in groups, {depth} deep ({path})"));
        }
        let seen = self.around.len();
        let own = group.dimensions().map(|dimension| dimension_of(&dimension));
        let own: Vec<Dimension> =
            own.map(|dimension| Dimension { name: groups::join(&path, &dimension.name), ..dimension }).collect();
        self.dimensions.extend(own.clone());
        self.around.extend(own);
        let mut named = Attributes::default();
        group.attributes().for_each(|attribute| insert(&mut named, &attribute));
        for variable in group.variables() {
            let mut array = describe(&variable);
            array.name = groups::join(&path, &array.name);
            for dimension in &mut array.dimensions {
                let is_it = |other: &&Dimension| {
                    groups::split(&other.name).1 == dimension.name && other.length == dimension.length
                };
                if let Some(known) = self.around.iter().rev().find(is_it) {
                    dimension.name.clone_from(&known.name);
                }
            }
            // xarray lists there what belongs to no single variable
            let coordinates = format!("{} {}", array.text("coordinates"), named.text("coordinates"));
            if !coordinates.trim().is_empty() {
                array.attributes.insert("coordinates", Attribute::Text(coordinates.trim().to_owned()));
            }
            self.arrays.push(array);
        }
        for inner in group.groups() {
            self.walk(&inner, &path, depth + 1)?;
        }
        self.around.truncate(seen);
        Ok(())
    }
}

/// HDF5 locks a file while it is being written, and opening it then fails as if it were damaged. The lock also outlives
/// the writer for a moment where that has just started another process.
fn wait_for_writer(path: &Path) -> Result<(), String> {
    let file = std::fs::File::open(path).map_err(|error| format!("no readable file ({error})"))?;
    let start = Instant::now();
    loop {
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) if start.elapsed() < LONGEST_WAIT => std::thread::sleep(BETWEEN_LOOKS),
            Err(TryLockError::WouldBlock) => return Err("a file that another process is writing".to_owned()),
            // released when `file` is closed; file systems that know no locks have no writers to wait for
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

/// The library below panics on names that are not UTF-8: a damaged file to us.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "a damaged file (names or types that cannot be read)".to_owned())
        .flatten()
}

fn dimension_of(dimension: &::netcdf::Dimension<'_>) -> Dimension {
    Dimension { name: dimension.name(), length: dimension.len() }
}

fn describe(variable: &::netcdf::Variable<'_>) -> Array {
    let mut attributes = Attributes::default();
    variable.attributes().for_each(|attribute| insert(&mut attributes, &attribute));
    let kind = match variable.vartype() {
        NcVariableType::Float(FloatType::F32) => ElementType::F32,
        NcVariableType::Float(FloatType::F64) => ElementType::F64,
        NcVariableType::Int(IntType::I8) => ElementType::I8,
        NcVariableType::Int(IntType::U8) => ElementType::U8,
        NcVariableType::Int(IntType::I16) => ElementType::I16,
        NcVariableType::Int(IntType::U16) => ElementType::U16,
        NcVariableType::Int(IntType::I32) => ElementType::I32,
        NcVariableType::Int(IntType::U32) => ElementType::U32,
        NcVariableType::Int(IntType::I64) => ElementType::I64,
        NcVariableType::Int(IntType::U64) => ElementType::U64,
        NcVariableType::Char | NcVariableType::String => ElementType::Text,
        _ => ElementType::Other,
    };
    let dimensions = variable.dimensions().iter().map(dimension_of).collect();
    let chunks = variable.chunking().ok().flatten();
    Array { name: variable.name(), dimensions, kind, attributes, chunks, present: None, unreadable: None }
}

/// An attribute that cannot be read says nothing.
fn insert(attributes: &mut Attributes, attribute: &::netcdf::Attribute<'_>) {
    use AttributeValue as V;
    let Ok(value) = attribute.value() else { return };
    let integers = |values: Vec<f64>| Attribute::Numbers { values, float: false };
    let floats = |values: Vec<f64>| Attribute::Numbers { values, float: true };
    let value = match value {
        V::Uchar(v) => integers(vec![v.into()]),
        V::Schar(v) => integers(vec![v.into()]),
        V::Ushort(v) => integers(vec![v.into()]),
        V::Short(v) => integers(vec![v.into()]),
        V::Uint(v) => integers(vec![v.into()]),
        V::Int(v) => integers(vec![v.into()]),
        V::Ulonglong(v) => integers(vec![v as f64]),
        V::Longlong(v) => integers(vec![v as f64]),
        V::Float(v) => floats(vec![v.into()]),
        V::Double(v) => floats(vec![v]),
        V::Uchars(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Schars(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Ushorts(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Shorts(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Uints(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Ints(v) => integers(v.into_iter().map(f64::from).collect()),
        V::Ulonglongs(v) => integers(v.into_iter().map(|v| v as f64).collect()),
        V::Longlongs(v) => integers(v.into_iter().map(|v| v as f64).collect()),
        V::Floats(v) => floats(v.into_iter().map(f64::from).collect()),
        V::Doubles(v) => floats(v),
        V::Str(text) => Attribute::Text(text),
        V::Strs(texts) => Attribute::Texts(texts),
    };
    attributes.insert(attribute.name(), value);
}

impl NetCdf {
    fn get<T: ::netcdf::NcTypeDescriptor + Copy>(
        &self,
        array: &Array,
        start: &[usize],
        count: &[usize],
    ) -> Result<Vec<T>, String> {
        let variable = self.0.variable(&array.name).ok_or("the variable is gone: the file has changed")?;
        let lengths: Vec<usize> = variable.dimensions().iter().map(::netcdf::Dimension::len).collect();
        if lengths != array.shape() {
            return Err("other dimensions than before: the file has changed".to_owned());
        }
        variable.get_values((start, count)).map_err(|error| error.to_string())
    }
}

impl Source for NetCdf {
    fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String> {
        guarded(|| {
            Ok(match array.kind {
                ElementType::I8 => Numbers::I8(self.get(array, start, count)?),
                ElementType::U8 => Numbers::U8(self.get(array, start, count)?),
                ElementType::I16 => Numbers::I16(self.get(array, start, count)?),
                ElementType::U16 => Numbers::U16(self.get(array, start, count)?),
                ElementType::I32 => Numbers::I32(self.get(array, start, count)?),
                ElementType::U32 => Numbers::U32(self.get(array, start, count)?),
                ElementType::I64 => Numbers::I64(self.get(array, start, count)?),
                ElementType::U64 => Numbers::U64(self.get(array, start, count)?),
                ElementType::F32 => Numbers::F32(self.get(array, start, count)?),
                ElementType::F64 => Numbers::F64(self.get(array, start, count)?),
                ElementType::F16 | ElementType::Text | ElementType::Other => {
                    return Err(format!("{} holds no numbers", array.name));
                }
            })
        })
    }

    fn read_texts(&self, array: &Array) -> Result<Vec<String>, String> {
        guarded(|| {
            let variable = self.0.variable(&array.name).ok_or("the variable is gone: the file has changed")?;
            let shape = array.shape();
            let gone = |error: ::netcdf::Error| error.to_string();
            match variable.vartype() {
                NcVariableType::String => {
                    let places = ndarray::indices(shape).into_iter();
                    places.map(|place| variable.get_string(place.slice()).map_err(gone)).collect()
                }
                // characters: the last dimension is the length of each text
                _ => {
                    let bytes = variable.get_raw_values(..).map_err(gone)?;
                    let width = shape.last().copied().unwrap_or(1).max(1);
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned();
                    Ok(bytes.chunks(width).map(text).collect())
                }
            }
        })
    }
}
