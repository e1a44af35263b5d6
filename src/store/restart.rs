//! The last steps of a packed forecast in full precision, while it is being made: what a resumed run goes on from.

use bytes::Bytes;
use ndarray::Array2;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::shard::bytes_of;
use super::spec::ForecastSpec;
use super::{Location, StoreError};
use crate::atmos::Field;

/// Folder of these objects. Each is the float32 values of a step, little-endian, field after field in the order of the
/// outputs; the manifest has its checksum.
pub(super) const FOLDER: &str = "restart";

/// Of a member's step; single forecasts have no folder for members.
pub(super) fn path(spec: &ForecastSpec, member: usize, step: usize) -> Path {
    match spec.is_ensemble() {
        true => Path::from(format!("{FOLDER}/{member}/{step}")),
        false => Path::from(format!("{FOLDER}/{step}")),
    }
}

pub(super) async fn write(location: &Location, path: &Path, fields: &[Field]) -> Result<(), StoreError> {
    let values = fields.iter().flat_map(|field| field.values().iter());
    let bytes = bytes_of(values.map(|value| value.to_le_bytes()));
    let written = location.store().put(path, PutPayload::from(bytes)).await;
    written.map(drop).map_err(|error| StoreError::storage(format!("writing {location}/{path}"), error))
}

pub(super) async fn read(
    location: &Location,
    spec: &ForecastSpec,
    path: &Path,
) -> Result<Vec<Array2<f32>>, StoreError> {
    let object = || format!("{location}/{path}");
    let failed = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => {
            StoreError::Corrupt { object: object(), reason: "it is missing".to_owned() }
        }
        error => StoreError::storage(format!("reading {}", object()), error),
    };
    let (h, w) = spec.grid.shape();
    let due = spec.fields().count() * h * w * 4;
    let found = location.store().get(path).await.map_err(failed)?;
    if found.meta.size != due as u64 {
        let reason = format!("{} bytes where {due} are due", found.meta.size);
        return Err(StoreError::Corrupt { object: object(), reason });
    }
    let bytes: Bytes = found.bytes().await.map_err(failed)?;
    let field = |bytes: &[u8]| {
        let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        let damaged = |error: ndarray::ShapeError| StoreError::Corrupt { object: object(), reason: error.to_string() };
        Array2::from_shape_vec((h, w), values).map_err(damaged)
    };
    bytes.chunks_exact(h * w * 4).map(field).collect()
}
