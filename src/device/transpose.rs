//! Rows become columns.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::slices::{Shared, with_contiguous, written};

/// Side of what is turned in registers.
const SIDE: usize = 4;
/// Rows that are read together: in a row of the result they are a cache line, which is written once and not seen again.
const ROWS: usize = 16;
/// Columns that one task takes of them.
const COLUMNS: usize = 1024;

/// Contiguous `[A, B]` → contiguous `[B, A]`.
pub fn transposed(x: &Tensor) -> Result<Tensor> {
    let (a, b) = x.dims2()?;
    let x = x.contiguous()?;
    if !matches!(x.device(), Device::Cpu) {
        return x.t()?.contiguous();
    }
    let (bands, parts) = (a.div_ceil(ROWS), b.div_ceil(COLUMNS));
    let out = with_contiguous(&x, |x| {
        let fill = |out: Shared| {
            (0..bands * parts).into_par_iter().for_each(|task| {
                let (row, column) = (task / parts * ROWS, task % parts * COLUMNS);
                let (rows, columns) = (row..a.min(row + ROWS), column..b.min(column + COLUMNS));
                // SAFETY: rows and columns are those of `x`, and each task has others
                unsafe { band((x.as_ptr(), b), (out, a), rows, columns) }
            });
            Ok(())
        };
        // SAFETY: the tasks are all rows and columns
        unsafe { written(a * b, fill) }
    })?;
    Tensor::from_vec(out, (b, a), x.device())
}

/// Some rows and columns of a matrix whose rows are `width` long, of which the result's are `height` long.
///
/// # Safety
/// The matrix has them, and nobody else writes them.
unsafe fn band(
    (x, width): (*const f32, usize),
    (out, height): (Shared, usize),
    rows: Range<usize>,
    columns: Range<usize>,
) {
    let whole = |range: &Range<usize>| range.end - range.len() % SIDE;
    let (whole_rows, whole_columns) = (whole(&rows), whole(&columns));
    // SAFETY: promised by the caller
    unsafe {
        for column in (columns.start..whole_columns).step_by(SIDE) {
            for row in (rows.start..whole_rows).step_by(SIDE) {
                turn((x.add(row * width + column), width), (out.at(column * height + row), height));
            }
        }
        let single = |row: usize, column: usize| out.at(column * height + row).write(*x.add(row * width + column));
        for column in columns.clone() {
            (whole_rows..rows.end).for_each(|row| single(row, column));
        }
        for column in whole_columns..columns.end {
            (rows.start..whole_rows).for_each(|row| single(row, column));
        }
    }
}

/// Four rows of four numbers, so far apart, become four columns.
///
/// # Safety
/// They lie inside the buffers.
#[inline(always)]
unsafe fn turn((from, from_row): (*const f32, usize), (to, to_row): (*mut f32, usize)) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
        // SAFETY: promised by the caller; the instructions are those of every processor of this kind
        unsafe {
            let mut a = _mm_loadu_ps(from);
            let mut b = _mm_loadu_ps(from.add(from_row));
            let mut c = _mm_loadu_ps(from.add(2 * from_row));
            let mut d = _mm_loadu_ps(from.add(3 * from_row));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (n, column) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.add(n * to_row), column);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for row in 0..SIDE {
        for column in 0..SIDE {
            // SAFETY: promised by the caller
            unsafe { to.add(column * to_row + row).write(*from.add(row * from_row + column)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_candle() {
        for shape in [(1, 1), (3, 100), (100, 3), (83, 1000), (65, 64), (6, 2500), (0, 5), (5, 0)] {
            let x = Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
            let expected = x.t().unwrap().contiguous().unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(transposed(&x).unwrap().to_vec2::<f32>().unwrap(), expected, "{shape:?}");
        }
    }
}
