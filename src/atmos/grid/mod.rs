//! Where on the Earth the points of a field lie.

#[cfg(test)]
mod general_tests;
mod latitudes;
mod locate;
mod nearest;
#[cfg(test)]
mod tests;
mod weights;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ndarray::{Array2, Axis, Slice};
use rayon::prelude::*;

use super::Projection;
use latitudes::latitude_kind;
use nearest::Nearest;

pub use locate::Between;

/// What the points of a grid are.
#[derive(Debug, Clone, PartialEq)]
pub enum GridKind {
    /// Latitudes equally spaced.
    LatLon,
    /// Latitudes at the roots of a Legendre polynomial.
    Gaussian,
    /// Any other monotonic latitudes.
    Rectilinear,
    /// Rows and columns of a map projection; the rotated pole is one.
    Projected(Projection),
    /// Rows and columns whose places follow no rule that is known.
    Curvilinear,
    /// Places one by one; reduced Gaussian grids are such.
    Points,
}

impl fmt::Display for GridKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatLon => f.write_str("regular latitude-longitude"),
            Self::Gaussian => f.write_str("Gaussian latitude-longitude"),
            Self::Rectilinear => f.write_str("rectilinear latitude-longitude"),
            Self::Projected(projection) => projection.fmt(f),
            Self::Curvilinear => f.write_str("curvilinear"),
            Self::Points => f.write_str("points"),
        }
    }
}

/// Axes or places that make no grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GridError {
    #[error("{axis} has {found} value(s); at least {expected} are needed")]
    TooShort { axis: &'static str, found: usize, expected: usize },
    #[error("{axis} value {value} at index {index} is outside {low}..{high}")]
    OutOfRange { axis: &'static str, index: usize, value: f64, low: f64, high: f64 },
    #[error("{axis} is not strictly monotonic: {previous} then {value} at index {index}")]
    NotMonotonic { axis: &'static str, index: usize, previous: f64, value: f64 },
    #[error("{axis} spans {span} degrees: more than once around")]
    Overlaps { axis: &'static str, span: f64 },
    #[error("latitude has shape {latitude:?} and longitude {longitude:?}; expected the same")]
    Shapes { latitude: (usize, usize), longitude: (usize, usize) },
    #[error("a projected grid on {0}; expected latitude and longitude axes for that")]
    NotProjected(Projection),
    #[error("{projection} shows no place at x {x}, y {y}")]
    NoPlace { projection: Projection, x: f64, y: f64 },
}

/// The axes of a grid, of the kinds that have some.
#[derive(Debug, Clone, Copy)]
pub enum Axes<'a> {
    /// Degrees north, descending, `[H]`; degrees east, ascending, `[W]`.
    Rectilinear { latitude: &'a [f64], longitude: &'a [f64] },
    /// Positions in the projection, metres or degrees: `y` descending, `[H]`; `x` ascending, `[W]`.
    Projected { projection: &'a Projection, y: &'a [f64], x: &'a [f64] },
    /// Every point has a place of its own.
    None,
}

/// Places of all points, `[H, W]`: degrees north, and degrees east (of projected grids -180 to 180).
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinates {
    pub latitude: Array2<f64>,
    pub longitude: Array2<f64>,
}

/// The points of a field. Data order is `[H, W]`, row-major; whoever reads other orders turns them into this one.
///
/// - Rows are parallels and columns meridians ([`Grid::new`]): row 0 is the northernmost, column 0 the first meridian at
///   or east of Greenwich for a global grid, the westernmost for a regional one; longitudes ascend and may pass 360 (never
///   by a full turn).
/// - Rows and columns of a projection ([`Grid::projected`]): row 0 has the largest `y`, column 0 the least `x`.
/// - Neither ([`Grid::curvilinear`], [`Grid::points`]): every point has its place; of points there is one row.
#[derive(Clone)]
pub struct Grid {
    geometry: Geometry,
    derived: Arc<Derived>,
}

#[derive(Clone, PartialEq)]
enum Geometry {
    Rectilinear { latitude: Vec<f64>, longitude: Vec<f64>, kind: GridKind },
    Projected { projection: Projection, y: Vec<f64>, x: Vec<f64> },
    Curvilinear(Arc<Coordinates>),
    Points(Arc<Coordinates>),
}

/// What follows from the geometry, made when it is first asked for.
#[derive(Default)]
struct Derived {
    coordinates: OnceLock<Arc<Coordinates>>,
    nearest: OnceLock<Nearest>,
    bounds: OnceLock<[f64; 4]>,
}

impl PartialEq for Grid {
    fn eq(&self, other: &Self) -> bool {
        self.geometry == other.geometry
    }
}

/// Coordinates are often stored as float32: 1e-3 degrees is a hundred times its rounding at 360.
const COORDINATE_TOLERANCE: f64 = 1e-3;
/// Positions are within the size of the Earth, metres, and false eastings.
const FARTHEST_POSITION: f64 = 1e9;

impl Grid {
    /// Parallels × meridians. Checks and keeps axes that are already in the grid's order: latitude descending, longitude
    /// ascending.
    pub fn new(latitude: Vec<f64>, longitude: Vec<f64>) -> Result<Self, GridError> {
        inside("latitude", &latitude, (-90.0, 90.0))?;
        inside("longitude", &longitude, (-360.0, 720.0))?;
        descending("latitude", &latitude)?;
        ascending("longitude", &longitude)?;
        at_most_once_around("longitude", &longitude)?;
        let kind = latitude_kind(&latitude);
        Ok(Self::of(Geometry::Rectilinear { latitude, longitude, kind }))
    }

    /// Rows and columns of a projection: `y` descending and `x` ascending, in metres, or degrees for the rotated pole.
    pub fn projected(projection: Projection, y: Vec<f64>, x: Vec<f64>) -> Result<Self, GridError> {
        if matches!(projection.method(), super::Method::LatitudeLongitude) {
            return Err(GridError::NotProjected(projection));
        }
        let farthest = (-FARTHEST_POSITION, FARTHEST_POSITION);
        let limits = if projection.is_angular() { [(-90.0, 90.0), (-360.0, 720.0)] } else { [farthest, farthest] };
        inside("y", &y, limits[0])?;
        inside("x", &x, limits[1])?;
        descending("y", &y)?;
        ascending("x", &x)?;
        if projection.is_angular() {
            at_most_once_around("x", &x)?;
        }
        let grid = Self::of(Geometry::Projected { projection, y, x });
        grid.corners_are_places()?;
        Ok(grid)
    }

    /// Rows and columns with a place for each point, `[H, W]`: degrees north, and degrees east.
    pub fn curvilinear(latitude: Array2<f64>, longitude: Array2<f64>) -> Result<Self, GridError> {
        Ok(Self::of(Geometry::Curvilinear(Arc::new(Coordinates::checked(latitude, longitude)?))))
    }

    /// Places one by one, degrees north and degrees east, `[N]`: a grid of shape `(1, N)`.
    pub fn points(latitude: Vec<f64>, longitude: Vec<f64>) -> Result<Self, GridError> {
        let row = |values: Vec<f64>| Array2::from_shape_fn((1, values.len()), |(_, i)| values[i]);
        Ok(Self::of(Geometry::Points(Arc::new(Coordinates::checked(row(latitude), row(longitude))?))))
    }

    fn of(geometry: Geometry) -> Self {
        Self { geometry, derived: Arc::default() }
    }

    /// The outermost points of a projected grid, and the middle of its edges: where they have places, all have.
    fn corners_are_places(&self) -> Result<(), GridError> {
        let Axes::Projected { projection, y, x } = self.axes() else { return Ok(()) };
        let ends = |axis: &[f64]| [axis[0], axis[axis.len() / 2], axis[axis.len() - 1]];
        for y in ends(y) {
            for x in ends(x) {
                if projection.inverse(x, y).is_none() {
                    return Err(GridError::NoPlace { projection: projection.clone(), x, y });
                }
            }
        }
        Ok(())
    }

    pub fn axes(&self) -> Axes<'_> {
        match &self.geometry {
            Geometry::Rectilinear { latitude, longitude, .. } => Axes::Rectilinear { latitude, longitude },
            Geometry::Projected { projection, y, x } => Axes::Projected { projection, y, x },
            Geometry::Curvilinear(_) | Geometry::Points(_) => Axes::None,
        }
    }

    /// Latitudes `[H]` and longitudes `[W]` where rows are parallels and columns meridians.
    pub fn rectilinear(&self) -> Option<(&[f64], &[f64])> {
        match &self.geometry {
            Geometry::Rectilinear { latitude, longitude, .. } => Some((latitude, longitude)),
            _ => None,
        }
    }

    pub fn kind(&self) -> GridKind {
        match &self.geometry {
            Geometry::Rectilinear { kind, .. } => kind.clone(),
            Geometry::Projected { projection, .. } => GridKind::Projected(projection.clone()),
            Geometry::Curvilinear(_) => GridKind::Curvilinear,
            Geometry::Points(_) => GridKind::Points,
        }
    }

    pub fn projection(&self) -> Option<&Projection> {
        match &self.geometry {
            Geometry::Projected { projection, .. } => Some(projection),
            _ => None,
        }
    }

    /// `(H, W)`.
    pub fn shape(&self) -> (usize, usize) {
        match &self.geometry {
            Geometry::Rectilinear { latitude, longitude, .. } => (latitude.len(), longitude.len()),
            Geometry::Projected { y, x, .. } => (y.len(), x.len()),
            Geometry::Curvilinear(places) | Geometry::Points(places) => places.latitude.dim(),
        }
    }

    /// Number of points, `H × W`.
    pub fn len(&self) -> usize {
        let (h, w) = self.shape();
        h * w
    }

    /// Never: a grid has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// How many pieces [`Self::part`] may cut it into: its rows, or of points their number.
    pub fn cuts(&self) -> usize {
        match &self.geometry {
            Geometry::Points(_) => self.len(),
            _ => self.shape().0,
        }
    }

    /// Some of its rows, or of points some of them.
    ///
    /// # Panics
    /// When the range is empty or beyond [`Self::cuts`].
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(!range.is_empty(), "a grid has at least one point");
        let cut = |places: &Coordinates, axis: Axis| {
            let cut = |values: &Array2<f64>| values.slice_axis(axis, Slice::from(range.clone())).to_owned();
            Arc::new(Coordinates { latitude: cut(&places.latitude), longitude: cut(&places.longitude) })
        };
        Self::of(match &self.geometry {
            Geometry::Rectilinear { latitude, longitude, .. } => {
                let latitude = latitude[range.clone()].to_vec();
                Geometry::Rectilinear { kind: latitude_kind(&latitude), latitude, longitude: longitude.clone() }
            }
            Geometry::Projected { projection, y, x } => {
                Geometry::Projected { projection: projection.clone(), y: y[range.clone()].to_vec(), x: x.clone() }
            }
            Geometry::Curvilinear(places) => Geometry::Curvilinear(cut(places, Axis(0))),
            Geometry::Points(places) => Geometry::Points(cut(places, Axis(1))),
        })
    }

    /// Names of the data's dimensions, CF style: rows and columns, or one for points.
    pub fn dimensions(&self) -> &'static [&'static str] {
        match &self.geometry {
            Geometry::Rectilinear { .. } => &["latitude", "longitude"],
            Geometry::Projected { .. } | Geometry::Curvilinear(_) => &["yc", "xc"],
            Geometry::Points(_) => &["grid_index"],
        }
    }

    /// Degrees north and east of a point.
    ///
    /// # Panics
    /// When the point is outside [`Self::shape`].
    pub fn place(&self, row: usize, column: usize) -> (f64, f64) {
        match &self.geometry {
            Geometry::Rectilinear { latitude, longitude, .. } => (latitude[row], longitude[column]),
            Geometry::Projected { projection, y, x } => {
                projection.inverse(x[column], y[row]).unwrap_or((f64::NAN, f64::NAN))
            }
            Geometry::Curvilinear(places) | Geometry::Points(places) => {
                (places.latitude[[row, column]], places.longitude[[row, column]])
            }
        }
    }

    /// The places of all points, computed once, on all threads.
    pub fn coordinates(&self) -> &Arc<Coordinates> {
        self.derived.coordinates.get_or_init(|| match &self.geometry {
            Geometry::Curvilinear(places) | Geometry::Points(places) => places.clone(),
            _ => {
                let (h, w) = self.shape();
                let places: Vec<(f64, f64)> =
                    (0..h * w).into_par_iter().with_min_len(w).map(|i| self.place(i / w, i % w)).collect();
                Arc::new(Coordinates {
                    latitude: Array2::from_shape_fn((h, w), |(row, column)| places[row * w + column].0),
                    longitude: Array2::from_shape_fn((h, w), |(row, column)| places[row * w + column].1),
                })
            }
        })
    }

    /// Whether the columns are meridians all the way round, so that the first is the neighbour of the last.
    pub fn is_global_in_longitude(&self) -> bool {
        let Some((_, longitude)) = self.rectilinear() else { return false };
        let n = longitude.len();
        if n < 2 {
            return false;
        }
        let step = (longitude[n - 1] - longitude[0]) / (n - 1) as f64;
        (step * n as f64 - 360.0).abs() < 0.5 * step
    }

    /// West, south, east and north of all points, degrees: of axes their ends; of others what encloses every point, -180
    /// to 180 where that is most of the circle, and up to a pole that lies inside.
    pub fn bounds(&self) -> [f64; 4] {
        *self.derived.bounds.get_or_init(|| match self.rectilinear() {
            Some((latitude, longitude)) => {
                [longitude[0], latitude[latitude.len() - 1], longitude[longitude.len() - 1], latitude[0]]
            }
            None => self.enclosing_bounds(),
        })
    }

    /// Whether both describe the same points, within float32 rounding of the coordinates (and a full turn in longitude).
    pub fn same_points(&self, other: &Self) -> bool {
        let latitudes = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < COORDINATE_TOLERANCE);
        let longitudes = |a: &[f64], b: &[f64]| {
            a.iter().zip(b).all(|(a, b)| {
                let difference = (a - b).rem_euclid(360.0);
                difference.min(360.0 - difference) < COORDINATE_TOLERANCE
            })
        };
        if self.shape() != other.shape() {
            return false;
        }
        if let (Some(ours), Some(theirs)) = (self.rectilinear(), other.rectilinear()) {
            return latitudes(ours.0, theirs.0) && longitudes(ours.1, theirs.1);
        }
        if self.geometry == other.geometry {
            return true;
        }
        let (h, w) = self.shape();
        // all are compared, but other grids are told apart by a corner
        let near = |row: usize, column: usize| {
            let (ours, theirs) = (self.place(row, column), other.place(row, column));
            latitudes(&[ours.0], &[theirs.0])
                && (longitudes(&[ours.1], &[theirs.1]) || ours.0.abs() > 90.0 - COORDINATE_TOLERANCE)
        };
        near(0, 0) && near(h - 1, w - 1) && (0..h).into_par_iter().all(|row| (0..w).all(|column| near(row, column)))
    }
}

impl Coordinates {
    fn checked(latitude: Array2<f64>, longitude: Array2<f64>) -> Result<Self, GridError> {
        if latitude.dim() != longitude.dim() {
            return Err(GridError::Shapes { latitude: latitude.dim(), longitude: longitude.dim() });
        }
        let [latitude, longitude] = [latitude, longitude].map(|values| values.as_standard_layout().into_owned());
        inside("latitude", latitude.as_slice().unwrap_or_default(), (-90.0, 90.0))?;
        inside("longitude", longitude.as_slice().unwrap_or_default(), (-360.0, 720.0))?;
        Ok(Self { latitude, longitude })
    }
}

/// `73×144 regular latitude-longitude, 90..-90 °N, 0..357.5 °E`; of a projection the places of its corners.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, w) = self.shape();
        let round = |value: f64| (value * 1e4).round() / 1e4;
        if let Geometry::Points(_) = self.geometry {
            write!(f, "{w} points")?;
        } else {
            write!(f, "{h}×{w} {}", self.kind())?;
        }
        let [west, south, east, north] = match self.axes() {
            // without computing every place
            Axes::Projected { .. } => {
                let (first, last) = (self.place(0, 0), self.place(h - 1, w - 1));
                [first.1, last.0, last.1, first.0]
            }
            _ => self.bounds(),
        };
        write!(f, ", {}..{} °N, {}..{} °E", round(north), round(south), round(west), round(east))
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grid({self})")
    }
}

/// At least one value, all between limits.
fn inside(axis: &'static str, values: &[f64], (low, high): (f64, f64)) -> Result<(), GridError> {
    if values.is_empty() {
        return Err(GridError::TooShort { axis, found: values.len(), expected: 1 });
    }
    let inside = |value: f64| value >= low - COORDINATE_TOLERANCE && value <= high + COORDINATE_TOLERANCE;
    match values.iter().position(|&value| !inside(value)) {
        Some(index) => Err(GridError::OutOfRange { axis, index, value: values[index], low, high }),
        None => Ok(()),
    }
}

fn ascending(axis: &'static str, values: &[f64]) -> Result<(), GridError> {
    ordered(axis, values, |previous, value| value > previous)
}

fn descending(axis: &'static str, values: &[f64]) -> Result<(), GridError> {
    ordered(axis, values, |previous, value| value < previous)
}

fn ordered(axis: &'static str, values: &[f64], follows: impl Fn(f64, f64) -> bool) -> Result<(), GridError> {
    match values.windows(2).position(|pair| !follows(pair[0], pair[1])) {
        Some(i) => Err(GridError::NotMonotonic { axis, index: i + 1, previous: values[i], value: values[i + 1] }),
        None => Ok(()),
    }
}

fn at_most_once_around(axis: &'static str, values: &[f64]) -> Result<(), GridError> {
    let span = values[values.len() - 1] - values[0];
    if span > 360.0 - COORDINATE_TOLERANCE { Err(GridError::Overlaps { axis, span }) } else { Ok(()) }
}
