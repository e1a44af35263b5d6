//! A two-layer perceptron over the points of a grid, without its hidden layer ever being as large as the grid.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::Activation;
use super::matmul::product;
use super::slices::{Shared, with_contiguous};

/// Points that one task takes through both layers: their hidden values stay in the second-level cache.
const POINTS: usize = 96;

/// `residual + activation(x · w1 + b1) · w2`.
/// `x [N, I]`, `w1 [I, D]`, `b1 [D]`, `w2 [D, O]`, `residual [N, O]`, all contiguous float32 → `[N, O]`.
pub fn residual_mlp(
    x: &Tensor,
    (w1, b1): (&Tensor, &Tensor),
    activation: Activation,
    w2: &Tensor,
    residual: &Tensor,
) -> Result<Tensor> {
    let ((n, i), (w1_i, d), (w2_d, o)) = (x.dims2()?, w1.dims2()?, w2.dims2()?);
    if w1_i != i || w2_d != d || b1.dims() != [d] || residual.dims() != [n, o] {
        bail!("residual_mlp: {:?}, {:?}, {:?}, {:?}, {:?}", x.dims(), w1.dims(), b1.dims(), w2.dims(), residual.dims());
    }
    if !matches!(x.device(), Device::Cpu) {
        let hidden = activation.apply(&x.matmul(w1)?.broadcast_add(b1)?)?;
        return residual + hidden.matmul(w2)?;
    }
    let mut out = with_contiguous(residual, |values| Ok(values.to_vec()))?;
    let shared = Shared(out.as_mut_ptr());
    let run = |x: &[f32], w1: &[f32], b1: &[f32], w2: &[f32]| {
        (0..n.div_ceil(POINTS)).into_par_iter().for_each_init(
            || vec![0f32; POINTS * d],
            |hidden, chunk| {
                let start = chunk * POINTS;
                let points = POINTS.min(n - start);
                let hidden = &mut hidden[..points * d];
                // SAFETY: the shapes were checked above; each chunk writes its own rows of `out`
                unsafe {
                    let rows = (x.as_ptr().add(start * i), i, 1);
                    product((points, d, i), (hidden.as_mut_ptr(), d), rows, (w1.as_ptr(), d, 1), (false, 1.0));
                    activation.add_bias_and_apply(hidden, b1);
                    let out = (shared.at(start * o), o);
                    product((points, o, d), out, (hidden.as_ptr(), d, 1), (w2.as_ptr(), o, 1), (true, 1.0));
                }
            },
        );
    };
    with_contiguous(x, |x| {
        with_contiguous(w1, |w1| {
            with_contiguous(b1, |b1| {
                with_contiguous(w2, |w2| {
                    run(x, w1, b1, w2);
                    Ok(())
                })
            })
        })
    })?;
    Tensor::from_vec(out, (n, o), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_candle() {
        let random = |shape: (usize, usize)| Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
        let (x, w1, w2, residual) = (random((201, 8)), random((8, 12)), random((12, 5)), random((201, 5)));
        let b1 = random((1, 12)).squeeze(0).unwrap();
        for activation in [Activation::Gelu, Activation::Relu, Activation::Identity] {
            let ours = residual_mlp(&x, (&w1, &b1), activation, &w2, &residual).unwrap();
            let hidden = activation.apply(&x.matmul(&w1).unwrap().broadcast_add(&b1).unwrap()).unwrap();
            let expected = (&residual + hidden.matmul(&w2).unwrap()).unwrap();
            let worst = (ours - expected).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            assert!(worst.to_scalar::<f32>().unwrap() < 2e-5);
        }
    }
}
