//! Tensors as slices: how kernels reach the numbers of a CPU tensor without copying them.

use candle_core::{Error, Layout, Result, Storage, Tensor};

/// Runs `f` on the storage of a CPU float32 tensor and its layout.
pub(super) fn with_f32<R>(x: &Tensor, f: impl FnOnce(&[f32], &Layout) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(storage.as_slice::<f32>()?, layout),
        _ => Err(Error::Msg("a CPU kernel was given a tensor of another device".to_owned())),
    }
}

/// The values of a contiguous CPU float32 tensor.
pub(super) fn with_contiguous<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    with_f32(x, |values, layout| match layout.contiguous_offsets() {
        Some((start, end)) => f(&values[start..end]),
        None => Err(Error::Msg("a CPU kernel was given a tensor that is not contiguous".to_owned())),
    })
}

/// A pointer that parallel tasks share, each writing its own part.
#[derive(Clone, Copy)]
pub(super) struct Shared(pub *mut f32);

// SAFETY: whoever uses it writes disjoint elements from each task, and joins the tasks before the buffer is read.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// `self + offset`; the method keeps closures from capturing the bare pointer.
    ///
    /// # Safety
    /// `offset` lies inside the buffer.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: promised by the caller
        unsafe { self.0.add(offset) }
    }
}
