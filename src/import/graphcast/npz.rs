//! `.npz` files: arrays of numpy in a zip file, by their names. Nothing that is pickled is read.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, Order, TypeChar};
use zip::ZipArchive;

use crate::import::ImportError;

/// Arrays in a file, bytes of one, and of its header: published ones have some hundred, 10 MB and 128 bytes.
const MOST_ARRAYS: usize = 100_000;
const MOST_BYTES: u64 = 8 << 30;
const LONGEST_HEADER: usize = 64 << 10;

/// An open file.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<File>,
    names: Vec<String>,
}

/// An array of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

type Array = NpyFile<Cursor<Vec<u8>>>;

impl Npz {
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::Source { path: path.to_owned(), reason };
        let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
        let archive = ZipArchive::new(file).map_err(|error| wrong(format!("not a .npz file ({error})")))?;
        if archive.len() > MOST_ARRAYS {
            return Err(wrong(format!("{} arrays; expected at most {MOST_ARRAYS}", archive.len())));
        }
        let name = |name: Cow<'_, str>| name.strip_suffix(".npy").map(str::to_owned);
        let names = archive.file_names().flatten().filter_map(name).collect();
        Ok(Self { path: path.to_owned(), archive, names })
    }

    /// Whether it has an array whose name begins so.
    pub fn has(&self, start: &str) -> bool {
        self.names.iter().any(|name| name.starts_with(start))
    }

    /// Names of arrays that begin with `start`, without it, in the order of the file.
    pub fn names(&self, start: &str) -> Vec<String> {
        self.names.iter().filter_map(|name| name.strip_prefix(start).map(str::to_owned)).collect()
    }

    /// One text, or one number as text; `None` where there is none.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ImportError> {
        if !self.names.iter().any(|other| other == name) {
            return Ok(None);
        }
        let array = self.array(name)?;
        let read = match kind(&array) {
            TypeChar::UnicodeStr => array.into_vec::<String>().map(|texts| texts.into_iter().next()),
            TypeChar::Float | TypeChar::Int | TypeChar::Uint => {
                numbers(array).map(|found| found.values.first().map(f64::to_string))
            }
            other => return Err(self.wrong(name, format!("an array of type {other:?}"), "a text or a number")),
        };
        match read {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) => Err(self.wrong(name, "nothing".to_owned(), "a text or a number")),
            Err(error) => Err(self.wrong(name, error.to_string(), "a text or a number")),
        }
    }

    /// Texts or numbers `NAME:0`, `NAME:1`, …
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, ImportError> {
        let mut texts = Vec::new();
        while let Some(text) = self.text(&format!("{name}:{}", texts.len()))? {
            texts.push(text);
        }
        Ok(texts)
    }

    /// An array of floating-point numbers.
    pub fn floats(&mut self, name: &str) -> Result<Numbers, ImportError> {
        let array = self.array(name)?;
        if kind(&array) != TypeChar::Float {
            return Err(self.wrong(name, format!("an array of type {:?}", kind(&array)), "floating-point numbers"));
        }
        numbers(array).map_err(|error| self.wrong(name, error.to_string(), "floating-point numbers"))
    }

    /// An array as its header tells of it.
    fn array(&mut self, name: &str) -> Result<Array, ImportError> {
        let wrong =
            |reason: String| ImportError::Source { path: self.path.clone(), reason: format!("{name}: {reason}") };
        let mut entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|error| wrong(format!("cannot be read ({error})")))?;
        if entry.size() > MOST_BYTES {
            return Err(wrong(format!("{} bytes; expected at most {MOST_BYTES}", entry.size())));
        }
        // no more than the entry says of itself
        let (mut bytes, size) = (Vec::new(), entry.size());
        let read = entry.by_ref().take(size + 1).read_to_end(&mut bytes);
        let read = read.map_err(|error| wrong(format!("cannot be unpacked ({error})")))?;
        if read as u64 != size {
            return Err(wrong(format!("another size than the {size} bytes that the zip file tells")));
        }
        let header = match bytes.get(6..12) {
            Some([1, _, a, b, ..]) => usize::from(u16::from_le_bytes([*a, *b])),
            Some([_, _, a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
            _ => return Err(wrong(format!("{read} bytes, which are no array"))),
        };
        if header > LONGEST_HEADER {
            return Err(wrong(format!("a header of {header} bytes; expected at most {LONGEST_HEADER}")));
        }
        NpyFile::new(Cursor::new(bytes)).map_err(|error| wrong(format!("no array of numpy ({error})")))
    }

    fn wrong(&self, name: &str, found: String, expected: &str) -> ImportError {
        ImportError::Source { path: self.path.clone(), reason: format!("{name}: {found}; expected {expected}") }
    }
}

fn kind<R: Read>(array: &NpyFile<R>) -> TypeChar {
    match array.header().dtype() {
        DType::Plain(kind) => kind.type_char(),
        _ => TypeChar::RawData,
    }
}

/// Numbers of 4 or 8 bytes in either byte order, and either order of the axes.
fn numbers(array: Array) -> std::io::Result<Numbers> {
    let wrong = |text: String| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    let header = array.header();
    let (order, dtype) = (header.order(), header.dtype());
    let shape: Vec<usize> = header.shape().iter().map(|&length| length as usize).collect();
    let count = shape.iter().try_fold(1usize, |all, &length| all.checked_mul(length));
    let size = match &dtype {
        DType::Plain(plain) => plain.size_field(),
        _ => 0,
    };
    let read = match (kind(&array), size) {
        (TypeChar::Float, 4) => array.into_vec::<f32>().map(|values| values.into_iter().map(f64::from).collect()),
        (TypeChar::Float, 8) => array.into_vec::<f64>(),
        (TypeChar::Int, 4) => array.into_vec::<i32>().map(|values| values.into_iter().map(f64::from).collect()),
        (TypeChar::Int, 8) => {
            array.into_vec::<i64>().map(|values| values.into_iter().map(|value| value as f64).collect())
        }
        _ => return Err(wrong(format!("an array of type {}", dtype.descr()))),
    };
    let values: Vec<f64> = read?;
    if count != Some(values.len()) {
        return Err(wrong(format!("{} values of shape {shape:?}", values.len())));
    }
    let values = match (order, shape.as_slice()) {
        (Order::Fortran, &[rows, columns]) => {
            (0..values.len()).map(|n| values[n % columns * rows + n / columns]).collect()
        }
        (Order::Fortran, [_, _, _, ..]) => return Err(wrong(format!("shape {shape:?} in Fortran's order"))),
        _ => values,
    };
    Ok(Numbers { shape, values })
}
