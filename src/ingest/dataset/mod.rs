//! What a file or a store holds before anyone makes sense of it: arrays with named dimensions and attributes.
//!
//! [`Dataset::open`] reads all metadata at once; numbers come one block at a time. Everything above this module is the
//! same for all formats.

mod apart;
mod archive;
mod attribute;
mod classic;
mod format;
#[cfg(feature = "grib")]
mod grib;
mod groups;
mod netcdf;
mod numbers;
mod objects;
mod zarr;

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use apart::{Isolation, READ_APART, read_apart};
pub use attribute::{Attribute, Attributes};
pub(in crate::ingest) use numbers::each;
pub use numbers::{ElementType, Number, Numbers};

use super::Problem;
use crate::location::Location;

/// Larger headers are damaged ones: no producer comes near.
const MOST_ARRAYS: usize = 100_000;
/// More numbers, or texts, are never read at once.
const MOST_NUMBERS: usize = 1 << 30;
const MOST_TEXTS: usize = 1 << 20;

/// A dimension of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    pub name: String,
    pub length: usize,
}

/// An array without its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Array {
    pub name: String,
    pub dimensions: Vec<Dimension>,
    pub kind: ElementType,
    pub attributes: Attributes,
    /// Lengths of what is stored, and compressed, as one; `None` where that is the whole, or nothing.
    pub chunks: Option<Vec<usize>>,
    /// Places in the dimensions before a field's own that have a field, where not all have: of GRIB, a message each.
    pub present: Option<BTreeSet<Vec<usize>>>,
    /// Why its numbers cannot be had, where that is known already.
    pub unreadable: Option<String>,
}

impl Array {
    pub fn shape(&self) -> Vec<usize> {
        self.dimensions.iter().map(|dimension| dimension.length).collect()
    }

    /// Attribute as text, trimmed; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        self.attributes.text(name)
    }

    /// Its name without the groups that it lies in.
    pub fn own_name(&self) -> &str {
        groups::split(&self.name).1
    }

    /// The path of the group that it lies in; empty for the root.
    pub fn group(&self) -> &str {
        groups::split(&self.name).0
    }

    /// Whether what lies in `group` sees it: it lies there, or in a group around.
    pub fn is_seen_from(&self, group: &str) -> bool {
        groups::lies_in(group, self.group())
    }

    pub fn is_numeric(&self) -> bool {
        !matches!(self.kind, ElementType::Text | ElementType::Other)
    }

    /// Whether it is another array that `variable` sees, on some of its dimensions.
    pub fn is_beside(&self, variable: &Self) -> bool {
        self.name != variable.name && self.is_seen_from(variable.group()) && self.lies_along(variable)
    }

    /// Whether all its dimensions are among those of `other`.
    pub fn lies_along(&self, other: &Self) -> bool {
        self.dimensions.iter().all(|dimension| other.dimensions.iter().any(|own| own.name == dimension.name))
    }
}

/// Reads numbers of one format. `start` and `count` have one entry per dimension and lie within the array.
trait Source {
    fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String>;

    /// The texts of an array of [`ElementType::Text`], row-major.
    fn read_texts(&self, array: &Array) -> Result<Vec<String>, String>;
}

/// An open file or store.
pub struct Dataset {
    /// For people: `NetCDF-4`, `Zarr v2`.
    pub format: String,
    pub attributes: Attributes,
    /// In the order of the file; those of groups under their paths.
    pub arrays: Vec<Array>,
    /// Used or not.
    pub dimensions: Vec<Dimension>,
    /// Groups that are not looked into: a Zarr store is one group.
    pub groups: Vec<String>,
    /// The group whose variables are data; the others are there to describe them. Empty: all are.
    scope: String,
    source: Box<dyn Source>,
}

impl Dataset {
    /// Nothing yet.
    fn new(format: impl Into<String>, source: Box<dyn Source>) -> Self {
        Self {
            format: format.into(),
            attributes: Attributes::default(),
            arrays: Vec::new(),
            dimensions: Vec::new(),
            groups: Vec::new(),
            scope: String::new(),
            source,
        }
    }

    /// Opens a file (NetCDF, zipped Zarr), a folder or a URL (Zarr), or one group of a NetCDF-4 file (`file.nc/group`). The
    /// error says what is there instead.
    pub fn open(path: &Path, isolation: &Isolation) -> Result<Self, Problem> {
        let problem = |found: String| Problem::in_file(path, found, format::EXPECTED);
        let (file, group) = groups::of_path(path);
        let file = format::on_this_machine(&file).unwrap_or(file);
        let format = format::recognise(&file).map_err(problem)?;
        let dataset = match isolation {
            Isolation::None => open_here(&file, format),
            Isolation::Process { program } => apart::open(&file, &format, program),
        };
        dataset.and_then(Self::bounded).and_then(|dataset| dataset.within(group)).map_err(problem)
    }

    fn within(self, group: String) -> Result<Self, String> {
        if self.arrays.iter().any(|array| groups::lies_in(array.group(), &group)) || group.is_empty() {
            return Ok(Self { scope: group, ..self });
        }
        let there: BTreeSet<&str> = self.arrays.iter().map(Array::group).filter(|group| !group.is_empty()).collect();
        let there = there.into_iter().collect::<Vec<_>>().join(", ");
        Err(format!("no group {group:?} in it (there are: {})", if there.is_empty() { "none" } else { &there }))
    }

    /// Whether an array may be data, and is not there to describe others alone.
    pub fn is_in_scope(&self, array: &Array) -> bool {
        groups::lies_in(array.group(), &self.scope)
    }

    /// Opens the Zarr store at a place that has settings of its own, which a URL alone does not tell.
    pub fn of_store(store: &Location) -> Result<Self, Problem> {
        zarr::open(format::ZarrPlace::Objects(store.clone()))
            .and_then(Self::bounded)
            .map_err(|found| Problem::in_file(store.to_string(), found, "a Zarr store (v2 or v3)"))
    }

    fn bounded(self) -> Result<Self, String> {
        match self.arrays.len() {
            0..=MOST_ARRAYS => Ok(self),
            more => Err(format!("{more} variables: more than {MOST_ARRAYS}")),
        }
    }

    pub fn array(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// A block of numbers, as stored, row-major.
    pub fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String> {
        let shape = array.shape();
        let inside = |d: usize| start[d].checked_add(count[d]).is_some_and(|end| end <= shape[d]);
        if start.len() != shape.len() || count.len() != shape.len() || !(0..shape.len()).all(inside) {
            return Err(format!("a block at {start:?} of {count:?} asked for where {shape:?} is"));
        }
        if let Some(reason) = &array.unreadable {
            return Err(reason.clone());
        }
        let due = product(count, MOST_NUMBERS)?;
        let numbers = self.source.read(array, start, count)?;
        if numbers.len() == due { Ok(numbers) } else { Err(format!("{} values where {due} are due", numbers.len())) }
    }

    /// All numbers of the array with this name, as stored.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let array = self.array(name).ok_or("there is none")?;
        let shape = array.shape();
        let numbers = self.read(array, &vec![0; shape.len()], &shape)?;
        Ok(each!(&numbers, values => values.iter().map(|value| Number::number(*value)).collect()))
    }

    /// All texts of the array with this name.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        self.read_texts(self.array(name).ok_or("there is none")?)
    }

    /// The texts of an array that is not numeric.
    pub fn read_texts(&self, array: &Array) -> Result<Vec<String>, String> {
        if let Some(reason) = &array.unreadable {
            return Err(reason.clone());
        }
        product(&array.shape(), MOST_TEXTS)?;
        self.source.read_texts(array)
    }
}

/// Opens a file or store in this process.
fn open_here(path: &Path, format: format::Format) -> Result<Dataset, String> {
    match format {
        format::Format::NetCdf(name) => netcdf::open(path, name),
        format::Format::Grib => grib(path),
        format::Format::Zarr(place) => zarr::open(place),
    }
}

#[cfg(feature = "grib")]
fn grib(path: &Path) -> Result<Dataset, String> {
    grib::open(path)
}

#[cfg(not(feature = "grib"))]
fn grib(_: &Path) -> Result<Dataset, String> {
    Err("a GRIB file, and this program was built without GRIB (cargo build --release --features grib); convert it, for \
         instance with grib_to_netcdf"
        .to_owned())
}

/// How many there are in a block; an error where that is more than anybody has.
fn product(count: &[usize], most: usize) -> Result<usize, String> {
    let all = count.iter().try_fold(1usize, |all, length| all.checked_mul(*length));
    all.filter(|all| *all <= most).ok_or_else(|| format!("{count:?} values at once: more than {most}"))
}
