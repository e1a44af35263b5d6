//! Areas that the cells of two grids share on the sphere.
//!
//! Cells are polygons of unit vectors, anticlockwise as seen from outside; their sides are parts of great circles, of which
//! a parallel takes several. What two share is the one cut off along each side of the other (Sutherland & Hodgman 1974,
//! <https://doi.org/10.1145/360767.360802>).

use std::collections::HashMap;

use rayon::prelude::*;

use super::Blend;
use super::conservative::{column_bounds, row_bounds};
use crate::atmos::Grid;

/// A parallel is cut into pieces of this many degrees at most: 5 m from their great circle at 60°.
const PIECE: f64 = 0.1;
/// A cell that is covered but for this part of it is covered.
const COVERED: f64 = 1e-4;

type Vector = [f64; 3];

/// The cells of a grid, with a circle around each.
struct Cells {
    polygons: Vec<Vec<Vector>>,
    middles: Vec<Vector>,
    radii: Vec<f64>,
}

/// For each cell of `to` the cells of `from` and the parts of it that they share; `None` where it is not covered.
pub fn blends(from: &Grid, to: &Grid) -> Vec<Option<Blend>> {
    let (source, target) = (Cells::of(from), Cells::of(to));
    // parallels bend: what is cut off must be cut along great circles
    let target_is_lines = to.rectilinear().is_some();
    let near = Neighbourhood::new(&source, &target);
    let blend = |cell: usize| {
        let polygon = &target.polygons[cell];
        let whole = area(polygon);
        let share = |other: u32| {
            let candidate = &source.polygons[other as usize];
            let shared = if target_is_lines { cut(polygon, candidate) } else { cut(candidate, polygon) };
            (other, area(&shared))
        };
        let candidates = near.around(target.middles[cell]).filter(|&other| {
            let reach = source.radii[other as usize] + target.radii[cell];
            distance(source.middles[other as usize], target.middles[cell]) <= reach
        });
        let mut shares: Blend = candidates.map(share).filter(|(_, area)| *area > whole * 1e-12).collect();
        shares.sort_unstable_by_key(|(other, _)| *other);
        let covered: f64 = shares.iter().map(|(_, area)| area).sum();
        shares.iter_mut().for_each(|(_, area)| *area /= covered);
        (covered >= whole * (1.0 - COVERED)).then_some(shares)
    };
    (0..target.polygons.len()).into_par_iter().map(blend).collect()
}

impl Cells {
    fn of(grid: &Grid) -> Self {
        let (h, w) = grid.shape();
        let polygons: Vec<Vec<Vector>> = match grid.rectilinear() {
            Some((latitude, longitude)) => {
                let (rows, columns) = (row_bounds(latitude), column_bounds(longitude));
                (0..h * w).map(|cell| between_lines(rows[cell / w], columns[cell % w])).collect()
            }
            None => {
                let corners = grid.corners();
                let corner = |row: usize, column: usize| corners[row * (w + 1) + column];
                let polygon = |cell: usize| {
                    let (row, column) = (cell / w, cell % w);
                    let around = [(row + 1, column), (row + 1, column + 1), (row, column + 1), (row, column)];
                    let mut polygon: Vec<Vector> = around.map(|(row, column)| corner(row, column)).into();
                    // rows of curvilinear grids may come from the south
                    if area(&polygon) < 0.0 {
                        polygon.reverse();
                    }
                    polygon
                };
                (0..h * w).map(polygon).collect()
            }
        };
        let middles: Vec<Vector> = polygons.iter().map(|polygon| middle(polygon)).collect();
        let radius = |(polygon, middle): (&Vec<Vector>, &Vector)| {
            polygon.iter().map(|corner| distance(*corner, *middle)).fold(0.0, f64::max)
        };
        let radii = polygons.iter().zip(&middles).map(radius).collect();
        Self { polygons, middles, radii }
    }
}

/// Between two parallels and two meridians, degrees.
fn between_lines((north, south): (f64, f64), (west, east): (f64, f64)) -> Vec<Vector> {
    let pieces = ((east - west) / PIECE).ceil().max(1.0) as usize;
    let along = |latitude: f64, piece: usize| {
        let longitude = west + (east - west) * piece as f64 / pieces as f64;
        let ((up, level), (side, ahead)) = (latitude.to_radians().sin_cos(), longitude.to_radians().sin_cos());
        [level * ahead, level * side, up]
    };
    let line = |latitude: f64| if latitude.abs() >= 90.0 { 0..1 } else { 0..pieces + 1 };
    let southern = line(south).map(|piece| along(south, piece));
    southern.chain(line(north).rev().map(|piece| along(north, piece))).collect()
}

/// Cells by where they are: cubes that are as wide as two cells that touch are apart at most.
struct Neighbourhood {
    width: f64,
    cubes: HashMap<[i32; 3], Vec<u32>>,
}

impl Neighbourhood {
    fn new(source: &Cells, target: &Cells) -> Self {
        let widest =
            |cells: &Cells| cells.radii.iter().copied().filter(|radius| radius.is_finite()).fold(0.0, f64::max);
        let width = (widest(source) + widest(target)).max(1e-6);
        let mut cubes: HashMap<[i32; 3], Vec<u32>> = HashMap::new();
        for (cell, middle) in (0u32..).zip(&source.middles).filter(|(_, middle)| middle[0].is_finite()) {
            cubes.entry(cube(*middle, width)).or_default().push(cell);
        }
        Self { width, cubes }
    }

    fn around(&self, place: Vector) -> impl Iterator<Item = u32> + '_ {
        let [x, y, z] = cube(place, self.width);
        let beside = (0..27).map(move |n| [x + n % 3 - 1, y + n / 3 % 3 - 1, z + n / 9 - 1]);
        beside.filter_map(|cube| self.cubes.get(&cube)).flatten().copied()
    }
}

fn cube(place: Vector, width: f64) -> [i32; 3] {
    place.map(|value| (value / width).floor() as i32)
}

/// The part of `polygon` inside of `by`, whose sides are great circles and whose corners all point outward.
fn cut(polygon: &[Vector], by: &[Vector]) -> Vec<Vector> {
    let mut left = polygon.to_vec();
    for (i, &start) in by.iter().enumerate() {
        let plane = cross(start, by[(i + 1) % by.len()]);
        // a side of no length, at a pole
        if dot(plane, plane) < 1e-30 {
            continue;
        }
        let mut kept = Vec::with_capacity(left.len() + 2);
        for (j, &here) in left.iter().enumerate() {
            let before = left[(j + left.len() - 1) % left.len()];
            let (was, is) = (dot(before, plane), dot(here, plane));
            if (was >= 0.0) != (is >= 0.0) {
                kept.push(unit(std::array::from_fn(|axis| before[axis] * is - here[axis] * was), is - was));
            }
            if is >= 0.0 {
                kept.push(here);
            }
        }
        left = kept;
        if left.len() < 3 {
            return Vec::new();
        }
    }
    left
}

/// Signed by the direction of its corners, in steradians.
fn area(polygon: &[Vector]) -> f64 {
    let Some((&first, rest)) = polygon.split_first() else { return 0.0 };
    rest.windows(2).map(|pair| triangle(first, pair[0], pair[1])).sum()
}

/// Van Oosterom & Strackee 1983, <https://doi.org/10.1109/TBME.1983.325207>.
fn triangle(a: Vector, b: Vector, c: Vector) -> f64 {
    2.0 * dot(a, cross(b, c)).atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))
}

fn middle(polygon: &[Vector]) -> Vector {
    let sum: Vector = std::array::from_fn(|axis| polygon.iter().map(|corner| corner[axis]).sum());
    unit(sum, 1.0)
}

/// Of length 1, in the direction of `vector`, or against it where `sign` is negative.
fn unit(vector: Vector, sign: f64) -> Vector {
    let length = dot(vector, vector).sqrt().copysign(sign);
    vector.map(|value| value / length)
}

fn distance(a: Vector, b: Vector) -> f64 {
    let difference: Vector = std::array::from_fn(|axis| a[axis] - b[axis]);
    dot(difference, difference).sqrt()
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
