//! `[grid]` of a manifest.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::atmos::{Attributes, Grid, GridKind, Projection};
use crate::model::{ModelGrid, ProblemList};

/// `latitude` and `longitude`, or of a projected grid `projection`, `y` and `x`; where the input decides, at most the
/// `projection` that it must have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSection {
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<AxisSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<AxisSection>,
    /// Attributes of a CF grid mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<AxisSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<AxisSection>,
    /// How input on another grid is carried over to this one; it is refused without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regrid: Option<String>,
}

/// What [`GridSection::regrid`] may say.
const REGRID: [&str; 3] = ["nearest", "bilinear", "conservative"];

/// Values one by one, or equally spaced.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AxisSection {
    Values(Vec<f64>),
    Spaced { first: f64, step: f64, count: usize },
}

/// Axes longer than this are nobody's grid (0.02° around the globe), and their product must fit in memory.
const LONGEST_AXIS: usize = 20_000;

impl GridSection {
    /// The grid of the input, on this projection.
    pub fn from_input(projection: Option<Attributes>) -> Self {
        Self {
            kind: "from-input".to_owned(),
            latitude: None,
            longitude: None,
            projection,
            y: None,
            x: None,
            regrid: None,
        }
    }

    pub(super) fn validate(&self, problems: &mut ProblemList) -> Option<ModelGrid> {
        if let Some(other) = self.regrid.as_ref().filter(|method| !REGRID.contains(&method.as_str())) {
            problems.add("model.toml: [grid] regrid", format!("{other:?}"), format!("one of {}", REGRID.join(", ")));
        }
        if self.kind == "from-input" {
            return self.of_input(problems);
        }
        self.fixed(problems).map(|grid| ModelGrid::Fixed(Arc::new(grid)))
    }

    fn of_input(&self, problems: &mut ProblemList) -> Option<ModelGrid> {
        if [&self.latitude, &self.longitude, &self.y, &self.x].iter().any(|axis| axis.is_some()) {
            let expected = "a projection at most: the axes are those of the input";
            problems.add("model.toml: [grid]", "kind \"from-input\" with axes", expected);
        }
        if self.regrid.is_some() {
            problems.add("model.toml: [grid] regrid", "a method", "none: there is no grid to regrid to");
        }
        let projection = self.projection.as_ref().map(|attributes| {
            Projection::from_cf(attributes).map_err(|error| {
                problems.add("model.toml: [grid] projection", error.to_string(), "a CF grid mapping");
            })
        });
        projection.transpose().ok().map(|projection| ModelGrid::OfInput { projection })
    }

    fn fixed(&self, problems: &mut ProblemList) -> Option<Grid> {
        let kind = match self.kind.as_str() {
            "latlon" => Some(GridKind::LatLon),
            "gaussian" => Some(GridKind::Gaussian),
            "rectilinear" => Some(GridKind::Rectilinear),
            "projected" => return self.projected(problems),
            other => {
                problems.add(
                    "model.toml: [grid] kind",
                    format!("{other:?}"),
                    "\"latlon\", \"gaussian\", \"rectilinear\", \"projected\" or \"from-input\"",
                );
                None
            }
        };
        if self.projection.is_some() || self.y.is_some() || self.x.is_some() {
            let expected = "latitude and longitude alone; projection, y and x are for kind \"projected\"";
            problems.add("model.toml: [grid]", format!("kind {:?} with a projection", self.kind), expected);
        }
        let latitude = axis_values(self.latitude.as_ref(), "latitude", problems);
        let longitude = axis_values(self.longitude.as_ref(), "longitude", problems);
        let (latitude, longitude) = latitude.zip(longitude)?;
        match Grid::new(latitude, longitude) {
            Err(error) => {
                problems.add(
                    "model.toml: [grid]",
                    error.to_string(),
                    "latitudes from north to south, longitudes eastward, in degrees",
                );
                None
            }
            Ok(grid) => {
                if kind.is_some_and(|kind| kind != grid.kind()) {
                    problems.add(
                        "model.toml: [grid] latitude",
                        format!("a {} grid", grid.kind()),
                        format!("a {:?} one, as kind says", self.kind),
                    );
                }
                Some(grid)
            }
        }
    }

    fn projected(&self, problems: &mut ProblemList) -> Option<Grid> {
        if self.latitude.is_some() || self.longitude.is_some() {
            let expected = "projection, y and x alone: latitudes and longitudes follow from them";
            problems.add("model.toml: [grid]", "a projected grid with latitude or longitude", expected);
        }
        let (y, x) = (axis_values(self.y.as_ref(), "y", problems), axis_values(self.x.as_ref(), "x", problems));
        let Some(attributes) = &self.projection else {
            problems.add("model.toml: [grid] projection", "nothing", "the attributes of a CF grid mapping");
            return None;
        };
        let projection = Projection::from_cf(attributes).map_err(|error| {
            problems.add("model.toml: [grid] projection", error.to_string(), "a CF grid mapping");
        });
        let (y, x) = y.zip(x)?;
        let grid = Grid::projected(projection.ok()?, y, x).map_err(|error| {
            let expected = "y falling from the north, x rising eastward, in m (degrees for a rotated pole)";
            problems.add("model.toml: [grid]", error.to_string(), expected);
        });
        grid.ok()
    }
}

fn axis_values(axis: Option<&AxisSection>, name: &str, problems: &mut ProblemList) -> Option<Vec<f64>> {
    let Some(axis) = axis else {
        problems.add(format!("model.toml: [grid] {name}"), "nothing", "a list, or { first, step, count }");
        return None;
    };
    axis.values(name, problems)
}

impl AxisSection {
    fn values(&self, axis: &str, problems: &mut ProblemList) -> Option<Vec<f64>> {
        let count = match self {
            Self::Values(values) => values.len(),
            Self::Spaced { count, .. } => *count,
        };
        if !(1..=LONGEST_AXIS).contains(&count) {
            problems.add(
                format!("model.toml: [grid] {axis}"),
                format!("{count} values"),
                format!("1 to {LONGEST_AXIS}"),
            );
            return None;
        }
        Some(match self {
            Self::Values(values) => values.clone(),
            Self::Spaced { first, step, count } => (0..*count).map(|i| first + step * i as f64).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> (Option<Grid>, String) {
        let section: GridSection = toml::from_str(text).unwrap();
        let mut problems = ProblemList::default();
        let grid = section.fixed(&mut problems);
        (grid, format!("{problems:?}"))
    }

    #[test]
    fn a_projected_grid_is_a_cf_grid_mapping_and_two_axes() {
        let projection = "projection = { grid_mapping_name = 'lambert_conformal_conic', standard_parallel = [56.7, 56.7], \
                          longitude_of_central_meridian = 25, latitude_of_projection_origin = 56.7, \
                          earth_radius = 6367470 }";
        let axes = "y = { first = 1e5, step = -2500, count = 3 }\nx = [-5000, -2500, 0, 2500]";
        let (found, problems) = grid(&format!("kind = 'projected'\n{projection}\n{axes}"));
        let found = found.unwrap_or_else(|| panic!("{problems}"));
        assert_eq!(found.shape(), (3, 4));
        assert!(found.to_string().contains("Lambert conformal conic, 25.0 °E 56.7 °N, sphere 6367470 m"), "{found}");
        for (text, named) in [
            (format!("kind = 'projected'\n{axes}"), "projection"),
            (format!("kind = 'projected'\n{projection}\ny = [1, 2]\nx = [1, 2]"), "not strictly monotonic"),
            (format!("kind = 'projected'\n{axes}\nprojection = {{ grid_mapping_name = 'flat' }}"), "flat"),
            (format!("kind = 'latlon'\n{projection}\nlatitude = [1, 0]\nlongitude = [0, 1]"), "with a projection"),
            ("kind = 'latlon'\nlatitude = [1, 0]".to_owned(), "longitude"),
        ] {
            let (_, problems) = grid(&text);
            assert!(problems.contains(named), "{text}: {problems}");
        }
    }
}
