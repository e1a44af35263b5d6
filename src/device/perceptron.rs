//! Multilayer perceptrons on the rows of a tensor.

use std::ops::Range;

use candle_core::{D, Result, Tensor, bail};

const EPS: f64 = 1e-5;

/// Linear, then (SiLU, linear) as often as it has hidden layers, then LayerNorm (eps 1e-5) where it has one.
#[derive(Debug, Clone)]
pub struct Perceptron {
    /// `[in, out]` and `[out]` each.
    layers: Vec<(Tensor, Tensor)>,
    norm: Option<(Tensor, Tensor)>,
}

impl Perceptron {
    /// `layers`: weight `[out, in]` and bias `[out]`, as PyTorch has them; `norm`: weight and bias.
    pub fn new(layers: Vec<(Tensor, Tensor)>, norm: Option<(Tensor, Tensor)>) -> Result<Self> {
        if layers.is_empty() {
            bail!("a perceptron without layers");
        }
        let layers = layers.into_iter().map(|(weight, bias)| Ok((weight.t()?.contiguous()?, bias)));
        Ok(Self { layers: layers.collect::<Result<_>>()?, norm })
    }

    pub(super) fn first_width(&self) -> Result<usize> {
        self.layers[0].0.dim(0)
    }

    pub fn forward(&self, inputs: &[&Tensor], residual: Option<&Tensor>) -> Result<Tensor> {
        let x = Tensor::cat(inputs, 1)?;
        let (weight, bias) = &self.layers[0];
        let out = self.rest(&x.matmul(weight)?.broadcast_add(bias)?)?;
        match residual {
            Some(residual) => residual + out,
            None => Ok(out),
        }
    }

    /// What comes after the first layer.
    pub(super) fn rest(&self, first: &Tensor) -> Result<Tensor> {
        let mut x = first.clone();
        for (weight, bias) in &self.layers[1..] {
            x = x.silu()?.matmul(weight)?.broadcast_add(bias)?;
        }
        let Some((weight, bias)) = &self.norm else { return Ok(x) };
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + EPS)?.sqrt()?.recip()?;
        x.broadcast_mul(&scale)?.broadcast_mul(weight)?.broadcast_add(bias)
    }

    pub fn project(&self, columns: Range<usize>, x: &Tensor, bias: bool) -> Result<Tensor> {
        let (weight, b) = &self.layers[0];
        let y = x.matmul(&weight.narrow(0, columns.start, columns.len())?)?;
        if bias { y.broadcast_add(b) } else { Ok(y) }
    }
}
