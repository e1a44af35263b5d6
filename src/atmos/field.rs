//! One variable on one level at one valid time.

use std::sync::Arc;

use ndarray::Array2;

use super::{Grid, Level, ValidTime, Variable};

/// Data that do not fit their grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} on {level} has shape {found:?}, its grid has {expected:?}")]
pub struct FieldError {
    pub variable: String,
    pub level: String,
    pub found: (usize, usize),
    pub expected: (usize, usize),
}

/// A two-dimensional field on the host, `[H, W]` in the grid's order, in the variable's units. Missing values are NaN.
#[derive(Debug, Clone)]
pub struct Field {
    variable: Variable,
    level: Level,
    valid_time: ValidTime,
    grid: Arc<Grid>,
    values: Array2<f32>,
}

impl Field {
    pub fn new(
        variable: Variable,
        level: Level,
        valid_time: ValidTime,
        grid: Arc<Grid>,
        values: Array2<f32>,
    ) -> Result<Self, FieldError> {
        if values.dim() != grid.shape() {
            return Err(FieldError {
                variable: variable.name.to_string(),
                level: level.to_string(),
                found: values.dim(),
                expected: grid.shape(),
            });
        }
        Ok(Self { variable, level, valid_time, grid, values })
    }

    pub fn variable(&self) -> &Variable {
        &self.variable
    }

    pub fn level(&self) -> Level {
        self.level
    }

    pub fn valid_time(&self) -> ValidTime {
        self.valid_time
    }

    pub fn grid(&self) -> &Arc<Grid> {
        &self.grid
    }

    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    pub fn into_values(self) -> Array2<f32> {
        self.values
    }
}
