//! Architectures: one file or folder each. This page is their register.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ChannelLayout, Channels, Manifest, ModelGrid, Predicts, ProblemList, Role};
use crate::atmos::{Grid, GridKind};
use crate::model::layers::spherical::SphereGrid;

pub mod gnu_order;
pub mod graphcast;
pub mod neural_lam;
pub mod sfno;

pub use graphcast::GraphCast;
use graphcast::GraphCastConfig;
use neural_lam::{Dialect, NeuralLamConfig, Widths};
pub use sfno::Sfno;
use sfno::SfnoConfig;

/// Weight key → shape.
pub type WeightShapes = BTreeMap<String, Vec<usize>>;

/// The hyperparameters of a package's architecture, checked against its channels and grid.
#[derive(Debug, Clone)]
pub enum ArchConfig {
    /// No network: [`super::Persistence`].
    Persistence,
    Sfno(Box<SfnoConfig>),
    NeuralLam(Box<NeuralLamConfig>, Widths),
    GraphCast(Box<GraphCastConfig>, graphcast::Widths),
}

impl ArchConfig {
    /// Reads `[arch]` of a manifest. What does not fit is added to `problems`; `shape` is `None` where channels or grid
    /// were wrong already.
    pub(super) fn parse(
        manifest: &Manifest,
        shape: Option<(&Channels, &ModelGrid)>,
        problems: &mut ProblemList,
    ) -> Option<Self> {
        let arch = manifest.model.arch.as_str();
        if let Some((channels, _)) = shape
            && !["neural-lam", "graphcast"].contains(&arch)
        {
            states_alone(arch, manifest, channels, problems);
        }
        match arch {
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
                if let Some((channels, grid)) = shape {
                    match grid {
                        ModelGrid::Fixed(grid) => {
                            check_sfno(&config, manifest.model.input_states, &channels.state, grid, problems);
                        }
                        ModelGrid::OfInput { .. } => {
                            problems.add(
                                "model.toml: [grid] kind",
                                "\"from-input\"",
                                "a global grid: an sfno has its own",
                            );
                        }
                    }
                }
                Some(Self::Sfno(Box::new(config)))
            }
            "neural-lam" => {
                let config = NeuralLamConfig::deserialize(manifest.arch.clone())
                    .map_err(|error| {
                        let found = error.to_string().trim().replace('\n', "; ");
                        problems.add("model.toml: [arch]", found, "the hyperparameters of a Neural-LAM network");
                    })
                    .ok()?;
                let before = problems.len();
                config.validate(problems);
                let in_range = problems.len() == before;
                let channels = shape?.0;
                let model = &manifest.model;
                if model.input_states != 2 {
                    problems.add("model.toml: [model] input_states", model.input_states.to_string(), "2");
                }
                if model.predicts != Predicts::Tendency {
                    problems.add("model.toml: [model] predicts", "\"state\"", "\"tendency\"");
                }
                if let Some(file) = &config.graph.file
                    && !manifest.files.iter().any(|known| known.name == *file)
                {
                    problems.add("model.toml: [arch] graph.file", format!("{file:?}"), "a file that [[file]] tells of");
                }
                let nodes = manifest.boundary.as_ref().is_some_and(|boundary| boundary.nodes.is_some());
                if nodes != config.boundary.is_some() {
                    let found = if nodes { "nodes" } else { "no nodes" };
                    let expected = "nodes here and the section boundary in [arch], or neither";
                    problems.add("model.toml: [boundary]", found, expected);
                }
                if config.dialect == Dialect::Research && config.graph.file.is_none() {
                    let expected = "a file: graphs of the research dialect are not made here";
                    problems.add("model.toml: [arch] graph.file", "nothing", expected);
                }
                // weights of such a network are not even counted
                if !in_range {
                    return None;
                }
                let widths = config.widths(channels);
                Some(Self::NeuralLam(Box::new(config), widths))
            }
            "graphcast" => {
                let config = GraphCastConfig::deserialize(manifest.arch.clone())
                    .map_err(|error| {
                        let found = error.to_string().trim().replace('\n', "; ");
                        problems.add("model.toml: [arch]", found, "the hyperparameters of GraphCast");
                    })
                    .ok()?;
                let before = problems.len();
                config.validate(problems);
                // weights of such a network are not even counted
                if problems.len() > before {
                    return None;
                }
                check_graphcast(&config, manifest, shape?, problems);
                let widths = graphcast::Widths::of(shape?.0, manifest.model.input_states);
                Some(Self::GraphCast(Box::new(config), widths))
            }
            other => {
                let expected = "sfno, neural-lam, graphcast or persistence";
                problems.add("model.toml: [model] arch", format!("{other:?}"), expected);
                None
            }
        }
    }

    /// Names and shapes of the weights that the network needs.
    pub(super) fn weight_shapes(&self) -> WeightShapes {
        match self {
            Self::Persistence => WeightShapes::new(),
            Self::Sfno(config) => config.weight_shapes(),
            Self::NeuralLam(config, widths) => config.weight_shapes(*widths),
            Self::GraphCast(config, widths) => config.weight_shapes(*widths),
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

/// GraphCast predicts differences of what it carries, on a grid that its graph is made for.
fn check_graphcast(
    config: &GraphCastConfig,
    manifest: &Manifest,
    (channels, grid): (&Channels, &ModelGrid),
    problems: &mut ProblemList,
) {
    if manifest.model.predicts != Predicts::Tendency {
        problems.add("model.toml: [model] predicts", "\"state\"", "\"tendency\"");
    }
    if grid.fixed().is_none_or(|grid| grid.rectilinear().is_none()) {
        let expected = "parallels and meridians: graphcast is global";
        problems.add("model.toml: [grid] kind", grid.to_string(), expected);
    }
    if !manifest.files.iter().any(|known| known.name == config.graph) {
        let found = format!("{:?}", config.graph);
        problems.add("model.toml: [arch] graph", found, "a file that [[file]] tells of");
    }
    if channels.state.iter().all(|channel| channel.role != Role::Prognostic) {
        problems.add("model.toml: [[channel]]", "none that is prognostic", "at least one that is carried");
    }
    no_clamp_or_boundary("graphcast", manifest, channels, problems);
}

/// What an architecture without forcings and boundaries cannot use.
fn states_alone(arch: &str, manifest: &Manifest, channels: &Channels, problems: &mut ProblemList) {
    for channel in channels.all().filter(|channel| channel.role != Role::Prognostic) {
        let place = format!("model.toml: [[channel]] {}", channel.label());
        let found = format!("role {:?}", channel.role).to_lowercase();
        problems.add(place, found, format!("prognostic: {arch} carries all its channels"));
    }
    no_clamp_or_boundary(arch, manifest, channels, problems);
}

fn no_clamp_or_boundary(arch: &str, manifest: &Manifest, channels: &Channels, problems: &mut ProblemList) {
    for channel in channels.state.iter().filter(|channel| channel.clamp != Default::default()) {
        let place = format!("model.toml: [[channel]] {}: clamp", channel.label());
        problems.add(place, "limits", format!("none: {arch} knows none"));
    }
    if manifest.boundary.is_some() {
        problems.add("model.toml: [boundary]", "a boundary", format!("none: {arch} has none"));
    }
}
