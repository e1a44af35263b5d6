//! Weights from disk to a device.

use std::path::Path;

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;

/// Maps a safetensors file into memory: tensors are read from it when the network asks for them.
pub fn map_weights(path: &Path, dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
    // SAFETY: the map is read-only, and a package's files are not written while it is in use; the header was validated
    // against the file's size before. A file that is truncated in this moment ends the process, as with any mapped file.
    unsafe { VarBuilder::from_mmaped_safetensors(&[path], dtype, device) }
}
