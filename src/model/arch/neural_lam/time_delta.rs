//! How far from the step's time the boundary's data are: sines and cosines of the difference, in steps.

use candle_core::{D, Result, Tensor};

/// The research dialect's encoding (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>, with frequencies that count
/// from 1).
#[derive(Debug)]
pub struct TimeDeltaEncoding {
    /// `[dim / 2]`.
    denominators: Tensor,
    /// Differences for each node: the times of the window.
    window: usize,
}

impl TimeDeltaEncoding {
    /// `dim` numbers for each of `past + 1 + future` times of the boundary, whose step is `ratio` steps of the model.
    pub fn new(dim: usize, (past, future): (usize, usize), ratio: f64, device: &candle_core::Device) -> Result<Self> {
        let farthest = ((past + 1) as f64 * ratio).max(future as f64 * ratio);
        let denominator = |i: usize| (2.0 * farthest).powf(2.0 * (i + 1) as f64 / dim as f64) as f32;
        let denominators: Vec<f32> = (0..dim / 2).map(denominator).collect();
        Ok(Self { denominators: Tensor::new(denominators, device)?, window: past + 1 + future })
    }

    /// `[B, features + window]`, the differences last → `[B, features + window · dim]`.
    pub fn encode(&self, forcing: &Tensor) -> Result<Tensor> {
        let (nodes, all) = forcing.dims2()?;
        let features = all - self.window;
        let deltas = forcing.narrow(1, features, self.window)?.unsqueeze(2)?; // [B, window, 1]
        let angles = deltas.broadcast_div(&self.denominators)?; // [B, window, dim / 2]
        let encoded = Tensor::cat(&[angles.sin()?, angles.cos()?], D::Minus1)?.reshape((nodes, ()))?;
        Tensor::cat(&[&forcing.narrow(1, 0, features)?, &encoded], 1)
    }
}
