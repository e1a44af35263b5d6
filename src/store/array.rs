//! The values of one variable, in one of the two copies.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::{Array3, s};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::spawn_blocking;

use super::metadata::{self, Copy};
use super::packing::Packing;
use super::shard::{EncodeError, Part, Shape, ShardCodec};
use super::spec::{Encoding, ForecastSpec};
use super::{Location, StoreError};

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
        let path = self.path(index);
        let chunks = self.codec.chunks_of(&part);
        let pieces = self.fetch(&path, &chunks).await?;
        let codec = self.codec.clone();
        let decoded = spawn_blocking(move || {
            let mut values = Array3::from_elem((part.leads.len(), part.rows.len(), part.columns.len()), f32::NAN);
            let pieces: Vec<(usize, Bytes)> = chunks.into_iter().zip(pieces).collect();
            codec.decode(&part, &pieces, values.view_mut()).map(|()| values)
        });
        let decoded = decoded.await.map_err(|error| StoreError::storage(format!("decoding {path}"), error))?;
        decoded.map_err(|reason| self.corrupt(&path, reason))
    }

    /// The bytes of some inner chunks: all of the object at once where that is about as much, else its index first.
    async fn fetch(&self, path: &Path, chunks: &[usize]) -> Result<Vec<Bytes>, StoreError> {
        let store = self.location.store();
        let index_len = self.codec.index_len();
        let all = self.codec.wants_all(chunks.len());
        let range = (!all).then_some(GetRange::Suffix(index_len as u64));
        let options = GetOptions { range, ..Default::default() };
        let sizes = index_len as u64..=self.codec.largest_object();
        let wrong_size = |size: u64| self.corrupt(path, format!("it has {size} bytes, expected {sizes:?}"));
        let found = match store.get_opts(path, options).await {
            Ok(found) if sizes.contains(&found.meta.size) => found,
            Ok(found) => return Err(wrong_size(found.meta.size)),
            // not every store knows what the end of an empty object is
            Err(error) => match store.head(path).await {
                Ok(meta) if !sizes.contains(&meta.size) => return Err(wrong_size(meta.size)),
                _ => return Err(self.read_error(path, error)),
            },
        };
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
    fn read_error(&self, path: &Path, error: object_store::Error) -> StoreError {
        match error {
            object_store::Error::NotFound { .. } => {
                self.corrupt(path, "it is missing, though its step is published".to_owned())
            }
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
