//! Neural-LAM: a Lightning checkpoint, its configuration, and the training data's statistics → a package.

mod arguments;
mod channels;
mod datastore;
mod graph_folder;
mod network;
mod projection;
mod statistics;

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use super::params::Winds;
use super::source::Source;
use super::write::Draft;
use super::{ImportError, Params};
use crate::atmos::LeadTime;
use crate::model::manifest::{BoundarySection, FORMAT, GridSection, ModelSection};
use crate::model::{Manifest, Predicts, Role};
use arguments::Arguments;
use channels::Describe;
use datastore::DatastoreConfig;
pub use network::{BareNetwork, read_network};
use network::{architecture, open_checkpoint, predictor_weights, read_weights};

/// Width of the frame in `neural_lam`, which no configuration of its own changes.
const REFERENCE_BOUNDARY: usize = 30;

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
        None => {
            let told = datastore.time_step(&mut problems);
            if told.is_none() {
                let advice = "give --params with time_step = \"3h\"";
                problems.push(format!("no time step in the datastore's configuration; {advice}"));
            }
            told
        }
    };
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

    // what the source is called becomes a part of paths
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name = params.name.clone().unwrap_or_else(|| source.name.chars().map(plain).collect());
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
        boundary: (boundary > 0).then_some(BoundarySection { width: boundary }),
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
