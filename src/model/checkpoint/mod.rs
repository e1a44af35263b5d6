//! PyTorch checkpoints, read without running them.
//!
//! A file of `torch.save` is a zip archive (<https://docs.pytorch.org/docs/stable/notes/serialization.html>): `data.pkl`
//! tells what there is, `data/KEY` are the bytes of the tensors. The pickle is taken apart by a machine that knows no
//! functions: what would be calls become [`Value`]s with a name and arguments. State dicts, bare tensors, lists, and whole
//! pickled models are all the same to it.
//!
//! Only the tensors that are asked for are read, each checked against the bytes that there are.

mod calls;
mod error;
mod machine;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zip::{CompressionMethod, ZipArchive};

pub use error::CheckpointError;
use machine::{Id, Node, Outcome};
pub use value::{DType, TensorInfo, Value};

/// Bytes of a pickle: one of a billion parameters with its optimiser has a few million. What is made of them stays below
/// a gigabyte.
const MOST_PICKLE: u64 = 64 << 20;
/// Entries of an archive.
const MOST_ENTRIES: usize = 1_000_000;
/// Bytes of one tensor.
const MOST_TENSOR: usize = 64 << 30;
/// Elements of a tensor that has more than its storage, as expanded ones do: they take memory only when they are read.
const MOST_REPEATED: usize = 1 << 24;
/// A byte of a compressed entry is not more than this many.
const MOST_RATIO: u64 = 1_000;

/// Where the archive's bytes come from.
trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An open checkpoint.
pub struct Checkpoint {
    archive: Mutex<ZipArchive<Box<dyn Source>>>,
    /// The folder inside the archive, with its slash.
    folder: String,
    nodes: Vec<Node>,
    root: Id,
    damage: Option<CheckpointError>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpoint({} values)", self.nodes.len())
    }
}

impl Checkpoint {
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_reader(File::open(path).map_err(CheckpointError::Unreadable)?)
    }

    /// The same from anything that can be read anywhere.
    pub fn from_reader(source: impl Read + Seek + Send + 'static) -> Result<Self, CheckpointError> {
        let mut checkpoint = Self::salvage(source)?;
        match checkpoint.damage.take() {
            Some(damage) => Err(damage),
            None => Ok(checkpoint),
        }
    }

    /// What can be had of a checkpoint whose pickle is damaged somewhere ([`Self::damage`]): everything before. Tensors have
    /// checksums of their own.
    pub fn salvage(mut source: impl Read + Seek + Send + 'static) -> Result<Self, CheckpointError> {
        let mut first = [0; 16];
        let length = read_up_to(&mut source, &mut first).map_err(CheckpointError::Unreadable)?;
        source.rewind().map_err(CheckpointError::Unreadable)?;
        refuse_others(&first[..length])?;
        let mut archive = ZipArchive::new(Box::new(source) as Box<dyn Source>)?;
        if archive.len() > MOST_ENTRIES {
            return Err(CheckpointError::Archive(format!(
                "{} entries; expected fewer than {MOST_ENTRIES}",
                archive.len()
            )));
        }
        if archive.has_duplicate_names() {
            return Err(CheckpointError::Archive("two entries of the same name; expected each once".to_owned()));
        }
        let mut pickles = Vec::new();
        let mut script = false;
        for name in archive.file_names() {
            let name = name?;
            if name == "data.pkl" || name.ends_with("/data.pkl") {
                pickles.push(name.into_owned());
            } else if name == "constants.pkl" || name.ends_with("/constants.pkl") {
                script = true;
            }
        }
        let [pickle] = pickles.as_slice() else {
            let found = format!("{} entries called data.pkl", pickles.len());
            return Err(CheckpointError::Archive(format!("{found}; expected the one that torch.save writes")));
        };
        if script {
            return Err(CheckpointError::Other(
                "a TorchScript archive; save the state dict of the model with torch.save instead",
            ));
        }
        let folder = pickle[..pickle.len() - "data.pkl".len()].to_owned();
        if entry(&mut archive, &format!("{folder}byteorder"), 64).is_ok_and(|order| order.trim_ascii() == b"big") {
            return Err(CheckpointError::Other(
                "written on a big-endian machine; save it again on a little-endian one",
            ));
        }
        let bytes = entry(&mut archive, pickle, MOST_PICKLE)?;
        let Outcome { nodes, root, damage } = machine::run(&bytes)?;
        Ok(Self { archive: Mutex::new(archive), folder, nodes, root, damage })
    }

    pub fn damage(&self) -> Option<&CheckpointError> {
        self.damage.as_ref()
    }

    /// What the checkpoint is.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, self.root)
    }

    /// The elements of a tensor in row-major order as float32; integers and float64 are rounded.
    pub fn read_f32(&self, tensor: &TensorInfo) -> Result<Vec<f32>, CheckpointError> {
        let bytes = self.storage(tensor)?;
        Ok(match tensor.dtype {
            DType::F32 => gather(tensor, &bytes, f32::from_le_bytes),
            DType::F64 => gather(tensor, &bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            DType::F16 => gather(tensor, &bytes, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            DType::BF16 => gather(tensor, &bytes, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            _ => integers(tensor, &bytes).into_iter().map(|value| value as f32).collect(),
        })
    }

    /// The elements of a tensor of integers or booleans.
    pub fn read_i64(&self, tensor: &TensorInfo) -> Result<Vec<i64>, CheckpointError> {
        if tensor.dtype.is_float() {
            return Err(CheckpointError::Tensor(format!("of type {:?}; expected integers", tensor.dtype)));
        }
        Ok(integers(tensor, &self.storage(tensor)?))
    }

    /// The bytes of a tensor's storage, as many as the tensor reaches.
    fn storage(&self, tensor: &TensorInfo) -> Result<Vec<u8>, CheckpointError> {
        let needed = tensor.reach()?;
        let name = format!("{}data/{}", self.folder, tensor.storage);
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = entry(&mut archive, &name, MOST_TENSOR as u64)?;
        if bytes.len() < needed {
            return Err(CheckpointError::Tensor(format!(
                "{:?} of {:?} with strides {:?} from {} reaches byte {needed} of storage {}, which has {}",
                tensor.shape,
                tensor.dtype,
                tensor.strides,
                tensor.offset,
                tensor.storage,
                bytes.len()
            )));
        }
        let stored = bytes.len() / tensor.dtype.bytes();
        if tensor.elements() > stored.max(MOST_REPEATED) {
            return Err(CheckpointError::Tensor(format!(
                "of shape {:?} repeats the {stored} elements of storage {}; expected at most {MOST_REPEATED} elements",
                tensor.shape, tensor.storage
            )));
        }
        Ok(bytes)
    }
}

/// What is no zip archive, by its first bytes.
fn refuse_others(first: &[u8]) -> Result<(), CheckpointError> {
    const ZIP: &[u8] = b"PK\x03\x04";
    // the magic number of torch.save before 1.6, as a pickle writes it
    const LEGACY: &[u8] = &[0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    if first.starts_with(ZIP) {
        return Ok(());
    }
    if first.get(2..).is_some_and(|rest| rest.starts_with(LEGACY)) {
        return Err(CheckpointError::Other(
            "a checkpoint of PyTorch before 1.6; load it there and save it again with torch.save",
        ));
    }
    if first.first() == Some(&0x80) {
        return Err(CheckpointError::Other("a bare pickle; expected a zip archive as torch.save writes it"));
    }
    Err(CheckpointError::Archive("not a zip archive; expected what torch.save writes".to_owned()))
}

fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..])? {
            0 => break,
            n => length += n,
        }
    }
    Ok(length)
}

/// One entry, whole. Its size is known before memory is asked for, and not believed.
fn entry(archive: &mut ZipArchive<Box<dyn Source>>, name: &str, most: u64) -> Result<Vec<u8>, CheckpointError> {
    let wrong = |reason: String| CheckpointError::Archive(format!("{name}: {reason}"));
    let mut file = archive.by_name(name).map_err(|error| wrong(error.to_string()))?;
    if !file.is_file() {
        return Err(wrong("no ordinary file".to_owned()));
    }
    let (size, stored) = (file.size(), file.compressed_size());
    // torch.save compresses nothing: whoever packed it again packed small things
    let most = if file.compression() == CompressionMethod::Stored { most } else { most.min(MOST_PICKLE) };
    if size > most {
        return Err(wrong(format!("{size} bytes; expected at most {most}")));
    }
    let plausible = match file.compression() {
        CompressionMethod::Stored => size == stored,
        _ => size <= stored.saturating_mul(MOST_RATIO),
    };
    if !plausible {
        return Err(wrong(format!("{stored} bytes that claim to be {size}")));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(size + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 != size {
        return Err(wrong(format!("another size than the {size} bytes that the archive tells")));
    }
    Ok(bytes)
}

/// Elements in row-major order; all lie within `bytes`.
fn gather<const N: usize, T>(tensor: &TensorInfo, bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    if tensor.elements() == 0 {
        return Vec::new();
    }
    let elements = bytes.as_chunks::<N>().0;
    if tensor.is_contiguous() {
        return elements[tensor.offset..tensor.offset + tensor.elements()]
            .iter()
            .map(|bytes| element(*bytes))
            .collect();
    }
    let mut index = vec![0; tensor.shape.len()];
    let mut values = Vec::with_capacity(tensor.elements());
    for _ in 0..tensor.elements() {
        let place: usize = index.iter().zip(&tensor.strides).map(|(index, stride)| index * stride).sum();
        values.push(element(elements[tensor.offset + place]));
        for d in (0..index.len()).rev() {
            index[d] += 1;
            if index[d] < tensor.shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    values
}

fn integers(tensor: &TensorInfo, bytes: &[u8]) -> Vec<i64> {
    match tensor.dtype {
        DType::I64 => gather(tensor, bytes, i64::from_le_bytes),
        DType::I32 => gather(tensor, bytes, |bytes| i64::from(i32::from_le_bytes(bytes))),
        DType::I16 => gather(tensor, bytes, |bytes| i64::from(i16::from_le_bytes(bytes))),
        DType::I8 => gather(tensor, bytes, |bytes| i64::from(i8::from_le_bytes(bytes))),
        DType::U8 | DType::Bool => gather(tensor, bytes, |bytes: [u8; 1]| i64::from(bytes[0])),
        // asked for by readers of floats only
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => Vec::new(),
    }
}
