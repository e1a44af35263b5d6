//! Map projections of meteorological grids.
//!
//! The names and parameters are those of CF-1.11, appendix F
//! (<https://cfconventions.org/Data/cf-conventions/cf-conventions-1.11/cf-conventions.html#appendix-grid-mappings>).
//! The mathematics are PROJ's, <https://proj.org/operations/projections/>; the rotated pole is our own.

mod cf;
mod error;
mod rotated;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;

use proj4rs::Proj;

pub use cf::{Attribute, Attributes};
pub use error::ProjectionError;

/// Radius of the sphere that IFS, HARMONIE and most other models compute on, in m: assumed where nothing is said.
pub const DEFAULT_EARTH_RADIUS: f64 = 6_371_229.0;

/// Shape of the Earth. Lengths in m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Earth {
    Sphere { radius: f64 },
    Ellipsoid { semi_major_axis: f64, inverse_flattening: f64 },
}

/// Where a projection is true to scale: on a parallel (degrees north), or where a factor says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrueScale {
    Parallel(f64),
    Factor(f64),
}

/// The kind of a projection with its own parameters. All in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    LatitudeLongitude,
    /// `pole_*` is where the rotated north pole lies; `north_pole_grid_longitude` turns the grid about it.
    RotatedPole {
        pole_latitude: f64,
        pole_longitude: f64,
        north_pole_grid_longitude: f64,
    },
    LambertConformal {
        latitude: f64,
        longitude: f64,
        parallels: (f64, f64),
    },
    AlbersEqualArea {
        latitude: f64,
        longitude: f64,
        parallels: (f64, f64),
    },
    PolarStereographic {
        north: bool,
        longitude: f64,
        true_scale: TrueScale,
    },
    Stereographic {
        latitude: f64,
        longitude: f64,
        factor: f64,
    },
    /// By way of a conformal sphere ("double stereographic", EPSG method 9809): on an ellipsoid another projection than
    /// [`Self::Stereographic`]. CF has no name for it.
    ObliqueStereographic {
        latitude: f64,
        longitude: f64,
        factor: f64,
    },
    Mercator {
        longitude: f64,
        true_scale: TrueScale,
    },
    TransverseMercator {
        latitude: f64,
        longitude: f64,
        factor: f64,
    },
    LambertAzimuthalEqualArea {
        latitude: f64,
        longitude: f64,
    },
}

/// A map projection: places on the Earth to positions on a plane, and back. Cloning is cheap.
#[derive(Clone)]
pub struct Projection {
    method: Method,
    false_easting: f64,
    false_northing: f64,
    earth: Earth,
    earth_assumed: bool,
    /// The plane and the geographic coordinates on the same Earth; none where the mathematics are ours.
    plane: Option<Arc<(Proj, Proj)>>,
}

impl Projection {
    /// Checks and sets up a projection. False easting and northing in m.
    pub fn new(
        method: Method,
        earth: Earth,
        (false_easting, false_northing): (f64, f64),
    ) -> Result<Self, ProjectionError> {
        let mut projection = Self { method, false_easting, false_northing, earth, earth_assumed: false, plane: None };
        if let Some(definition) = projection.proj_string() {
            let refused = |error: proj4rs::errors::Error| ProjectionError::Refused {
                definition: definition.clone(),
                reason: error.to_string(),
            };
            let geographic = format!("+proj=longlat {}", projection.earth_string());
            let plane = Proj::from_proj_string(&definition).map_err(refused)?;
            let geographic = Proj::from_proj_string(&geographic).map_err(refused)?;
            projection.plane = Some(Arc::new((plane, geographic)));
        }
        Ok(projection)
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn earth(&self) -> Earth {
        self.earth
    }

    /// Whether nothing was said of the Earth's shape, so that it is taken for a sphere of [`DEFAULT_EARTH_RADIUS`].
    pub fn earth_is_assumed(&self) -> bool {
        self.earth_assumed
    }

    /// Whether positions are degrees, and not metres.
    pub fn is_angular(&self) -> bool {
        matches!(self.method, Method::LatitudeLongitude | Method::RotatedPole { .. })
    }

    /// Position `(x, y)` of a place in degrees north and east: metres, or degrees where [`Self::is_angular`].
    /// `None` where the projection does not show the place.
    pub fn forward(&self, latitude: f64, longitude: f64) -> Option<(f64, f64)> {
        if !(-90.0..=90.0).contains(&latitude) || !longitude.is_finite() {
            return None;
        }
        match self.method {
            Method::LatitudeLongitude => Some((longitude, latitude)),
            Method::RotatedPole { .. } => Some(rotated::forward(&self.method, latitude, longitude)),
            _ => {
                let (plane, geographic) = &**self.plane.as_ref()?;
                let mut point = (longitude.to_radians(), latitude.to_radians(), 0.0);
                proj4rs::transform::transform(geographic, plane, &mut point).ok()?;
                (point.0.is_finite() && point.1.is_finite()).then_some((point.0, point.1))
            }
        }
    }

    /// Degrees north and east, -180 to 180, of a position as [`Self::forward`] tells it; `None` where nothing is shown.
    pub fn inverse(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        if !x.is_finite() || !y.is_finite() {
            return None;
        }
        let (latitude, longitude) = match self.method {
            Method::LatitudeLongitude => (y, x),
            Method::RotatedPole { .. } => rotated::inverse(&self.method, x, y),
            _ => {
                let (plane, geographic) = &**self.plane.as_ref()?;
                let mut point = (x, y, 0.0);
                proj4rs::transform::transform(plane, geographic, &mut point).ok()?;
                (point.1.to_degrees(), point.0.to_degrees())
            }
        };
        (latitude.abs() <= 90.0 && longitude.is_finite()).then(|| (latitude, half_turn(longitude)))
    }

    /// Angle from true north to the grid's north (growing y), clockwise, in degrees: what winds along the grid's axes are
    /// turned by. From the difference of two positions 2 m apart on the meridian; exact to about 1e-7 degrees.
    pub fn convergence(&self, latitude: f64, longitude: f64) -> Option<f64> {
        const STEP: f64 = 1e-5;
        let north = (latitude + STEP).min(90.0);
        let south = (north - 2.0 * STEP).max(-90.0);
        let (low, high) = (self.forward(south, longitude)?, self.forward(north, longitude)?);
        let (mut dx, dy) = (high.0 - low.0, high.1 - low.1);
        if self.is_angular() {
            dx = half_turn(dx) * (0.5 * (low.1 + high.1)).to_radians().cos();
        }
        Some(-dx.atan2(dy).to_degrees())
    }

    /// What PROJ calls it; `None` where the mathematics are ours.
    fn proj_string(&self) -> Option<String> {
        let origin = |latitude: f64, longitude: f64| format!("+lat_0={latitude} +lon_0={longitude}");
        let scale = |scale: TrueScale| match scale {
            TrueScale::Parallel(latitude) => format!("+lat_ts={latitude}"),
            TrueScale::Factor(factor) => format!("+k_0={factor}"),
        };
        let method = match self.method {
            Method::LatitudeLongitude | Method::RotatedPole { .. } => return None,
            Method::LambertConformal { latitude, longitude, parallels: (first, second) } => {
                format!("+proj=lcc {} +lat_1={first} +lat_2={second}", origin(latitude, longitude))
            }
            Method::AlbersEqualArea { latitude, longitude, parallels: (first, second) } => {
                format!("+proj=aea {} +lat_1={first} +lat_2={second}", origin(latitude, longitude))
            }
            Method::PolarStereographic { north, longitude, true_scale } => {
                format!("+proj=stere {} {}", origin(if north { 90.0 } else { -90.0 }, longitude), scale(true_scale))
            }
            Method::Stereographic { latitude, longitude, factor } => {
                format!("+proj=stere {} +k_0={factor}", origin(latitude, longitude))
            }
            Method::ObliqueStereographic { latitude, longitude, factor } => {
                format!("+proj=sterea {} +k_0={factor}", origin(latitude, longitude))
            }
            Method::Mercator { longitude, true_scale } => {
                format!("+proj=merc +lon_0={longitude} {}", scale(true_scale))
            }
            Method::TransverseMercator { latitude, longitude, factor } => {
                format!("+proj=tmerc {} +k_0={factor}", origin(latitude, longitude))
            }
            Method::LambertAzimuthalEqualArea { latitude, longitude } => {
                format!("+proj=laea {}", origin(latitude, longitude))
            }
        };
        Some(format!("{method} +x_0={} +y_0={} {}", self.false_easting, self.false_northing, self.earth_string()))
    }

    fn earth_string(&self) -> String {
        match self.earth {
            Earth::Sphere { radius } => format!("+R={radius}"),
            Earth::Ellipsoid { semi_major_axis, inverse_flattening } => {
                format!("+a={semi_major_axis} +rf={inverse_flattening}")
            }
        }
    }
}

/// Degrees in -180..180.
pub(super) fn half_turn(degrees: f64) -> f64 {
    if (-180.0..=180.0).contains(&degrees) { degrees } else { (degrees + 180.0).rem_euclid(360.0) - 180.0 }
}

/// Whether the Earth's shape was said or assumed makes no difference.
impl PartialEq for Projection {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method
            && self.earth == other.earth
            && (self.false_easting, self.false_northing) == (other.false_easting, other.false_northing)
    }
}

/// `Lambert conformal conic, 25.0 °E 56.7 °N, sphere 6367470 m`
impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.method {
            Method::LatitudeLongitude => write!(f, "latitude-longitude")?,
            Method::RotatedPole { pole_latitude, pole_longitude, .. } => {
                write!(f, "rotated pole, {pole_longitude:?} °E {pole_latitude:?} °N")?;
            }
            Method::LambertConformal { latitude, longitude, .. } => {
                write!(f, "Lambert conformal conic, {longitude:?} °E {latitude:?} °N")?;
            }
            Method::AlbersEqualArea { latitude, longitude, .. } => {
                write!(f, "Albers equal area, {longitude:?} °E {latitude:?} °N")?;
            }
            Method::PolarStereographic { north, longitude, .. } => {
                write!(f, "{} polar stereographic, {longitude:?} °E", if north { "north" } else { "south" })?;
            }
            Method::Stereographic { latitude, longitude, .. } => {
                write!(f, "stereographic, {longitude:?} °E {latitude:?} °N")?;
            }
            Method::ObliqueStereographic { latitude, longitude, .. } => {
                write!(f, "oblique stereographic, {longitude:?} °E {latitude:?} °N")?;
            }
            Method::Mercator { longitude, .. } => write!(f, "Mercator, {longitude:?} °E")?,
            Method::TransverseMercator { latitude, longitude, .. } => {
                write!(f, "transverse Mercator, {longitude:?} °E {latitude:?} °N")?;
            }
            Method::LambertAzimuthalEqualArea { latitude, longitude } => {
                write!(f, "Lambert azimuthal equal area, {longitude:?} °E {latitude:?} °N")?;
            }
        }
        match self.earth {
            Earth::Sphere { radius } => write!(f, ", sphere {radius} m")?,
            Earth::Ellipsoid { semi_major_axis, inverse_flattening } => {
                write!(f, ", ellipsoid {semi_major_axis} m 1/{inverse_flattening}")?;
            }
        }
        f.write_str(if self.earth_assumed { " (assumed)" } else { "" })
    }
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projection({self})")
    }
}
