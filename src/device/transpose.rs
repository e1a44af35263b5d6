//! Rows become columns.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::slices::with_contiguous;

/// Rows and columns of a tile: both its sides stay in the first-level cache.
const TILE: usize = 32;

/// Contiguous `[A, B]` → contiguous `[B, A]`.
pub fn transposed(x: &Tensor) -> Result<Tensor> {
    let (a, b) = x.dims2()?;
    let x = x.contiguous()?;
    if !matches!(x.device(), Device::Cpu) {
        return x.t()?.contiguous();
    }
    let mut out = vec![0f32; a * b];
    with_contiguous(&x, |x| {
        out.par_chunks_mut((TILE * a).max(1)).enumerate().for_each(|(tile, out)| {
            let columns = tile * TILE..(tile * TILE + out.len() / a.max(1));
            for rows in (0..a).step_by(TILE) {
                for row in rows..(rows + TILE).min(a) {
                    for (n, value) in x[row * b..][columns.clone()].iter().enumerate() {
                        out[n * a + row] = *value;
                    }
                }
            }
        });
        Ok(())
    })?;
    Tensor::from_vec(out, (b, a), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_candle() {
        for shape in [(1, 1), (3, 100), (100, 3), (83, 1000), (65, 64), (0, 5), (5, 0)] {
            let x = Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
            let expected = x.t().unwrap().contiguous().unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(transposed(&x).unwrap().to_vec2::<f32>().unwrap(), expected, "{shape:?}");
        }
    }
}
