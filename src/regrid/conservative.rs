//! By the areas that cells share. Cells are bounded midway between parallels and between meridians, and at the poles.

use rayon::prelude::*;

use super::{Blend, Method, RegridError, cells};
use crate::atmos::Grid;

/// A target cell that is covered but for this part of it is covered.
const COVERED: f64 = 1e-6;

pub fn blends(from: &Grid, to: &Grid) -> Result<Vec<Option<Blend>>, RegridError> {
    for grid in [from, to] {
        let lines = grid.rectilinear().is_some();
        if !lines && (grid.shape().0 < 2 || grid.shape().1 < 2) {
            let expected = "rows and columns, which have cells; nearest takes places one by one";
            return Err(RegridError::Kind { method: Method::Conservative, kind: grid.kind(), expected });
        }
    }
    match (from.rectilinear(), to.rectilinear()) {
        (Some(source), Some(target)) => Ok(of_lines(source, target)),
        _ => Ok(cells::blends(from, to)),
    }
}

/// Between parallels and meridians the shares of rows and of columns multiply.
fn of_lines(source: (&[f64], &[f64]), target: (&[f64], &[f64])) -> Vec<Option<Blend>> {
    let rows = shared_rows(&row_bounds(source.0), &row_bounds(target.0));
    let columns = shared_columns(&column_bounds(source.1), &column_bounds(target.1));
    let width = source.1.len();
    let blend = |point: usize| {
        let (rows, columns) = (&rows[point / target.1.len()], &columns[point % target.1.len()]);
        let covered = |shares: &[(usize, f64)]| shares.iter().map(|(_, share)| share).sum::<f64>();
        if covered(rows) < 1.0 - COVERED || covered(columns) < 1.0 - COVERED {
            return None;
        }
        let all = rows.iter().flat_map(|&(row, by_row)| {
            columns.iter().map(move |&(column, by_column)| ((row * width + column) as u32, by_row * by_column))
        });
        Some(all.collect())
    };
    (0..target.0.len() * target.1.len()).into_par_iter().map(blend).collect()
}

/// North and south of each row.
pub(super) fn row_bounds(rows: &[f64]) -> Vec<(f64, f64)> {
    let bounds = bounds(rows);
    // cells that would reach the pole but for less than their own height end there
    let to_pole =
        |bound: f64, row: f64| if 90.0 - bound.abs() < (bound - row).abs() { 90f64.copysign(bound) } else { bound };
    let last = rows.len() - 1;
    let clamped = |i: usize| match i {
        0 => to_pole(bounds[0].clamp(-90.0, 90.0), rows[0]),
        i if i == last + 1 => to_pole(bounds[i].clamp(-90.0, 90.0), rows[last]),
        i => bounds[i],
    };
    (0..rows.len()).map(|i| (clamped(i), clamped(i + 1))).collect()
}

/// West and east of each column.
pub(super) fn column_bounds(columns: &[f64]) -> Vec<(f64, f64)> {
    let bounds = bounds(columns);
    (0..columns.len()).map(|i| (bounds[i], bounds[i + 1])).collect()
}

/// Midway between values, and as far outside of the outermost.
fn bounds(values: &[f64]) -> Vec<f64> {
    let last = values.len() - 1;
    let half = |a: usize, b: usize| if values.len() > 1 { 0.5 * (values[a] - values[b]) } else { 0.5 };
    let mut bounds = vec![values[0] + half(0, last.min(1))];
    bounds.extend(values.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    bounds.push(values[last] + half(last, last.saturating_sub(1)));
    bounds
}

/// Of each target row the source rows and the parts of its area that they share.
fn shared_rows(source: &[(f64, f64)], target: &[(f64, f64)]) -> Vec<Vec<(usize, f64)>> {
    let height = |north: f64, south: f64| north.to_radians().sin() - south.to_radians().sin();
    let shares = |&(north, south): &(f64, f64)| {
        let share = |(row, &(other_north, other_south)): (usize, &(f64, f64))| {
            let (top, bottom) = (north.min(other_north), south.max(other_south));
            (top > bottom).then(|| (row, height(top, bottom) / height(north, south)))
        };
        source.iter().enumerate().filter_map(share).collect()
    };
    target.iter().map(shares).collect()
}

/// Of each target column the source columns and the parts of its width that they share, whatever the turns between them.
fn shared_columns(source: &[(f64, f64)], target: &[(f64, f64)]) -> Vec<Vec<(usize, f64)>> {
    let shares = |&(west, east): &(f64, f64)| {
        let share = |(column, &(other_west, other_east)): (usize, &(f64, f64))| {
            let turn = ((west - other_west) / 360.0).floor() * 360.0;
            let width = [turn - 360.0, turn, turn + 360.0]
                .into_iter()
                .map(|turn| (east.min(other_east + turn) - west.max(other_west + turn)).max(0.0));
            let width: f64 = width.sum();
            (width > 0.0).then(|| (column, width / (east - west)))
        };
        source.iter().enumerate().filter_map(share).collect()
    };
    target.iter().map(shares).collect()
}
