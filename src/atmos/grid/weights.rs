//! The area that each point stands for, and what encloses all of them.

use ndarray::Array2;
use rayon::prelude::*;

use super::nearest::unit;
use super::{Axes, Geometry, Grid};

/// Longitudes are sorted into so many bins to find the widest gap.
const BINS: usize = 720;
/// A gap up to this, in degrees, is a gap between points, and not the outside of a region.
const WIDEST_SPACING: f64 = 20.0;

impl Grid {
    /// Area of each point's cell relative to that of all, `[H, W]`: they sum to 1.
    ///
    /// Of parallels exact, cell borders midway between latitudes, and at the poles (for Gaussian latitudes within 1e-3 of
    /// the quadrature weights). Of a projection the spherical quadrilaterals between the midpoints of its axes; of
    /// curvilinear grids those between the midpoints of four points. Of points, and where there is but one row or column:
    /// all equal, which is what reduced Gaussian grids are made for.
    pub fn cell_weights(&self) -> Array2<f64> {
        let (h, w) = self.shape();
        if let Some((latitude, _)) = self.rectilinear() {
            let rows = row_weights(latitude, w);
            return Array2::from_shape_fn((h, w), |(row, _)| rows[row]);
        }
        let equal = || Array2::from_elem((h, w), 1.0 / (h * w) as f64);
        if h < 2 || w < 2 || matches!(self.geometry, Geometry::Points(_)) {
            return equal();
        }
        let corners = self.corners();
        let areas: Vec<f64> = (0..h * w)
            .into_par_iter()
            .map(|i| {
                let (row, column) = (i / w, i % w);
                let corner = |r: usize, c: usize| corners[(row + r) * (w + 1) + column + c];
                let [a, b, c, d] = [corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)];
                let area = triangle(a, b, c) + triangle(a, c, d);
                if area.is_finite() { area } else { 0.0 }
            })
            .collect();
        let total: f64 = areas.iter().sum();
        if total <= 0.0 {
            return equal();
        }
        Array2::from_shape_fn((h, w), |(row, column)| areas[row * w + column] / total)
    }

    /// Unit vectors to the corners of all cells, `[H + 1, W + 1]`: between the midpoints of a projection's axes, or in the
    /// middle of four points. Of two rows and columns at least.
    pub fn corners(&self) -> Vec<[f64; 3]> {
        let (h, w) = self.shape();
        let number = (0..(h + 1) * (w + 1)).into_par_iter().map(|i| (i / (w + 1), i % (w + 1)));
        if let Axes::Projected { projection, y, x } = self.axes() {
            let (mut rows, columns) = (borders(y), borders(x));
            if projection.is_angular() {
                rows.iter_mut().for_each(|row| *row = row.clamp(-90.0, 90.0));
            }
            let corner = |(row, column): (usize, usize)| {
                let place = projection.inverse(columns[column], rows[row]);
                place.map_or([f64::NAN; 3], |(latitude, longitude)| unit(latitude, longitude))
            };
            return number.map(corner).collect();
        }
        let places = self.coordinates();
        let vector = |row: usize, column: usize| unit(places.latitude[[row, column]], places.longitude[[row, column]]);
        // outside the outermost points their neighbours, mirrored
        let extended = |row: usize, column: usize| {
            let (inner_row, inner_column) = (row.clamp(1, h), column.clamp(1, w));
            let (far_row, far_column) = (2 * inner_row - row, 2 * inner_column - column);
            let (at, from) = (vector(inner_row - 1, inner_column - 1), vector(far_row - 1, far_column - 1));
            std::array::from_fn::<f64, 3, _>(|axis| {
                if (far_row, far_column) == (row, column) { at[axis] } else { 2.0 * at[axis] - from[axis] }
            })
        };
        let corner = |(row, column): (usize, usize)| {
            let around = [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)];
            let vectors = around.map(|(row, column)| extended(row, column));
            let sum: [f64; 3] = std::array::from_fn(|axis| vectors.iter().map(|vector| vector[axis]).sum());
            let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            sum.map(|value| value / length)
        };
        number.map(corner).collect()
    }

    /// West, south, east, north of points that have no parallels and meridians.
    pub(super) fn enclosing_bounds(&self) -> [f64; 4] {
        let places: Vec<(f64, f64)> = match self.projection() {
            // the border tells, but for a pole inside
            Some(_) => {
                let (h, w) = self.shape();
                let rows = (0..h).flat_map(|row| [(row, 0), (row, w - 1)]);
                let border = rows.chain((0..w).flat_map(|column| [(0, column), (h - 1, column)]));
                border.map(|(row, column)| self.place(row, column)).collect()
            }
            None => {
                let places = self.coordinates();
                places.latitude.iter().copied().zip(places.longitude.iter().copied()).collect()
            }
        };
        let latitudes = || places.iter().map(|place| place.0).filter(|latitude| latitude.is_finite());
        let (mut south, mut north) = (latitudes().fold(90.0, f64::min), latitudes().fold(-90.0, f64::max));
        if self.projection().is_some() {
            let [north_pole, south_pole] = [90.0, -90.0].map(|pole| self.contains(pole, 0.0));
            north = if north_pole { 90.0 } else { north };
            south = if south_pole { -90.0 } else { south };
            if north_pole || south_pole {
                return [-180.0, south, 180.0, north];
            }
        }
        let mut filled = [false; BINS];
        let width = 360.0 / BINS as f64;
        let longitudes = || places.iter().map(|place| place.1).filter(|longitude| longitude.is_finite());
        for longitude in longitudes() {
            filled[((longitude.rem_euclid(360.0) / width) as usize).min(BINS - 1)] = true;
        }
        // twice around, so that a gap across Greenwich is whole
        let (mut run, mut widest, mut after) = (0, 0, 0);
        for bin in 0..2 * BINS {
            run = if filled[bin % BINS] { 0 } else { run + 1 };
            if run > widest {
                (widest, after) = (run, (bin + 1) % BINS);
            }
        }
        if (widest as f64) * width <= WIDEST_SPACING || widest >= BINS {
            return [-180.0, south, 180.0, north];
        }
        let start = after as f64 * width;
        let east = |longitude: f64| (longitude - start).rem_euclid(360.0);
        let (low, high) = longitudes().map(east).fold((360.0f64, 0.0f64), |(a, b), east| (a.min(east), b.max(east)));
        let turn = if start + low >= 180.0 { 360.0 } else { 0.0 };
        [start + low - turn, south, start + high - turn, north]
    }
}

/// Area of each row's cells relative to that of all points.
pub(super) fn row_weights(latitude: &[f64], columns: usize) -> Vec<f64> {
    let n = latitude.len();
    let border = |i: usize| -> f64 {
        // border i lies north of row i
        if n == 1 {
            return latitude[0] + if i == 0 { 0.5 } else { -0.5 };
        }
        match i {
            0 => latitude[0] + 0.5 * (latitude[0] - latitude[1]),
            i if i == n => latitude[n - 1] - 0.5 * (latitude[n - 2] - latitude[n - 1]),
            i => 0.5 * (latitude[i - 1] + latitude[i]),
        }
    };
    let sine = |i: usize| border(i).clamp(-90.0, 90.0).to_radians().sin();
    let areas: Vec<f64> = (0..n).map(|i| (sine(i) - sine(i + 1)).max(0.0)).collect();
    let total: f64 = areas.iter().sum::<f64>() * columns as f64;
    areas.into_iter().map(|area| area / total).collect()
}

/// Midpoints of an axis of at least two values, and half a cell beyond its ends.
fn borders(axis: &[f64]) -> Vec<f64> {
    let last = axis.len() - 1;
    let mut borders = vec![axis[0] + 0.5 * (axis[0] - axis[1])];
    borders.extend(axis.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    borders.push(axis[last] + 0.5 * (axis[last] - axis[last - 1]));
    borders
}

/// Area of a triangle on the unit sphere (Van Oosterom & Strackee 1983, <https://doi.org/10.1109/TBME.1983.325207>).
fn triangle(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let cross = [b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]];
    (2.0 * dot(a, cross).abs().atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))).abs()
}
