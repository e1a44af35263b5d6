//! A step over a limited area, divided among devices by rows of the grid.

use std::ops::Range;

use candle_core::{Device, Error, Result, bail};

use super::order::NodeOrder;
use super::{Boundary, Surroundings};
use crate::device::Peer;
use crate::model::layers::graph::Graph;
use crate::model::sharded::{device_of_points, row_ranges};
use crate::model::surroundings::part_of_fields;

/// What a device is given.
pub struct LimitedAreaPart {
    pub rows: Range<usize>,
    pub peer: Peer,
    pub graph: Graph,
    pub surroundings: Surroundings,
    pub boundary: Boundary,
}

/// Divides what a run is surrounded by, and the graph that is made for it, among so many devices.
pub fn divide(
    graph: &Graph,
    surroundings: &Surroundings,
    boundary: &Boundary,
    parts: usize,
) -> Result<Vec<LimitedAreaPart>> {
    let grid = &surroundings.grid;
    if graph.grid_nodes != grid.len() {
        bail!("the graph is made for {} points, the grid has {}: {grid}", graph.grid_nodes, grid.len());
    }
    let rows = row_ranges(grid, parts)?;
    let interior = surroundings.nodes.as_ref().and_then(|data| data.nodes.interior.as_ref());
    let order = match interior {
        Some(places) => NodeOrder::at(places, grid, &Device::Cpu)?,
        None => NodeOrder::columns(grid.shape(), &Device::Cpu)?,
    };
    let of_points = device_of_points(grid, &rows);
    let of_nodes: Vec<u32> = order.points().iter().map(|&point| of_points[point as usize]).collect();
    if graph.boundary_nodes > 0 && graph.boundary_nodes < parts {
        bail!("{} nodes of the boundary cannot be divided among {parts} devices", graph.boundary_nodes);
    }
    let width = grid.len() / grid.cuts();
    let divided = graph.divide(of_nodes.clone(), parts).into_iter().zip(rows);
    divided
        .map(|(part, rows)| {
            let mut around = surroundings.part(&rows);
            let boundary = match boundary {
                Boundary::Frame(frame) => {
                    let (places, own) = frame.part(&(rows.start * width..rows.end * width));
                    let cut = |values: &Vec<f32>| part_of_fields(values, frame.points().len(), &places);
                    around.frame = surroundings.frame.iter().map(|(time, values)| (*time, cut(values))).collect();
                    Boundary::Frame(own)
                }
                other => other.clone(),
            };
            if let Some(data) = &surroundings.nodes {
                let here = |(node, device): (u32, &u32)| (*device as usize == part.peer.rank()).then_some(node);
                let nodes: Vec<u32> = (0..).zip(&of_nodes).filter_map(here).collect();
                let data = data.part(&part.boundary, &nodes).map_err(|error| Error::Msg(error.to_string()))?;
                around.nodes = Some(data);
            }
            Ok(LimitedAreaPart { rows, peer: part.peer, graph: part.graph, surroundings: around, boundary })
        })
        .collect()
}
