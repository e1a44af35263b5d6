//! Which points of a grid a geometry means.

use std::ops::Range;

use super::wkt::{Polygon, Position};
use crate::atmos::{Axes, Grid};
use crate::serve::error::Violation;

/// Coordinates of requests are decimal texts; a point on the edge of an area belongs to it.
const EDGE: f64 = 1e-9;

/// What coordinates of requests and answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crs {
    /// Degrees east and north.
    Crs84,
    /// Positions in the grid's projection, x and y.
    Native,
}

/// A point of the grid, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    pub row: usize,
    pub column: usize,
    pub x: f64,
    pub y: f64,
}

/// The points of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Places {
    /// One by one; as many as there are, in the request's order where it names them.
    Spots(Vec<Spot>),
    /// Whole rows and columns.
    Lattice {
        rows: Range<usize>,
        /// Eastward from the area's west; they may pass the grid's last column and go on from its first.
        columns: Vec<usize>,
        y: Vec<f64>,
        x: Vec<f64>,
        /// Row-major; `None`: all of them.
        inside: Option<Vec<bool>>,
    },
}

impl Places {
    pub fn len(&self) -> usize {
        match self {
            Self::Spots(spots) => spots.len(),
            Self::Lattice { rows, columns, .. } => rows.len() * columns.len(),
        }
    }

    /// Every place with its position in the values, without those that are masked.
    pub fn positions(&self) -> Vec<(usize, Position)> {
        match self {
            Self::Spots(spots) => spots.iter().map(|spot| (spot.x, spot.y)).enumerate().collect(),
            Self::Lattice { y, x, inside, .. } => {
                let all = y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y))).enumerate();
                all.filter(|(n, _)| inside.as_ref().is_none_or(|inside| inside[*n])).collect()
            }
        }
    }
}

/// The grid points nearest to some positions; of all that lie outside, the error names the first.
pub fn nearest(grid: &Grid, crs: Crs, positions: &[Position]) -> Result<Vec<Spot>, Violation> {
    let spot = |&(x, y): &Position| {
        let place = match (crs, grid.projection()) {
            (Crs::Native, Some(projection)) => projection.inverse(x, y),
            _ => (-360.0..=360.0).contains(&x).then_some((y, x)),
        };
        let found = place.and_then(|(latitude, longitude)| grid.nearest(latitude, longitude));
        let (row, column) =
            found.ok_or_else(|| Violation::new("coords", format!("({x} {y}) is outside the grid: {grid}")))?;
        Ok(spot_at(grid, crs, row, column))
    };
    positions.iter().map(spot).collect()
}

fn spot_at(grid: &Grid, crs: Crs, row: usize, column: usize) -> Spot {
    match (crs, grid.axes()) {
        (Crs::Native, Axes::Projected { y, x, .. }) => Spot { row, column, x: x[column], y: y[row] },
        _ => {
            let (latitude, longitude) = grid.place(row, column);
            Spot { row, column, x: half_turn(longitude), y: latitude }
        }
    }
}

/// Degrees east in -180..180.
fn half_turn(longitude: f64) -> f64 {
    if (-180.0..=180.0).contains(&longitude) { longitude } else { (longitude + 180.0).rem_euclid(360.0) - 180.0 }
}

/// The grid points in a box `[west, south, east, north]` (where west is east of east, across the date line), and in one of the
/// polygons where there are some. Looks at every point of grids that have no parallels and meridians.
pub fn within(
    grid: &Grid,
    crs: Crs,
    field: &'static str,
    [west, south, mut east, north]: [f64; 4],
    polygons: &[Polygon],
) -> Result<Places, Violation> {
    let holds = |x: f64, y: f64| polygons.is_empty() || polygons.iter().any(|polygon| polygon.contains((x, y)));
    if crs == Crs::Crs84 && east < west {
        east += 360.0;
    }
    // a longitude as the turns bring it into the box
    let eastward = |longitude: f64| {
        let offset = (longitude - west).rem_euclid(360.0);
        let offset = if offset >= 360.0 - EDGE { 0.0 } else { offset };
        (offset <= east - west + EDGE).then_some(west + offset)
    };
    let parallel = |latitude: f64| (south - EDGE..=north + EDGE).contains(&latitude);
    let places = match (grid.axes(), crs) {
        (Axes::Rectilinear { latitude, longitude }, _) => {
            let mut columns: Vec<(f64, usize)> =
                longitude.iter().enumerate().filter_map(|(n, &longitude)| Some((eastward(longitude)?, n))).collect();
            columns.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (x, columns) = columns.into_iter().unzip();
            lattice(latitude, parallel, x, columns, holds)
        }
        (Axes::Projected { y, x, .. }, Crs::Native) => {
            let inside = |&(_, &x): &(usize, &f64)| (west - EDGE..=east + EDGE).contains(&x);
            let (columns, x) = x.iter().enumerate().filter(inside).map(|(n, &x)| (n, x)).unzip();
            lattice(y, parallel, x, columns, holds)
        }
        _ => {
            let places = grid.coordinates();
            let width = grid.shape().1;
            let points = places.latitude.iter().zip(&places.longitude).enumerate();
            let spots = points.filter_map(|(n, (&latitude, &longitude))| {
                let x = eastward(longitude).filter(|_| parallel(latitude))?;
                let spot = Spot { row: n / width, column: n % width, x: half_turn(longitude), y: latitude };
                holds(x, latitude).then_some(spot)
            });
            Places::Spots(spots.collect())
        }
    };
    let empty = match &places {
        Places::Spots(spots) => spots.is_empty(),
        Places::Lattice { inside, .. } => {
            places.len() == 0 || inside.as_ref().is_some_and(|inside| !inside.contains(&true))
        }
    };
    if empty { Err(Violation::new(field, format!("holds no point of the grid: {grid}"))) } else { Ok(places) }
}

fn lattice(
    axis: &[f64],
    parallel: impl Fn(f64) -> bool,
    x: Vec<f64>,
    columns: Vec<usize>,
    holds: impl Fn(f64, f64) -> bool,
) -> Places {
    let first = axis.iter().position(|&y| parallel(y)).unwrap_or(0);
    let count = axis.iter().filter(|&&y| parallel(y)).count();
    let y = axis[first..first + count].to_vec();
    let inside: Vec<bool> = y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y))).map(|(x, y)| holds(x, y)).collect();
    let inside = Some(inside).filter(|inside| inside.contains(&false));
    Places::Lattice { rows: first..first + count, columns, y, x, inside }
}

#[cfg(test)]
mod tests {
    use super::super::wkt;
    use super::*;
    use crate::atmos::Projection;

    fn global() -> Grid {
        Grid::new((0..19).map(|i| 90.0 - 10.0 * f64::from(i)).collect(), (0..36).map(|i| 10.0 * f64::from(i)).collect())
            .unwrap()
    }

    fn axes(places: &Places) -> (&[f64], &[f64], &[usize]) {
        match places {
            Places::Lattice { y, x, columns, .. } => (y, x, columns),
            Places::Spots(_) => panic!("spots"),
        }
    }

    #[test]
    fn a_box_takes_the_points_inside_and_on_its_edges_and_passes_the_seams() {
        let grid = global();
        let of = |bounds| within(&grid, Crs::Crs84, "bbox", bounds, &[]).unwrap();
        let places = of([-20.0, 35.0, 10.0, 60.0]);
        assert_eq!(axes(&places), (&[60.0, 50.0, 40.0][..], &[-20.0, -10.0, 0.0, 10.0][..], &[34, 35, 0, 1][..]));
        let places = of([175.0, -90.0, -165.0, -85.0]);
        assert_eq!(axes(&places), (&[-90.0][..], &[180.0, 190.0][..], &[18, 19][..]));
        assert_eq!(of([-180.0, -90.0, 180.0, 90.0]).len(), 19 * 36);
        assert_eq!(of([0.0, 0.0, 360.0, 0.0]).len(), 36);
        assert!(within(&grid, Crs::Crs84, "bbox", [1.0, 1.0, 2.0, 2.0], &[]).is_err());
    }

    #[test]
    fn a_polygon_masks_and_its_places_are_told() {
        let grid = global();
        let Ok(wkt::Geometry::Polygons(polygons)) = wkt::parse("POLYGON((-25 35, 15 35, -25 65, -25 35))") else {
            panic!("no polygon")
        };
        let places = within(&grid, Crs::Crs84, "coords", polygons[0].bounds(), &polygons).unwrap();
        let kept: Vec<Position> = places.positions().into_iter().map(|(_, position)| position).collect();
        assert_eq!(kept, [(-20.0, 60.0), (-20.0, 50.0), (-10.0, 50.0), (-20.0, 40.0), (-10.0, 40.0), (0.0, 40.0)]);
    }

    #[test]
    fn a_projected_grid_answers_by_places_and_in_its_own_plane() {
        let projection = Projection::from_proj_string("+proj=lcc +lat_1=56 +lat_0=56 +lon_0=10 +R=6371229").unwrap();
        let axis = |n: i32| (0..n).map(|i| 1e4 * f64::from(i - n / 2)).collect::<Vec<f64>>();
        let grid = Grid::projected(projection, axis(11).into_iter().rev().collect(), axis(11)).unwrap();
        let native = within(&grid, Crs::Native, "bbox", [-10_000.0, -20_000.0, 10_000.0, 0.0], &[]).unwrap();
        assert_eq!(axes(&native), (&[0.0, -1e4, -2e4][..], &[-1e4, 0.0, 1e4][..], &[4, 5, 6][..]));
        let places = within(&grid, Crs::Crs84, "bbox", [9.7, 55.85, 10.3, 56.15], &[]).unwrap();
        assert!(matches!(&places, Places::Spots(spots) if spots.len() == 9), "{places:?}");
        let spots = nearest(&grid, Crs::Native, &[(12_000.0, -8_000.0)]).unwrap();
        assert_eq!((spots[0].x, spots[0].y), (1e4, -1e4));
        assert!(nearest(&grid, Crs::Crs84, &[(30.0, 56.0)]).is_err());
    }
}
