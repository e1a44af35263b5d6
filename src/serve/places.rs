//! Which points of a grid a geometry means.

use std::ops::Range;

use super::error::Violation;
use crate::atmos::{Axes, Grid};
use crate::tile::Columns;

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

/// x, y: degrees east and north, or positions in the grid's projection.
pub type Position = (f64, f64);

/// What lies between two meridians and two parallels, or between positions in the grid's projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    pub west: f64,
    pub south: f64,
    /// Not less than west, from which it lies eastward: beyond 180 across the date line.
    pub east: f64,
    pub north: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    West,
    South,
    East,
    North,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Self::West => "west",
            Self::South => "south",
            Self::East => "east",
            Self::North => "north",
        }
    }

    fn outside(self, degrees: f64) -> Option<SideError> {
        let limit = match self {
            Self::West | Self::East => 360.0,
            Self::South | Self::North => 90.0,
        };
        let inside = (-limit..=limit).contains(&degrees);
        (!inside).then(|| SideError::new(self, format!("{degrees} is outside -{limit} to {limit} degrees")))
    }
}

/// A side that a box cannot have: what was found there, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideError {
    pub side: Side,
    pub description: String,
}

impl SideError {
    fn new(side: Side, description: String) -> Self {
        Self { side, description }
    }
}

impl BoundingBox {
    /// From a request's west, south, east and north. In degrees west may be east of east: the box then crosses the date line. The
    /// errors are of all sides that are wrong.
    pub fn new(crs: Crs, [west, south, east, north]: [f64; 4]) -> Result<Self, Vec<SideError>> {
        let mut errors: Vec<SideError> = match crs {
            Crs::Crs84 => [(Side::West, west), (Side::South, south), (Side::East, east), (Side::North, north)]
                .into_iter()
                .filter_map(|(side, degrees)| side.outside(degrees))
                .collect(),
            Crs::Native => Vec::new(),
        };
        let turned = match crs {
            Crs::Crs84 => (east - west > 360.0).then_some("more than a turn east of"),
            Crs::Native => (east < west).then_some("west of"),
        };
        // of sides that are none by themselves there is nothing more to say
        if errors.is_empty() {
            errors.extend(turned.map(|how| SideError::new(Side::East, format!("{east} is {how} west, {west}"))));
            errors.extend(
                (south > north).then(|| SideError::new(Side::South, format!("{south} is north of north, {north}"))),
            );
        }
        let east = if east < west { west + (east - west).rem_euclid(360.0) } else { east };
        if errors.is_empty() { Ok(Self { west, south, east, north }) } else { Err(errors) }
    }

    /// The smallest that holds these positions, in the order of their numbers: it crosses no date line.
    pub fn around(positions: impl IntoIterator<Item = Position>) -> Self {
        let start =
            Self { west: f64::INFINITY, south: f64::INFINITY, east: f64::NEG_INFINITY, north: f64::NEG_INFINITY };
        positions.into_iter().fold(start, |all, (x, y)| Self {
            west: all.west.min(x),
            south: all.south.min(y),
            east: all.east.max(x),
            north: all.north.max(y),
        })
    }

    /// South-west and north-east.
    pub fn corners(&self) -> [Position; 2] {
        [(self.west, self.south), (self.east, self.north)]
    }

    /// The longitude, turned to lie eastward of west; `None` where it is outside.
    fn eastward(&self, longitude: f64) -> Option<f64> {
        let offset = (longitude - self.west).rem_euclid(360.0);
        let offset = if offset >= 360.0 - EDGE { offset - 360.0 } else { offset };
        // whole turns, so that the grid's own decimals stay
        let turns = ((self.west + offset - longitude) / 360.0).round();
        (offset <= self.east - self.west + EDGE).then_some(longitude + 360.0 * turns)
    }

    fn holds_x(&self, x: f64) -> bool {
        (self.west - EDGE..=self.east + EDGE).contains(&x)
    }

    fn holds_y(&self, y: f64) -> bool {
        (self.south - EDGE..=self.north + EDGE).contains(&y)
    }
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
        columns: Columns,
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
            Self::Lattice { rows, columns, .. } => rows.len() * columns.count,
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

/// Rows and columns of a grid, and where they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct GridWindow {
    pub rows: Range<usize>,
    pub columns: Columns,
    /// Of each row: degrees north, or its position in the grid's projection. Empty where points have places of their own.
    pub y: Vec<f64>,
    /// Of each column: degrees east, ascending also where columns pass the grid's last, or its position in the projection. Empty
    /// as `y`.
    pub x: Vec<f64>,
}

impl GridWindow {
    pub fn whole(grid: &Grid) -> Self {
        let (height, width) = grid.shape();
        Self::cut(grid, 0..height, 0..width)
    }

    /// The smallest that holds some places; around places one by one it does not pass the last column.
    pub fn around(grid: &Grid, places: Places) -> Self {
        match places {
            Places::Lattice { rows, columns, y, x, .. } => Self { rows, columns, y, x },
            Places::Spots(spots) => {
                let (rows, columns) = spans(&spots);
                Self::cut(grid, rows, columns)
            }
        }
    }

    fn cut(grid: &Grid, rows: Range<usize>, columns: Range<usize>) -> Self {
        let (y, x) = match grid.axes() {
            Axes::Rectilinear { latitude: y, longitude: x } | Axes::Projected { y, x, .. } => {
                (y[rows.clone()].to_vec(), x[columns.clone()].to_vec())
            }
            Axes::None => (Vec::new(), Vec::new()),
        };
        Self { rows, columns: Columns { start: columns.start, count: columns.len() }, y, x }
    }
}

/// From the first to the last row and column of some points.
pub fn spans(spots: &[Spot]) -> (Range<usize>, Range<usize>) {
    let span = |of: fn(&Spot) -> usize| {
        let (first, last) = (spots.iter().map(of).min().unwrap_or(0), spots.iter().map(of).max().unwrap_or(0));
        first..last + 1
    };
    (span(|spot| spot.row), span(|spot| spot.column))
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

/// The grid points in a box that hold, too, what `holds` asks of their x and y. Looks at every point of grids that have no
/// parallels and meridians. Where there is none, the error is of `field`.
pub fn within(
    grid: &Grid,
    crs: Crs,
    field: &'static str,
    bounds: BoundingBox,
    holds: impl Fn(f64, f64) -> bool,
) -> Result<Places, Violation> {
    let places = match (grid.axes(), crs) {
        (Axes::Rectilinear { latitude, longitude }, _) => {
            let found = longitude.iter().enumerate().filter_map(|(n, &x)| Some((bounds.eastward(x)?, n)));
            let mut columns: Vec<(f64, usize)> = found.collect();
            columns.sort_by(|a, b| a.0.total_cmp(&b.0));
            lattice(latitude, columns, &bounds, holds)
        }
        (Axes::Projected { y, x, .. }, Crs::Native) => {
            let found = x.iter().enumerate().filter(|&(_, &x)| bounds.holds_x(x));
            lattice(y, found.map(|(n, &x)| (x, n)).collect(), &bounds, holds)
        }
        _ => {
            let places = grid.coordinates();
            let width = grid.shape().1;
            let points = places.latitude.iter().zip(&places.longitude).enumerate();
            let spots = points.filter_map(|(n, (&latitude, &longitude))| {
                let x = bounds.eastward(longitude).filter(|_| bounds.holds_y(latitude))?;
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

/// `columns` with their x, eastward: they are an arc of the grid's, so that each is the next of the one before.
fn lattice(axis: &[f64], columns: Vec<(f64, usize)>, bounds: &BoundingBox, holds: impl Fn(f64, f64) -> bool) -> Places {
    let first = axis.iter().position(|&y| bounds.holds_y(y)).unwrap_or(0);
    let count = axis.iter().filter(|&&y| bounds.holds_y(y)).count();
    let y = axis[first..first + count].to_vec();
    let start = columns.first().map_or(0, |column| column.1);
    let x: Vec<f64> = columns.into_iter().map(|(x, _)| x).collect();
    let inside: Vec<bool> = y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y))).map(|(x, y)| holds(x, y)).collect();
    let inside = Some(inside).filter(|inside| inside.contains(&false));
    let columns = Columns { start, count: x.len() };
    Places::Lattice { rows: first..first + count, columns, y, x, inside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::Projection;

    fn global() -> Grid {
        Grid::new((0..19).map(|i| 90.0 - 10.0 * f64::from(i)).collect(), (0..36).map(|i| 10.0 * f64::from(i)).collect())
            .unwrap()
    }

    fn projected() -> Grid {
        let projection = Projection::from_proj_string("+proj=lcc +lat_1=56 +lat_0=56 +lon_0=10 +R=6371229").unwrap();
        let axis = |n: i32| (0..n).map(|i| 1e4 * f64::from(i - n / 2)).collect::<Vec<f64>>();
        Grid::projected(projection, axis(11).into_iter().rev().collect(), axis(11)).unwrap()
    }

    fn places(grid: &Grid, crs: Crs, sides: [f64; 4]) -> Result<Places, Violation> {
        within(grid, crs, "bbox", BoundingBox::new(crs, sides).unwrap(), |_, _| true)
    }

    fn axes(places: &Places) -> (&[f64], &[f64], Columns) {
        match places {
            Places::Lattice { y, x, columns, .. } => (y, x, *columns),
            Places::Spots(_) => panic!("spots"),
        }
    }

    #[test]
    fn a_box_takes_the_points_inside_and_on_its_edges_and_passes_the_seams() {
        let grid = global();
        let of = |sides| places(&grid, Crs::Crs84, sides).unwrap();
        let across = of([-20.0, 35.0, 10.0, 60.0]);
        let columns = Columns { start: 34, count: 4 };
        assert_eq!(axes(&across), (&[60.0, 50.0, 40.0][..], &[-20.0, -10.0, 0.0, 10.0][..], columns));
        let date_line = of([175.0, -90.0, -165.0, -85.0]);
        assert_eq!(axes(&date_line), (&[-90.0][..], &[180.0, 190.0][..], Columns { start: 18, count: 2 }));
        assert_eq!(of([-180.0, -90.0, 180.0, 90.0]).len(), 19 * 36);
        assert_eq!(of([0.0, 0.0, 360.0, 0.0]).len(), 36);
        // more than half round, from a turn to the east to a turn to the west
        assert_eq!(axes(&of([200.0, 0.0, -200.0, 0.0])).2, Columns { start: 20, count: 33 });
        assert!(places(&grid, Crs::Crs84, [1.0, 1.0, 2.0, 2.0]).is_err());
    }

    #[test]
    fn longitudes_are_the_grids_own_or_whole_turns_away() {
        let grid = Grid::new(vec![1.0, 0.0], (0..96).map(|i| 3.75 * f64::from(i)).collect()).unwrap();
        let found = places(&grid, Crs::Crs84, [-10.3, 0.0, 10.1, 1.0]).unwrap();
        assert_eq!(axes(&found).1, [-7.5, -3.75, 0.0, 3.75, 7.5]);
        // a meridian that decimals put beside the edge
        let edge = places(&grid, Crs::Crs84, [3.75 + 1e-10, 0.0, 8.0, 1.0]).unwrap();
        assert_eq!(axes(&edge), (&[1.0, 0.0][..], &[3.75, 7.5][..], Columns { start: 1, count: 2 }));
    }

    #[test]
    fn what_is_no_box_is_told_by_side() {
        let wrong = |crs, sides| {
            let errors = BoundingBox::new(crs, sides).err().unwrap_or_default();
            errors.into_iter().map(|error| error.side.name()).collect::<Vec<_>>()
        };
        assert_eq!(wrong(Crs::Crs84, [-361.0, f64::NAN, f64::INFINITY, 91.0]), ["west", "south", "east", "north"]);
        assert_eq!(wrong(Crs::Crs84, [0.0, 10.0, 5.0, 0.0]), ["south"]);
        assert_eq!(wrong(Crs::Crs84, [-200.0, 0.0, 170.0, 0.0]), ["east"]);
        assert_eq!(wrong(Crs::Native, [5.0, 0.0, 0.0, 1e6]), ["east"]);
        assert!(wrong(Crs::Crs84, [170.0, -90.0, -170.0, -90.0]).is_empty());
    }

    #[test]
    fn what_does_not_hold_is_masked_and_places_are_told() {
        let grid = global();
        let bounds = BoundingBox::around([(-25.0, 35.0), (15.0, 35.0), (-25.0, 65.0)]);
        let triangle = |x: f64, y: f64| (x + 25.0) / 40.0 + (y - 35.0) / 30.0 <= 1.0;
        let places = within(&grid, Crs::Crs84, "coords", bounds, triangle).unwrap();
        let kept: Vec<Position> = places.positions().into_iter().map(|(_, position)| position).collect();
        assert_eq!(kept, [(-20.0, 60.0), (-20.0, 50.0), (-10.0, 50.0), (-20.0, 40.0), (-10.0, 40.0), (0.0, 40.0)]);
    }

    #[test]
    fn a_projected_grid_answers_by_places_and_in_its_own_plane() {
        let grid = projected();
        let native = places(&grid, Crs::Native, [-10_000.0, -20_000.0, 10_000.0, 0.0]).unwrap();
        let columns = Columns { start: 4, count: 3 };
        assert_eq!(axes(&native), (&[0.0, -1e4, -2e4][..], &[-1e4, 0.0, 1e4][..], columns));
        let places = places(&grid, Crs::Crs84, [9.7, 55.85, 10.3, 56.15]).unwrap();
        assert!(matches!(&places, Places::Spots(spots) if spots.len() == 9), "{places:?}");
        let spots = nearest(&grid, Crs::Native, &[(12_000.0, -8_000.0)]).unwrap();
        assert_eq!((spots[0].x, spots[0].y), (1e4, -1e4));
        assert!(nearest(&grid, Crs::Crs84, &[(30.0, 56.0)]).is_err());
    }

    #[test]
    fn a_window_is_around_all_places_and_has_the_axes_of_its_grid() {
        let grid = projected();
        let around = |grid: &Grid, sides| GridWindow::around(grid, places(grid, Crs::Crs84, sides).unwrap());
        let (y, x) = (vec![1e4, 0.0, -1e4], vec![-1e4, 0.0, 1e4]);
        let expected = GridWindow { rows: 4..7, columns: Columns { start: 4, count: 3 }, y, x };
        assert_eq!(around(&grid, [9.7, 55.85, 10.3, 56.15]), expected);
        assert_eq!(around(&grid, [-180.0, -90.0, 180.0, 90.0]), GridWindow::whole(&grid));

        let points = Grid::points(vec![50.0, 51.0, 60.0, 51.5], vec![5.0, 6.0, 7.0, 6.5]).unwrap();
        let expected = GridWindow { rows: 0..1, columns: Columns { start: 1, count: 3 }, y: vec![], x: vec![] };
        assert_eq!(around(&points, [5.5, 50.5, 8.0, 52.0]), expected);
    }
}
