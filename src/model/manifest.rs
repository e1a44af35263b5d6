//! `model.toml`: what a package says of itself.
//!
//! ```toml
//! format = 1
//!
//! [model]
//! name = "held-suarez-sfno"        # letters, digits, . _ -
//! title = "…"
//! arch = "sfno"                    # sfno | persistence
//! version = "1.0.0"
//! licence = "Apache-2.0 OR MIT"
//! origin = "who trained it, on what"
//! time_step = "6h"
//! input_states = 1
//! predicts = "tendency"            # state | tendency
//!
//! [weights]                        # none for persistence
//! file = "weights.safetensors"
//! sha256 = "…"
//!
//! [arch]                           # the hyperparameters of the architecture
//!
//! [grid]
//! kind = "gaussian"                # latlon | gaussian | rectilinear | projected
//! latitude = [87.16, …]            # degrees north, north to south
//! longitude = { first = 0.0, step = 3.75, count = 96 }
//!                                  # instead, where projected: CF grid mapping; y falling and x rising, in m
//! projection = { grid_mapping_name = "lambert_conformal_conic", standard_parallel = 56.7, … }
//! y = { first = 5e5, step = -2500, count = 589 }
//! x = { first = -1e6, step = 2500, count = 789 }
//!
//! [[channel]]                      # in the network's order
//! name = "t"
//! standard_name = "air_temperature"
//! units = "K"
//! level = { pressure = 500 }       # hPa | { height = 100 } m | { model_level = 8 } | "surface"
//! role = "prognostic"
//! mean = 250.1
//! std = 12.0
//! diff_std = 1.4                   # where predicts = "tendency"
//! plausible = [150.0, 350.0]
//!
//! [[file]]                         # what lies beside the weights
//! name = "climatology.nc"
//! role = "climatology"
//! sha256 = "…"
//!
//! [parity]                         # network input and output of the reference implementation
//! file = "parity.safetensors"
//! sha256 = "…"
//! tolerance = 1e-5
//! ```

use serde::Deserialize;

use super::{Channel, ChannelLayout, ProblemList, Role};
use crate::atmos::{Attributes, Grid, GridKind, LeadTime, Level, Projection, Variable, known_variable};

/// Whether the network's output is the next state, or its difference to the present one in units of `diff_std`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predicts {
    State,
    Tendency,
}

/// The manifest as written. Syntax only; opening the package makes sense of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub model: ModelSection,
    pub weights: Option<FileSection>,
    #[serde(default)]
    pub arch: toml::Table,
    pub grid: GridSection,
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelSection>,
    #[serde(rename = "file", default)]
    pub files: Vec<ExtraFileSection>,
    pub parity: Option<ParitySection>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    pub name: String,
    pub title: String,
    pub arch: String,
    pub version: String,
    pub licence: String,
    pub origin: String,
    pub time_step: String,
    pub input_states: usize,
    pub predicts: Predicts,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSection {
    pub file: String,
    pub sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraFileSection {
    pub name: String,
    pub role: String,
    pub sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParitySection {
    pub file: String,
    pub sha256: String,
    pub tolerance: f64,
}

/// `latitude` and `longitude`, or of a projected grid `projection`, `y` and `x`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSection {
    pub kind: String,
    pub latitude: Option<AxisSection>,
    pub longitude: Option<AxisSection>,
    /// Attributes of a CF grid mapping.
    pub projection: Option<Attributes>,
    pub y: Option<AxisSection>,
    pub x: Option<AxisSection>,
}

/// Values one by one, or equally spaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum AxisSection {
    Values(Vec<f64>),
    Spaced { first: f64, step: f64, count: usize },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSection {
    pub name: String,
    #[serde(default)]
    pub standard_name: String,
    pub long_name: Option<String>,
    pub units: String,
    pub level: LevelSection,
    pub role: Role,
    pub mean: f64,
    pub std: f64,
    pub diff_std: Option<f64>,
    pub plausible: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum LevelSection {
    Name(String),
    Pressure { pressure: f64 },
    Height { height: f64 },
    Model { model_level: u32 },
}

/// What a valid manifest says.
pub(super) struct Validated {
    pub time_step: LeadTime,
    pub layout: ChannelLayout,
    pub grid: Grid,
}

/// The one format that this version reads.
const FORMAT: u32 = 1;
/// Axes longer than this are nobody's grid (0.02° around the globe), and their product must fit in memory.
const LONGEST_AXIS: usize = 20_000;

impl Manifest {
    /// Checks everything that the manifest alone can tell; adds what is wrong to `problems`.
    pub(super) fn validate(&self, problems: &mut ProblemList) -> Option<Validated> {
        if self.format != FORMAT {
            problems.add("model.toml: format", self.format.to_string(), format!("{FORMAT}; a newer vejr may read it"));
        }
        let model = &self.model;
        if !is_object_name(&model.name) {
            problems.add(
                "model.toml: [model] name",
                format!("{:?}", model.name),
                "1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
            );
        }
        for (key, value) in [
            ("version", &model.version),
            ("licence", &model.licence),
            ("origin", &model.origin),
            ("title", &model.title),
        ] {
            if value.trim().is_empty() {
                problems.add(format!("model.toml: [model] {key}"), "nothing", "a text");
            }
        }
        if !(1..=8).contains(&model.input_states) {
            problems.add("model.toml: [model] input_states", model.input_states.to_string(), "1 to 8");
        }
        let time_step = match model.time_step.parse::<LeadTime>() {
            Ok(step) if step > LeadTime::ZERO => Some(step),
            Ok(_) => {
                problems.add("model.toml: [model] time_step", format!("{:?}", model.time_step), "more than nothing");
                None
            }
            Err(error) => {
                problems.add("model.toml: [model] time_step", format!("{:?}", error.found), error.expected);
                None
            }
        };
        let grid = self.grid.validate(problems);
        let layout = self.validate_channels(problems);
        Some(Validated { time_step: time_step?, layout: layout?, grid: grid? })
    }

    fn validate_channels(&self, problems: &mut ProblemList) -> Option<ChannelLayout> {
        if self.channels.is_empty() {
            problems.add("model.toml: [[channel]]", "none", "at least one channel");
            return None;
        }
        let mut channels: Vec<Channel> = Vec::with_capacity(self.channels.len());
        for (i, section) in self.channels.iter().enumerate() {
            let place = |key: &str| format!("model.toml: [[channel]] {} ({}): {key}", i + 1, section.name);
            let Some(channel) = section.validate(self.model.predicts, &place, problems) else { continue };
            let same = |other: &&Channel| other.variable.name == channel.variable.name;
            if let Some(other) = channels.iter().find(|other| same(other) && other.level == channel.level) {
                problems.add(
                    place("level"),
                    format!("{} a second time", other.label()),
                    "each variable and level once",
                );
            }
            if let Some(other) = channels.iter().find(same) {
                if other.variable != channel.variable {
                    problems.add(
                        place("units"),
                        format!("{} in {}", channel.variable.standard_name, channel.variable.units),
                        format!(
                            "{} in {}, as in the other channels of this name",
                            other.variable.standard_name, other.variable.units
                        ),
                    );
                }
                if other.level.dimension() != channel.level.dimension() {
                    problems.add(
                        place("level"),
                        channel.level.to_string(),
                        format!("the same kind of level as {}", other.label()),
                    );
                }
            }
            channels.push(channel);
        }
        (channels.len() == self.channels.len()).then(|| ChannelLayout::new(channels))
    }
}

impl ChannelSection {
    fn validate(
        &self,
        predicts: Predicts,
        place: &dyn Fn(&str) -> String,
        problems: &mut ProblemList,
    ) -> Option<Channel> {
        if !is_object_name(&self.name) {
            problems.add(
                place("name"),
                format!("{:?}", self.name),
                "1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
            );
        }
        let level = match &self.level {
            LevelSection::Name(name) => name.parse::<Level>().ok(),
            LevelSection::Pressure { pressure } => Some(Level::Pressure(*pressure)),
            LevelSection::Height { height } => Some(Level::Height(*height)),
            LevelSection::Model { model_level } => Some(Level::Model(*model_level)),
        }
        .filter(|level| level.value().is_finite() && level.value() >= 0.0);
        if level.is_none() {
            problems.add(
                place("level"),
                format!("{:?}", self.level),
                "\"surface\", { pressure = 500 }, { height = 100 } or { model_level = 8 }",
            );
        }
        if !self.mean.is_finite() {
            problems.add(place("mean"), self.mean.to_string(), "a finite number");
        }
        if !(self.std.is_finite() && self.std > 0.0) {
            problems.add(place("std"), self.std.to_string(), "a finite number above 0");
        }
        let diff_std = match (self.diff_std, predicts) {
            (Some(value), _) if value.is_finite() && value > 0.0 => value,
            (None, Predicts::State) => 1.0,
            (found, _) => {
                let found = found.map_or("nothing".to_owned(), |value| value.to_string());
                problems.add(
                    place("diff_std"),
                    found,
                    "a finite number above 0, since the network predicts the tendency",
                );
                1.0
            }
        };
        let known = known_variable(&self.name);
        let plausible = self.plausible.or(known.map(|known| known.plausible)).unwrap_or((f64::MIN, f64::MAX));
        if plausible.0.partial_cmp(&plausible.1) != Some(std::cmp::Ordering::Less) {
            problems.add(place("plausible"), format!("{plausible:?}"), "[lowest, highest]");
        }
        if let Some(known) = known
            && known.units != self.units
        {
            problems.add(
                place("units"),
                format!("{:?}", self.units),
                format!("{:?}: inside vejr, {} has no other", known.units, self.name),
            );
        }
        let long_name = self.long_name.as_deref().or(known.map(|known| known.long_name)).unwrap_or(&self.name);
        Some(Channel {
            variable: Variable::new(&self.name, &self.standard_name, long_name, &self.units),
            level: level?,
            role: self.role,
            mean: self.mean,
            std: self.std,
            diff_std,
            plausible,
        })
    }
}

impl GridSection {
    fn validate(&self, problems: &mut ProblemList) -> Option<Grid> {
        let kind = match self.kind.as_str() {
            "latlon" => Some(GridKind::LatLon),
            "gaussian" => Some(GridKind::Gaussian),
            "rectilinear" => Some(GridKind::Rectilinear),
            "projected" => return self.projected(problems),
            other => {
                problems.add(
                    "model.toml: [grid] kind",
                    format!("{other:?}"),
                    "\"latlon\", \"gaussian\", \"rectilinear\" or \"projected\"",
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

/// Names become parts of object paths and of file names: nothing that means something there.
pub(super) fn is_object_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> (Option<Grid>, String) {
        let section: GridSection = toml::from_str(text).unwrap();
        let mut problems = ProblemList::default();
        let grid = section.validate(&mut problems);
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
