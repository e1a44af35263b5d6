//! What kind of latitudes an axis has.

use super::{COORDINATE_TOLERANCE, GridKind};

/// Equally spaced, Gaussian (the outermost latitude tells: a root of the Legendre polynomial of that degree), or neither.
pub(super) fn latitude_kind(latitude: &[f64]) -> GridKind {
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
