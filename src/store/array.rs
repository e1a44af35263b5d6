//! The values of one variable, in one of the two copies.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::{Array2, Array3, s};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::spawn_blocking;

use super::metadata::{self, Copy};
use super::packing::Packing;
use super::shard::{EncodeError, Part, Shape, ShardCodec};
use super::spec::{Encoding, ForecastSpec};
use super::{Location, StoreError, local};

/// A variable's objects and what they are made of.
pub(super) struct VariableArray {
    codec: Arc<ShardCodec>,
    location: Location,
    name: String,
    has_members: bool,
    has_levels: bool,
    /// Points have no rows.
    has_rows: bool,
}

/// Which object: its place along the lead times and the rows, in objects, its member and the index of its level.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectIndex {
    pub lead: usize,
    pub member: usize,
    pub level: usize,
    pub band: usize,
}

impl VariableArray {
    /// From the specification alone: nothing is read.
    pub fn new(location: &Location, spec: &ForecastSpec, output: usize, copy: Copy) -> Result<Self, StoreError> {
        let output = &spec.outputs[output];
        let packing = (spec.encoding == Encoding::Packed).then(|| Packing::of(output));
        let codec = ShardCodec::new(Shape::of(spec, copy), packing)
            .map_err(|reason| StoreError::storage("setting up the codecs", reason))?;
        Ok(Self {
            codec: Arc::new(codec),
            location: location.clone(),
            name: output.variable.name.to_string(),
            has_members: spec.is_ensemble(),
            has_levels: metadata::has_levels(output),
            has_rows: spec.grid.dimensions().len() > 1,
        })
    }

    /// Every variable of a copy, in the order of the outputs.
    pub fn all(location: &Location, spec: &ForecastSpec, copy: Copy) -> Result<Vec<Arc<Self>>, StoreError> {
        (0..spec.outputs.len()).map(|output| Self::new(location, spec, output, copy).map(Arc::new)).collect()
    }

    fn path(&self, index: ObjectIndex) -> Path {
        let ObjectIndex { lead, member, level, band } = index;
        let part = |there: bool, index: usize| if there { format!("/{index}") } else { String::new() };
        let (member, level) = (part(self.has_members, member), part(self.has_levels, level));
        let band = part(self.has_rows, band);
        Path::from(format!("{}/c/0/{lead}{member}{level}{band}/0", self.name))
    }

    /// Writes one object. `values` are `[leads, rows, columns]` from its first corner on, fewer than it holds at the edges.
    pub async fn write(&self, index: ObjectIndex, values: Array3<f32>) -> Result<(), StoreError> {
        let path = self.path(index);
        let codec = self.codec.clone();
        let encoded = spawn_blocking(move || codec.encode(values.view())).await;
        let encoded = encoded.map_err(|error| StoreError::storage(format!("encoding {path}"), error))?;
        let object = encoded.map_err(|error| match error {
            EncodeError::OutOfReach { value, reach: (low, high) } => StoreError::Unpackable {
                what: format!("{}/{path}", self.location),
                reason: format!("{value} is outside {low}..{high}, what the integers span"),
            },
            EncodeError::Codec(reason) => StoreError::storage(format!("encoding {path}"), reason),
        })?;
        let written = self.location.store().put(&path, PutPayload::from(object)).await;
        written.map(drop).map_err(|error| StoreError::storage(format!("writing {}/{path}", self.location), error))
    }

    /// Reads part of one level of a member, `[leads, rows, columns]`. The part lies within the array.
    pub async fn read(&self, (member, level): (usize, usize), part: Part) -> Result<Array3<f32>, StoreError> {
        let shape = *self.codec.shape();
        let mut values = Array3::from_elem((part.leads.len(), part.rows.len(), part.columns.len()), f32::NAN);
        for lead in part.leads.start / shape.leads..part.leads.end.div_ceil(shape.leads) {
            for band in part.rows.start / shape.rows..part.rows.end.div_ceil(shape.rows) {
                let (leads, in_leads) = overlap(&part.leads, lead, shape.leads);
                let (rows, in_rows) = overlap(&part.rows, band, shape.rows);
                let within = Part { leads: in_leads, rows: in_rows, columns: part.columns.clone() };
                let piece = self.read_object(ObjectIndex { lead, member, level, band }, within).await?;
                values.slice_mut(s![leads, rows, ..]).assign(&piece);
            }
        }
        Ok(values)
    }

    async fn read_object(&self, index: ObjectIndex, part: Part) -> Result<Array3<f32>, StoreError> {
        let chunks = self.codec.chunks_of(&part);
        self.read_pieces(&self.path(index), chunks, move |codec, pieces| {
            let mut values = Array3::from_elem((part.leads.len(), part.rows.len(), part.columns.len()), f32::NAN);
            codec.decode(&part, &pieces, values.view_mut()).map(|()| values)
        })
        .await
    }

    /// Whole inner chunks of an object of the map copy, each `[rows, columns]`; missing values lie past the grid's edges.
    pub async fn read_chunks(&self, index: ObjectIndex, chunks: Vec<usize>) -> Result<Vec<Array2<f32>>, StoreError> {
        self.read_pieces(&self.path(index), chunks, |codec, pieces| {
            pieces.iter().map(|(chunk, bytes)| codec.decode_field(*chunk, bytes)).collect()
        })
        .await
    }

    /// Rows and columns of an inner chunk.
    pub fn chunk_shape(&self) -> (usize, usize) {
        (self.codec.shape().chunk_rows, self.codec.shape().chunk_columns)
    }

    /// Reads some inner chunks of an object, and makes something of them where computations are made.
    async fn read_pieces<T: Send + 'static>(
        &self,
        path: &Path,
        chunks: Vec<usize>,
        decode: impl FnOnce(&ShardCodec, Vec<(usize, Bytes)>) -> Result<T, String> + Send + 'static,
    ) -> Result<T, StoreError> {
        let codec = self.codec.clone();
        let decoded = match self.location.local_folder() {
            // at once, on one thread: handing over takes as long as reading
            Some(folder) => {
                let file = folder.join(path.as_ref());
                spawn_blocking(move || {
                    let pieces = local::pieces(&file, &codec, &chunks)?;
                    decode(&codec, chunks.into_iter().zip(pieces).collect()).map_err(local::Fault::Corrupt)
                })
                .await
            }
            None => {
                let pieces = self.fetch(path, &chunks).await?;
                let pieces = chunks.into_iter().zip(pieces).collect();
                spawn_blocking(move || decode(&codec, pieces).map_err(local::Fault::Corrupt)).await
            }
        };
        let decoded = decoded.map_err(|error| StoreError::storage(format!("decoding {path}"), error))?;
        decoded.map_err(|fault| match fault {
            local::Fault::Missing => self.missing(path),
            local::Fault::Corrupt(reason) => self.corrupt(path, reason),
            local::Fault::Disk(error) => StoreError::storage(format!("reading {}/{path}", self.location), error),
        })
    }

    /// The bytes of some inner chunks: all of the object at once where that is about as much, else its index first.
    async fn fetch(&self, path: &Path, chunks: &[usize]) -> Result<Vec<Bytes>, StoreError> {
        let store = self.location.store();
        let index_len = self.codec.index_len();
        let all = self.codec.wants_all(chunks.len());
        let range = (!all).then_some(GetRange::Suffix(index_len as u64));
        let options = GetOptions { range, ..Default::default() };
        let check = |size: u64| self.codec.check_size(size).map_err(|reason| self.corrupt(path, reason));
        let found = match store.get_opts(path, options).await {
            Ok(found) => found,
            // not every store knows what the end of an empty object is
            Err(error) => match store.head(path).await {
                Ok(meta) => return Err(check(meta.size).err().unwrap_or_else(|| self.read_error(path, error))),
                Err(_) => return Err(self.read_error(path, error)),
            },
        };
        check(found.meta.size)?;
        let size = found.meta.size;
        let bytes = found.bytes().await.map_err(|error| self.read_error(path, error))?;
        let index = &bytes[bytes.len().saturating_sub(index_len)..];
        let ranges = self.codec.locate(index, size, chunks).map_err(|reason| self.corrupt(path, reason))?;
        if !all {
            return store.get_ranges(path, &ranges).await.map_err(|error| self.read_error(path, error));
        }
        // where the index says is inside the object's size, but fewer bytes than that may have come
        let slice = |range: &Range<u64>| {
            let (start, end) = (range.start as usize, range.end as usize);
            (end <= bytes.len()).then(|| bytes.slice(start..end))
        };
        ranges.iter().map(|range| slice(range).ok_or_else(|| self.corrupt(path, "it is cut off".to_owned()))).collect()
    }

    fn corrupt(&self, path: &Path, reason: String) -> StoreError {
        StoreError::Corrupt { object: format!("{}/{path}", self.location), reason }
    }

    /// Every object that is read belongs to a published step: one that is not there is damage.
    fn missing(&self, path: &Path) -> StoreError {
        self.corrupt(path, "it is missing, though its step is published".to_owned())
    }

    fn read_error(&self, path: &Path, error: object_store::Error) -> StoreError {
        match error {
            object_store::Error::NotFound { .. } => self.missing(path),
            error => StoreError::storage(format!("reading {}/{path}", self.location), error),
        }
    }
}

/// What a range and the object number `object` of `size` have in common: as positions in the range, and in the object.
fn overlap(range: &Range<usize>, object: usize, size: usize) -> (Range<usize>, Range<usize>) {
    let first = object * size;
    let (start, end) = (range.start.max(first), range.end.min(first + size));
    (start - range.start..end - range.start, start - first..end - first)
}
