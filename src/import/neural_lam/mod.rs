//! Neural-LAM: a Lightning checkpoint, its configuration, and the training data's statistics → a package.

mod arguments;
mod boundary;
mod channels;
mod config;
mod datastore;
mod graph_folder;
mod network;
mod projection;
mod statistics;

use std::path::{Path, PathBuf};

use super::params::Winds;
use super::source::Source;
use super::write::Draft;
use super::{ImportError, Params};
use crate::atmos::LeadTime;
use crate::model::arch::neural_lam::{Dialect, NeuralLamConfig};
use crate::model::manifest::{BoundarySection, FORMAT, GridSection, ModelSection, Planet};
use crate::model::{Manifest, Predicts, Role};
use arguments::Arguments;
use channels::Describe;
use config::{Config, Datastore, Datastores};
use datastore::DatastoreConfig;
use graph_folder::GraphFolder;
pub use network::{BareNetwork, read_network};
use network::{architecture, open_checkpoint, predictor_weights, read_weights};
use statistics::Store;

/// Width of the frame in `neural_lam`, which no configuration of its own changes.
const REFERENCE_BOUNDARY: usize = 30;

/// Reads everything, and reports everything that cannot be understood or supported at once.
pub fn import(source: &Source, params: &Params) -> Result<(Draft, Vec<String>), ImportError> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let config = Config::read(&source.config)?;
    let datastores = config.datastores(&source.config, params, &mut problems)?;
    let checkpoint = open_checkpoint(&source.checkpoint, &mut notes)?;
    let mut arguments = Arguments::default();
    arguments.add_hyper_parameters(checkpoint.root());
    if let Some(path) = &source.arguments
        && let Err(reason) = arguments.add_command_line(path)
    {
        problems.push(format!("{}: {reason}", path.display()));
    }
    let failed = |problems: Vec<String>| Err(ImportError::Problems { path: source.path.clone(), problems });
    let Some(Datastores { interior, boundary: driving }) = datastores else { return failed(problems) };
    let datastore = &interior.config;
    let features = datastore.features(&mut problems);
    let open = |named: &Option<PathBuf>, datastore: &Datastore| -> Result<Store, ImportError> {
        let found = statistics::find(named.as_deref(), source.statistics.as_deref(), &datastore.statistics_of)?;
        Store::open(&found)
    };
    let store = open(&params.statistics, &interior)?;
    let state = store.read("state", &features.state, &mut problems);
    let forcing = store.read("forcing", &features.forcing, &mut problems);
    let statics = store.read("static", &features.statics, &mut problems);
    let clamping = config.clamping();
    for name in clamping.lower.keys().chain(clamping.upper.keys()).filter(|name| !state.names.contains(name)) {
        problems.push(format!("config.yaml: output_clamping: no feature {name}; there are {}", state.names.join(" ")));
    }

    let weights = predictor_weights(&checkpoint, &mut problems);
    let network = architecture(&arguments, &weights, params, &mut notes, &mut problems);
    let time_steps = time_steps(datastore, &arguments, params, &mut problems);
    let (Some(mut network), Some((time_step, data_step))) = (network, time_steps) else { return failed(problems) };
    let mut graph = graph_folder(&interior, &arguments, params, &network, &mut problems)?;
    if let Some(folder) = &graph {
        network.graph = folder.section();
    }
    let driven = weights.iter().any(|(key, _)| key.starts_with("boundary_embedder."));
    let boundary = match (&driving, &mut graph) {
        (Some(driving), Some(graph)) if driven => {
            let driving_store = open(&params.boundary_statistics, driving)?;
            let trained = (&arguments, network.hidden_dim);
            boundary::read(driving, (&driving_store, &store), trained, data_step, graph, &mut problems)
        }
        (Some(_), _) if !driven => {
            problems.push("config.yaml: a datastore for the boundary, but the network takes none".to_owned());
            None
        }
        (None, _) if driven => {
            problems.push(
                "the network takes a boundary, whose datastore the source does not carry; give --params with \
                 boundary_datastore = \"….datastore.yaml\""
                    .to_owned(),
            );
            None
        }
        _ => None,
    };
    if network.dialect == Dialect::Research && params.n_boundary_points.is_some() {
        problems.push(
            "--params: n_boundary_points: a network of the research branch overwrites no frame; leave it out"
                .to_owned(),
        );
    }
    // without places of the nodes, their order is the one that graphs are made with
    if boundary.as_ref().is_none_or(|boundary| boundary.nodes.interior.is_none()) {
        datastore.check_node_order(&mut problems);
    }
    if !problems.is_empty() {
        return failed(problems);
    }
    network.boundary = boundary.as_ref().map(|boundary| boundary.arguments);
    let section = match (&boundary, network.dialect) {
        (Some(boundary), _) => Some(boundary.section.clone()),
        (None, Dialect::Research) => None,
        (None, Dialect::Mainline) => frame(params, &mut notes),
    };
    let winds = params.winds.unwrap_or_else(|| {
        notes.push("winds are taken as relative to the grid; winds = \"true\" in --params says otherwise".to_owned());
        Winds::default()
    });
    let projection = datastore.projection();
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
    let (of_boundary, nodes) = match boundary {
        Some(boundary) => (boundary.channels, Some((boundary::NODES, boundary.nodes))),
        None => (Vec::new(), None),
    };
    channels.extend(of_boundary);

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
            planet: Planet::Earth,
            inputs_by_name: true,
            name,
        },
        weights: None,
        arch: toml::Table::try_from(&network)
            .map_err(|error| ImportError::Source { path: source.path.clone(), reason: error.to_string() })?,
        grid: GridSection::from_input(mapping),
        boundary: section,
        perturbation: None,
        channels,
        files: Vec::new(),
        parity: None,
    };
    let weights = read_weights(&checkpoint, weights, &source.checkpoint)?;
    Ok((Draft { manifest, weights, graph: graph.map(|folder| folder.graph), nodes }, notes))
}

/// The step of the model and that of its training data, of which the model may take each n-th.
fn time_steps(
    datastore: &DatastoreConfig,
    arguments: &Arguments,
    params: &Params,
    problems: &mut Vec<String>,
) -> Option<(LeadTime, LeadTime)> {
    let every: i64 = arguments.get("interior_subsample_step", 1, problems);
    let Some(text) = &params.time_step else {
        let axis = if datastore.is_forecast() { "elapsed_forecast_duration" } else { "time" };
        let told = datastore.step(axis, problems);
        if told.is_none() {
            let advice = "give --params with time_step = \"3h\"";
            problems.push(format!("no time step in the datastore's configuration; {advice}"));
        }
        return told.and_then(|step| Some((step.checked_mul(every)?, step)));
    };
    match text.parse::<LeadTime>() {
        Ok(step) => Some((step, LeadTime::from_seconds(step.seconds() / every.max(1)))),
        Err(error) => {
            problems.push(format!("--params: time_step {text:?}; expected {}", error.expected));
            None
        }
    }
}

/// The graph that was given, or of a network whose graph is not made here, the one where its training had it.
fn graph_folder(
    datastore: &Datastore,
    arguments: &Arguments,
    params: &Params,
    network: &NeuralLamConfig,
    problems: &mut Vec<String>,
) -> Result<Option<GraphFolder>, ImportError> {
    let name = arguments.text("graph_name").unwrap_or("multiscale");
    let beside = datastore.path.parent().unwrap_or(Path::new(".")).join("graphs").join(name);
    let folder = match (&params.graph, network.dialect) {
        (Some(folder), _) => folder,
        (None, Dialect::Research) if beside.is_dir() => &beside,
        (None, Dialect::Research) => {
            problems.push(format!(
                "a network of the research branch, whose graph is read from files, and there is no {}; give --params with \
                 graph = \"…\", the folder of its .pt files",
                beside.display()
            ));
            return Ok(None);
        }
        (None, Dialect::Mainline) => return Ok(None),
    };
    let folder = graph_folder::read(folder)?;
    let levels = folder.graph.mesh.len();
    if levels != network.mesh_levels {
        problems.push(format!("the graph has {levels} mesh level(s), the weights are for {}", network.mesh_levels));
    }
    Ok(Some(folder))
}

/// The frame that the boundary's data overwrite.
fn frame(params: &Params, notes: &mut Vec<String>) -> Option<BoundarySection> {
    let width = params.n_boundary_points.unwrap_or_else(|| {
        notes.push(format!(
            "the frame of boundary data is {REFERENCE_BOUNDARY} points wide, as neural_lam's always is; \
             n_boundary_points in --params says otherwise"
        ));
        REFERENCE_BOUNDARY
    });
    (width > 0).then(|| BoundarySection { width: Some(width), ..BoundarySection::default() })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
