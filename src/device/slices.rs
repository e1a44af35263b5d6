//! Tensors as slices: how kernels reach the numbers of a CPU tensor without copying them.

use std::mem::MaybeUninit;

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

/// Runs `f` on the values of all tensors, as above.
pub(super) fn with_all<R>(tensors: &[&Tensor], f: &mut dyn FnMut(&[&[f32]]) -> Result<R>) -> Result<R> {
    fn next<'a, R>(
        rest: &[&Tensor],
        slices: &mut Vec<&'a [f32]>,
        f: &mut dyn FnMut(&[&[f32]]) -> Result<R>,
    ) -> Result<R> {
        let Some((first, rest)) = rest.split_first() else { return f(slices) };
        with_contiguous(first, |values| {
            let mut slices: Vec<&[f32]> = slices.iter().copied().chain([values]).collect();
            next(rest, &mut slices, f)
        })
    }
    next(tensors, &mut Vec::new(), f)
}

/// A vector that `fill` writes: it is not set to zero before, which for a large one takes as long as many a kernel.
///
/// # Safety
/// Unless it fails, `fill` writes all `len` numbers.
pub(super) unsafe fn written(len: usize, fill: impl FnOnce(Shared) -> Result<()>) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(len);
    fill(Shared(values.as_mut_ptr()))?;
    // SAFETY: there is room for them, and the caller promises that they were written
    unsafe { values.set_len(len) };
    Ok(values)
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

    /// `count` numbers from `offset` on, to be written.
    ///
    /// # Safety
    /// They lie inside the buffer, and nobody else has them meanwhile.
    pub unsafe fn part<'a>(self, offset: usize, count: usize) -> &'a mut [MaybeUninit<f32>] {
        // SAFETY: promised by the caller
        unsafe { std::slice::from_raw_parts_mut(self.at(offset).cast(), count) }
    }

    /// The same, set to zero.
    ///
    /// # Safety
    /// As above.
    pub unsafe fn zeros<'a>(self, offset: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: promised by the caller, and all bits zero are a number
        unsafe {
            self.at(offset).write_bytes(0, count);
            std::slice::from_raw_parts_mut(self.at(offset), count)
        }
    }
}
