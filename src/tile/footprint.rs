//! What a tile needs of a grid, and how its pixels blend from it.
//!
//! Bilinear between grid points, on the sphere's own coordinates. Columns wrap where the grid goes round; rows poleward
//! of a global grid's outermost one take that one; pixels outside a regional grid are missing.

use std::ops::Range;

use ndarray::Array2;

use super::mercator::{TILE_SIZE, TileId};
use crate::atmos::Grid;

/// Rounding of coordinates that were stored as float32 must not cut off a regional grid's outermost points.
const EDGE_TOLERANCE: f64 = 1e-4;

/// Blend of two neighbours along one axis, as offsets into the window; `None` outside the grid.
type Blend = Option<(usize, usize, f32)>;

/// Consecutive columns of a grid, from `start` eastward, going on at column 0 past the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Columns {
    pub start: usize,
    pub count: usize,
}

impl Columns {
    /// Column number in the grid of each column of the window; `width` is the grid's.
    pub fn indices(self, width: usize) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |offset| (self.start + offset) % width)
    }
}

/// The part of a field that a tile or a point needs: `[rows, columns]`, in the grid's order.
#[derive(Debug, Clone)]
pub struct Window {
    pub rows: Range<usize>,
    pub columns: Columns,
    pub values: Array2<f32>,
}

/// Which window of the grid a set of parallels and meridians reads, and the blend for each of them.
#[derive(Debug, Clone)]
pub struct Footprint {
    rows: Range<usize>,
    columns: Columns,
    row_blends: Vec<Blend>,
    column_blends: Vec<Blend>,
}

impl Footprint {
    /// For the pixels of a tile; `None` where no pixel touches the grid.
    pub fn of_tile(grid: &Grid, tile: TileId) -> Option<Self> {
        let latitudes: Vec<f64> = (0..TILE_SIZE).map(|row| tile.latitude(row)).collect();
        let longitudes: Vec<f64> = (0..TILE_SIZE).map(|column| tile.longitude(column)).collect();
        Self::of_axes(grid, &latitudes, &longitudes)
    }

    /// For one point; `None` outside the grid.
    pub fn of_point(grid: &Grid, latitude: f64, longitude: f64) -> Option<Self> {
        Self::of_axes(grid, &[latitude], &[longitude])
    }

    fn of_axes(grid: &Grid, latitudes: &[f64], longitudes: &[f64]) -> Option<Self> {
        let width = grid.longitude().len();
        let rows: Vec<_> = latitudes.iter().map(|&latitude| locate_row(grid, latitude)).collect();
        let columns: Vec<_> = longitudes.iter().map(|&longitude| locate_column(grid, longitude)).collect();
        let first_row = rows.iter().flatten().map(|row| row.0).min()?;
        let last_row = rows.iter().flatten().map(|row| row.1).max()?;
        // Longitudes run eastward: the first column that is touched starts the window, and the window goes on from there.
        let start = columns.iter().flatten().next()?.0;
        let offset = |column: usize| (column + width - start) % width;
        let mut count = 1;
        let mut column_blends: Vec<Blend> = Vec::with_capacity(columns.len());
        for column in columns {
            column_blends.push(column.map(|(west, east, weight)| {
                let (west, mut east) = (offset(west), offset(east));
                // Back at the window's first column from its last: once around.
                if east < west {
                    east = width;
                }
                count = count.max(west.max(east) + 1);
                (west, east, weight)
            }));
        }
        let row_blends =
            rows.into_iter().map(|row| row.map(|(n, s, weight)| (n - first_row, s - first_row, weight))).collect();
        Some(Self { rows: first_row..last_row + 1, columns: Columns { start, count }, row_blends, column_blends })
    }

    /// Rows of the grid to read.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Columns of the grid to read.
    pub fn columns(&self) -> Columns {
        self.columns
    }

    /// The values at all parallels × meridians, row-major; missing ones are NaN. `window` is `[rows, columns]`.
    ///
    /// # Panics
    /// When the window has another shape than [`Self::rows`] × [`Self::columns`].
    pub fn sample(&self, window: &Array2<f32>) -> Vec<f32> {
        assert_eq!(window.dim(), (self.rows.len(), self.columns.count), "window and footprint belong together");
        let window = window.as_standard_layout();
        let width = self.columns.count;
        let values = window.as_slice().expect("standard layout");
        let mut samples = Vec::with_capacity(self.row_blends.len() * self.column_blends.len());
        let mut blended = vec![0f32; width];
        for row in &self.row_blends {
            let Some((north, south, weight)) = *row else {
                samples.resize(samples.len() + self.column_blends.len(), f32::NAN);
                continue;
            };
            // Blending the two grid rows once per pixel row leaves one blend per pixel.
            let (north, south) = (&values[north * width..][..width], &values[south * width..][..width]);
            for ((out, &north), &south) in blended.iter_mut().zip(north).zip(south) {
                *out = north + (south - north) * weight;
            }
            samples.extend(self.column_blends.iter().map(|column| match *column {
                Some((west, east, weight)) => blended[west] + (blended[east] - blended[west]) * weight,
                None => f32::NAN,
            }));
        }
        samples
    }
}

/// Row to the north, row to the south, weight of the southern one.
fn locate_row(grid: &Grid, latitude: f64) -> Blend {
    let rows = grid.latitude();
    let last = rows.len() - 1;
    if !(-90.0..=90.0).contains(&latitude) {
        return None;
    }
    if latitude >= rows[0] || latitude <= rows[last] {
        let (edge, index) = if latitude >= rows[0] { (rows[0], 0) } else { (rows[last], last) };
        let beyond = (latitude - edge).abs();
        return (beyond <= EDGE_TOLERANCE || reaches_pole(rows, index)).then_some((index, index, 0.0));
    }
    let south = rows.partition_point(|&row| row >= latitude);
    blend(south - 1, south, (rows[south - 1] - latitude) / (rows[south - 1] - rows[south]))
}

/// Whether the pole is no farther from this outermost row than the next row is: the grid's cells cover it.
fn reaches_pole(rows: &[f64], index: usize) -> bool {
    let Some(spacing) =
        (rows.len() > 1).then(|| if index == 0 { rows[0] - rows[1] } else { rows[index - 1] - rows[index] })
    else {
        return false;
    };
    90.0 - rows[index].abs() <= spacing * (1.0 + 1e-6)
}

/// Column to the west, column to the east, weight of the eastern one.
fn locate_column(grid: &Grid, longitude: f64) -> Blend {
    let columns = grid.longitude();
    let last = columns.len() - 1;
    if !longitude.is_finite() {
        return None;
    }
    let first = columns[0];
    // rem_euclid may round up to the full turn
    let east = Some((longitude - first).rem_euclid(360.0)).filter(|&east| east < 360.0).unwrap_or(0.0);
    let span = columns[last] - first;
    if east > span {
        if grid.is_global_in_longitude() {
            return blend(last, 0, (east - span) / (360.0 - span));
        }
        return if east - span <= EDGE_TOLERANCE {
            Some((last, last, 0.0))
        } else if 360.0 - east <= EDGE_TOLERANCE {
            Some((0, 0, 0.0))
        } else {
            None
        };
    }
    let after = columns.partition_point(|&column| column - first <= east);
    if after > last {
        return Some((last, last, 0.0));
    }
    blend(after - 1, after, (east - (columns[after - 1] - first)) / (columns[after] - columns[after - 1]))
}

/// A weight of 0 or 1 reads one neighbour only, so that a missing value does not spread to the points beside it.
fn blend(low: usize, high: usize, weight: f64) -> Blend {
    match weight as f32 {
        weight if weight <= 0.0 => Some((low, low, 0.0)),
        weight if weight >= 1.0 => Some((high, high, 0.0)),
        weight => Some((low, high, weight)),
    }
}

#[cfg(test)]
#[path = "footprint_tests.rs"]
mod tests;
