//! Normalisation over all points of each channel.

use candle_core::{D, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::slices::{Shared, with_all, written};

/// Points that one task takes. Sums are made of theirs, in one order whatever the number of threads.
const POINTS: usize = 512;

/// `(x − mean) / √(variance + eps) · weight + bias` with mean and variance over the rows of each column: `x [N, C]` → `[N, C]`;
/// `weight` and `bias` are `[1, C]` or `[N, 1]`, all contiguous float32 (Ulyanov et al. 2016, <https://arxiv.org/abs/1607.08022>).
pub fn channel_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let (n, c) = x.dims2()?;
    let by_point = weight.dims() != [1, c];
    if bias.dims() != weight.dims() || (by_point && weight.dims() != [n, 1]) {
        bail!("channel_norm: {:?}, {:?} and {:?}", x.dims(), weight.dims(), bias.dims());
    }
    if !matches!(x.device(), Device::Cpu) {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus2)?)?;
        let scale = (x.sqr()?.mean_keepdim(D::Minus2)? + eps)?.sqrt()?.recip()?;
        return x.broadcast_mul(&scale)?.broadcast_mul(weight)?.broadcast_add(bias);
    }
    let fill = |out: Shared| {
        with_all(&[x, weight, bias], &mut |slices| {
            let [x, weight, bias] = slices else { bail!("channel_norm: {} tensors", slices.len()) };
            let mean = means(x, c, |value, _| f64::from(value));
            let variance = means(x, c, |value, column| (f64::from(value) - mean[column]).powi(2));
            let scale: Vec<f32> = variance.iter().map(|variance| (1.0 / (variance + eps).sqrt()) as f32).collect();
            let mean: Vec<f32> = mean.iter().map(|mean| *mean as f32).collect();
            x.par_chunks((POINTS * c).max(1)).enumerate().for_each(|(chunk, x)| {
                // SAFETY: each chunk has its own rows
                let out = unsafe { out.part(chunk * POINTS * c, x.len()) };
                let rows = x.chunks_exact(c).zip(out.chunks_exact_mut(c));
                for (point, (x, out)) in (chunk * POINTS..).zip(rows) {
                    for (column, (x, out)) in x.iter().zip(out).enumerate() {
                        let at = if by_point { point } else { column };
                        out.write((x - mean[column]) * scale[column] * weight[at] + bias[at]);
                    }
                }
            });
            Ok(())
        })
    };
    // SAFETY: the chunks are all rows
    let out = unsafe { written(n * c, fill) }?;
    Tensor::from_vec(out, (n, c), x.device())
}

/// The mean of `f` of each column's values, and of the column.
fn means(x: &[f32], c: usize, f: impl Fn(f32, usize) -> f64 + Sync) -> Vec<f64> {
    let sums = x.par_chunks((POINTS * c).max(1)).map(|x| {
        let mut sums = vec![0f64; c];
        for row in x.chunks_exact(c) {
            sums.iter_mut().zip(row).enumerate().for_each(|(column, (sum, value))| *sum += f(*value, column));
        }
        sums
    });
    let mut mean = vec![0f64; c];
    for sums in sums.collect::<Vec<_>>() {
        mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum);
    }
    let points = (x.len() / c.max(1)).max(1) as f64;
    mean.iter_mut().for_each(|mean| *mean /= points);
    mean
}

#[cfg(test)]
mod tests {
    use super::super::perceptron::tests::{distance, random};
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        for (n, c) in [(1, 3), (7, 1), (1300, 5)] {
            let x = (random(&[n, c]) + 100.0).unwrap();
            for shape in [[1, c], [n, 1]] {
                let (weight, bias) = (random(&shape), random(&shape));
                let wide = |x: &Tensor| x.to_dtype(candle_core::DType::F64).unwrap();
                let (found, x) = (channel_norm(&x, &weight, &bias, 1e-6).unwrap(), wide(&x));
                let centred = x.broadcast_sub(&x.mean_keepdim(0).unwrap()).unwrap();
                let variance = (centred.sqr().unwrap().mean_keepdim(0).unwrap() + 1e-6).unwrap();
                let expected = centred.broadcast_div(&variance.sqrt().unwrap()).unwrap();
                let expected = expected.broadcast_mul(&wide(&weight)).unwrap().broadcast_add(&wide(&bias)).unwrap();
                let expected = expected.to_dtype(candle_core::DType::F32).unwrap();
                assert!(distance(&found, &expected) < 2e-5, "{n} {c} {shape:?}: {}", distance(&found, &expected));
            }
        }
        let (x, three) = (random(&[4, 5]), random(&[1, 3]));
        assert!(channel_norm(&x, &three, &three, 1e-6).is_err());
        assert!(channel_norm(&x, &random(&[1, 5]), &random(&[4, 1]), 1e-6).is_err());
    }
}
