//! Projections as attributes of a CF grid mapping variable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_EARTH_RADIUS, Earth, Method, Projection, ProjectionError, TrueScale};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    Number(f64),
    Numbers(Vec<f64>),
    Text(String),
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Numbers(numbers) => write!(f, "{numbers:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

const NAMES: &str = "latitude_longitude, rotated_latitude_longitude, lambert_conformal_conic, \
                     albers_conical_equal_area, polar_stereographic, stereographic, oblique_stereographic, mercator, transverse_mercator or \
                     lambert_azimuthal_equal_area";
const ORIGIN_LATITUDE: &[&str] = &["latitude_of_projection_origin", "latitude_of_projection_center"];
/// CF has one of them for each projection; producers mix them up, and they mean the same.
const ORIGIN_LONGITUDE: &[&str] = &[
    "longitude_of_central_meridian",
    "longitude_of_projection_origin",
    "straight_vertical_longitude_from_pole",
    "longitude_of_projection_center",
];
const SCALE_FACTOR: &[&str] =
    &["scale_factor_at_projection_origin", "scale_factor_at_central_meridian", "scale_factor"];

/// Names of ellipsoids, and of datums on them, without blanks; semi-major axis in m, inverse flattening (0: a sphere).
/// Source: EPSG registry; the short names are PROJ's.
const ELLIPSOIDS: &[(&[&str], f64, f64)] = &[
    (&["wgs84", "wgs1984", "worldgeodeticsystem1984"], 6_378_137.0, 298.257_223_563),
    (&["grs80", "grs1980", "nad83", "etrs89", "northamericandatum1983"], 6_378_137.0, 298.257_222_101),
    (&["bessel", "bessel1841", "potsdam", "amersfoort"], 6_377_397.155, 299.152_812_8),
    (&["airy", "airy1830", "osgb36", "osgb1936"], 6_377_563.396, 299.324_964_6),
    (&["intl", "international1924", "hayford1909", "ed50", "europeandatum1950"], 6_378_388.0, 297.0),
    (&["clrk66", "clarke1866", "nad27", "northamericandatum1927"], 6_378_206.4, 294.978_698_214),
    (&["krass", "krassovsky1940", "krassowsky1940"], 6_378_245.0, 298.3),
    (&["wgs72", "wgs1972"], 6_378_135.0, 298.26),
    (&["sphere"], 6_370_997.0, 0.0),
];

struct Reader<'a> {
    mapping: &'a str,
    attributes: &'a Attributes,
}

impl Reader<'_> {
    fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, ProjectionError> {
        let invalid = |found: String| ProjectionError::Invalid {
            attribute: name.to_owned(),
            found,
            expected: "finite numbers".to_owned(),
        };
        let numbers = match self.attributes.get(name) {
            None => return Ok(None),
            Some(Attribute::Number(number)) => vec![*number],
            Some(Attribute::Numbers(numbers)) => numbers.clone(),
            // some writers store numbers as text
            Some(Attribute::Text(text)) => {
                let words = text.split([',', ' ']).filter(|word| !word.is_empty());
                words.map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid(format!("{text:?}")))?
            }
        };
        match numbers.iter().all(|number| number.is_finite()) && !numbers.is_empty() {
            true => Ok(Some(numbers)),
            false => Err(invalid(format!("{numbers:?}"))),
        }
    }

    /// The first of some names that is there, a number within limits.
    fn number(&self, names: &[&str], (low, high): (f64, f64)) -> Result<Option<f64>, ProjectionError> {
        for &name in names {
            let Some(numbers) = self.numbers(name)? else { continue };
            return match numbers[..] {
                [number] if (low..=high).contains(&number) => Ok(Some(number)),
                _ => Err(ProjectionError::Invalid {
                    attribute: name.to_owned(),
                    found: format!("{numbers:?}"),
                    expected: format!("one number from {low} to {high}"),
                }),
            };
        }
        Ok(None)
    }

    fn required(&self, found: Option<f64>, attribute: &'static str) -> Result<f64, ProjectionError> {
        found.ok_or_else(|| ProjectionError::Missing {
            mapping: self.mapping.to_owned(),
            attribute,
            expected: "a number of degrees",
        })
    }

    fn latitude(&self) -> Result<f64, ProjectionError> {
        self.required(self.number(ORIGIN_LATITUDE, (-90.0, 90.0))?, "latitude_of_projection_origin")
    }

    fn longitude(&self) -> Result<f64, ProjectionError> {
        self.required(self.number(ORIGIN_LONGITUDE, (-720.0, 720.0))?, "longitude of the central meridian or origin")
    }

    fn factor(&self) -> Result<Option<f64>, ProjectionError> {
        self.number(SCALE_FACTOR, (0.01, 100.0))
    }

    /// One number or two.
    fn parallels(&self) -> Result<(f64, f64), ProjectionError> {
        let numbers = self.numbers("standard_parallel")?;
        let numbers = numbers.ok_or_else(|| ProjectionError::Missing {
            mapping: self.mapping.to_owned(),
            attribute: "standard_parallel",
            expected: "one latitude or two",
        })?;
        match numbers[..] {
            [first] if first.abs() <= 90.0 => Ok((first, first)),
            [first, second] if first.abs() <= 90.0 && second.abs() <= 90.0 => Ok((first, second)),
            _ => Err(ProjectionError::Invalid {
                attribute: "standard_parallel".to_owned(),
                found: format!("{numbers:?}"),
                expected: "one latitude or two, -90 to 90".to_owned(),
            }),
        }
    }

    fn true_scale(&self, otherwise: f64) -> Result<TrueScale, ProjectionError> {
        if self.attributes.contains_key("standard_parallel") {
            return Ok(TrueScale::Parallel(self.parallels()?.0));
        }
        Ok(TrueScale::Factor(self.factor()?.unwrap_or(otherwise)))
    }

    /// The shape of the Earth, if anything is said of it.
    fn earth(&self) -> Result<Option<Earth>, ProjectionError> {
        const LENGTHS: (f64, f64) = (6.2e6, 6.5e6);
        if let Some(radius) = self.number(&["earth_radius"], LENGTHS)? {
            return Ok(Some(Earth::Sphere { radius }));
        }
        let ellipsoid = |semi_major_axis, inverse_flattening| Earth::Ellipsoid { semi_major_axis, inverse_flattening };
        let Some(axis) = self.number(&["semi_major_axis"], LENGTHS)? else {
            let name = ["reference_ellipsoid_name", "horizontal_datum_name"].iter().find_map(|&name| {
                match self.attributes.get(name) {
                    Some(Attribute::Text(text)) => Some(text.to_lowercase().replace([' ', '_', '-'], "")),
                    _ => None,
                }
            });
            let Some(name) = name.filter(|name| !name.is_empty() && !name.contains("unknown")) else { return Ok(None) };
            let known = ELLIPSOIDS.iter().find(|(names, ..)| names.contains(&name.as_str()));
            return match known {
                Some(&(_, radius, 0.0)) => Ok(Some(Earth::Sphere { radius })),
                Some(&(_, axis, flattening)) => Ok(Some(ellipsoid(axis, flattening))),
                None => Err(ProjectionError::Unsupported {
                    what: "reference_ellipsoid_name",
                    found: name,
                    expected: "semi_major_axis and inverse_flattening, or one of WGS 84, GRS 80, Bessel, Airy, \
                               International 1924, Clarke 1866, Krassovsky, WGS 72",
                }),
            };
        };
        let minor = self.number(&["semi_minor_axis"], LENGTHS)?;
        let flattening = match self.number(&["inverse_flattening"], (0.0, 1e12))? {
            Some(flattening) => flattening,
            None => minor.filter(|&minor| minor < axis).map_or(0.0, |minor| axis / (axis - minor)),
        };
        // CF: an inverse flattening of 0 means a sphere
        let sphere = flattening == 0.0 || flattening > 1e9;
        Ok(Some(if sphere { Earth::Sphere { radius: axis } } else { ellipsoid(axis, flattening) }))
    }
}

impl Projection {
    /// From the attributes of a grid mapping variable. Without `grid_mapping_name` a `crs_wkt` (or `spatial_ref`) or PROJ
    /// string is read. Where nothing is said of the Earth's shape it is a sphere of [`DEFAULT_EARTH_RADIUS`], and
    /// [`Self::earth_is_assumed`].
    pub fn from_cf(attributes: &Attributes) -> Result<Self, ProjectionError> {
        let text = |name: &&str| match attributes.get(*name) {
            Some(Attribute::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let in_full = || {
            let wkt = ["crs_wkt", "spatial_ref", "esri_pe_string"].iter().find_map(text).map(Self::from_wkt);
            let strings = ["proj4", "proj4_params", "proj4_string", "proj4text"];
            wkt.or_else(|| strings.iter().find_map(text).map(Self::from_proj_string))
        };
        let Some(mapping) = text(&"grid_mapping_name").filter(|name| !name.trim().is_empty()) else {
            let (mapping, attribute) = ("it".to_owned(), "grid_mapping_name, crs_wkt or PROJ string");
            return in_full().unwrap_or(Err(ProjectionError::Missing { mapping, attribute, expected: NAMES }));
        };
        let reader = Reader { mapping, attributes };
        let method = match mapping {
            "latitude_longitude" => Method::LatitudeLongitude,
            "rotated_latitude_longitude" => Method::RotatedPole {
                pole_latitude: reader.required(
                    reader.number(&["grid_north_pole_latitude"], (-90.0, 90.0))?,
                    "grid_north_pole_latitude",
                )?,
                pole_longitude: reader.required(
                    reader.number(&["grid_north_pole_longitude"], (-720.0, 720.0))?,
                    "grid_north_pole_longitude",
                )?,
                north_pole_grid_longitude: reader
                    .number(&["north_pole_grid_longitude"], (-720.0, 720.0))?
                    .unwrap_or(0.0),
            },
            "lambert_conformal_conic" | "albers_conical_equal_area" => {
                let (parallels, longitude) = (reader.parallels()?, reader.longitude()?);
                // with one parallel the origin lies on it
                let latitude = reader.number(ORIGIN_LATITUDE, (-90.0, 90.0))?;
                let on_parallel = (parallels.0 == parallels.1).then_some(parallels.0);
                let latitude = reader.required(latitude.or(on_parallel), "latitude_of_projection_origin")?;
                if let Some(factor) = reader.factor()?.filter(|&factor| factor != 1.0) {
                    return Err(ProjectionError::Invalid {
                        attribute: "scale_factor".to_owned(),
                        found: factor.to_string(),
                        expected: format!("none: {mapping} is true to scale on its standard parallels"),
                    });
                }
                match mapping {
                    "lambert_conformal_conic" => Method::LambertConformal { latitude, longitude, parallels },
                    _ => Method::AlbersEqualArea { latitude, longitude, parallels },
                }
            }
            "polar_stereographic" => {
                let true_scale = reader.true_scale(1.0)?;
                let latitude = match (reader.number(ORIGIN_LATITUDE, (-90.0, 90.0))?, true_scale) {
                    (Some(latitude), _) => latitude,
                    (None, TrueScale::Parallel(parallel)) => 90f64.copysign(parallel),
                    (None, TrueScale::Factor(_)) => reader.latitude()?,
                };
                if latitude.abs() != 90.0 {
                    return Err(ProjectionError::Invalid {
                        attribute: "latitude_of_projection_origin".to_owned(),
                        found: latitude.to_string(),
                        expected: "90 or -90".to_owned(),
                    });
                }
                Method::PolarStereographic { north: latitude > 0.0, longitude: reader.longitude()?, true_scale }
            }
            "stereographic" => Method::Stereographic {
                latitude: reader.latitude()?,
                longitude: reader.longitude()?,
                factor: reader.factor()?.unwrap_or(1.0),
            },
            "oblique_stereographic" => Method::ObliqueStereographic {
                latitude: reader.latitude()?,
                longitude: reader.longitude()?,
                factor: reader.factor()?.unwrap_or(1.0),
            },
            "mercator" => Method::Mercator { longitude: reader.longitude()?, true_scale: reader.true_scale(1.0)? },
            "transverse_mercator" => Method::TransverseMercator {
                latitude: reader.latitude()?,
                longitude: reader.longitude()?,
                factor: reader.factor()?.unwrap_or(1.0),
            },
            "lambert_azimuthal_equal_area" => {
                Method::LambertAzimuthalEqualArea { latitude: reader.latitude()?, longitude: reader.longitude()? }
            }
            // a name that CF does not have, beside a description that tells
            other => {
                let (what, found) = ("grid_mapping_name", other.to_owned());
                return in_full().unwrap_or(Err(ProjectionError::Unsupported { what, found, expected: NAMES }));
            }
        };
        if let Some(meridian) =
            reader.number(&["longitude_of_prime_meridian"], (-180.0, 180.0))?.filter(|&far| far != 0.0)
        {
            let (attribute, found) = ("longitude_of_prime_meridian".to_owned(), meridian.to_string());
            return Err(ProjectionError::Invalid { attribute, found, expected: "0, Greenwich".to_owned() });
        }
        let earth = reader.earth()?;
        let shift = |name| reader.number(&[name], (-1e9, 1e9)).map(Option::unwrap_or_default);
        let shape = earth.unwrap_or(Earth::Sphere { radius: DEFAULT_EARTH_RADIUS });
        let projection = Self::new(method, shape, (shift("false_easting")?, shift("false_northing")?))?;
        Ok(Self { earth_assumed: earth.is_none(), ..projection })
    }

    /// The attributes of a grid mapping variable, all that CF-1.11 wants, in its order.
    pub fn cf_attributes(&self) -> Vec<(&'static str, Attribute)> {
        use Attribute::{Number, Numbers};
        const LATITUDE: &str = "latitude_of_projection_origin";
        const ORIGIN: &str = "longitude_of_projection_origin";
        const MERIDIAN: &str = "longitude_of_central_meridian";
        const FACTOR: &str = "scale_factor_at_projection_origin";
        let both = |(first, second): (f64, f64)| match first == second {
            true => Number(first),
            false => Numbers(vec![first, second]),
        };
        let scale = |scale: TrueScale| match scale {
            TrueScale::Parallel(latitude) => ("standard_parallel", Number(latitude)),
            TrueScale::Factor(factor) => (FACTOR, Number(factor)),
        };
        let (name, own) = match self.method {
            Method::LatitudeLongitude => ("latitude_longitude", Vec::new()),
            Method::RotatedPole { pole_latitude, pole_longitude, north_pole_grid_longitude } => {
                let own = vec![
                    ("grid_north_pole_latitude", Number(pole_latitude)),
                    ("grid_north_pole_longitude", Number(pole_longitude)),
                    ("north_pole_grid_longitude", Number(north_pole_grid_longitude)),
                ];
                ("rotated_latitude_longitude", own)
            }
            Method::LambertConformal { latitude, longitude, parallels }
            | Method::AlbersEqualArea { latitude, longitude, parallels } => {
                let own = vec![
                    ("standard_parallel", both(parallels)),
                    (MERIDIAN, Number(longitude)),
                    (LATITUDE, Number(latitude)),
                ];
                let conformal = matches!(self.method, Method::LambertConformal { .. });
                (if conformal { "lambert_conformal_conic" } else { "albers_conical_equal_area" }, own)
            }
            Method::PolarStereographic { north, longitude, true_scale } => {
                let own = vec![
                    ("straight_vertical_longitude_from_pole", Number(longitude)),
                    (LATITUDE, Number(if north { 90.0 } else { -90.0 })),
                    scale(true_scale),
                ];
                ("polar_stereographic", own)
            }
            Method::Stereographic { latitude, longitude, factor }
            | Method::ObliqueStereographic { latitude, longitude, factor } => {
                let own = vec![(ORIGIN, Number(longitude)), (LATITUDE, Number(latitude)), (FACTOR, Number(factor))];
                let oblique = matches!(self.method, Method::ObliqueStereographic { .. });
                (if oblique { "oblique_stereographic" } else { "stereographic" }, own)
            }
            Method::Mercator { longitude, true_scale } => {
                ("mercator", vec![(ORIGIN, Number(longitude)), scale(true_scale)])
            }
            Method::TransverseMercator { latitude, longitude, factor } => {
                let own = vec![
                    ("scale_factor_at_central_meridian", Number(factor)),
                    (MERIDIAN, Number(longitude)),
                    (LATITUDE, Number(latitude)),
                ];
                ("transverse_mercator", own)
            }
            Method::LambertAzimuthalEqualArea { latitude, longitude } => {
                let own = vec![(ORIGIN, Number(longitude)), (LATITUDE, Number(latitude))];
                ("lambert_azimuthal_equal_area", own)
            }
        };
        let mut attributes = vec![("grid_mapping_name", Attribute::Text(name.to_owned()))];
        attributes.extend(own);
        if !self.is_angular() {
            attributes.push(("false_easting", Number(self.false_easting)));
            attributes.push(("false_northing", Number(self.false_northing)));
        }
        match self.earth {
            Earth::Sphere { radius } => attributes.push(("earth_radius", Number(radius))),
            Earth::Ellipsoid { semi_major_axis, inverse_flattening } => {
                attributes.push(("semi_major_axis", Number(semi_major_axis)));
                attributes.push(("inverse_flattening", Number(inverse_flattening)));
            }
        }
        attributes.push(("longitude_of_prime_meridian", Number(0.0)));
        attributes
    }
}
