//! Architectures: one file or folder each. This page is their register.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::Deserialize;

use super::{ChannelLayout, Manifest, ProblemList, Role};
use crate::atmos::{Grid, GridKind};
use crate::model::layers::spherical::SphereGrid;

pub mod sfno;

use sfno::{Sfno, SfnoConfig};

/// Weight key → shape.
pub type WeightShapes = BTreeMap<String, Vec<usize>>;

/// The hyperparameters of a package's architecture, checked against its channels and grid.
#[derive(Debug, Clone)]
pub enum ArchConfig {
    /// No network: [`super::Persistence`].
    Persistence,
    Sfno(Box<SfnoConfig>),
}

/// A network on a device: standardised `[B, T·C, H, W]` → standardised `[B, C, H, W]`.
#[derive(Debug)]
pub enum Network {
    Sfno(Box<Sfno>),
}

impl ArchConfig {
    /// Reads `[arch]` of a manifest. What does not fit is added to `problems`; `shape` is `None` where channels or grid
    /// were wrong already.
    pub(super) fn parse(
        manifest: &Manifest,
        shape: Option<(&ChannelLayout, &Grid)>,
        problems: &mut ProblemList,
    ) -> Option<Self> {
        match manifest.model.arch.as_str() {
            "persistence" => {
                if !manifest.arch.is_empty() {
                    problems.add("model.toml: [arch]", "hyperparameters", "none for persistence");
                }
                Some(Self::Persistence)
            }
            "sfno" => {
                let config = SfnoConfig::deserialize(manifest.arch.clone())
                    .map_err(|error| {
                        let found = error.to_string().trim().replace('\n', "; ");
                        problems.add("model.toml: [arch]", found, "the constructor arguments of the reference's SFNO");
                    })
                    .ok()?;
                let before = problems.len();
                config.validate(problems);
                if problems.len() > before {
                    return None;
                }
                if let Some((layout, grid)) = shape {
                    check_sfno(&config, manifest.model.input_states, layout, grid, problems);
                }
                Some(Self::Sfno(Box::new(config)))
            }
            other => {
                problems.add("model.toml: [model] arch", format!("{other:?}"), "sfno or persistence");
                None
            }
        }
    }

    /// Names and shapes of the weights that the network needs.
    pub(super) fn weight_shapes(&self) -> WeightShapes {
        match self {
            Self::Persistence => WeightShapes::new(),
            Self::Sfno(config) => config.weight_shapes(),
        }
    }
}

/// An SFNO sees prognostic channels only, on the grid that its transforms are made for.
fn check_sfno(
    config: &SfnoConfig,
    input_states: usize,
    layout: &ChannelLayout,
    grid: &Grid,
    problems: &mut ProblemList,
) {
    for channel in layout.iter().filter(|channel| channel.role != Role::Prognostic) {
        let place = format!("model.toml: [[channel]] {}", channel.label());
        problems.add(
            place,
            format!("role {:?}", channel.role).to_lowercase(),
            "prognostic: an sfno carries all its channels",
        );
    }
    let inputs = input_states * layout.len();
    if config.in_chans != inputs {
        problems.add(
            "model.toml: [arch] in_chans",
            config.in_chans.to_string(),
            format!("{inputs}: {} channels × {input_states} input state(s)", layout.len()),
        );
    }
    if config.out_chans != layout.len() {
        problems.add(
            "model.toml: [arch] out_chans",
            config.out_chans.to_string(),
            format!("{}, the number of channels", layout.len()),
        );
    }
    if config.img_size != grid.shape() {
        problems.add(
            "model.toml: [arch] img_size",
            format!("{:?}", config.img_size),
            format!("{:?}, the shape of [grid]", grid.shape()),
        );
        return;
    }
    let Some((latitude, _)) = grid.rectilinear() else {
        problems.add("model.toml: [grid] kind", grid.kind().to_string(), "parallels and meridians: an sfno is global");
        return;
    };
    let (nodes, _) = config.grid.nodes(grid.shape().0);
    let worst =
        nodes.iter().zip(latitude).map(|(x, latitude)| (x.asin().to_degrees() - latitude).abs()).fold(0.0, f64::max);
    if worst > 1e-3 {
        problems.add(
            "model.toml: [grid] latitude",
            format!("latitudes up to {worst:.4}° away from those of {:?}", config.grid),
            "the latitudes of [arch] grid, from north to south",
        );
    }
    if !grid.is_global_in_longitude() {
        problems.add("model.toml: [grid] longitude", "part of the circle", "the whole circle: an sfno is global");
    }
    if config.grid == SphereGrid::LegendreGauss && grid.kind() != GridKind::Gaussian {
        problems.add("model.toml: [grid] kind", grid.kind().to_string(), "gaussian, as [arch] grid says");
    }
}

impl Network {
    pub(super) fn load(config: &ArchConfig, vb: VarBuilder<'_>) -> Result<Self> {
        match config {
            ArchConfig::Sfno(config) => Ok(Self::Sfno(Box::new(Sfno::load(config, vb)?))),
            ArchConfig::Persistence => Err(candle_core::Error::Msg("persistence has no network".to_owned())),
        }
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Sfno(network) => network.forward(x),
        }
    }
}
