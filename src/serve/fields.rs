//! Values of what a forecast offers, whether it stores them or they follow from what it stores.

use std::ops::Range;

use ndarray::{Array2, Zip, s};

use super::blocks::Blocks;
use super::catalog::Forecast;
use super::derived::Input;
use super::error::Error;
use super::select::Column;
use crate::atmos::Grid;
use crate::tile::Columns;

/// A stored field at a step: what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredField {
    pub output: usize,
    pub level: usize,
    pub step: usize,
}

impl Input {
    /// What it is at a step; `None` before the first one.
    fn at(self, step: usize) -> Option<StoredField> {
        let step = if self.before { step.checked_sub(1)? } else { step };
        Some(StoredField { output: self.output, level: self.level, step })
    }
}

/// The part of the inputs' fields that a picture or a point needs, each `[rows, columns]`: from memory where they were read
/// before. What is made of them by [`Quantity::combine`](super::derived::Quantity::combine) is made between grid points, too.
pub async fn windows(
    blocks: &Blocks,
    forecast: &Forecast,
    column: &Column,
    step: usize,
    rows: Range<usize>,
    columns: Columns,
) -> Result<Vec<Array2<f32>>, Error> {
    let mut windows = Vec::with_capacity(column.recipe.inputs.len());
    for input in &column.recipe.inputs {
        windows.push(match input.at(step) {
            Some(field) => blocks.window(forecast, field, rows.clone(), columns).await?,
            None => Array2::from_elem((rows.len(), columns.count), f32::NAN),
        });
    }
    let grid = &forecast.reader.spec().grid;
    let columns: Vec<usize> = columns.indices(grid.shape().1).collect();
    turn(column, grid, rows, &columns, &mut windows);
    Ok(windows)
}

/// Values of some rows and columns, `[rows, columns]`, past the memory of what was read: for fields that are asked for once.
pub async fn rows(
    forecast: &Forecast,
    column: &Column,
    step: usize,
    rows: Range<usize>,
    columns: Columns,
) -> Result<Array2<f32>, Error> {
    let grid = &forecast.reader.spec().grid;
    let shape = (rows.len(), columns.count);
    let mut inputs = Vec::with_capacity(column.recipe.inputs.len());
    for input in &column.recipe.inputs {
        inputs.push(match input.at(step) {
            Some(field) => stored(forecast, field, rows.clone(), columns).await?,
            None => Array2::from_elem(shape, f32::NAN),
        });
    }
    let indices: Vec<usize> = columns.indices(grid.shape().1).collect();
    turn(column, grid, rows, &indices, &mut inputs);
    combined(column, inputs, shape)
}

/// Part of a stored field, `[rows, columns]`.
async fn stored(
    forecast: &Forecast,
    field: StoredField,
    rows: Range<usize>,
    columns: Columns,
) -> Result<Array2<f32>, Error> {
    let spec = forecast.reader.spec();
    let (output, lead) = (&spec.outputs[field.output], spec.lead_times[field.step]);
    let (name, level) = (&output.variable.name, output.levels[field.level]);
    let mut values = Array2::zeros((rows.len(), columns.count));
    for run in columns.runs(spec.grid.shape().1) {
        let end = run.offset + run.columns.len();
        let read = forecast.reader.window(name, level, lead, rows.clone(), run.columns).await?;
        values.slice_mut(s![.., run.offset..end]).assign(&read);
    }
    Ok(values)
}

/// The values that follow from windows of the inputs.
pub fn combined(column: &Column, inputs: Vec<Array2<f32>>, shape: (usize, usize)) -> Result<Array2<f32>, Error> {
    let flat = |window: Array2<f32>| window.into_iter().collect::<Vec<f32>>();
    let values = column.recipe.quantity.combine(inputs.into_iter().map(flat).collect());
    Array2::from_shape_vec(shape, values).map_err(|error| Error::Internal(error.to_string()))
}

/// The inputs at some points at all published leads, `[leads, rows, columns]` each, straight from the copy for points.
pub async fn series(
    forecast: &Forecast,
    column: &Column,
    rows: Range<usize>,
    columns: Range<usize>,
) -> Result<Vec<Vec<f32>>, Error> {
    let spec = forecast.reader.spec();
    let points = rows.len() * columns.len();
    let mut series = Vec::with_capacity(column.recipe.inputs.len());
    for input in &column.recipe.inputs {
        if forecast.manifest().steps_complete == 0 {
            series.push(Vec::new());
            continue;
        }
        let output = &spec.outputs[input.output];
        let (name, level) = (&output.variable.name, output.levels[input.level]);
        let mut values = forecast.reader.series(name, level, rows.clone(), columns.clone()).await?;
        if input.before {
            // nothing was before the first lead
            values.splice(0..0, std::iter::repeat_n(f32::NAN, points));
            values.truncate(values.len() - points);
        }
        series.push(values);
    }
    if column.recipe.quantity.needs_true_wind() && column.recipe.along_axes {
        let indices: Vec<usize> = columns.collect();
        let angles = angles(&spec.grid, rows, &indices);
        if let [x, y] = &mut series[..] {
            for (n, (x, y)) in x.iter_mut().zip(y).enumerate() {
                (*x, *y) = turned(*x, *y, angles[n % points]);
            }
        }
    }
    Ok(series)
}

/// Winds along the grid's axes become those towards east and north, where that is what the quantity is made of.
fn turn(column: &Column, grid: &Grid, rows: Range<usize>, columns: &[usize], windows: &mut [Array2<f32>]) {
    if !column.recipe.quantity.needs_true_wind() || !column.recipe.along_axes {
        return;
    }
    let [x, y] = windows else { return };
    let angles = Array2::from_shape_vec(x.dim(), angles(grid, rows, columns));
    if let Ok(angles) = angles {
        Zip::from(x).and(y).and(&angles).for_each(|x, y, &angle| (*x, *y) = turned(*x, *y, angle));
    }
}

/// From true north to the grid's north at each point, clockwise, radians, row-major; NaN where there is no direction of
/// north, or no projection to tell it.
fn angles(grid: &Grid, rows: Range<usize>, columns: &[usize]) -> Vec<f64> {
    let angle = |(row, column): (usize, usize)| {
        let (latitude, longitude) = grid.place(row, column);
        grid.projection().and_then(|projection| projection.convergence(latitude, longitude))
    };
    let points = rows.flat_map(|row| columns.iter().map(move |&column| (row, column)));
    points.map(|point| angle(point).map_or(f64::NAN, f64::to_radians)).collect()
}

fn turned(x: f32, y: f32, angle: f64) -> (f32, f32) {
    let (sine, cosine) = (angle.sin() as f32, angle.cos() as f32);
    (x * cosine + y * sine, y * cosine - x * sine)
}
