//! What a tile needs of a grid, and how its pixels blend from it.
//!
//! Bilinear between grid points: of parallels and meridians on the sphere's own coordinates, of a projection on its plane.
//! Columns wrap where the grid goes round; rows poleward of a global grid's outermost one take that one; pixels outside a
//! regional grid are missing. Of grids without axes every pixel takes the nearest point.

use std::ops::Range;

use ndarray::Array2;
use rayon::prelude::*;

use super::mercator::{TILE_SIZE, TileId};
use super::raster::Raster;
use crate::atmos::{Between, Grid};

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

    /// The same as ranges: cut where the window passes the last column.
    pub fn runs(self, width: usize) -> Vec<ColumnRun> {
        let mut runs = Vec::with_capacity(2);
        let (mut start, mut offset) = (self.start % width, 0);
        while offset < self.count {
            let end = width.min(start + self.count - offset);
            runs.push(ColumnRun { columns: start..end, offset });
            offset += end - start;
            start = 0;
        }
        runs
    }
}

/// Columns of a grid that follow each other, and the offset of their first one in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRun {
    pub columns: Range<usize>,
    pub offset: usize,
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
    blends: Blends,
}

#[derive(Debug, Clone)]
enum Blends {
    /// One for each parallel and one for each meridian: where those are the grid's rows and columns.
    Lines { rows: Vec<Blend>, columns: Vec<Blend> },
    /// Rows and columns for each parallel × meridian, row-major: on every other grid.
    Points(Vec<Option<PointBlend>>),
}

/// Blend of four neighbours.
type PointBlend = ((usize, usize, f32), (usize, usize, f32));

impl Footprint {
    /// For the pixels of a tile; `None` where no pixel touches the grid.
    pub fn of_tile(grid: &Grid, tile: TileId) -> Option<Self> {
        Self::of_raster(grid, &tile.raster(TILE_SIZE))
    }

    /// For the pixels of a picture; `None` where no pixel touches the grid.
    pub fn of_raster(grid: &Grid, raster: &Raster) -> Option<Self> {
        Self::of_axes(grid, &raster.latitudes, &raster.longitudes)
    }

    /// The same pixels, each with the value of its nearest neighbour in rows and columns.
    pub fn nearest(mut self) -> Self {
        let nearest = |(low, high, weight): (usize, usize, f32)| {
            let only = if weight < 0.5 { low } else { high };
            (only, only, 0.0)
        };
        match &mut self.blends {
            Blends::Lines { rows, columns } => {
                rows.iter_mut().chain(columns).for_each(|blend| *blend = blend.map(nearest));
            }
            Blends::Points(points) => {
                points.iter_mut().for_each(|point| *point = point.map(|(row, column)| (nearest(row), nearest(column))))
            }
        }
        self
    }

    /// For one point; `None` outside the grid.
    pub fn of_point(grid: &Grid, latitude: f64, longitude: f64) -> Option<Self> {
        Self::of_axes(grid, &[latitude], &[longitude])
    }

    fn of_axes(grid: &Grid, latitudes: &[f64], longitudes: &[f64]) -> Option<Self> {
        if grid.rectilinear().is_none() {
            return Self::of_points(grid, latitudes, longitudes);
        }
        let width = grid.shape().1;
        let rows: Vec<Blend> = latitudes.iter().map(|&latitude| grid.between_rows(latitude).map(blend)).collect();
        let columns = longitudes.iter().map(|&longitude| grid.between_columns(longitude).map(blend));
        let columns: Vec<Blend> = columns.collect();
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
        let blends = Blends::Lines { rows: row_blends, columns: column_blends };
        Some(Self { rows: first_row..last_row + 1, columns: Columns { start, count }, blends })
    }

    /// Every parallel × meridian on its own, on all threads.
    fn of_points(grid: &Grid, latitudes: &[f64], longitudes: &[f64]) -> Option<Self> {
        let places =
            latitudes.par_iter().flat_map_iter(|&latitude| longitudes.iter().map(move |&east| (latitude, east)));
        let find = |(latitude, longitude)| -> Option<PointBlend> {
            match grid.between(latitude, longitude) {
                Some((rows, columns)) => Some((blend(rows), blend(columns))),
                None => {
                    let only = |index| (index, index, 0.0);
                    let nearest = grid.projection().is_none().then(|| grid.nearest(latitude, longitude)).flatten();
                    nearest.map(|(row, column)| (only(row), only(column)))
                }
            }
        };
        let mut blends: Vec<Option<PointBlend>> = places.map(find).collect();
        let span = |pick: fn(&PointBlend) -> (usize, usize, f32)| {
            let first = blends.iter().flatten().map(|point| pick(point).0.min(pick(point).1)).min()?;
            let last = blends.iter().flatten().map(|point| pick(point).0.max(pick(point).1)).max()?;
            Some(first..last + 1)
        };
        let (rows, columns) = (span(|point| point.0)?, span(|point| point.1)?);
        for (row, column) in blends.iter_mut().flatten() {
            *row = (row.0 - rows.start, row.1 - rows.start, row.2);
            *column = (column.0 - columns.start, column.1 - columns.start, column.2);
        }
        let columns = Columns { start: columns.start, count: columns.len() };
        Some(Self { rows, columns, blends: Blends::Points(blends) })
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
        let (row_blends, column_blends) = match &self.blends {
            Blends::Lines { rows, columns } => (rows, columns),
            Blends::Points(points) => {
                return points
                    .iter()
                    .map(|point| point.map_or(f32::NAN, |point| sample(values, width, point)))
                    .collect();
            }
        };
        let mut samples = Vec::with_capacity(row_blends.len() * column_blends.len());
        let mut blended = vec![0f32; width];
        for row in row_blends {
            let Some((north, south, weight)) = *row else {
                samples.resize(samples.len() + column_blends.len(), f32::NAN);
                continue;
            };
            // Blending the two grid rows once per pixel row leaves one blend per pixel.
            let (north, south) = (&values[north * width..][..width], &values[south * width..][..width]);
            for ((out, &north), &south) in blended.iter_mut().zip(north).zip(south) {
                *out = north + (south - north) * weight;
            }
            samples.extend(column_blends.iter().map(|column| match *column {
                Some((west, east, weight)) => blended[west] + (blended[east] - blended[west]) * weight,
                None => f32::NAN,
            }));
        }
        samples
    }
}

/// The blend of four values of a window.
fn sample(values: &[f32], width: usize, ((north, south, down), (west, east, right)): PointBlend) -> f32 {
    let along = |row: usize| {
        let (west, east) = (values[row * width + west], values[row * width + east]);
        west + (east - west) * right
    };
    let (north, south) = (along(north), along(south));
    north + (south - north) * down
}

/// A weight of 0 or 1 reads one neighbour only, so that a missing value does not spread to the points beside it.
fn blend(Between { low, high, weight }: Between) -> (usize, usize, f32) {
    match weight as f32 {
        weight if weight <= 0.0 => (low, low, 0.0),
        weight if weight >= 1.0 => (high, high, 0.0),
        weight => (low, high, weight),
    }
}

#[cfg(test)]
#[path = "footprint_tests.rs"]
mod tests;
