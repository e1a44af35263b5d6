//! Where on the Earth the points of a field lie.

use std::fmt;

/// What the axes of a grid are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GridKind {
    /// Latitudes equally spaced.
    LatLon,
    /// Latitudes at the roots of a Legendre polynomial.
    Gaussian,
    /// Any other monotonic latitudes.
    Rectilinear,
}

impl fmt::Display for GridKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatLon => "regular latitude-longitude",
            Self::Gaussian => "Gaussian latitude-longitude",
            Self::Rectilinear => "rectilinear latitude-longitude",
        })
    }
}

/// Axes that make no grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GridError {
    #[error("{axis} has {found} value(s); at least {expected} are needed")]
    TooShort { axis: &'static str, found: usize, expected: usize },
    #[error("{axis} value {value} at index {index} is outside {low}..{high} degrees")]
    OutOfRange { axis: &'static str, index: usize, value: f64, low: f64, high: f64 },
    #[error("{axis} is not strictly monotonic: {previous} then {value} at index {index}")]
    NotMonotonic { axis: &'static str, index: usize, previous: f64, value: f64 },
    #[error("longitude spans {span} degrees: more than once around")]
    Overlaps { span: f64 },
}

/// A grid whose rows are parallels and whose columns are meridians.
///
/// Row 0 is the northernmost, column 0 the first meridian at or east of Greenwich for a global grid, the westernmost
/// for a regional one; longitudes ascend and may pass 360 (never by a full turn). Data order is `[H, W]`, row-major.
/// Whoever reads other orders turns them into this one.
#[derive(Clone, PartialEq)]
pub struct Grid {
    latitude: Vec<f64>,
    longitude: Vec<f64>,
    kind: GridKind,
}

/// Coordinates are often stored as float32: 1e-3 degrees is a hundred times its rounding at 360.
const COORDINATE_TOLERANCE: f64 = 1e-3;

impl Grid {
    /// Checks and keeps axes that are already in the grid's order: latitude descending, longitude ascending.
    pub fn new(latitude: Vec<f64>, longitude: Vec<f64>) -> Result<Self, GridError> {
        for (axis, values, low, high) in
            [("latitude", &latitude, -90.0, 90.0), ("longitude", &longitude, -360.0, 720.0)]
        {
            if values.is_empty() {
                return Err(GridError::TooShort { axis, found: values.len(), expected: 1 });
            }
            let inside = |value: f64| value >= low - COORDINATE_TOLERANCE && value <= high + COORDINATE_TOLERANCE;
            if let Some(index) = values.iter().position(|&value| !inside(value)) {
                return Err(GridError::OutOfRange { axis, index, value: values[index], low, high });
            }
        }
        monotonic("latitude", latitude.iter().map(|value| -value))?;
        monotonic("longitude", longitude.iter().copied())?;
        let span = longitude[longitude.len() - 1] - longitude[0];
        if span > 360.0 - COORDINATE_TOLERANCE {
            return Err(GridError::Overlaps { span });
        }
        let kind = latitude_kind(&latitude);
        Ok(Self { latitude, longitude, kind })
    }

    /// Degrees north, descending, `[H]`.
    pub fn latitude(&self) -> &[f64] {
        &self.latitude
    }

    /// Degrees east, ascending, `[W]`.
    pub fn longitude(&self) -> &[f64] {
        &self.longitude
    }

    pub fn kind(&self) -> GridKind {
        self.kind
    }

    /// `(H, W)`.
    pub fn shape(&self) -> (usize, usize) {
        (self.latitude.len(), self.longitude.len())
    }

    /// Number of points, `H × W`.
    pub fn len(&self) -> usize {
        self.latitude.len() * self.longitude.len()
    }

    /// Never: a grid has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Dimension and coordinate names of the rows and columns, CF style.
    pub fn dimensions(&self) -> [&'static str; 2] {
        ["latitude", "longitude"]
    }

    /// Whether the columns go all the way round, so that the first is the neighbour of the last.
    pub fn is_global_in_longitude(&self) -> bool {
        let n = self.longitude.len();
        if n < 2 {
            return false;
        }
        let step = (self.longitude[n - 1] - self.longitude[0]) / (n - 1) as f64;
        (step * n as f64 - 360.0).abs() < 0.5 * step
    }

    /// Area of each row's cells relative to the sphere's, so that `Σ over all points = 1` (for global grids the fraction
    /// of the sphere; normalised for regional ones too). Cell borders lie midway between latitudes, and at the poles.
    /// For Gaussian latitudes this is within 1e-3 of the quadrature weights.
    pub fn row_weights(&self) -> Vec<f64> {
        let n = self.latitude.len();
        let border = |i: usize| -> f64 {
            // border i lies north of row i
            if n == 1 {
                return self.latitude[0] + if i == 0 { 0.5 } else { -0.5 };
            }
            match i {
                0 => self.latitude[0] + 0.5 * (self.latitude[0] - self.latitude[1]),
                i if i == n => self.latitude[n - 1] - 0.5 * (self.latitude[n - 2] - self.latitude[n - 1]),
                i => 0.5 * (self.latitude[i - 1] + self.latitude[i]),
            }
        };
        let sine = |i: usize| border(i).clamp(-90.0, 90.0).to_radians().sin();
        let areas: Vec<f64> = (0..n).map(|i| (sine(i) - sine(i + 1)).max(0.0)).collect();
        let total: f64 = areas.iter().sum::<f64>() * self.longitude.len() as f64;
        areas.into_iter().map(|area| area / total).collect()
    }

    /// Whether both describe the same points, within float32 rounding of the coordinates (and a full turn in longitude).
    pub fn same_points(&self, other: &Self) -> bool {
        self.shape() == other.shape()
            && self.latitude.iter().zip(&other.latitude).all(|(a, b)| (a - b).abs() < COORDINATE_TOLERANCE)
            && self.longitude.iter().zip(&other.longitude).all(|(a, b)| {
                let difference = (a - b).rem_euclid(360.0);
                difference.min(360.0 - difference) < COORDINATE_TOLERANCE
            })
    }
}

/// `73×144 regular latitude-longitude, 90..-90 °N, 0..357.5 °E`
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, w) = self.shape();
        let round = |value: f64| (value * 1e4).round() / 1e4;
        write!(
            f,
            "{h}×{w} {}, {}..{} °N, {}..{} °E",
            self.kind,
            round(self.latitude[0]),
            round(self.latitude[h - 1]),
            round(self.longitude[0]),
            round(self.longitude[w - 1]),
        )
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grid({self})")
    }
}

fn monotonic(axis: &'static str, values: impl Iterator<Item = f64>) -> Result<(), GridError> {
    let mut previous = f64::NEG_INFINITY;
    for (index, value) in values.enumerate() {
        if value <= previous {
            let sign = if axis == "latitude" { -1.0 } else { 1.0 };
            return Err(GridError::NotMonotonic { axis, index, previous: sign * previous, value: sign * value });
        }
        previous = value;
    }
    Ok(())
}

/// Equally spaced, Gaussian (the outermost latitude tells: a root of the Legendre polynomial of that degree), or neither.
fn latitude_kind(latitude: &[f64]) -> GridKind {
    let n = latitude.len();
    if n < 3 {
        return GridKind::LatLon;
    }
    let step = (latitude[0] - latitude[n - 1]) / (n - 1) as f64;
    let tolerance = COORDINATE_TOLERANCE.min(0.05 * step);
    let regular =
        latitude.iter().enumerate().all(|(i, value)| (latitude[0] - step * i as f64 - value).abs() < tolerance);
    if regular {
        return GridKind::LatLon;
    }
    let symmetric = (latitude[0] + latitude[n - 1]).abs() < COORDINATE_TOLERANCE;
    // first root of P_n, Abramowitz & Stegun 22.16.6: cos θ, θ = j0 / (n + 1/2) up to O(n^-2)
    let first_root = 90.0 - (2.404_825_557_695_773 / (n as f64 + 0.5)).to_degrees();
    if symmetric && (latitude[0] - first_root).abs() < 0.02 * step { GridKind::Gaussian } else { GridKind::Rectilinear }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(h: usize, w: usize) -> Grid {
        let latitude = (0..h).map(|i| 90.0 - 180.0 * i as f64 / (h - 1) as f64).collect();
        let longitude = (0..w).map(|i| 360.0 * i as f64 / w as f64).collect();
        Grid::new(latitude, longitude).unwrap()
    }

    #[test]
    fn weights_sum_to_one_and_follow_the_cosine() {
        let grid = regular(181, 360);
        let weights = grid.row_weights();
        assert!((weights.iter().sum::<f64>() * 360.0 - 1.0).abs() < 1e-12);
        assert!((weights[30] / weights[90] - 60f64.to_radians().cos()).abs() < 1e-9);
        assert!(weights[0] > 0.0 && weights[0] < weights[1]);
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(regular(73, 144).kind(), GridKind::LatLon);
        // outermost and next latitudes of a T31 Gaussian grid
        let mut north = vec![
            87.159_094_55,
            83.478_936_67,
            79.777_045_5,
            76.070_244_5,
            72.361_58,
            68.652_02,
            64.941_94,
            61.231_57,
            57.520_99,
            53.810_27,
            50.099_45,
            46.388_57,
            42.677_63,
            38.966_66,
            35.255_65,
            31.544_63,
            27.833_58,
            24.122_53,
            20.411_46,
            16.700_38,
            12.989_3,
            9.278_21,
            5.567_13,
            1.856_04,
        ];
        let south: Vec<f64> = north.iter().rev().map(|value| -value).collect();
        north.extend(south);
        assert_eq!(Grid::new(north, vec![0.0, 180.0]).unwrap().kind(), GridKind::Gaussian);
        assert_eq!(Grid::new(vec![90.0, 60.0, 10.0, -90.0], vec![0.0]).unwrap().kind(), GridKind::Rectilinear);
    }

    #[test]
    fn axes_that_make_no_grid_are_refused() {
        assert!(matches!(Grid::new(vec![], vec![0.0]), Err(GridError::TooShort { axis: "latitude", .. })));
        assert!(matches!(
            Grid::new(vec![0.0, 1.0], vec![0.0]),
            Err(GridError::NotMonotonic { axis: "latitude", index: 1, .. })
        ));
        assert!(matches!(Grid::new(vec![91.0, 1.0], vec![0.0]), Err(GridError::OutOfRange { .. })));
        assert!(matches!(Grid::new(vec![f64::NAN], vec![0.0]), Err(GridError::OutOfRange { .. })));
        assert!(matches!(Grid::new(vec![0.0], vec![0.0, 180.0, 360.0]), Err(GridError::Overlaps { .. })));
    }

    #[test]
    fn same_points_ignores_full_turns_and_float32() {
        let a = Grid::new(vec![10.0, 0.0], vec![350.0, 360.0, 370.0]).unwrap();
        let b = Grid::new(vec![10.0, f64::from(1e-6f32)], vec![-10.0, 0.0, 10.0]).unwrap();
        assert!(a.same_points(&b));
        assert!(!a.is_global_in_longitude() && regular(3, 8).is_global_in_longitude());
    }
}
