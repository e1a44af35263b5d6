//! The network of a checkpoint: its hyperparameters and its weights.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::arguments::Arguments;
use super::graph_folder;
use crate::import::{ImportError, Params};
use crate::model::arch::neural_lam::{Aggregation, Architecture, Dialect, GnnType, GraphSection, NeuralLamConfig};
use crate::model::checkpoint::{Checkpoint, CheckpointError, TensorInfo, Value};
use crate::model::layers::graph::Graph;

/// A network without what surrounds it.
#[derive(Debug)]
pub struct BareNetwork {
    pub config: NeuralLamConfig,
    /// By the names of [`NeuralLamConfig::weight_shapes`].
    pub weights: HashMap<String, Tensor>,
    /// As read, not scaled.
    pub graph: Graph,
}

/// Reads a checkpoint and a folder of graph tensors, of either dialect.
pub fn read_network(checkpoint: &Path, graph: &Path) -> Result<BareNetwork, ImportError> {
    let opened = open_checkpoint(checkpoint, &mut Vec::new())?;
    let mut arguments = Arguments::default();
    arguments.add_hyper_parameters(opened.root());
    let mut problems = Vec::new();
    let tensors = predictor_weights(&opened, &mut problems);
    let config = architecture(&arguments, &tensors, &Params::default(), &mut Vec::new(), &mut problems);
    let folder = graph_folder::read(graph)?;
    let Some(mut config) = config.filter(|_| problems.is_empty()) else {
        return Err(ImportError::Problems { path: checkpoint.to_owned(), problems });
    };
    config.graph = folder.section();
    Ok(BareNetwork { config, weights: read_weights(&opened, tensors, checkpoint)?, graph: folder.graph })
}

/// Opens a checkpoint. Trainings pickle more than a network needs (datastores, loaders, temporary folders): damage behind
/// the weights is told, and does not matter, because the weights are checked against the network that is told before.
pub fn open_checkpoint(path: &Path, notes: &mut Vec<String>) -> Result<Checkpoint, ImportError> {
    let failed = |source| ImportError::Checkpoint { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(|error| failed(CheckpointError::Unreadable(error)))?;
    let checkpoint = Checkpoint::salvage(file).map_err(failed)?;
    if let Some(damage) = checkpoint.damage() {
        if checkpoint.root().get("state_dict").is_none() {
            return Checkpoint::open(path).map_err(failed);
        }
        notes.push(format!("{}: {damage}; what comes before it, the weights among it, was read", path.display()));
    }
    Ok(checkpoint)
}

/// Tensors of the step predictor by the names of today: 0.7 calls it `forecaster.predictor`, before that it was the root,
/// and the grid's encoder lay in `g2m_gnn`.
pub fn predictor_weights(checkpoint: &Checkpoint, problems: &mut Vec<String>) -> Vec<(String, TensorInfo)> {
    /// Buffers: they follow from the configuration.
    const BUFFERS: [&str; 7] = [
        "sigmoid_lower_lims",
        "sigmoid_upper_lims",
        "softplus_lower_lims",
        "softplus_upper_lims",
        "clamp_lower_upper_idx",
        "clamp_lower_idx",
        "clamp_upper_idx",
    ];
    let root = checkpoint.root();
    let Some(states) = root.get("state_dict") else {
        problems.push(format!("the checkpoint holds {}; expected a dictionary with state_dict", root.kind_name()));
        return Vec::new();
    };
    let tensor = |(key, value): (Value<'_>, Value<'_>)| {
        let key = key.as_str()?;
        let key = key.strip_prefix("forecaster.predictor.").unwrap_or(key);
        let key = key.replace("g2m_gnn.grid_mlp.", "encoding_grid_mlp.");
        let network = key.ends_with(".weight") || key.ends_with(".bias");
        (network && !BUFFERS.contains(&key.as_str())).then_some((key, value.tensor()?))
    };
    states.entries().filter_map(tensor).collect()
}

pub fn read_weights(
    checkpoint: &Checkpoint,
    tensors: Vec<(String, TensorInfo)>,
    path: &Path,
) -> Result<HashMap<String, Tensor>, ImportError> {
    let read = |(key, info): (String, TensorInfo)| {
        let values =
            checkpoint.read_f32(&info).map_err(|source| ImportError::Checkpoint { path: path.to_owned(), source })?;
        let tensor = Tensor::from_vec(values, info.shape.clone(), &Device::Cpu)
            .map_err(|error| ImportError::Source { path: path.to_owned(), reason: format!("{key}: {error}") })?;
        Ok((key, tensor))
    };
    tensors.into_iter().map(read).collect()
}

/// The network by the training's arguments; what the weights alone tell (depths, widths) is read off them.
pub fn architecture(
    arguments: &Arguments,
    weights: &[(String, TensorInfo)],
    params: &Params,
    notes: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Option<NeuralLamConfig> {
    let has = |start: &str| weights.iter().any(|(key, _)| key.starts_with(start));
    let count = |start: &str| (0..).take_while(|n| has(&format!("{start}{n}."))).count();
    let network = match arguments.text("model") {
        Some("graph_lam") => Architecture::GraphLam,
        Some("hi_lam") => Architecture::HiLam,
        Some("hi_lam_parallel") => Architecture::HiLamParallel,
        Some(other) => {
            problems
                .push(format!("the training's model is {other:?}; supported are graph_lam, hi_lam, hi_lam_parallel"));
            return None;
        }
        None if has("mesh_down_gnns.") => Architecture::HiLam,
        None if has("mesh_embedders.") => Architecture::HiLamParallel,
        None => Architecture::GraphLam,
    };
    // the older argument for all of them but the downward one
    let vertical = arguments.is_set("vertical_propnets");
    let mut gnn = |name: &str| match arguments.text(name) {
        None if vertical && name != "mesh_down_gnn_type" => GnnType::PropagationNet,
        None | Some("InteractionNet") => GnnType::InteractionNet,
        Some("PropagationNet") => GnnType::PropagationNet,
        Some(other) => {
            problems.push(format!("the training's {name} is {other:?}; expected InteractionNet or PropagationNet"));
            GnnType::InteractionNet
        }
    };
    let (g2m, m2g) = (gnn("g2m_gnn_type"), gnn("m2g_gnn_type"));
    let (up, down) = (gnn("mesh_up_gnn_type"), gnn("mesh_down_gnn_type"));
    let mesh_aggr = match arguments.text("mesh_aggr") {
        None | Some("sum") => Aggregation::Sum,
        Some("mean") => Aggregation::Mean,
        Some(other) => {
            problems.push(format!("the training's mesh_aggr is {other:?}; expected sum or mean"));
            Aggregation::Sum
        }
    };
    let hidden_layers = arguments.get("hidden_layers", 1, problems);
    let output_std = arguments.is_set("output_std");
    let hierarchical = network != Architecture::GraphLam;
    let levels = if hierarchical { count("mesh_embedders.") } else { 1 };
    let graph = arguments.text("graph").or(arguments.text("graph_name")).unwrap_or("multiscale");
    let made = match (&params.graph, params.mesh_levels, hierarchical, graph) {
        (Some(_), ..) | (_, _, true, _) => None,
        (_, Some(levels), ..) => Some(levels),
        (_, _, _, "multiscale") => None,
        (_, _, _, "1level") => Some(1),
        (_, _, _, other) => {
            notes.push(format!(
                "the graph {other:?} is made like neural_lam's multiscale one, with all mesh levels that the grid allows; \
                 mesh_levels or graph in --params says otherwise"
            ));
            None
        }
    };
    let processor_layers = match network {
        Architecture::HiLam => count("mesh_down_gnns."),
        Architecture::GraphLam | Architecture::HiLamParallel => count("processor.module_"),
    };
    Some(NeuralLamConfig {
        network,
        dialect: if has("interior_embedder.") { Dialect::Research } else { Dialect::Mainline },
        hidden_dim_grid: arguments.text("hidden_dim_grid").map(|_| arguments.get("hidden_dim_grid", 64, problems)),
        hidden_dim: arguments.get("hidden_dim", 64, problems),
        hidden_layers,
        processor_layers,
        mesh_levels: levels,
        mesh_aggr,
        g2m_gnn_type: g2m,
        m2g_gnn_type: m2g,
        mesh_up_gnn_type: up,
        mesh_down_gnn_type: down,
        output_std,
        num_past_forcing_steps: arguments.get("num_past_forcing_steps", 1, problems),
        num_future_forcing_steps: arguments.get("num_future_forcing_steps", 1, problems),
        boundary: None,
        graph: GraphSection { levels: made, ..GraphSection::default() },
    })
}
