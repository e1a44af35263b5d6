//! Neural-LAM: graph networks for limited areas.
//!
//! Oskarsson et al. (2023), <https://arxiv.org/abs/2309.17370>. Weights, options and graphs are those of `neural_lam` 0.7.0
//! (<https://github.com/mllam/neural-lam>): encode the grid's points onto a mesh, process there, decode to the points.
//!
//! Everything that stays the same from step to step (embedded mesh nodes and edges, and what the edges between grid and
//! mesh add to the first layer of their perceptrons) is computed when the network is loaded.

mod clamping;
mod config;
mod create_graph;
mod predictor;
mod processor;
mod time_delta;
mod weights;

use std::path::Path;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

pub use config::{
    Aggregation, Architecture, BoundaryArguments, Dialect, GnnType, GraphSection, NeuralLamConfig, Widths,
};
pub use create_graph::create_graph;
pub use predictor::{Inputs, StepPredictor};
pub use time_delta::TimeDeltaEncoding;

use crate::atmos::{Axes, Grid};
use crate::device::Perceptron;
use crate::model::layers::gnn::{EmbeddedEdges, Link};
use crate::model::layers::graph::{Edges, Graph};
use config::{POST_MESH, PRE_MESH};
use processor::Processor;
use weights::{Projection, Weights};

/// The network on a device, for one graph.
#[derive(Debug)]
pub struct NeuralLam {
    grid_embedder: Perceptron,
    boundary_embedder: Option<Perceptron>,
    /// Into the mesh and out of it, where its width is another.
    projections: Option<(Projection, Projection)>,
    encoding_grid_mlp: Perceptron,
    output_map: Perceptron,
    g2m: Link,
    m2g: Link,
    processor: Processor,
    state: usize,
}

impl NeuralLamConfig {
    /// The graph of a package in folder `package`, for a grid: scaled, as the network takes it.
    pub fn graph(&self, package: &Path, grid: &Grid) -> Result<Graph> {
        let (y, x) = match grid.axes() {
            Axes::Projected { y, x, .. } => (y, x),
            Axes::Rectilinear { latitude, longitude } => (latitude, longitude),
            Axes::None => candle_core::bail!("a graph needs a grid with rows and columns; this one has none: {grid}"),
        };
        let extreme = |axis: &[f64], f: fn(f64, f64) -> f64| axis.iter().copied().reduce(f).unwrap_or_default();
        let extent = |axis: &[f64]| extreme(axis, f64::max) - extreme(axis, f64::min);
        let unit = match self.dialect {
            Dialect::Mainline => extent(x).max(extent(y)),
            Dialect::Research => extreme(x, f64::max).max(extreme(y, f64::max)),
        };
        let Some(file) = &self.graph.file else {
            let ascending = |axis: &[f64]| {
                let mut axis = axis.to_vec();
                axis.sort_by(f64::total_cmp);
                axis
            };
            let (x, y) = (ascending(x), ascending(y));
            let points: Vec<[f64; 2]> = x.iter().flat_map(|&x| y.iter().map(move |&y| [x, y])).collect();
            let levels = if self.is_hierarchical() { Some(self.mesh_levels) } else { self.graph.levels };
            let graph = create_graph(&points, (x.len(), y.len()), self.is_hierarchical(), levels);
            let graph = graph.map_err(|error| candle_core::Error::Msg(error.to_string()))?;
            return Ok(self.graph.scale(graph, unit));
        };
        Ok(self.graph.scale(Graph::read(&package.join(file), self.mesh_levels)?, unit))
    }
}

impl GraphSection {
    /// Features as the network takes them: positions in units of the grid's size, edges of the longest one.
    pub fn scale(&self, graph: Graph, unit: f64) -> Graph {
        let graph = if self.edges_normalised { graph } else { graph.with_edges_over_longest() };
        if self.positions_normalised { graph } else { graph.with_positions_over(unit) }
    }
}

impl NeuralLam {
    /// `vb` is rooted at the step predictor's state dict; `graph` is scaled as the network takes it.
    pub fn load(config: &NeuralLamConfig, widths: Widths, graph: &Graph, vb: VarBuilder<'_>) -> Result<Self> {
        graph.check(config.mesh_levels, config.graph_widths())?;
        let device = vb.device().clone();
        let weights = Weights::new(config, widths, vb);
        let (grid, mesh) = (graph.grid_nodes, graph.mesh[0].rows());
        let link = |name: &str, edges: &Edges, nodes: (usize, usize), messages| {
            let embedder = weights.perceptron(&format!("{name}_embedder"))?;
            let gnn = weights.gnn(&format!("{name}_gnn"), messages)?;
            Link::new(gnn, EmbeddedEdges::new(edges, nodes, embedder, &device)?)
        };
        let (d, g) = (config.hidden_dim, config.grid_dim());
        let projections =
            || -> Result<_> { Ok((weights.projection(PRE_MESH, g, d)?, weights.projection(POST_MESH, d, g)?)) };
        Ok(Self {
            grid_embedder: weights.perceptron(match config.dialect {
                Dialect::Mainline => "grid_embedder",
                Dialect::Research => "interior_embedder",
            })?,
            boundary_embedder: (widths.boundary > 0).then(|| weights.perceptron("boundary_embedder")).transpose()?,
            projections: (config.dialect == Dialect::Research).then(projections).transpose()?,
            encoding_grid_mlp: weights.perceptron("encoding_grid_mlp")?,
            output_map: weights.perceptron("output_map")?,
            g2m: link("g2m", &graph.grid_to_mesh, (grid + graph.boundary_nodes, mesh), config.g2m_gnn_type.messages())?,
            m2g: link("m2g", &graph.mesh_to_grid, (mesh, grid), config.m2g_gnn_type.messages())?,
            processor: Processor::load(config, graph, &weights, &device)?,
            state: widths.state,
        })
    }

    /// Features of the grid's points side by side, `[N, …]` each: the state, the one before, forcings, statics, all
    /// standardised; and those of the boundary's nodes, if it has any → the change of the state `[N, F]` in units of the
    /// differences' deviation.
    pub fn forward(&self, inputs: &[&Tensor], boundary: &[&Tensor]) -> Result<Tensor> {
        let grid = self.grid_embedder.forward(inputs, None)?; // [N, D]
        let mesh = match &self.boundary_embedder {
            Some(embedder) => {
                let all = Tensor::cat(&[&grid, &embedder.forward(boundary, None)?], 0)?;
                self.g2m.forward(&all, self.processor.bottom())?
            }
            None => self.g2m.forward(&grid, self.processor.bottom())?,
        }; // [M, D]
        let grid = self.encoding_grid_mlp.forward(&[&grid], Some(&grid))?;
        let mesh = match &self.projections {
            Some((into, out)) => out.forward(&self.processor.forward(into.forward(&mesh)?)?)?,
            None => self.processor.forward(mesh)?,
        };
        let grid = self.m2g.forward(&mesh, &grid)?;
        // the standard deviations that a network may predict come after the means
        self.output_map.forward(&[&grid], None)?.narrow(1, 0, self.state)
    }
}
