//! A zip file as a store of the array library, stored or deflated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zarrs::storage::byte_range::ByteRangeIterator;
use zarrs::storage::{Bytes, MaybeBytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey};
use zip::ZipArchive;
use zip::result::ZipError;

/// Larger entries are no chunks: a small file can claim to hold any amount of zeros.
const MOST_ENTRY_BYTES: u64 = 2 << 30;

/// The entries of a zip file.
pub struct Archive(Mutex<ZipArchive<BufReader<File>>>);

impl Archive {
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("no readable file ({error})"))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| format!("a damaged zip file ({error})"))?;
        Ok(Self(Mutex::new(archive)))
    }

    /// Names of all entries that have a readable one.
    pub fn keys(&self) -> Vec<String> {
        self.lock().file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ZipArchive<BufReader<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadableStorageTraits for Archive {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let failed = |error: String| StorageError::Other(format!("{key}: {error}"));
        let mut archive = self.lock();
        let entry = match archive.by_name(key.as_str()) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut bytes = Vec::new();
        let read = entry.take(MOST_ENTRY_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > MOST_ENTRY_BYTES {
            return Err(failed(format!("more than {MOST_ENTRY_BYTES} bytes")));
        }
        Ok(Some(Bytes::from(bytes)))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(whole) = self.get(key)? else { return Ok(None) };
        let key = key.clone();
        let part = move |range: zarrs::storage::byte_range::ByteRange| {
            let range = range.to_range(whole.len() as u64);
            match (usize::try_from(range.start), usize::try_from(range.end)) {
                (Ok(start), Ok(end)) if start <= end && end <= whole.len() => Ok(whole.slice(start..end)),
                _ => Err(StorageError::Other(format!("{key}: bytes {range:?} of {}", whole.len()))),
            }
        };
        Ok(Some(Box::new(byte_ranges.map(part))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        match self.lock().by_name(key.as_str()) {
            Ok(entry) => Ok(Some(entry.size())),
            Err(ZipError::FileNotFound) => Ok(None),
            Err(error) => Err(StorageError::Other(format!("{key}: {error}"))),
        }
    }

    fn supports_get_partial(&self) -> bool {
        false
    }
}
