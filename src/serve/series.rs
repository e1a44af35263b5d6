//! One variable at one place, at all published lead times.

use std::sync::Arc;

use ndarray::Array2;

use super::catalog::Forecast;
use super::error::{Error, Violation};
use super::fields;
use super::select::Column;
use crate::atmos::{Axes, Grid};
use crate::tile::{Columns, Footprint};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    Bilinear,
}

/// A place that a request names, checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub latitude: f64,
    pub longitude: f64,
}

impl Place {
    pub fn latitude(degrees: f64) -> Result<f64, Violation> {
        let inside = (-90.0..=90.0).contains(&degrees);
        inside
            .then_some(degrees)
            .ok_or_else(|| Violation::new("latitude", format!("{degrees} is outside -90 to 90 degrees")))
    }

    pub fn longitude(degrees: f64) -> Result<f64, Violation> {
        let inside = (-360.0..=360.0).contains(&degrees);
        inside
            .then_some(degrees)
            .ok_or_else(|| Violation::new("longitude", format!("{degrees} is outside -360 to 360 degrees")))
    }
}

/// Values in the order of the published lead times; missing ones are NaN.
#[derive(Debug)]
pub struct Series {
    /// The point that the values are for: the one asked for, or the grid's nearest one.
    pub place: Place,
    pub values: Vec<f32>,
}

pub async fn series(
    forecast: &Forecast,
    column: &Column,
    place: Place,
    interpolation: Interpolation,
) -> Result<Series, Error> {
    let grid = &forecast.reader.spec().grid;
    let outside = || {
        let place = format!("{} °N, {} °E is outside the grid: {grid}", place.latitude, place.longitude);
        Error::Invalid(vec![Violation::new("latitude", place.clone()), Violation::new("longitude", place)])
    };
    match interpolation {
        Interpolation::Nearest => {
            let nearest = move |grid: &Grid| grid.nearest(place.latitude, place.longitude);
            let (row, col) = search(grid, nearest).await?.ok_or_else(outside)?;
            let (latitude, longitude) = grid.place(row, col);
            let place = Place { latitude, longitude };
            let inputs = fields::series(forecast, column, row..row + 1, col..col + 1).await?;
            Ok(Series { place, values: column.recipe.quantity.combine(inputs) })
        }
        Interpolation::Bilinear => {
            let around = move |grid: &Grid| Footprint::of_point(grid, place.latitude, place.longitude);
            let footprint = search(grid, around).await?.ok_or_else(outside)?;
            let (rows, columns) = (footprint.rows(), footprint.columns());
            let sampled = read(forecast, column, rows, columns)
                .await?
                .into_iter()
                .map(|windows| windows.iter().flat_map(|window| footprint.sample(window)).collect::<Vec<f32>>());
            Ok(Series { place, values: column.recipe.quantity.combine(sampled.collect()) })
        }
    }
}

/// Looks for a place in a grid; without axes on a thread for computations, since the first search builds the tree.
async fn search<T: Send + 'static>(
    grid: &Arc<Grid>,
    find: impl FnOnce(&Grid) -> T + Send + 'static,
) -> Result<T, Error> {
    if !matches!(grid.axes(), Axes::None) {
        return Ok(find(grid));
    }
    let grid = grid.clone();
    let found = tokio::task::spawn_blocking(move || find(&grid)).await;
    found.map_err(|error| Error::Internal(error.to_string()))
}

/// Per input and lead time the window's values. At most two by two points, so that reading column by column, which the
/// date line may separate, costs little.
async fn read(
    forecast: &Forecast,
    column: &Column,
    rows: std::ops::Range<usize>,
    columns: Columns,
) -> Result<Vec<Vec<Array2<f32>>>, Error> {
    let leads = forecast.manifest().steps_complete;
    let window = Array2::from_elem((rows.len(), columns.count), f32::NAN);
    let mut windows = vec![vec![window; leads]; column.recipe.inputs.len()];
    let width = forecast.reader.spec().grid.shape().1;
    for (offset, index) in columns.indices(width).enumerate() {
        let inputs = fields::series(forecast, column, rows.clone(), index..index + 1).await?;
        for (windows, values) in windows.iter_mut().zip(inputs) {
            for (window, values) in windows.iter_mut().zip(values.chunks_exact(rows.len())) {
                for (row, &value) in values.iter().enumerate() {
                    window[[row, offset]] = value;
                }
            }
        }
    }
    Ok(windows)
}
