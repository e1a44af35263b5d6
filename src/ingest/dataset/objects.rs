//! An object store for the array library, which waits for each answer.

use std::sync::Arc;

use futures::TryFutureExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{Bytes, MaybeBytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey};

use crate::location::Location;

/// The objects below a place.
///
/// Requests run on threads of their own, so that they are waited for wherever numbers are read, also where an
/// asynchronous runtime is at work already.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    background: Arc<Background>,
}

struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

type Answer<T> = Result<T, object_store::Error>;

impl Objects {
    pub fn new(location: &Location) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no threads to read with ({error})"))?;
        Ok(Self { store: location.store().clone(), background: Arc::new(Background(Some(runtime))) })
    }

    /// Names of the folders at the top.
    pub fn folders(&self) -> Answer<Vec<String>> {
        let listed = self.wait(self.store.list_with_delimiter(None))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        let _entered = self.background.0.as_ref().map(Runtime::enter);
        futures::executor::block_on(answer)
    }
}

/// A key as a path, without a second encoding of what is encoded already.
fn path(key: &StoreKey) -> Result<Path, StorageError> {
    Path::parse(key.as_str()).map_err(|error| StorageError::Other(error.to_string()))
}

/// No object is an answer; anything else that goes wrong is not.
fn found<T>(answer: Answer<T>) -> Result<Option<T>, StorageError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(StorageError::Other(error.to_string())),
    }
}

impl ReadableStorageTraits for Objects {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let path = path(key)?;
        found(self.wait(self.store.get(&path).and_then(|object| object.bytes())))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let ranges: Vec<ByteRange> = byte_ranges.collect();
        let Some(size) = self.size_key(key)? else { return Ok(None) };
        let ranges: Vec<_> = ranges.iter().map(|range| range.to_range(size)).collect();
        if let Some(range) = ranges.iter().find(|range| range.start > range.end || range.end > size) {
            return Err(StorageError::Other(format!("{key}: bytes {range:?} of {size}")));
        }
        let path = path(key)?;
        let parts = match self.wait(self.store.get_ranges(&path, &ranges)) {
            // a server that gives objects as a whole only
            Err(object_store::Error::NotSupported { .. }) => {
                let Some(whole) = self.get(key)? else { return Ok(None) };
                let part = |range: &std::ops::Range<u64>| {
                    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
                    (end <= whole.len()).then(|| whole.slice(start..end))
                };
                ranges.iter().map(part).collect::<Option<Vec<Bytes>>>()
            }
            answer => found(answer)?,
        };
        Ok(parts.map(|parts| Box::new(parts.into_iter().map(Ok)) as Box<_>))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        let path = path(key)?;
        Ok(found(self.wait(self.store.head(&path)))?.map(|object| object.size))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}
