//! GraphCast: a graph network for the globe.
//!
//! Lam et al. (2023), <https://arxiv.org/abs/2212.12794>. Weights, options and graph are those of `weathernext` 0.3
//! (<https://github.com/google-deepmind/graphcast>): encode the grid's points onto an icosahedral mesh whose edges span many
//! scales, process there, decode to the points.

mod candidates;
mod config;
mod connect;
mod create_graph;
mod features;
mod mesh;

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

use config::{EDGE_FEATURES, MlpSpec, NODE_FEATURES};
pub use config::{GraphCastConfig, Widths};
pub use create_graph::create_graph;

use crate::atmos::Grid;
use crate::device::{Messages, Perceptron};
use crate::model::layers::gnn::{EmbeddedEdges, Gnn, Link};
use crate::model::layers::graph::{Features, Graph};

/// The network on a device, for one graph.
#[derive(Debug)]
pub struct GraphCast {
    grid_embedder: Perceptron,
    /// What is told of the points' places, `[N, 3]`.
    places: Tensor,
    /// Embedded mesh nodes, `[M, D]`: the same in each step.
    mesh: Tensor,
    grid_to_mesh: Link,
    grid_update: Perceptron,
    mesh_edges: EmbeddedEdges,
    processor: Vec<Gnn>,
    mesh_to_grid: Link,
    decoder: Perceptron,
}

impl GraphCast {
    /// `vb` is rooted at the reference's parameters.
    pub fn load(
        config: &GraphCastConfig,
        widths: Widths,
        graph: &Graph,
        grid: &Grid,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        graph.check(1, (NODE_FEATURES, EDGE_FEATURES))?;
        let Some((latitude, longitude)) = grid.rectilinear() else {
            bail!("a grid without parallels and meridians: {grid}")
        };
        if graph.grid_nodes != grid.len() {
            bail!("the graph is made for {} points, the grid has {}: {grid}", graph.grid_nodes, grid.len());
        }
        let device = vb.device().clone();
        let weights = Weights { specs: config.perceptrons(widths), vb };
        let mlp = |name: &str| weights.perceptron(name);
        let gnn =
            |edges: &str, nodes: &str| Ok::<_, candle_core::Error>(Gnn::new(mlp(edges)?, mlp(nodes)?, Messages::Sum));
        let (points, nodes) = (graph.grid_nodes, graph.mesh[0].rows());
        let places = create_graph::places(latitude, longitude);
        let processor = |k: usize| {
            gnn(&format!("mesh_gnn.processor_edges_{k}_mesh"), &format!("mesh_gnn.processor_nodes_{k}_mesh_nodes"))
        };
        Ok(Self {
            grid_embedder: mlp("grid2mesh_gnn.encoder_nodes_grid_nodes")?,
            places: Features::new(places.iter().map(|place| place.features()).collect()).tensor(&device)?,
            mesh: mlp("grid2mesh_gnn.encoder_nodes_mesh_nodes")?.forward(&[&graph.mesh[0].tensor(&device)?], None)?,
            grid_to_mesh: Link::new(
                gnn("grid2mesh_gnn.processor_edges_0_grid2mesh", "grid2mesh_gnn.processor_nodes_0_mesh_nodes")?,
                EmbeddedEdges::new(
                    &graph.grid_to_mesh,
                    (points, nodes),
                    mlp("grid2mesh_gnn.encoder_edges_grid2mesh")?,
                    &device,
                )?,
            )?,
            grid_update: mlp("grid2mesh_gnn.processor_nodes_0_grid_nodes")?,
            mesh_edges: EmbeddedEdges::new(
                &graph.mesh_to_mesh[0],
                (nodes, nodes),
                mlp("mesh_gnn.encoder_edges_mesh")?,
                &device,
            )?,
            processor: (0..config.gnn_msg_steps).map(processor).collect::<Result<_>>()?,
            mesh_to_grid: Link::new(
                gnn("mesh2grid_gnn.processor_edges_0_mesh2grid", "mesh2grid_gnn.processor_nodes_0_grid_nodes")?,
                EmbeddedEdges::new(
                    &graph.mesh_to_grid,
                    (nodes, points),
                    mlp("mesh2grid_gnn.encoder_edges_mesh2grid")?,
                    &device,
                )?,
            )?,
            decoder: mlp("mesh2grid_gnn.decoder_nodes_grid_nodes")?,
        })
    }

    /// Standardised features of the points side by side, `[N, …]` each: the input states, the oldest first; forcings; statics
    /// → `[N, C]`, in units of each channel's deviation.
    pub fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let inputs: Vec<&Tensor> = inputs.iter().copied().chain([&self.places]).collect();
        let grid = self.grid_embedder.forward(&inputs, None)?; // [N, D]
        let mut mesh = self.grid_to_mesh.forward(&grid, &self.mesh)?; // [M, D]
        let grid = self.grid_update.forward(&[&grid], Some(&grid))?;
        if let Some((last, others)) = self.processor.split_last() {
            let mut edges = self.mesh_edges.states();
            for gnn in others {
                mesh = gnn.nodes_and_edges(&mut edges, &mesh, &mesh)?;
            }
            mesh = edges.last(last, &mesh, &mesh)?;
        }
        let grid = self.mesh_to_grid.forward(&mesh, &grid)?;
        self.decoder.forward(&[&grid], None)
    }
}

/// The weights by the names of the reference.
struct Weights<'a> {
    vb: VarBuilder<'a>,
    specs: Vec<MlpSpec>,
}

impl Weights<'_> {
    fn perceptron(&self, name: &str) -> Result<Perceptron> {
        let Some(spec) = self.specs.iter().find(|spec| spec.name == name) else {
            bail!("the network has no part {name}")
        };
        let layer = |(n, pair): (usize, &[usize])| {
            let (weight, bias) = spec.layer(n);
            Ok((self.vb.get(pair, &weight)?.t()?, self.vb.get(pair[1], &bias)?))
        };
        let layers = spec.widths.windows(2).enumerate().map(layer).collect::<Result<Vec<_>>>()?;
        let norm = spec.norm.then(|| {
            let (scale, offset) = spec.norm();
            let out = spec.widths[spec.widths.len() - 1];
            Ok::<_, candle_core::Error>((self.vb.get(out, &scale)?, self.vb.get(out, &offset)?))
        });
        Perceptron::new(layers, norm.transpose()?)
    }
}
