//! Latitude and longitude about another pole (CF `rotated_latitude_longitude`): a rotation of the sphere.

use super::{Method, half_turn};

/// Sine and cosine of the pole's latitude, longitude of the meridian opposite the pole, and of the true pole in the grid.
fn parameters(method: &Method) -> (f64, f64, f64, f64) {
    match *method {
        Method::RotatedPole { pole_latitude, pole_longitude, north_pole_grid_longitude } => {
            let (sine, cosine) = pole_latitude.to_radians().sin_cos();
            (sine, cosine, pole_longitude + 180.0, north_pole_grid_longitude)
        }
        _ => (1.0, 0.0, 0.0, 0.0),
    }
}

/// Grid longitude and latitude of a place, degrees.
pub fn forward(method: &Method, latitude: f64, longitude: f64) -> (f64, f64) {
    let (pole_sine, pole_cosine, origin, turn) = parameters(method);
    let (sine, cosine) = latitude.to_radians().sin_cos();
    let (across, along) = (longitude - origin).to_radians().sin_cos();
    // the vector to the place, its third axis to the rotated pole
    let x = sine * pole_cosine + cosine * pole_sine * along;
    let y = cosine * across;
    let z = sine * pole_sine - cosine * pole_cosine * along;
    (half_turn(y.atan2(x).to_degrees() + turn), z.atan2(x.hypot(y)).to_degrees())
}

/// Latitude and longitude of a position in the grid, degrees.
pub fn inverse(method: &Method, x: f64, y: f64) -> (f64, f64) {
    let (pole_sine, pole_cosine, origin, turn) = parameters(method);
    let (sine, cosine) = y.to_radians().sin_cos();
    let (across, along) = (x - turn).to_radians().sin_cos();
    let along_pole = cosine * along * pole_sine - sine * pole_cosine;
    let z = cosine * along * pole_cosine + sine * pole_sine;
    let east = cosine * across;
    (z.atan2(along_pole.hypot(east)).to_degrees(), half_turn(east.atan2(along_pole).to_degrees() + origin))
}
