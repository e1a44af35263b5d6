//! The boundary of a network of the research branch: a datastore of its own, whose points are nodes of the graph.

use std::sync::Arc;

use super::arguments::Arguments;
use super::channels::Describe;
use super::config::{Datastore, OutputClamping};
use super::graph_folder::GraphFolder;
use super::statistics::Store;
use crate::atmos::LeadTime;
use crate::model::arch::neural_lam::BoundaryArguments;
use crate::model::manifest::{BoundarySection, ChannelSection};
use crate::model::{BoundaryKind, BoundaryNodes, Role};

/// The file of a package that tells where the nodes lie.
pub const NODES: &str = "nodes.safetensors";

/// What a package says of such a boundary.
#[derive(Debug)]
pub struct Boundary {
    pub section: BoundarySection,
    pub arguments: BoundaryArguments,
    pub channels: Vec<ChannelSection>,
    pub nodes: BoundaryNodes,
}

/// Times of the boundary's data as its datastore's configuration tells them.
fn section(datastore: &Datastore, problems: &mut Vec<String>) -> Option<(BoundarySection, LeadTime)> {
    let config = &datastore.config;
    let forecasts = config.is_forecast();
    let axis = if forecasts { "elapsed_forecast_duration" } else { "time" };
    let step = config.step(axis, problems);
    let Some(step) = step.filter(|step| *step > LeadTime::ZERO) else {
        problems.push(format!(
            "{}: no time step of the boundary's data; expected output.coord_ranges.{axis}.step",
            datastore.path.display()
        ));
        return None;
    };
    let first = config.start(if forecasts { "analysis_time" } else { "time" });
    let offset = first.map_or(0, |first| first.timestamp().rem_euclid(step.seconds()));
    let section = BoundarySection {
        width: None,
        nodes: Some(NODES.to_owned()),
        data: Some(if forecasts { BoundaryKind::Forecasts } else { BoundaryKind::Analyses }),
        time_step: Some(step.to_string()),
        offset: (offset > 0).then(|| LeadTime::from_seconds(offset).to_string()),
    };
    Some((section, step))
}

/// Steps are counted in the full hours of a day, as the reference does.
fn hours(step: LeadTime) -> i64 {
    step.seconds().rem_euclid(86_400) / 3600
}

/// Reads everything about the boundary; `interior_step` is that of the training's state data. What is missing or cannot be
/// supported is added to `problems`.
pub fn read(
    datastore: &Datastore,
    (store, interior): (&Store, &Store),
    (arguments, hidden_dim): (&Arguments, usize),
    interior_step: LeadTime,
    graph: &mut GraphFolder,
    problems: &mut Vec<String>,
) -> Option<Boundary> {
    let features = datastore.config.features(problems);
    let forcing = store.read("forcing", &features.forcing, problems);
    let statics = store.read("static", &features.statics, problems);
    let timed = section(datastore, problems);
    let nodes = nodes(datastore, (store, interior), graph, problems);
    let ((section, step), nodes) = timed.zip(nodes)?;
    if hours(step) == 0 || hours(interior_step) == 0 {
        problems.push(format!(
            "time steps of {interior_step} inside and {step} in the boundary; expected some hours less than a day of each"
        ));
        return None;
    }
    let arguments = BoundaryArguments {
        num_past_boundary_steps: arguments.get("num_past_boundary_steps", 1, problems),
        num_future_boundary_steps: arguments.get("num_future_boundary_steps", 1, problems),
        boundary_subsample_step: arguments.get("boundary_subsample_step", 1, problems),
        time_delta_enc_dim: arguments.get("time_delta_enc_dim", hidden_dim, problems),
        step_length_ratio: hours(step) as f64 / hours(interior_step) as f64,
        dynamic_time_deltas: arguments.is_set("dynamic_time_deltas"),
    };
    let describe = Describe { clamping: &OutputClamping::default(), along_axes: false };
    let mut channels = describe.channels(Role::BoundaryStatic, &features.statics, &statics);
    channels.extend(describe.channels(Role::Boundary, &features.forcing, &forcing));
    Some(Boundary { section, arguments, channels, nodes })
}

/// Where the nodes lie: as the datasets tell, else the graph's folder.
fn nodes(
    datastore: &Datastore,
    (store, interior): (&Store, &Store),
    graph: &mut GraphFolder,
    problems: &mut Vec<String>,
) -> Option<BoundaryNodes> {
    let told = graph.nodes.take();
    let (at_boundary, inside) = told.map_or((None, None), |nodes| (Some(nodes.boundary), nodes.interior));
    // of places that it finds by x and y the reference's graphs have lost the order of the data
    let at_boundary = at_boundary.filter(|_| !datastore.config.renames_places());
    let Some(boundary) = store.places(datastore.config.projection()).map(Arc::new).or(at_boundary) else {
        problems.push(format!(
            "nothing tells where the boundary's nodes lie, in the order of its data: {} has no coordinates of grid_index{}; \
             give --params with boundary_statistics, the whole dataset of the training",
            store.path.display(),
            if datastore.config.renames_places() { "" } else { ", and the graph's folder no grid_lat_lon.pt" },
        ));
        return None;
    };
    let nodes = BoundaryNodes { boundary, interior: interior.places(None).map(Arc::new).or(inside) };
    // nodes that no edge leads from have no index in the graph
    if nodes.boundary.len() < graph.graph.boundary_nodes {
        problems.push(format!(
            "the graph has {} nodes in the boundary, places are told of {}",
            graph.graph.boundary_nodes,
            nodes.boundary.len()
        ));
        return None;
    }
    graph.graph.boundary_nodes = nodes.boundary.len();
    Some(nodes)
}
