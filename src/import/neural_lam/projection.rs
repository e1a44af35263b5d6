//! Projections as the training's plots construct them with cartopy (<https://cartopy.readthedocs.io>) → CF grid mappings.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::atmos::{Attribute, Attributes};

/// A coordinate reference system as `cartopy.crs` constructs it.
#[derive(Debug, Deserialize)]
pub struct CartopyProjection {
    pub class_name: String,
    #[serde(default)]
    pub kwargs: IndexMap<String, Argument>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Argument {
    Number(f64),
    Numbers(Vec<f64>),
    Globe(IndexMap<String, Option<GlobeArgument>>),
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum GlobeArgument {
    Number(f64),
    Other(serde::de::IgnoredAny),
}

impl CartopyProjection {
    /// Whether x and y are degrees east and north.
    pub fn is_latitude_longitude(&self) -> bool {
        let turned = matches!(self.kwargs.get("central_longitude"), Some(Argument::Number(degrees)) if *degrees != 0.0);
        self.class_name == "PlateCarree" && !turned
    }

    /// As CF grid mapping; `None` where it is plain latitude and longitude, or of a kind that is not known here.
    pub fn cf(&self) -> Option<Attributes> {
        let number = |key: &str, default: f64| match self.kwargs.get(key) {
            Some(Argument::Number(value)) => *value,
            _ => default,
        };
        let numbers = |key: &str, default: &[f64]| match self.kwargs.get(key) {
            Some(Argument::Numbers(values)) => values.clone(),
            Some(Argument::Number(value)) => vec![*value],
            _ => default.to_vec(),
        };
        let mut attributes: Vec<(&str, Attribute)> = Vec::new();
        let mut add = |name: &'static str, value: f64| attributes.push((name, Attribute::Number(value)));
        let mapping = match self.class_name.as_str() {
            "LambertConformal" => {
                add("longitude_of_central_meridian", number("central_longitude", -96.0));
                add("latitude_of_projection_origin", number("central_latitude", 39.0));
                "lambert_conformal_conic"
            }
            "LambertAzimuthalEqualArea" => {
                add("longitude_of_projection_origin", number("central_longitude", 0.0));
                add("latitude_of_projection_origin", number("central_latitude", 0.0));
                "lambert_azimuthal_equal_area"
            }
            "RotatedPole" => {
                add("grid_north_pole_longitude", number("pole_longitude", 0.0));
                add("grid_north_pole_latitude", number("pole_latitude", 90.0));
                add("north_pole_grid_longitude", number("central_rotated_longitude", 0.0));
                "rotated_latitude_longitude"
            }
            _ => return None,
        };
        if mapping != "rotated_latitude_longitude" {
            add("false_easting", number("false_easting", 0.0));
            add("false_northing", number("false_northing", 0.0));
        }
        attributes.push(("grid_mapping_name", Attribute::Text(mapping.to_owned())));
        if mapping == "lambert_conformal_conic" {
            attributes.push(("standard_parallel", Attribute::Numbers(numbers("standard_parallels", &[33.0, 45.0]))));
        }
        if let Some(Argument::Globe(globe)) = self.kwargs.get("globe") {
            let axis = |key: &str| match globe.get(key) {
                Some(Some(GlobeArgument::Number(value))) => Some(*value),
                _ => None,
            };
            match (axis("semimajor_axis"), axis("semiminor_axis")) {
                (Some(major), Some(minor)) if major != minor => {
                    attributes.push(("semi_major_axis", Attribute::Number(major)));
                    attributes.push(("semi_minor_axis", Attribute::Number(minor)));
                }
                (Some(radius), _) => attributes.push(("earth_radius", Attribute::Number(radius))),
                _ => {}
            }
        } else {
            // cartopy's Earth, where nothing else is said
            attributes.push(("semi_major_axis", Attribute::Number(6_378_137.0)));
            attributes.push(("inverse_flattening", Attribute::Number(298.257_223_563)));
        }
        Some(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
