//! The values of one variable, in one of the two copies.

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata, ArraySubset, CodecOptions};
use zarrs_object_store::AsyncObjectStore;

use super::metadata::{self, Copy, Packing};
use super::spec::{Encoding, ForecastSpec};
use super::{Location, StoreError};

type ZarrStore = AsyncObjectStore<Arc<dyn ObjectStore>>;

/// A variable's array, with the packing that its values go through.
pub(super) struct VariableArray {
    array: Array<ZarrStore>,
    packing: Option<Packing>,
    /// Shape of one object: `[1, leads, level?, rows, columns]`.
    object_shape: Vec<u64>,
    has_levels: bool,
    name: String,
    location: Location,
}

impl VariableArray {
    /// Opens the array of an output from the specification alone; nothing is read.
    pub fn open(location: &Location, spec: &ForecastSpec, output: usize, copy: Copy) -> Result<Self, StoreError> {
        let vertical = metadata::vertical_dimensions(spec).swap_remove(output);
        let output = &spec.outputs[output];
        let document = metadata::variable_document(spec, output, vertical.as_deref(), copy);
        let name = output.variable.name.to_string();
        let corrupt = |reason: String| StoreError::Corrupt { object: format!("{location}/{name}"), reason };
        let metadata: ArrayMetadata = serde_json::from_value(document).map_err(|error| corrupt(error.to_string()))?;
        let store = Arc::new(AsyncObjectStore::new(location.store().clone()));
        let array = Array::new_with_metadata(store, &format!("/{name}"), metadata)
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(Self {
            array,
            packing: (spec.encoding == Encoding::Packed).then(|| Packing::of(output)),
            object_shape: metadata::chunk_shapes(spec, output, copy).0,
            has_levels: metadata::has_levels(output),
            name,
            location: location.clone(),
        })
    }

    /// Chunk indices of the object that holds `lead` (index of the object along the lead axis), `level` and `band`.
    fn object_index(&self, lead: u64, level: usize, band: u64) -> Vec<u64> {
        let mut index = vec![0, lead];
        index.extend(self.has_levels.then_some(level as u64));
        index.extend([band, 0]);
        index
    }

    /// Writes one object. `values` are `[leads, rows, columns]` and may be smaller than the object: at the edges of the
    /// grid the rest is missing values.
    pub async fn write_object(
        &self,
        (lead, level, band): (u64, usize, u64),
        (leads, rows, columns): (usize, usize, usize),
        values: &[f32],
    ) -> Result<(), StoreError> {
        let n = self.object_shape.len();
        let (object_rows, object_columns) = (self.object_shape[n - 2] as usize, self.object_shape[n - 1] as usize);
        let mut padded = vec![f32::NAN; leads * object_rows * object_columns];
        for lead in 0..leads {
            for row in 0..rows {
                let from = (lead * rows + row) * columns;
                let to = (lead * object_rows + row) * object_columns;
                padded[to..to + columns].copy_from_slice(&values[from..from + columns]);
            }
        }
        let index = self.object_index(lead, level, band);
        // an object that is not there must always mean that something is wrong
        let options = CodecOptions::default().with_store_empty_chunks(true).with_concurrent_target(1);
        let bytes = self.encode(&padded)?;
        let result = self.array.async_store_chunk_opt(&index, ArrayBytes::new_flen(bytes), &options).await;
        result.map_err(|error| match error {
            zarrs::array::ArrayError::StorageError(source) => {
                StoreError::storage(format!("writing {}/{}", self.location, self.name), source)
            }
            other => StoreError::from_array(format!("{}/{}", self.location, self.name), other),
        })
    }

    /// Values as they are stored, little-endian.
    fn encode(&self, values: &[f32]) -> Result<Vec<u8>, StoreError> {
        let Some(packing) = self.packing else {
            return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        };
        let mut bytes = Vec::with_capacity(values.len() * packing.bits as usize / 8);
        for &value in values {
            let packed = packing.pack(value).ok_or_else(|| StoreError::Unpackable {
                what: format!("{} value {value}", self.name),
                reason: format!(
                    "a step of {} around {} in {} bits does not reach it",
                    packing.scale, packing.offset, packing.bits
                ),
            })?;
            bytes.extend_from_slice(&packed.to_le_bytes()[..packing.bits as usize / 8]);
        }
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        match self.packing {
            None => bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect(),
            Some(packing) if packing.bits == 16 => {
                bytes.as_chunks().0.iter().map(|value| packing.unpack(i16::from_le_bytes(*value).into())).collect()
            }
            Some(packing) => {
                bytes.as_chunks().0.iter().map(|value| packing.unpack(i32::from_le_bytes(*value).into())).collect()
            }
        }
    }

    /// Reads `[leads, rows, columns]` of one level.
    pub async fn read(
        &self,
        leads: Range<usize>,
        level: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Vec<f32>, StoreError> {
        let range = |range: &Range<usize>| range.start as u64..range.end as u64;
        let mut ranges = vec![0..1, range(&leads)];
        ranges.extend(self.has_levels.then_some(level as u64..level as u64 + 1));
        ranges.extend([range(&rows), range(&columns)]);
        let subset = ArraySubset::new_with_ranges(&ranges);
        let object = || format!("{}/{}", self.location, self.name);
        let bytes = self.array.async_retrieve_array_subset::<ArrayBytes<'static>>(&subset).await;
        let bytes = bytes.and_then(|bytes| Ok(bytes.into_fixed()?.into_owned()));
        let values = self.decode(&bytes.map_err(|error| StoreError::from_array(object(), error))?);
        // the array library gives missing values for an object that is not there; published fields have none
        if values.iter().any(|value| value.is_nan()) {
            self.check_objects(&leads, level, &rows).await?;
        }
        Ok(values)
    }

    /// All objects that a read touches are there.
    async fn check_objects(&self, leads: &Range<usize>, level: usize, rows: &Range<usize>) -> Result<(), StoreError> {
        let n = self.object_shape.len();
        let along = |range: &Range<usize>, size: u64| range.start as u64 / size..=(range.end.max(1) - 1) as u64 / size;
        for lead in along(leads, self.object_shape[1]) {
            for band in along(rows, self.object_shape[n - 2]) {
                let index: Vec<String> = self.object_index(lead, level, band).iter().map(ToString::to_string).collect();
                let path = Path::from(format!("{}/c/{}", self.name, index.join("/")));
                match self.location.store().head(&path).await {
                    Ok(_) => {}
                    Err(object_store::Error::NotFound { .. }) => {
                        let object = format!("{}/{path}", self.location);
                        return Err(StoreError::Corrupt {
                            object,
                            reason: "it is missing, though its step is published".to_owned(),
                        });
                    }
                    Err(error) => return Err(StoreError::storage(format!("looking for {path}"), error)),
                }
            }
        }
        Ok(())
    }

    /// One whole field.
    pub async fn read_field(
        &self,
        lead: usize,
        level: usize,
        (h, w): (usize, usize),
    ) -> Result<Array2<f32>, StoreError> {
        self.read_window(lead, level, 0..h, 0..w).await
    }

    /// Part of a field.
    pub async fn read_window(
        &self,
        lead: usize,
        level: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Array2<f32>, StoreError> {
        let shape = (rows.len(), columns.len());
        let values = self.read(lead..lead + 1, level, rows, columns).await?;
        Array2::from_shape_vec(shape, values).map_err(|error| StoreError::Corrupt {
            object: format!("{}/{}", self.location, self.name),
            reason: error.to_string(),
        })
    }
}
