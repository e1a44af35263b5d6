//! `model.toml`: what a package says of itself.
//!
//! ```toml
//! format = 1
//!
//! [model]
//! name = "held-suarez-sfno"        # letters, digits, . _ -
//! title = "…"
//! arch = "sfno"                    # sfno | neural-lam | graphcast | persistence
//! version = "1.0.0"
//! licence = "Apache-2.0 OR MIT"
//! origin = "who trained it, on what"
//! time_step = "6h"
//! input_states = 1
//! predicts = "tendency"            # state | tendency
//! planet = "idealised"             # earth, where it is not said; an idealised one has no coasts to draw
//!
//! [weights]                        # none for persistence
//! file = "weights.safetensors"
//! sha256 = "…"
//!
//! [arch]                           # the hyperparameters of the architecture
//!
//! [grid]
//! kind = "gaussian"                # latlon | gaussian | rectilinear | projected | from-input
//! latitude = [87.16, …]            # degrees north, north to south
//! longitude = { first = 0.0, step = 3.75, count = 96 }
//! regrid = "bilinear"              # of input on another grid: nearest | bilinear | conservative; refused without
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
//! role = "prognostic"              # or "diagnostic": out only, missing at lead time 0
//! mean = 250.1
//! std = 12.0
//! diff_mean = 0.0
//! diff_std = 1.4                   # where predicts = "tendency"
//! plausible = [150.0, 350.0]
//! clamp = { lower = 0.0 }          # limits that the output keeps
//!
//! [[channel]]                      # in only: role = "static" (read once), or "forcing" (read, or computed);
//!                                  # at the boundary's nodes "boundary-static" and "boundary"
//! name = "toa_radiation"
//! units = "W m-2"
//! level = "surface"
//! role = "forcing"
//! formula = "toa_radiation"
//! mean = 120.0
//! std = 230.0
//!
//! [boundary]                       # limited areas: a frame where the boundary's data decide
//! width = 30
//!                                  # or nodes of their own, where the network is told of them
//! nodes = "nodes.safetensors"
//! data = "analyses"                # analyses | forecasts
//! time_step = "6h"
//!
//! [perturbation]                   # how the members of an ensemble start apart: by noise in the analysis
//! kind = "correlated"              # gaussian: independent from point to point
//! length_scale = 500               # km, of correlated noise
//! amplitude = { t = 0.5, "t 500hPa" = 0.3 }   # standard deviation by variable, or by variable and level
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

mod boundary;
mod channel;
mod grid;
mod perturbation;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use boundary::BoundaryForm;
pub use boundary::BoundarySection;
pub use channel::{ChannelSection, LevelSection};
pub use grid::{AxisSection, GridSection};
pub use perturbation::{Noise, NoiseKind, Perturbation, PerturbationSection};

use super::{Channel, ChannelLayout, ModelGrid, ProblemList, Role};
use crate::atmos::LeadTime;

/// Whether the network's output is the next state, or its difference to the present one in units of `diff_std`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predicts {
    State,
    Tendency,
}

/// Where the weather is. On maps, only the Earth has coasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Planet {
    #[default]
    Earth,
    Idealised,
}

impl Planet {
    fn is_earth(&self) -> bool {
        *self == Self::Earth
    }
}

/// The manifest as written. Syntax only; opening the package makes sense of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub model: ModelSection,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<FileSection>,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub arch: toml::Table,
    pub grid: GridSection,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<BoundarySection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<PerturbationSection>,
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelSection>,
    #[serde(rename = "file", default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ExtraFileSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<ParitySection>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Planet::is_earth")]
    pub planet: Planet,
    /// Input variables are found by their names alone, whatever their attributes say: the training data had them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inputs_by_name: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSection {
    pub file: String,
    pub sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraFileSection {
    pub name: String,
    pub role: String,
    pub sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParitySection {
    pub file: String,
    pub sha256: String,
    pub tolerance: f64,
}

/// What a valid manifest says.
pub(super) struct Validated {
    pub time_step: LeadTime,
    pub channels: Channels,
    pub grid: ModelGrid,
    pub boundary: Option<BoundaryForm>,
    pub perturbation: Option<Perturbation>,
}

/// The channels of a model by what they are for, each in the network's order.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Carried from step to step.
    pub state: Arc<ChannelLayout>,
    /// The same at all times.
    pub statics: Arc<ChannelLayout>,
    /// Different at each time, and never predicted.
    pub forcings: Arc<ChannelLayout>,
    /// At the nodes of the boundary, different at each time.
    pub boundary: Arc<ChannelLayout>,
    /// At the nodes of the boundary, the same at all times.
    pub boundary_statics: Arc<ChannelLayout>,
}

impl Channels {
    pub fn all(&self) -> impl Iterator<Item = &Channel> {
        let Self { state, statics, forcings, boundary, boundary_statics } = self;
        [state, statics, forcings, boundary, boundary_statics].into_iter().flat_map(|layout| layout.iter())
    }
}

/// The one format that this version reads.
pub const FORMAT: u32 = 1;

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
        let channels = self.validate_channels(problems);
        let boundary = self.boundary.as_ref().map(|section| section.validate(self, problems));
        if let (Some(channels), None) = (&channels, self.boundary.as_ref().and_then(|section| section.nodes.as_ref()))
            && let Some(channel) = channels.boundary.iter().chain(channels.boundary_statics.iter()).next()
        {
            let found = format!("{} at the boundary's nodes", channel.label());
            problems.add("model.toml: [boundary] nodes", found, "the file that tells where the nodes lie");
        }
        let boundary = boundary.map_or(Some(None), |form| form.map(Some));
        let (channels, grid) = (channels?, grid?);
        let perturbation = match &self.perturbation {
            Some(section) => Some(section.validate(&channels.state, problems)?),
            None => None,
        };
        Some(Validated { time_step: time_step?, channels, grid, boundary: boundary?, perturbation })
    }

    fn validate_channels(&self, problems: &mut ProblemList) -> Option<Channels> {
        if self.channels.is_empty() {
            problems.add("model.toml: [[channel]]", "none", "at least one channel");
            return None;
        }
        let mut channels: Vec<Channel> = Vec::with_capacity(self.channels.len());
        for (i, section) in self.channels.iter().enumerate() {
            let place = |key: &str| format!("model.toml: [[channel]] {} ({}): {key}", i + 1, section.name);
            let Some(channel) = section.validate(self.model.predicts, &place, problems) else { continue };
            let is_state = |channel: &Channel| matches!(channel.role, Role::Prognostic | Role::Diagnostic);
            let together = |other: &Channel| other.role == channel.role || (is_state(other) && is_state(&channel));
            let same = |other: &&Channel| together(other) && other.variable.name == channel.variable.name;
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
        if channels.len() != self.channels.len() {
            return None;
        }
        let of = |roles: &[Role]| {
            let channels = channels.iter().filter(|channel| roles.contains(&channel.role)).cloned();
            Arc::new(ChannelLayout::new(channels.collect()))
        };
        let state = of(&[Role::Prognostic, Role::Diagnostic]);
        if state.is_empty() {
            problems.add("model.toml: [[channel]]", "none that is prognostic", "at least one channel to forecast");
            return None;
        }
        Some(Channels {
            state,
            statics: of(&[Role::Static]),
            forcings: of(&[Role::Forcing]),
            boundary: of(&[Role::Boundary]),
            boundary_statics: of(&[Role::BoundaryStatic]),
        })
    }
}

/// Names become parts of object paths and of file names: nothing that means something there.
pub(super) fn is_object_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
