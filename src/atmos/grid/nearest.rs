//! The grid point at the least great-circle distance.
//!
//! Of points without axes it is found by a k-d tree of their unit vectors (Bentley 1975, <https://doi.org/10.1145/361002.361007>).

use rayon::prelude::*;

use super::locate::eastward;
use super::{Axes, COORDINATE_TOLERANCE, Geometry, Grid};

/// Half the diagonal of a square cell is 0.707 of its side.
const CELL_REACH: f64 = 0.75;
/// On a square lattice even a corner has that many within the diagonal of a cell.
const NEIGHBOURS: usize = 3;

impl Grid {
    /// Row and column of the point nearest to a place. `None` where the place is farther outside the grid than half the
    /// distance between its outermost points; of grids without axes, farther from the point than its cell reaches: 3/4 of
    /// the distance to the farthest of its neighbours in rows and columns, or of the three points next to it.
    pub fn nearest(&self, latitude: f64, longitude: f64) -> Option<(usize, usize)> {
        if !(-90.0..=90.0).contains(&latitude) || !longitude.is_finite() {
            return None;
        }
        match self.axes() {
            Axes::Rectilinear { latitude: rows, longitude: columns } => {
                self.nearest_rectilinear(rows, columns, latitude, longitude)
            }
            Axes::Projected { projection, y: rows, x: columns } => {
                let (mut x, y) = projection.forward(latitude, longitude)?;
                if projection.is_angular() {
                    x = eastward(columns, x);
                }
                let (row, column) = (nearest_on(rows, y)?, nearest_on(columns, x)?);
                // what is nearest in the plane may have a nearer neighbour on the sphere
                let here = unit(latitude, longitude);
                let around = |index: usize, n: usize| index.saturating_sub(1)..(index + 2).min(n);
                let candidates = around(row, rows.len())
                    .flat_map(|row| around(column, columns.len()).map(move |column| (row, column)));
                let distance = |(row, column): (usize, usize)| {
                    let (latitude, longitude) = self.place(row, column);
                    square(here, unit(latitude, longitude))
                };
                candidates.min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
            }
            Axes::None => {
                let tree = self.derived.nearest.get_or_init(|| Nearest::new(self));
                let here = unit(latitude, longitude);
                let found = tree.nearest::<1>(here)[0];
                let reach = match &self.geometry {
                    Geometry::Points(_) => {
                        let (latitude, longitude) = self.place(0, found.index);
                        tree.nearest::<{ NEIGHBOURS + 1 }>(unit(latitude, longitude))
                            .into_iter()
                            .filter(|neighbour| neighbour.square.is_finite())
                            .fold(0.0, |reach: f64, neighbour| reach.max(neighbour.square))
                    }
                    _ => self.farthest_neighbour(found.index),
                };
                let width = self.shape().1;
                (found.square.sqrt() <= CELL_REACH * reach.sqrt() + 1e-9)
                    .then_some((found.index / width, found.index % width))
            }
        }
    }

    /// The point at each of `places`, row-major, within float32 rounding of the coordinates; of the first place where there
    /// is no point, its latitude and longitude.
    pub fn points_at(&self, places: &Self) -> Result<Vec<u32>, (f64, f64)> {
        let width = self.shape().1;
        let at = |(&latitude, &longitude): (&f64, &f64)| {
            let near = |&(row, column): &(usize, usize)| {
                let (there_latitude, there_longitude) = self.place(row, column);
                square(unit(latitude, longitude), unit(there_latitude, there_longitude))
                    <= COORDINATE_TOLERANCE.to_radians().powi(2)
            };
            let found = self.nearest(latitude, longitude).filter(near);
            found.map(|(row, column)| (row * width + column) as u32).ok_or((latitude, longitude))
        };
        let coordinates = places.coordinates();
        let places: Vec<(&f64, &f64)> = coordinates.latitude.iter().zip(&coordinates.longitude).collect();
        // in order, so that the first place without a point is the one that is named
        let found: Vec<_> = places.into_par_iter().map(at).collect();
        found.into_iter().collect()
    }

    fn nearest_rectilinear(
        &self,
        rows: &[f64],
        columns: &[f64],
        latitude: f64,
        longitude: f64,
    ) -> Option<(usize, usize)> {
        // On every parallel the nearest meridian is nearest, so that it can be found first.
        let turn = |a: f64, b: f64| {
            let difference = (a - b).rem_euclid(360.0);
            difference.min(360.0 - difference)
        };
        let (column, east) = least(columns.iter().map(|&column| turn(column, longitude)))?;
        let cosine = |row: f64| {
            let (row, here) = (row.to_radians(), latitude.to_radians());
            row.sin() * here.sin() + row.cos() * here.cos() * east.to_radians().cos()
        };
        let (row, _) = least(rows.iter().map(|&row| -cosine(row)))?;
        let half = |values: &[f64], index: usize| {
            let neighbour = if index == 0 { values.get(1) } else { values.get(index - 1) };
            neighbour.map_or(0.0, |neighbour| 0.5 * (neighbour - values[index]).abs()) + 1e-6
        };
        let beyond_columns = !self.is_global_in_longitude() && east > half(columns, column);
        let outermost = row == 0 || row == rows.len() - 1;
        let to_pole = 90.0 - rows[row].abs() <= 2.0 * half(rows, row);
        let beyond_rows = outermost && !to_pole && (latitude - rows[row]).abs() > half(rows, row);
        (!beyond_columns && !beyond_rows).then_some((row, column))
    }

    /// Square of the distance from a point to the farthest of its neighbours in rows and columns.
    fn farthest_neighbour(&self, index: usize) -> f64 {
        let (h, w) = self.shape();
        let (row, column) = (index / w, index % w);
        let vector = |row: usize, column: usize| {
            let (latitude, longitude) = self.place(row, column);
            unit(latitude, longitude)
        };
        let beside =
            [(row.wrapping_sub(1), column), (row + 1, column), (row, column.wrapping_sub(1)), (row, column + 1)];
        let distances = beside.into_iter().filter(|&(row, column)| row < h && column < w);
        distances.fold(0.0, |reach: f64, (r, c)| reach.max(square(vector(row, column), vector(r, c))))
    }
}

/// Position and value of the least, the first of equals.
fn least(values: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    values.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The nearest value of a monotonic axis; `None` farther outside than half the distance of the outermost.
fn nearest_on(axis: &[f64], position: f64) -> Option<usize> {
    let descends = axis[0] > axis[axis.len() - 1];
    let after = axis.partition_point(|&value| if descends { value >= position } else { value <= position });
    let last = axis.len() - 1;
    if after == 0 || after > last {
        let (edge, inner) = if after == 0 { (0, last.min(1)) } else { (last, last.saturating_sub(1)) };
        let half = 0.5 * (axis[edge] - axis[inner]).abs() * (1.0 + 1e-6);
        return ((axis[edge] - position).abs() <= half).then_some(edge);
    }
    Some(if (position - axis[after - 1]).abs() <= (axis[after] - position).abs() { after - 1 } else { after })
}

/// The vector of length 1 to a place.
pub(super) fn unit(latitude: f64, longitude: f64) -> [f64; 3] {
    let (sine, cosine) = latitude.to_radians().sin_cos();
    let (east, ahead) = longitude.to_radians().sin_cos();
    [cosine * ahead, cosine * east, sine]
}

fn square(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum()
}

/// A point, and the square of its distance.
#[derive(Debug, Clone, Copy)]
struct Found {
    index: usize,
    square: f64,
}

/// A balanced k-d tree: the middle of each part is its root, on x, y and z in turn.
pub(super) struct Nearest {
    nodes: Vec<([f64; 3], u32)>,
}

impl Nearest {
    fn new(grid: &Grid) -> Self {
        let places = grid.coordinates();
        let places = places.latitude.iter().zip(&places.longitude);
        let mut nodes: Vec<_> = (0u32..).zip(places).map(|(i, (&lat, &lon))| (unit(lat, lon), i)).collect();
        arrange(&mut nodes, 0);
        Self { nodes }
    }

    /// The `K` nearest points, nearest first; where there are fewer, the rest are infinitely far.
    fn nearest<const K: usize>(&self, here: [f64; 3]) -> [Found; K] {
        let mut found = [Found { index: 0, square: f64::INFINITY }; K];
        search(&self.nodes, 0, here, &mut found);
        found
    }
}

fn arrange(nodes: &mut [([f64; 3], u32)], axis: usize) {
    if nodes.len() < 2 {
        return;
    }
    let middle = nodes.len() / 2;
    nodes.select_nth_unstable_by(middle, |a, b| a.0[axis].total_cmp(&b.0[axis]).then(a.1.cmp(&b.1)));
    let (before, rest) = nodes.split_at_mut(middle);
    let next = (axis + 1) % 3;
    if before.len() > 1 << 12 {
        rayon::join(|| arrange(before, next), || arrange(&mut rest[1..], next));
    } else {
        arrange(before, next);
        arrange(&mut rest[1..], next);
    }
}

fn search(nodes: &[([f64; 3], u32)], axis: usize, here: [f64; 3], found: &mut [Found]) {
    let Some(&(vector, index)) = nodes.get(nodes.len() / 2) else { return };
    let (before, after) = (&nodes[..nodes.len() / 2], &nodes[nodes.len() / 2 + 1..]);
    let next = (axis + 1) % 3;
    let distance = square(vector, here);
    // of equals the first point, whatever the order of the search
    let place = found.partition_point(|other| (other.square, other.index) < (distance, index as usize));
    if place < found.len() {
        found[place..].rotate_right(1);
        found[place] = Found { index: index as usize, square: distance };
    }
    let across = here[axis] - vector[axis];
    let (near, far) = if across < 0.0 { (before, after) } else { (after, before) };
    search(near, next, here, found);
    if across * across <= found[found.len() - 1].square {
        search(far, next, here, found);
    }
}
