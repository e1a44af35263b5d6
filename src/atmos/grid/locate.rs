//! Where between the points of a grid a place lies.

use super::{Axes, Grid};

/// Rounding of coordinates that were stored as float32 must not cut off a regional grid's outermost points.
const EDGE_TOLERANCE: f64 = 1e-4;
/// The same for positions in a projection, as a part of the distance between points.
const EDGE_FRACTION: f64 = 1e-3;

/// Two neighbours along an axis, and how far a position is from the one to the other: 0 at `low`, 1 at `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    pub low: usize,
    pub high: usize,
    pub weight: f64,
}

impl Between {
    fn at(index: usize) -> Self {
        Self { low: index, high: index, weight: 0.0 }
    }
}

impl Grid {
    /// Whether a place lies within the outermost points; of grids without axes, within reach of one ([`Self::nearest`]).
    pub fn contains(&self, latitude: f64, longitude: f64) -> bool {
        match self.axes() {
            Axes::None => self.nearest(latitude, longitude).is_some(),
            _ => self.between(latitude, longitude).is_some(),
        }
    }

    /// The rows and the columns around a place; `None` outside the grid, and for grids without axes.
    pub fn between(&self, latitude: f64, longitude: f64) -> Option<(Between, Between)> {
        match self.axes() {
            Axes::Rectilinear { .. } => Some((self.between_rows(latitude)?, self.between_columns(longitude)?)),
            Axes::Projected { projection, y: rows, x: columns } => {
                let (mut x, y) = projection.forward(latitude, longitude)?;
                if projection.is_angular() {
                    x = eastward(columns, x);
                }
                Some((along(rows, y, |axis, y| axis >= y)?, along(columns, x, |axis, x| axis <= x)?))
            }
            Axes::None => None,
        }
    }

    /// The parallels north (`low`) and south of a latitude; `None` outside, and where rows are not parallels.
    pub fn between_rows(&self, latitude: f64) -> Option<Between> {
        let (rows, _) = self.rectilinear()?;
        let last = rows.len() - 1;
        if !(-90.0..=90.0).contains(&latitude) {
            return None;
        }
        if latitude >= rows[0] || latitude <= rows[last] {
            let (edge, index) = if latitude >= rows[0] { (rows[0], 0) } else { (rows[last], last) };
            let beyond = (latitude - edge).abs();
            return (beyond <= EDGE_TOLERANCE || reaches_pole(rows, index)).then_some(Between::at(index));
        }
        let south = rows.partition_point(|&row| row >= latitude);
        let weight = (rows[south - 1] - latitude) / (rows[south - 1] - rows[south]);
        Some(Between { low: south - 1, high: south, weight })
    }

    /// The meridians west (`low`) and east of a longitude; `None` outside, and where columns are not meridians.
    pub fn between_columns(&self, longitude: f64) -> Option<Between> {
        let (_, columns) = self.rectilinear()?;
        let last = columns.len() - 1;
        if !longitude.is_finite() {
            return None;
        }
        let first = columns[0];
        // rem_euclid may round up to the full turn
        let east = Some((longitude - first).rem_euclid(360.0)).filter(|&east| east < 360.0).unwrap_or(0.0);
        let span = columns[last] - first;
        if east > span {
            if self.is_global_in_longitude() {
                return Some(Between { low: last, high: 0, weight: (east - span) / (360.0 - span) });
            }
            return if east - span <= EDGE_TOLERANCE {
                Some(Between::at(last))
            } else if 360.0 - east <= EDGE_TOLERANCE {
                Some(Between::at(0))
            } else {
                None
            };
        }
        let after = columns.partition_point(|&column| column - first <= east);
        if after > last {
            return Some(Between::at(last));
        }
        let weight = (east - (columns[after - 1] - first)) / (columns[after] - columns[after - 1]);
        Some(Between { low: after - 1, high: after, weight })
    }
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

/// A longitude as the full turns bring it nearest to the middle of an axis.
pub(super) fn eastward(columns: &[f64], x: f64) -> f64 {
    let middle = 0.5 * (columns[0] + columns[columns.len() - 1]);
    x - ((x - middle) / 360.0).round() * 360.0
}

/// Between which points of a monotonic axis a position lies; `reached` tells whether an axis value is at or before it.
fn along(axis: &[f64], position: f64, reached: impl Fn(f64, f64) -> bool) -> Option<Between> {
    let last = axis.len() - 1;
    let after = axis.partition_point(|&value| reached(value, position));
    if (1..=last).contains(&after) {
        let weight = (position - axis[after - 1]) / (axis[after] - axis[after - 1]);
        return Some(Between { low: after - 1, high: after, weight });
    }
    let edge = if after == 0 { 0 } else { last };
    let inner = axis[if after == 0 { last.min(1) } else { last.saturating_sub(1) }];
    ((position - axis[edge]).abs() <= EDGE_FRACTION * (axis[edge] - inner).abs()).then_some(Between::at(edge))
}
