//! Batches of small matrix products.
//!
//! Candle multiplies the matrices of a batch one after the other, each with all threads; for the many small products of a
//! spherical-harmonic transform that is several times slower than one product per thread. Each product is computed by one
//! thread from beginning to end, so the bits do not depend on the number of threads.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use gemm::Parallelism;
use rayon::prelude::*;

use super::slices::{Shared, with_f32, written};

/// Which part of each product is needed, where the matrices of a batch are triangular as a whole. `b` is the index in
/// the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triangle {
    Full,
    /// Rows `b..` of the result; the others are zero.
    RowsFrom,
    /// Rows `..=b` of the result; the others are zero.
    RowsTo,
    /// The left columns and right rows before `b` are zero.
    InnerFrom,
}

impl Triangle {
    fn rows(self, b: usize, rows: usize) -> Range<usize> {
        match self {
            Self::RowsFrom => b.min(rows)..rows,
            Self::RowsTo => 0..(b + 1).min(rows),
            Self::Full | Self::InnerFrom => 0..rows,
        }
    }

    fn inner(self, b: usize, inner: usize) -> Range<usize> {
        if self == Self::InnerFrom { b.min(inner)..inner } else { 0..inner }
    }
}

/// Where the products of a batch are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAxis {
    /// `[B, M, N]`
    First,
    /// `[M, B, N]`
    Second,
}

/// `lhs [B|1, M, K] · rhs [B, K, N]`, any strides, float32 → contiguous, see [`BatchAxis`].
pub fn batched_matmul(lhs: &Tensor, rhs: &Tensor, triangle: Triangle, axis: BatchAxis) -> Result<Tensor> {
    let (lhs_batch, m, k) = lhs.dims3()?;
    let (batch, rhs_k, n) = rhs.dims3()?;
    if rhs_k != k || (lhs_batch != batch && lhs_batch != 1) {
        bail!("batched_matmul: {:?} does not multiply {:?}", lhs.dims(), rhs.dims());
    }
    let shape = match axis {
        BatchAxis::First => (batch, m, n),
        BatchAxis::Second => (m, batch, n),
    };
    if !matches!(lhs.device(), Device::Cpu) {
        // what a triangle leaves out is zero in the operands, or never read from the result
        let product = lhs.broadcast_matmul(&rhs.contiguous()?)?;
        return if axis == BatchAxis::First { Ok(product) } else { product.transpose(0, 1)?.contiguous() };
    }
    let fill = |out: Shared| {
        with_f32(lhs, |lhs_values, lhs_layout| {
            with_f32(rhs, |rhs_values, rhs_layout| {
                let (ls, rs) = (lhs_layout.stride(), rhs_layout.stride());
                (0..batch).into_par_iter().for_each(|b| {
                    let (rows, inner) = (triangle.rows(b, m), triangle.inner(b, k));
                    let (out_start, out_stride) = match axis {
                        BatchAxis::First => (b * m * n, n),
                        BatchAxis::Second => (b * n, batch * n),
                    };
                    let lhs_b = if lhs_batch == 1 { 0 } else { b };
                    let left = lhs_layout.start_offset() + lhs_b * ls[0] + rows.start * ls[1] + inner.start * ls[2];
                    let right = rhs_layout.start_offset() + b * rs[0] + inner.start * rs[1];
                    let computed = if inner.is_empty() { 0..0 } else { rows.clone() };
                    // SAFETY: offsets and strides come from the tensors' own layouts, the result's from its size, and each
                    // b writes rows of its own
                    unsafe {
                        for row in (0..m).filter(|row| !computed.contains(row)) {
                            out.zeros(out_start + row * out_stride, n);
                        }
                        if computed.is_empty() {
                            return;
                        }
                        product(
                            (rows.len(), n, inner.len()),
                            (out.at(out_start + rows.start * out_stride), out_stride),
                            (lhs_values.as_ptr().add(left), ls[1], ls[2]),
                            (rhs_values.as_ptr().add(right), rs[1], rs[2]),
                            (false, 1.0),
                        );
                    }
                });
                Ok(())
            })
        })
    };
    // SAFETY: each b writes all its rows
    let out = unsafe { written(batch * m * n, fill) }?;
    Tensor::from_vec(out, shape, lhs.device())
}

/// Complex products with the real and imaginary parts side by side: `x [B, M, 2·I]` (any strides) times
/// `weight [B, 2, I, O]` (contiguous; real part, then imaginary) → contiguous `[B, M, 2·O]`.
/// With `RowsTo`, only rows `..=b`.
pub fn batched_complex_matmul(x: &Tensor, weight: &Tensor, triangle: Triangle) -> Result<Tensor> {
    let (batch, m, i2) = x.dims3()?;
    let (weight_batch, parts, i, o) = weight.dims4()?;
    if weight_batch != batch || parts != 2 || i2 != 2 * i || triangle == Triangle::InnerFrom {
        bail!("batched_complex_matmul: {:?} does not multiply {:?}", x.dims(), weight.dims());
    }
    if !matches!(x.device(), Device::Cpu) {
        let (re, im) = (x.narrow(2, 0, i)?.contiguous()?, x.narrow(2, i, i)?.contiguous()?);
        let (w_re, w_im) = (weight.narrow(1, 0, 1)?.squeeze(1)?, weight.narrow(1, 1, 1)?.squeeze(1)?);
        let out_re = (re.matmul(&w_re)? - im.matmul(&w_im)?)?;
        let out_im = (re.matmul(&w_im)? + im.matmul(&w_re)?)?;
        return Tensor::cat(&[out_re, out_im], 2);
    }
    let fill = |out: Shared| {
        with_f32(x, |values, layout| {
            super::slices::with_contiguous(weight, |weights| {
                let s = layout.stride();
                // the longest rows first: with triangular work, threads finish together
                (0..batch).into_par_iter().rev().for_each(|b| {
                    let rows = triangle.rows(b, m);
                    let shape = (rows.len(), o, i);
                    let start = layout.start_offset() + b * s[0] + rows.start * s[1];
                    let out_start = b * m * 2 * o + rows.start * 2 * o;
                    // SAFETY: offsets and strides come from the tensors' own layouts, the result's from its size, and each
                    // b writes rows of its own
                    unsafe {
                        for row in (0..m).filter(|row| !rows.contains(row)) {
                            out.zeros((b * m + row) * 2 * o, 2 * o);
                        }
                        if rows.is_empty() {
                            return;
                        }
                        let re = (values.as_ptr().add(start), s[1], s[2]);
                        let im = (values.as_ptr().add(start + i * s[2]), s[1], s[2]);
                        let w_re = (weights.as_ptr().add(b * 2 * i * o), o, 1);
                        let w_im = (weights.as_ptr().add((b * 2 + 1) * i * o), o, 1);
                        let out_re = (out.at(out_start), 2 * o);
                        let out_im = (out.at(out_start + o), 2 * o);
                        product(shape, out_re, re, w_re, (false, 1.0));
                        product(shape, out_re, im, w_im, (true, -1.0));
                        product(shape, out_im, re, w_im, (false, 1.0));
                        product(shape, out_im, im, w_re, (true, 1.0));
                    }
                });
                Ok(())
            })
        })
    };
    // SAFETY: each b writes all its rows
    let out = unsafe { written(batch * m * 2 * o, fill) }?;
    Tensor::from_vec(out, (batch, m, 2 * o), x.device())
}

/// One product on this thread: `out = [out +] factor · lhs · rhs`, `out` with contiguous rows.
/// Arguments: `(m, n, k)`, `(out, row stride)`, `(lhs, row stride, column stride)`, `(rhs, …)`, `(add, factor)`.
///
/// # Safety
/// All elements that the shape and the strides reach lie inside the buffers; `out` is written by nobody else meanwhile.
pub(super) unsafe fn product(
    (m, n, k): (usize, usize, usize),
    (out, out_row): (*mut f32, usize),
    (lhs, lhs_row, lhs_col): (*const f32, usize, usize),
    (rhs, rhs_row, rhs_col): (*const f32, usize, usize),
    (add, factor): (bool, f32),
) {
    // SAFETY: promised by the caller
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            out_row as isize,
            add,
            lhs,
            lhs_col as isize,
            lhs_row as isize,
            rhs,
            rhs_col as isize,
            rhs_row as isize,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(shape: (usize, usize, usize)) -> Tensor {
        Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn agrees_with_candle_for_any_strides() {
        let (lhs, rhs) = (random((5, 7, 6)), random((6, 5, 9)).transpose(0, 1).unwrap());
        let expected = lhs.matmul(&rhs.contiguous().unwrap()).unwrap();
        assert!(distance(&batched_matmul(&lhs, &rhs, Triangle::Full, BatchAxis::First).unwrap(), &expected) < 1e-5);
        let second = batched_matmul(&lhs, &rhs, Triangle::Full, BatchAxis::Second).unwrap();
        assert!(distance(&second, &expected.transpose(0, 1).unwrap()) < 1e-5);
        let shared = batched_matmul(&lhs.narrow(0, 2, 1).unwrap(), &rhs, Triangle::Full, BatchAxis::First).unwrap();
        let expected = lhs.narrow(0, 2, 1).unwrap().broadcast_matmul(&rhs.contiguous().unwrap()).unwrap();
        assert!(distance(&shared, &expected) < 1e-5);
    }

    #[test]
    fn triangles_leave_out_what_they_say() {
        let (lhs, rhs) = (random((4, 6, 5)), random((4, 5, 3)));
        let full = lhs.matmul(&rhs).unwrap();
        let rows = |t: &Tensor, b: usize, from: usize, n: usize| t.get(b).unwrap().narrow(0, from, n).unwrap();
        for b in 0..4 {
            let from = batched_matmul(&lhs, &rhs, Triangle::RowsFrom, BatchAxis::First).unwrap();
            assert!(distance(&rows(&from, b, b, 6 - b), &rows(&full, b, b, 6 - b)) < 1e-5);
            let to = batched_matmul(&lhs, &rhs, Triangle::RowsTo, BatchAxis::First).unwrap();
            assert!(distance(&rows(&to, b, 0, b + 1), &rows(&full, b, 0, b + 1)) < 1e-5);
            let inner = batched_matmul(&lhs, &rhs, Triangle::InnerFrom, BatchAxis::First).unwrap().get(b).unwrap();
            let expected = lhs
                .get(b)
                .unwrap()
                .narrow(1, b, 5 - b)
                .unwrap()
                .matmul(&rhs.get(b).unwrap().narrow(0, b, 5 - b).unwrap());
            assert!(distance(&inner, &expected.unwrap()) < 1e-5);
        }
    }

    #[test]
    fn complex_products() {
        let (x, weight) = (random((3, 4, 10)), Tensor::randn(0f32, 1f32, (3, 2, 5, 6), &Device::Cpu).unwrap());
        let out = batched_complex_matmul(&x, &weight, Triangle::Full).unwrap().to_vec3::<f32>().unwrap();
        let x = x.to_vec3::<f32>().unwrap();
        let w = |b: usize, part: usize, i: usize, o: usize| {
            weight.get(b).unwrap().get(part).unwrap().get(i).unwrap().get(o).unwrap().to_scalar::<f32>().unwrap()
        };
        for (b, m, o) in [(0, 0, 0), (2, 3, 5), (1, 2, 3)] {
            let (mut re, mut im) = (0.0, 0.0);
            for i in 0..5 {
                let (a, c) = (x[b][m][i], x[b][m][5 + i]);
                re += a * w(b, 0, i, o) - c * w(b, 1, i, o);
                im += a * w(b, 1, i, o) + c * w(b, 0, i, o);
            }
            assert!((out[b][m][o] - re).abs() < 1e-5 && (out[b][m][6 + o] - im).abs() < 1e-5);
        }
    }
}
