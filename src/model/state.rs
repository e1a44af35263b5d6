//! The atmosphere on a device.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use ndarray::Array2;

use super::ChannelLayout;
use crate::atmos::{Field, FieldError, Grid, ValidTime};

/// A state that cannot be assembled from an analysis.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the model's output is no {0}")]
    Output(String),
    #[error("the input is on {found}; the model expects {expected}")]
    Grid { found: String, expected: String },
    #[error(transparent)]
    Shape(#[from] FieldError),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// All prognostic channels at one time: `[1, C, H, W]`, float32, physical units, channels in the package's order.
#[derive(Debug, Clone)]
pub struct State {
    pub tensor: Tensor,
    pub valid_time: ValidTime,
}

impl State {
    /// From the channels of `layout` one after the other, each `[H, W]`.
    pub fn assemble(
        values: Vec<f32>,
        valid_time: ValidTime,
        layout: &ChannelLayout,
        grid: &Grid,
        device: &Device,
    ) -> Result<Self, StateError> {
        let (h, w) = grid.shape();
        let tensor = Tensor::from_vec(values, (1, layout.len(), h, w), device)?;
        Ok(Self { tensor, valid_time })
    }

    /// Copies to the host: one field per channel, in the layout's order.
    pub fn to_fields(&self, layout: &ChannelLayout, grid: &Arc<Grid>) -> Result<Vec<Field>, StateError> {
        let (h, w) = grid.shape();
        let values = self.tensor.flatten_all()?.to_vec1::<f32>()?;
        layout
            .iter()
            .zip(values.chunks_exact(h * w))
            .map(|(channel, values)| {
                let values = Array2::from_shape_vec((h, w), values.to_vec())
                    .map_err(|_| StateError::Output(format!("{} of shape {h}×{w}", channel.label())))?;
                Ok(Field::new(channel.variable.clone(), channel.level, self.valid_time, grid.clone(), values)?)
            })
            .collect()
    }
}
