//! Neural-LAM: a Lightning checkpoint, its configuration, and the training data's statistics → a package.

mod arguments;
mod datastore;
mod graph_folder;
mod statistics;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use indexmap::IndexMap;
use serde::Deserialize;

use super::params::Winds;
use super::source::Source;
use super::write::Draft;
use super::{ImportError, Params};
use crate::atmos::{LeadTime, Level, known_variable};
use crate::ingest::{conversion, lexicon};
use crate::model::arch::neural_lam::{
    Aggregation, Architecture, Dialect, GnnType, Graph, GraphSection, NeuralLamConfig,
};
use crate::model::checkpoint::{Checkpoint, CheckpointError, TensorInfo};
use crate::model::manifest::{BoundarySection, ChannelSection, FORMAT, GridSection, LevelSection, ModelSection};
use crate::model::{Clamp, Manifest, Predicts, Role};
use arguments::Arguments;
use datastore::{DatastoreConfig, Feature, Source as FeatureSource};
use statistics::Statistics;

/// Width of the frame in `neural_lam`, which no configuration of its own changes.
const REFERENCE_BOUNDARY: usize = 30;
/// float32's resolution: smaller deviations are taken as this.
const LEAST_STD: f64 = f32::EPSILON as f64;

/// `config.yaml`.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    datastore: Option<Datastore>,
    #[serde(default)]
    datastore_boundary: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    datastores: Option<IndexMap<String, Datastore>>,
    #[serde(default)]
    training: Option<Training>,
}

#[derive(Debug, Deserialize)]
struct Datastore {
    kind: String,
    config_path: String,
}

#[derive(Debug, Deserialize)]
struct Training {
    #[serde(default)]
    output_clamping: Option<OutputClamping>,
}

#[derive(Debug, Default, Deserialize)]
struct OutputClamping {
    #[serde(default)]
    lower: IndexMap<String, f64>,
    #[serde(default)]
    upper: IndexMap<String, f64>,
}

/// Reads everything, and reports everything that cannot be understood or supported at once.
pub fn import(source: &Source, params: &Params) -> Result<(Draft, Vec<String>), ImportError> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let config: Config = read_yaml(&source.config)?;
    let datastore_path = datastore_path(&config, &source.config, &mut problems);
    let checkpoint = open_checkpoint(&source.checkpoint, &mut notes)?;
    let mut arguments = Arguments::default();
    arguments.add_hyper_parameters(checkpoint.root());
    if let Some(path) = &source.arguments
        && let Err(reason) = arguments.add_command_line(path)
    {
        problems.push(format!("{}: {reason}", path.display()));
    }
    let failed = |problems: Vec<String>| Err(ImportError::Problems { path: source.path.clone(), problems });
    let Some(datastore_path) = datastore_path else { return failed(problems) };
    let datastore: DatastoreConfig = read_yaml(&datastore_path)?;
    datastore.check_node_order(&mut problems);
    let features = datastore.features(&mut problems);
    let store = statistics::find(params.statistics.as_deref(), source.statistics.as_deref(), &datastore_path)?;
    let store = statistics::Store::open(&store)?;
    let state = store.read("state", &features.state, &mut problems);
    let forcing = store.read("forcing", &features.forcing, &mut problems);
    let statics = store.read("static", &features.statics, &mut problems);
    let clamping = config.training.and_then(|training| training.output_clamping).unwrap_or_default();
    for name in clamping.lower.keys().chain(clamping.upper.keys()).filter(|name| !state.names.contains(name)) {
        problems.push(format!("config.yaml: output_clamping: no feature {name}; there are {}", state.names.join(" ")));
    }

    let weights = predictor_weights(&checkpoint, &mut problems);
    let network = architecture(&arguments, &weights, params, &mut notes, &mut problems);
    let time_step = match &params.time_step {
        Some(text) => text
            .parse::<LeadTime>()
            .map_err(|error| problems.push(format!("--params: time_step {text:?}; expected {}", error.expected)))
            .ok(),
        None => datastore.time_step(&mut problems),
    };
    if time_step.is_none() {
        problems
            .push("no time step in the datastore's configuration; give --params with time_step = \"3h\"".to_owned());
    }
    let graph = params.graph.as_deref().map(graph_folder::read).transpose()?;
    let (Some(mut network), Some(time_step)) = (network, time_step) else { return failed(problems) };
    if !problems.is_empty() {
        return failed(problems);
    }
    if let Some(folder) = &graph {
        network.graph = folder.section();
        let graph = &folder.graph;
        if graph.mesh.len() != network.mesh_levels {
            problems.push(format!(
                "the graph in --params has {} mesh level(s), the weights are for {}",
                graph.mesh.len(),
                network.mesh_levels
            ));
        }
    }
    let boundary = params.n_boundary_points.unwrap_or_else(|| {
        notes.push(format!(
            "the frame of boundary data is {REFERENCE_BOUNDARY} points wide, as neural_lam's always is; \
             n_boundary_points in --params says otherwise"
        ));
        REFERENCE_BOUNDARY
    });
    let winds = params.winds.unwrap_or_else(|| {
        notes.push("winds are taken as relative to the grid; winds = \"true\" in --params says otherwise".to_owned());
        Winds::default()
    });
    let projection = datastore.extra.as_ref().and_then(|extra| extra.projection.as_ref());
    let mapping = projection.and_then(|projection| projection.cf());
    if let (Some(projection), None) = (projection, &mapping)
        && projection.class_name != "PlateCarree"
    {
        notes.push(format!("the projection {} is not checked against that of the input", projection.class_name));
    }
    let along_axes = winds == Winds::Grid && mapping.is_some();
    let describe = Describe { clamping: &clamping, along_axes };
    let mut channels = describe.channels(Role::Prognostic, &features.state, &state);
    channels.extend(describe.channels(Role::Static, &features.statics, &statics));
    channels.extend(describe.channels(Role::Forcing, &features.forcing, &forcing));

    let name = params.name.clone().unwrap_or_else(|| source.name.clone());
    let named = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    let manifest = Manifest {
        format: FORMAT,
        model: ModelSection {
            title: named(&params.title, &format!("{name}, a Neural-LAM model")),
            arch: "neural-lam".to_owned(),
            version: named(&params.version, "1"),
            licence: named(&params.licence, "not told by the source"),
            origin: named(&params.origin, &format!("imported from {}", file_name(&source.path))),
            time_step: time_step.to_string(),
            input_states: 2,
            predicts: Predicts::Tendency,
            inputs_by_name: true,
            name,
        },
        weights: None,
        arch: toml::Table::try_from(&network)
            .map_err(|error| ImportError::Source { path: source.path.clone(), reason: error.to_string() })?,
        grid: GridSection::from_input(mapping),
        boundary: Some(BoundarySection { width: boundary }),
        channels,
        files: Vec::new(),
        parity: None,
    };
    if !problems.is_empty() {
        return failed(problems);
    }
    let weights = read_weights(&checkpoint, weights, &source.checkpoint)?;
    Ok((Draft { manifest, weights, graph: graph.map(|folder| folder.graph) }, notes))
}

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
fn open_checkpoint(path: &Path, notes: &mut Vec<String>) -> Result<Checkpoint, ImportError> {
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

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ImportError> {
    let wrong = |reason: String| ImportError::Source { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn datastore_path(config: &Config, path: &Path, problems: &mut Vec<String>) -> Option<std::path::PathBuf> {
    if config.datastore_boundary.is_some() || config.datastores.as_ref().is_some_and(|all| all.len() > 1) {
        problems.push(
            "config.yaml: a datastore of its own for the boundary: networks of this kind are not supported yet"
                .to_owned(),
        );
        return None;
    }
    let several = config.datastores.as_ref().and_then(|all| all.values().next());
    let Some(datastore) = config.datastore.as_ref().or(several) else {
        problems.push("config.yaml: no datastore; expected one of kind mdp".to_owned());
        return None;
    };
    if datastore.kind != "mdp" {
        problems.push(format!("config.yaml: datastore of kind {:?}; expected mdp (mllam-data-prep)", datastore.kind));
        return None;
    }
    Some(path.parent().unwrap_or(Path::new(".")).join(&datastore.config_path))
}

/// Tensors of the step predictor by the names of today: 0.7 calls it `forecaster.predictor`, before that it was the root,
/// and the grid's encoder lay in `g2m_gnn`.
fn predictor_weights(checkpoint: &Checkpoint, problems: &mut Vec<String>) -> Vec<(String, TensorInfo)> {
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
    let tensor = |(key, value): (crate::model::checkpoint::Value<'_>, crate::model::checkpoint::Value<'_>)| {
        let key = key.as_str()?;
        let key = key.strip_prefix("forecaster.predictor.").unwrap_or(key);
        let key = key.replace("g2m_gnn.grid_mlp.", "encoding_grid_mlp.");
        let network = key.ends_with(".weight") || key.ends_with(".bias");
        (network && !BUFFERS.contains(&key.as_str())).then_some((key, value.tensor()?))
    };
    states.entries().filter_map(tensor).collect()
}

fn read_weights(
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
fn architecture(
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
    let mut gnn = |name: &str| match arguments.text(name) {
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
    let output_std = arguments.text("output_std").is_some_and(|text| ["true", "True", "1"].contains(&text));
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
        graph: GraphSection { levels: made, ..GraphSection::default() },
    })
}

/// How features become channels.
struct Describe<'a> {
    clamping: &'a OutputClamping,
    /// Winds are components along the axes of the grid.
    along_axes: bool,
}

impl Describe<'_> {
    fn channels(&self, role: Role, features: &[Feature], statistics: &Statistics) -> Vec<ChannelSection> {
        (0..features.len()).map(|n| self.channel(role, n, &features[n], statistics)).collect()
    }

    fn channel(&self, role: Role, n: usize, feature: &Feature, statistics: &Statistics) -> ChannelSection {
        let (name, level, formula) = match &feature.source {
            FeatureSource::Variable(name, level) => (name.clone(), *level, None),
            FeatureSource::Formula(formula) => (feature.names[0].clone(), Level::Surface, Some(*formula)),
        };
        let found_units = statistics.units.get(n).map_or("", String::as_str);
        // what the store calls by one of our names has our units inside
        let own = known_variable(&name);
        let known = lexicon::lookup(&name, &level, None).and_then(known_variable).or(own);
        let units = own.map_or(found_units, |own| own.units);
        let units = if units.is_empty() { known.map_or("1", |known| known.units) } else { units };
        let to_ours = own.filter(|_| !found_units.is_empty()).and_then(|own| conversion(found_units, own.units));
        let (scale, offset) = to_ours.map_or((1.0, 0.0), |to_ours| (to_ours.scale, to_ours.offset));
        let value = |value: f64| value * scale + offset;
        let of = |values: &[f64]| values.get(n).map(|value| value * scale);
        let (mean, std) = (value(statistics.mean[n]), (statistics.std[n] * scale).max(LEAST_STD));
        let limit = |limits: &IndexMap<String, f64>| limits.get(&statistics.names[n]).copied().map(value);
        let clamp = Clamp { lower: limit(&self.clamping.lower), upper: limit(&self.clamping.upper) };
        let clamp = (role == Role::Prognostic && clamp != Clamp::default()).then_some(clamp);
        let standard_name = known.filter(|known| known.units == units).map_or("", |known| known.standard_name);
        let standard_name = match standard_name {
            "eastward_wind" if self.along_axes => "x_wind",
            "northward_wind" if self.along_axes => "y_wind",
            other => other,
        };
        let long_name =
            statistics.long_names.get(n).filter(|text| !text.is_empty() && level == Level::Surface).cloned();
        let long_name = long_name.or_else(|| known.map(|known| known.long_name.to_owned()));
        let long_name = long_name.map(|text| match standard_name {
            "x_wind" | "y_wind" if !text.contains("grid") => format!("{text} (along the grid)"),
            _ => text,
        });
        // what the atmosphere can show, or what the training data came near
        let near = (mean - 100.0 * std, mean + 100.0 * std);
        let plausible = known
            .filter(|known| known.units == units)
            .map_or(near, |known| (known.plausible.0.min(mean - 8.0 * std), known.plausible.1.max(mean + 8.0 * std)));
        ChannelSection {
            name,
            standard_name: standard_name.to_owned(),
            long_name,
            units: units.to_owned(),
            level: LevelSection::from(level),
            role,
            mean,
            std,
            diff_mean: of(&statistics.diff_mean),
            diff_std: of(&statistics.diff_std),
            plausible: (role == Role::Prognostic).then_some(plausible),
            clamp,
            formula,
        }
    }
}
