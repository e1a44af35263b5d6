//! Between the four points around a place.

use super::{Blend, Method, RegridError, each};
use crate::atmos::{Axes, Between, Grid};

/// Steps of the iteration, which converges in three or four.
const MOST_STEPS: usize = 40;
const NEAR_ENOUGH: f64 = 1e-12;
/// How far outside its cell a place may come out: a cell's borders are straight in one plane and bent in another.
const SLACK: f64 = 1e-2;

pub fn blends(from: &Grid, to: &Grid) -> Result<Vec<Option<Blend>>, RegridError> {
    if from.shape().0 < 2 || from.shape().1 < 2 {
        let expected = "rows and columns; nearest takes places one by one";
        return Err(RegridError::Kind { method: Method::Bilinear, kind: from.kind(), expected });
    }
    Ok(match from.axes() {
        Axes::Rectilinear { latitude: rows, .. } => each(to, |latitude, longitude| {
            let columns = from.between_columns(longitude)?;
            let rows_between = from.between_rows(latitude)?;
            let edge = rows_between.low == rows_between.high;
            if edge && (rows[rows_between.low] - latitude).abs() > 1e-4 {
                return Some(polar_cap(from, rows[rows_between.low], (rows_between.low, latitude), columns));
            }
            Some(product(rows_between, columns, from.shape().1))
        }),
        Axes::Projected { .. } => each(to, |latitude, longitude| {
            let (rows, columns) = from.between(latitude, longitude)?;
            if rows.low == rows.high || columns.low == columns.high {
                return Some(product(rows, columns, from.shape().1));
            }
            in_cell(from, (rows.low, columns.low), (latitude, longitude))
        }),
        Axes::None => each(to, |latitude, longitude| {
            let (row, column) = from.nearest(latitude, longitude)?;
            let (h, w) = from.shape();
            let before = |index: usize| [index.checked_sub(1), Some(index)].into_iter().flatten();
            let cells = before(row).flat_map(|row| before(column).map(move |column| (row, column)));
            let mut cells = cells.filter(|&(row, column)| row + 1 < h && column + 1 < w);
            cells.find_map(|cell| in_cell(from, cell, (latitude, longitude)))
        }),
    })
}

/// Weights of two rows times those of two columns.
fn product(rows: Between, columns: Between, width: usize) -> Blend {
    let pair = |between: Between| [(between.low, 1.0 - between.weight), (between.high, between.weight)];
    let all = pair(rows).into_iter().flat_map(|(row, by_row)| {
        pair(columns).map(move |(column, by_column)| ((row * width + column) as u32, by_row * by_column))
    });
    all.filter(|(_, weight)| *weight != 0.0).collect()
}

/// Between the outermost parallel and the pole, where its mean is.
fn polar_cap(from: &Grid, parallel: f64, (row, latitude): (usize, f64), columns: Between) -> Blend {
    let width = from.shape().1;
    let to_pole = ((latitude - parallel).abs() / (90.0 - parallel.abs())).clamp(0.0, 1.0);
    let mut blend: Blend = (0..width).map(|column| ((row * width + column) as u32, to_pole / width as f64)).collect();
    for (column, weight) in [(columns.low, 1.0 - columns.weight), (columns.high, columns.weight)] {
        blend[column].1 += (1.0 - to_pole) * weight;
    }
    blend
}

/// The place in the cell whose first corner has this row and column; `None` where it lies in another.
fn in_cell(from: &Grid, (row, column): (usize, usize), (latitude, longitude): (f64, f64)) -> Option<Blend> {
    let corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)];
    // relative to the place, so that longitudes are continuous
    let places = corners.map(|(row, column)| {
        let (there, east) = from.place(row, column);
        let east = (east - longitude + 180.0).rem_euclid(360.0) - 180.0;
        (there - latitude, east)
    });
    let side = |a: usize, b: usize| (places[a].0 - places[b].0, places[a].1 - places[b].1);
    let (along, across) = (side(1, 0), side(3, 0));
    let twist = (places[2].0 - places[1].0 - across.0, places[2].1 - places[1].1 - across.1);
    let (mut i, mut j) = (0.5, 0.5);
    for _ in 0..MOST_STEPS {
        // what is left to the place
        let left = (
            -places[0].0 - along.0 * i - across.0 * j - twist.0 * i * j,
            -places[0].1 - along.1 * i - across.1 * j - twist.1 * i * j,
        );
        let (by_i, by_j) =
            ((along.0 + twist.0 * j, along.1 + twist.1 * j), (across.0 + twist.0 * i, across.1 + twist.1 * i));
        let determinant = by_i.0 * by_j.1 - by_j.0 * by_i.1;
        if determinant == 0.0 || !determinant.is_finite() {
            return None;
        }
        let step_i = (left.0 * by_j.1 - by_j.0 * left.1) / determinant;
        let step_j = (by_i.0 * left.1 - left.0 * by_i.1) / determinant;
        (i, j) = (i + step_i, j + step_j);
        if step_i.abs() < NEAR_ENOUGH && step_j.abs() < NEAR_ENOUGH {
            break;
        }
    }
    let inside = |share: f64| (-SLACK..=1.0 + SLACK).contains(&share);
    if !inside(i) || !inside(j) {
        return None;
    }
    let width = from.shape().1;
    let weights = [(1.0 - i) * (1.0 - j), i * (1.0 - j), i * j, (1.0 - i) * j];
    Some(corners.iter().zip(weights).map(|(&(row, column), weight)| ((row * width + column) as u32, weight)).collect())
}
