//! The grid of a message as coordinates: latitudes and longitudes, the axes of a projection, or places one by one.

use eccodes::{GribMessage, KeyGet, Library};

use crate::atmos::{Attribute as MappingAttribute, Attributes as Mapping, Projection};
use crate::ingest::dataset::{Attribute, Attributes, Dimension};

/// Longer axes are nobody's; a damaged header claims billions.
const LONGEST_AXIS: i64 = 1 << 20;
/// Parallels between a pole and the equator: their latitudes take a time that grows with its square. At the highest they are a
/// kilometre apart.
const HIGHEST_GAUSSIAN: usize = 1 << 13;
/// Points of a field: a constant one is a message of a few bytes however many it claims. The globe at 0.04° has fewer.
const MOST_POINTS: usize = 1 << 26;

/// How fields on a grid lie, and what tells where.
#[derive(Debug)]
pub struct Horizontal {
    /// Rows and columns, or places; each with its coordinates.
    pub dimensions: Vec<Dimension>,
    pub coordinates: Vec<Coordinate>,
    /// Attributes of a grid mapping.
    pub mapping: Option<Attributes>,
    /// Columns come one after the other.
    turned: bool,
    /// Every second row runs backwards.
    back_and_forth: bool,
    /// Components of vectors are along the axes.
    pub along_axes: bool,
}

/// Numbers along one of the dimensions: the first along the first, the second along the second; of places both along the
/// only one.
#[derive(Debug)]
pub struct Coordinate {
    pub name: &'static str,
    pub attributes: Attributes,
    pub values: Vec<f64>,
}

pub fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let mut attributes = Attributes::default();
    pairs.iter().for_each(|(name, text)| attributes.insert(*name, Attribute::Text((*text).to_owned())));
    attributes
}

/// Keys of a message; what is not there is said.
struct Keys<'m>(&'m GribMessage);

impl Keys<'_> {
    fn get<T: KeyGet>(&self, key: &str) -> Result<T, String> {
        self.0.get(key).map_err(|error| format!("{key}: {error}"))
    }

    fn is_set(&self, key: &str) -> bool {
        self.get::<i64>(key).is_ok_and(|flag| flag != 0)
    }

    fn count(&self, key: &str) -> Result<usize, String> {
        let count = self.get::<i64>(key)?;
        usize::try_from(count).ok().filter(|_| (1..=LONGEST_AXIS).contains(&count)).ok_or(format!("{key} = {count}"))
    }

    /// Some encoders write southern latitudes as more than 270.
    fn latitude(&self, key: &str) -> Result<f64, String> {
        let latitude = self.get::<f64>(key)?;
        Ok(if latitude > 270.0 { latitude - 360.0 } else { latitude })
    }
}

impl Horizontal {
    /// The error says why fields on this grid cannot be read.
    pub fn of(message: &GribMessage) -> Result<Self, String> {
        let horizontal = Self::of_any_size(message)?;
        let points = horizontal.points();
        if points > MOST_POINTS {
            return Err(format!("a grid of {points} points; at most {MOST_POINTS} are read: cut out or thin it first"));
        }
        Ok(horizontal)
    }

    /// Fails where a message has not as many values as the grid has points.
    pub fn check_size(&self, values: usize) -> Result<(), String> {
        let due = self.points();
        if values == due {
            Ok(())
        } else {
            Err(format!("{values} values in a message where the grid has {due} points"))
        }
    }

    pub fn points(&self) -> usize {
        self.dimensions.iter().map(|dimension| dimension.length).product()
    }

    fn of_any_size(message: &GribMessage) -> Result<Self, String> {
        let keys = Keys(message);
        let kind = keys.get::<String>("gridType").unwrap_or_else(|_| "unknown".to_owned());
        if kind.ends_with("_gg") {
            let order = keys.count("N")?;
            if order > HIGHEST_GAUSSIAN {
                return Err(format!(
                    "a Gaussian grid of N = {order}; at most {HIGHEST_GAUSSIAN} is read: interpolate it to another grid first"
                ));
            }
        }
        match kind.as_str() {
            "regular_ll" => Self::rectilinear(&keys, latitudes(&keys)?),
            "regular_gg" => Self::rectilinear(&keys, gaussian_latitudes(&keys)?),
            "rotated_ll" => Self::rotated(&keys),
            "lambert" => Self::projected(&keys, lambert(&keys)?, ["DyInMetres", "DxInMetres"]),
            "polar_stereographic" => Self::projected(&keys, polar(&keys)?, ["DyInMetres", "DxInMetres"]),
            "mercator" => Self::projected(&keys, mercator(&keys)?, ["DjInMetres", "DiInMetres"]),
            "lambert_azimuthal_equal_area" => Self::projected(&keys, azimuthal(&keys)?, ["DyInMetres", "DxInMetres"]),
            "sh" => Err("spherical harmonics, which are no field on a grid; transform them first".to_owned()),
            "healpix" => Err("a HEALPix mesh, which is not read; interpolate it to a grid first".to_owned()),
            "unstructured_grid" => {
                Err("an unstructured mesh, which is not read; interpolate it to a grid first".to_owned())
            }
            stretched if stretched.contains("stretched") => {
                Err("a stretched grid, whose places ecCodes does not tell; interpolate it to another grid first"
                    .to_owned())
            }
            _ => Self::places(message, &kind),
        }
    }

    fn of_axes(
        keys: &Keys<'_>,
        [rows, columns]: [Coordinate; 2],
        [row_name, column_name]: [&str; 2],
        mapping: Option<Attributes>,
    ) -> Self {
        let dimension = |name: &str, length: usize| Dimension { name: name.to_owned(), length };
        Self {
            dimensions: vec![dimension(row_name, rows.values.len()), dimension(column_name, columns.values.len())],
            coordinates: vec![rows, columns],
            mapping,
            turned: keys.is_set("jPointsAreConsecutive"),
            back_and_forth: keys.is_set("alternativeRowScanning"),
            along_axes: keys.is_set("uvRelativeToGrid"),
        }
    }

    fn rectilinear(keys: &Keys<'_>, latitude: Vec<f64>) -> Result<Self, String> {
        let rows = Coordinate {
            name: "latitude",
            attributes: attributes(&[("standard_name", "latitude"), ("units", "degrees_north")]),
            values: latitude,
        };
        let columns = Coordinate {
            name: "longitude",
            attributes: attributes(&[("standard_name", "longitude"), ("units", "degrees_east")]),
            values: longitudes(keys)?,
        };
        Ok(Self::of_axes(keys, [rows, columns], ["latitude", "longitude"], None))
    }

    fn rotated(keys: &Keys<'_>) -> Result<Self, String> {
        let (latitude, longitude) =
            (keys.get::<f64>("latitudeOfSouthernPoleInDegrees")?, keys.get::<f64>("longitudeOfSouthernPoleInDegrees")?);
        let angle = keys.get::<f64>("angleOfRotationInDegrees").unwrap_or(0.0);
        if angle != 0.0 {
            return Err(format!("a rotated grid that is turned by {angle}° about its pole, which is not read"));
        }
        let mut mapping = attributes(&[("grid_mapping_name", "rotated_latitude_longitude")]);
        set(&mut mapping, "grid_north_pole_latitude", &[-latitude]);
        set(&mut mapping, "grid_north_pole_longitude", &[longitude - 180.0]);
        let axis = |name, standard_name, values| Coordinate {
            name,
            attributes: attributes(&[("standard_name", standard_name), ("units", "degrees")]),
            values,
        };
        let rows = axis("rlat", "grid_latitude", latitudes(keys)?);
        let columns = axis("rlon", "grid_longitude", longitudes(keys)?);
        Ok(Self::of_axes(keys, [rows, columns], ["rlat", "rlon"], Some(mapping)))
    }

    /// Positions from that of the first point; `spacing`: keys of the distances between rows and between columns.
    fn projected(keys: &Keys<'_>, mut mapping: Attributes, spacing: [&str; 2]) -> Result<Self, String> {
        earth(keys, &mut mapping)?;
        let known: Mapping = mapping.iter().map(|(name, value)| (name.to_owned(), convert(value))).collect();
        let projection = Projection::from_cf(&known).map_err(|error| error.to_string())?;
        let (latitude, longitude) = (
            keys.latitude("latitudeOfFirstGridPointInDegrees")?,
            keys.get::<f64>("longitudeOfFirstGridPointInDegrees")?,
        );
        let (x, y) = projection.forward(latitude, longitude).ok_or_else(|| {
            format!("a first point at {latitude} °N {longitude} °E, which {projection} does not show")
        })?;
        let axis = |first: f64, key: &str, count: &str, negative: bool| -> Result<Vec<f64>, String> {
            let step = keys.get::<f64>(key)?;
            if !(step.is_finite() && step > 0.0) {
                return Err(format!("{key} = {step}"));
            }
            let step = if negative { -step } else { step };
            Ok((0..keys.count(count)?).map(|i| first + step * i as f64).collect())
        };
        let coordinate = |name, standard_name, values| Coordinate {
            name,
            attributes: attributes(&[("standard_name", standard_name), ("units", "m")]),
            values,
        };
        let rows = axis(y, spacing[0], "Nj", !keys.is_set("jScansPositively"))?;
        let columns = axis(x, spacing[1], "Ni", keys.is_set("iScansNegatively"))?;
        let rows = coordinate("y", "projection_y_coordinate", rows);
        let columns = coordinate("x", "projection_x_coordinate", columns);
        Ok(Self::of_axes(keys, [rows, columns], ["y", "x"], Some(mapping)))
    }

    /// Places one by one, as ecCodes tells them.
    fn places(message: &GribMessage, kind: &str) -> Result<Self, String> {
        let untold =
            |reason: &dyn std::fmt::Display| format!("a grid of type {kind:?}, of whose places ecCodes says: {reason}");
        // turned by a circle at a time until they lie in one
        for key in ["longitudeOfFirstGridPointInDegrees", "longitudeOfLastGridPointInDegrees"] {
            if let Some(longitude) = Keys(message).get::<f64>(key).ok().filter(|longitude| longitude.abs() > 720.0) {
                return Err(untold(&format!("{key} = {longitude}")));
            }
        }
        let positions = message.grid_positions().map_err(|error| untold(&error))?;
        let (latitude, longitude): (Vec<f64>, Vec<f64>) =
            positions.take(MOST_POINTS + 1).map(|place| (place.lat, place.lon)).unzip();
        if latitude.is_empty() || latitude.len() > MOST_POINTS {
            return Err(untold(&format!("{} places", latitude.len())));
        }
        let dimension = Dimension { name: "place".to_owned(), length: latitude.len() };
        let coordinate = |name, units, values| Coordinate {
            name,
            attributes: attributes(&[("standard_name", name), ("units", units)]),
            values,
        };
        Ok(Self {
            dimensions: vec![dimension],
            coordinates: vec![
                coordinate("latitude", "degrees_north", latitude),
                coordinate("longitude", "degrees_east", longitude),
            ],
            mapping: None,
            turned: false,
            back_and_forth: false,
            along_axes: Keys(message).is_set("uvRelativeToGrid"),
        })
    }

    /// Values in the order of the message → rows one after the other.
    pub fn in_order(&self, mut values: Vec<f32>) -> Result<Vec<f32>, String> {
        let due = self.points();
        self.check_size(values.len())?;
        let [rows, columns] = &self.dimensions[..] else { return Ok(values) };
        let (rows, columns) = (rows.length, columns.length);
        if self.back_and_forth {
            let run = if self.turned { rows } else { columns };
            values.chunks_exact_mut(run).skip(1).step_by(2).for_each(<[f32]>::reverse);
        }
        if self.turned {
            values = (0..due).map(|i| values[i % columns * rows + i / columns]).collect();
        }
        Ok(values)
    }
}

fn set(mapping: &mut Attributes, name: &str, values: &[f64]) {
    mapping.insert(name, Attribute::Numbers { values: values.to_vec(), float: true });
}

fn convert(value: &Attribute) -> MappingAttribute {
    match value {
        Attribute::Text(text) => MappingAttribute::Text(text.clone()),
        Attribute::Texts(texts) => MappingAttribute::Text(texts.join(" ")),
        Attribute::Numbers { values, .. } => match values[..] {
            [one] => MappingAttribute::Number(one),
            _ => MappingAttribute::Numbers(values.clone()),
        },
    }
}

/// Equal steps between two values: increments are often rounded, or left out.
fn steps(first: f64, last: f64, count: usize) -> Vec<f64> {
    let step = if count > 1 { (last - first) / (count - 1) as f64 } else { 0.0 };
    (0..count).map(|i| first + step * i as f64).collect()
}

fn latitudes(keys: &Keys<'_>) -> Result<Vec<f64>, String> {
    let end = |key: &str| keys.latitude(key);
    let (first, last) = (end("latitudeOfFirstGridPointInDegrees")?, end("latitudeOfLastGridPointInDegrees")?);
    Ok(steps(first, last, keys.count("Nj")?))
}

/// Eastward from the first to the last, or westward where the message says so; never more than once around.
fn longitudes(keys: &Keys<'_>) -> Result<Vec<f64>, String> {
    let first = keys.get::<f64>("longitudeOfFirstGridPointInDegrees")?;
    let last = keys.get::<f64>("longitudeOfLastGridPointInDegrees")?;
    let count = keys.count("Ni")?;
    let span = |from: f64, to: f64| match (to - from).rem_euclid(360.0) {
        0.0 if count > 1 => 360.0,
        span => span,
    };
    let last = if keys.is_set("iScansNegatively") { first - span(last, first) } else { first + span(first, last) };
    Ok(steps(first, last, count))
}

/// Those of the Gaussian grid that lie between the first and the last, which are written with three digits at least.
fn gaussian_latitudes(keys: &Keys<'_>) -> Result<Vec<f64>, String> {
    let all = Library::gaussian_latitudes(keys.count("N")?).map_err(|error| error.to_string())?;
    let ends = latitudes(keys)?;
    let (first, last, count) = (ends[0], ends[ends.len() - 1], ends.len());
    let within = |latitude: &f64| *latitude < first.max(last) + 0.01 && *latitude > first.min(last) - 0.01;
    let mut found: Vec<f64> = all.into_iter().filter(within).collect();
    if first < last {
        found.reverse();
    }
    if found.len() == count {
        Ok(found)
    } else {
        Err(format!("{} Gaussian latitudes from {first} to {last}, and {count} rows", found.len()))
    }
}

fn earth(keys: &Keys<'_>, mapping: &mut Attributes) -> Result<(), String> {
    if keys.is_set("earthIsOblate") {
        set(mapping, "semi_major_axis", &[keys.get("earthMajorAxisInMetres")?]);
        set(mapping, "semi_minor_axis", &[keys.get("earthMinorAxisInMetres")?]);
    } else {
        set(mapping, "earth_radius", &[keys.get("radius")?]);
    }
    Ok(())
}

fn lambert(keys: &Keys<'_>) -> Result<Attributes, String> {
    let (one, other) = (keys.latitude("Latin1InDegrees")?, keys.latitude("Latin2InDegrees")?);
    let mut mapping = attributes(&[("grid_mapping_name", "lambert_conformal_conic")]);
    let parallels = [one, other];
    set(&mut mapping, "standard_parallel", if one == other { &parallels[..1] } else { &parallels });
    set(&mut mapping, "longitude_of_central_meridian", &[keys.get("LoVInDegrees")?]);
    set(&mut mapping, "latitude_of_projection_origin", &[keys.latitude("LaDInDegrees").unwrap_or(one)]);
    Ok(mapping)
}

fn polar(keys: &Keys<'_>) -> Result<Attributes, String> {
    let true_at = keys.latitude("LaDInDegrees").unwrap_or(60.0);
    // some encoders set another bit of the flag, and tell the hemisphere by the latitude alone
    let south = keys.is_set("southPoleOnProjectionPlane") || true_at < 0.0;
    let true_at = true_at.abs();
    let signed = |latitude: f64| if south { -latitude } else { latitude };
    let mut mapping = attributes(&[("grid_mapping_name", "polar_stereographic")]);
    set(&mut mapping, "latitude_of_projection_origin", &[signed(90.0)]);
    set(&mut mapping, "standard_parallel", &[signed(true_at)]);
    set(&mut mapping, "straight_vertical_longitude_from_pole", &[keys.get("orientationOfTheGridInDegrees")?]);
    Ok(mapping)
}

fn mercator(keys: &Keys<'_>) -> Result<Attributes, String> {
    let longitudes = longitudes(keys)?;
    let mut mapping = attributes(&[("grid_mapping_name", "mercator")]);
    set(&mut mapping, "standard_parallel", &[keys.latitude("LaDInDegrees")?]);
    // in the middle, so that no longitude of the grid is half a turn away
    set(&mut mapping, "longitude_of_projection_origin", &[longitudes[longitudes.len() / 2].rem_euclid(360.0)]);
    Ok(mapping)
}

fn azimuthal(keys: &Keys<'_>) -> Result<Attributes, String> {
    let mut mapping = attributes(&[("grid_mapping_name", "lambert_azimuthal_equal_area")]);
    set(&mut mapping, "latitude_of_projection_origin", &[keys.latitude("standardParallelInDegrees")?]);
    set(&mut mapping, "longitude_of_projection_origin", &[keys.get("centralLongitudeInDegrees")?]);
    Ok(mapping)
}
