//! The atmosphere on a device.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use ndarray::Array2;

use super::ChannelLayout;
use crate::atmos::{Analysis, Field, FieldError, Grid, ValidTime};

/// A state that cannot be assembled from an analysis.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the analysis has no {0}")]
    Missing(String),
    #[error("the analysis is on another grid: {found}; the model's is {expected}")]
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
    /// Gathers the channels of `layout` from an analysis.
    pub fn assemble(
        analysis: &Analysis,
        valid_time: ValidTime,
        layout: &ChannelLayout,
        grid: &Grid,
        device: &Device,
    ) -> Result<Self, StateError> {
        if !analysis.grid().same_points(grid) {
            return Err(StateError::Grid { found: analysis.grid().to_string(), expected: grid.to_string() });
        }
        let (h, w) = grid.shape();
        let mut values: Vec<f32> = Vec::with_capacity(layout.len() * h * w);
        for channel in layout.iter() {
            let field = analysis
                .get(valid_time, &channel.variable.name, channel.level)
                .ok_or_else(|| StateError::Missing(format!("{} at {valid_time}", channel.label())))?;
            values.extend(field.values().iter());
        }
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
                let values = Array2::from_shape_vec((h, w), values.to_vec()).map_err(|_| {
                    StateError::Missing(format!("{} of shape {h}×{w} in the model's output", channel.label()))
                })?;
                Ok(Field::new(channel.variable.clone(), channel.level, self.valid_time, grid.clone(), values)?)
            })
            .collect()
    }
}
