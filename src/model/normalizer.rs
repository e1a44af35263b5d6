//! Standardisation: `(x − mean) / std`, channel by channel.

use candle_core::{Device, Result, Tensor};

use super::{Channel, ChannelLayout};

/// Statistics as `[1, C, 1, 1]` tensors on the model's device.
#[derive(Debug)]
pub struct Normalizer {
    mean: Tensor,
    std: Tensor,
    diff_std: Tensor,
}

impl Normalizer {
    pub fn new(layout: &ChannelLayout, device: &Device) -> Result<Self> {
        let column = |value: fn(&Channel) -> f64| {
            let values: Vec<f32> = layout.iter().map(|channel| value(channel) as f32).collect();
            Tensor::from_vec(values, (1, layout.len(), 1, 1), device)
        };
        Ok(Self { mean: column(|c| c.mean)?, std: column(|c| c.std)?, diff_std: column(|c| c.diff_std)? })
    }

    /// Physical `[B, C, H, W]` → standardised.
    pub fn normalize(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(&self.mean)?.broadcast_div(&self.std)
    }

    /// Standardised `[B, C, H, W]` → physical.
    pub fn denormalize(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&self.std)?.broadcast_add(&self.mean)
    }

    /// Standardised one-step difference `[B, C, H, W]` → physical.
    pub fn denormalize_difference(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&self.diff_std)
    }
}
