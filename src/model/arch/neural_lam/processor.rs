//! What happens on the mesh: one level (`GraphLAM`), or several (`HiLAM`, `HiLAMParallel`).

use candle_core::{Device, Result, Tensor};

use super::config::{Aggregation, Architecture, NeuralLamConfig};
use super::weights::Weights;
use crate::device::{Messages, Perceptron};
use crate::model::layers::gnn::{EdgeStates, EmbeddedEdges, Gnn};
use crate::model::layers::graph::{Features, Graph};

/// The mesh of one step: nodes by level, the finest first, and the states of the edges.
struct Mesh<'a> {
    nodes: Vec<Tensor>,
    same: Vec<EdgeStates<'a>>,
    up: Vec<EdgeStates<'a>>,
    down: Vec<EdgeStates<'a>>,
}

impl Mesh<'_> {
    /// Messages within level `l`.
    fn pass_within(&mut self, l: usize, gnn: &Gnn) -> Result<()> {
        self.nodes[l] = gnn.nodes_and_edges(&mut self.same[l], &self.nodes[l], &self.nodes[l])?;
        Ok(())
    }

    /// Messages from level `l` to `l + 1`.
    fn pass_up(&mut self, l: usize, gnn: &Gnn) -> Result<()> {
        self.nodes[l + 1] = gnn.nodes_and_edges(&mut self.up[l], &self.nodes[l], &self.nodes[l + 1])?;
        Ok(())
    }

    /// Messages from level `l + 1` to `l`.
    fn pass_down(&mut self, l: usize, gnn: &Gnn) -> Result<()> {
        self.nodes[l] = gnn.nodes_and_edges(&mut self.down[l], &self.nodes[l + 1], &self.nodes[l])?;
        Ok(())
    }
}

#[derive(Debug)]
pub struct Processor {
    same: Vec<EmbeddedEdges>,
    up: Vec<EmbeddedEdges>,
    down: Vec<EmbeddedEdges>,
    /// Embedded positions of the nodes by level, `[M, D]`.
    nodes: Vec<Tensor>,
    /// Up to the coarsest level before the layers, down to the finest after them; none where there is one level.
    init: Vec<Gnn>,
    read: Vec<Gnn>,
    layers: Vec<Layer>,
}

#[derive(Debug)]
enum Layer {
    /// Within the one level.
    Flat(Gnn),
    /// Down the levels and up again, one after the other.
    Sweep(Box<Sweep>),
    /// All edges at once.
    Parallel(Parallel),
}

#[derive(Debug)]
struct Sweep {
    down_same: Vec<Gnn>,
    down: Vec<Gnn>,
    up_same: Vec<Gnn>,
    up: Vec<Gnn>,
}

#[derive(Debug)]
struct Parallel {
    /// Of the edges within each level, of those up, of those down.
    edge_mlps: Vec<Perceptron>,
    /// By level.
    aggr_mlps: Vec<Perceptron>,
}

impl Processor {
    pub fn load(config: &NeuralLamConfig, graph: &Graph, weights: &Weights<'_>, device: &Device) -> Result<Self> {
        let levels = graph.mesh.len();
        let counts: Vec<usize> = graph.mesh.iter().map(Features::rows).collect();
        let hierarchical = config.is_hierarchical();
        let name =
            |flat: &str, many: &str, l: usize| if hierarchical { format!("{many}.{l}") } else { flat.to_owned() };
        let nodes = (0..levels).map(|l| {
            let embedder = weights.perceptron(&name("mesh_embedder", "mesh_embedders", l))?;
            embedder.forward(&[&graph.mesh[l].tensor(device)?], None)
        });
        let same = (0..levels).map(|l| {
            let embedder = weights.perceptron(&name("m2m_embedder", "mesh_same_embedders", l))?;
            EmbeddedEdges::new(&graph.mesh_to_mesh[l], (counts[l], counts[l]), embedder, device)
        });
        let up = (0..levels - 1).map(|l| {
            let embedder = weights.perceptron(&format!("mesh_up_embedders.{l}"))?;
            EmbeddedEdges::new(&graph.mesh_up[l], (counts[l], counts[l + 1]), embedder, device)
        });
        let down = (0..levels - 1).map(|l| {
            let embedder = weights.perceptron(&format!("mesh_down_embedders.{l}"))?;
            EmbeddedEdges::new(&graph.mesh_down[l], (counts[l + 1], counts[l]), embedder, device)
        });
        let between = |name: &str, messages: Messages| -> Result<Vec<Gnn>> {
            (0..levels - 1).map(|l| weights.gnn(&format!("{name}.{l}"), messages)).collect()
        };
        let (up_messages, down_messages) = (config.mesh_up_gnn_type.messages(), config.mesh_down_gnn_type.messages());
        Ok(Self {
            nodes: nodes.collect::<Result<_>>()?,
            same: same.collect::<Result<_>>()?,
            up: up.collect::<Result<_>>()?,
            down: down.collect::<Result<_>>()?,
            init: between("mesh_init_gnns", up_messages)?,
            read: between("mesh_read_gnns", down_messages)?,
            layers: (0..config.processor_layers)
                .map(|k| Layer::load(config, k, levels, weights))
                .collect::<Result<_>>()?,
        })
    }

    /// The finest level's nodes before anything reaches them, `[M, D]`.
    pub fn bottom(&self) -> &Tensor {
        &self.nodes[0]
    }

    /// The finest level's nodes `[M, D]` → the same.
    pub fn forward(&self, bottom: Tensor) -> Result<Tensor> {
        fn states(edges: &[EmbeddedEdges]) -> Vec<EdgeStates<'_>> {
            edges.iter().map(EmbeddedEdges::states).collect()
        }
        let mut mesh = Mesh {
            nodes: std::iter::once(bottom).chain(self.nodes[1..].iter().cloned()).collect(),
            same: states(&self.same),
            up: states(&self.up),
            down: states(&self.down),
        };
        for (l, gnn) in self.init.iter().enumerate() {
            mesh.pass_up(l, gnn)?;
        }
        for layer in &self.layers {
            layer.forward(&mut mesh)?;
        }
        for ((l, gnn), edges) in self.read.iter().enumerate().zip(mesh.down).rev() {
            mesh.nodes[l] = edges.last(gnn, &mesh.nodes[l + 1], &mesh.nodes[l])?;
        }
        Ok(mesh.nodes.swap_remove(0))
    }
}

impl Layer {
    fn load(config: &NeuralLamConfig, k: usize, levels: usize, weights: &Weights<'_>) -> Result<Self> {
        let gnns = |name: &str, count: usize, messages: Messages| -> Result<Vec<Gnn>> {
            (0..count).map(|l| weights.gnn(&format!("{name}.{k}.{l}"), messages)).collect()
        };
        let sum = Aggregation::Sum.messages();
        Ok(match config.network {
            Architecture::GraphLam => {
                Self::Flat(weights.gnn(&format!("processor.module_{k}"), config.mesh_aggr.messages())?)
            }
            Architecture::HiLam => Self::Sweep(Box::new(Sweep {
                down_same: gnns("mesh_down_same_gnns", levels, sum)?,
                down: gnns("mesh_down_gnns", levels - 1, config.mesh_down_gnn_type.messages())?,
                up_same: gnns("mesh_up_same_gnns", levels, sum)?,
                up: gnns("mesh_up_gnns", levels - 1, config.mesh_up_gnn_type.messages())?,
            })),
            Architecture::HiLamParallel => {
                let mlps = |name: &str, count: usize| -> Result<Vec<Perceptron>> {
                    let name = |n: usize| format!("processor.module_{k}.{name}.mlps.{n}");
                    (0..count).map(|n| weights.perceptron(&name(n))).collect()
                };
                Self::Parallel(Parallel {
                    edge_mlps: mlps("edge_mlp", 3 * levels - 2)?,
                    aggr_mlps: mlps("aggr_mlp", levels)?,
                })
            }
        })
    }

    fn forward(&self, mesh: &mut Mesh<'_>) -> Result<()> {
        match self {
            Self::Flat(gnn) => mesh.pass_within(0, gnn),
            Self::Sweep(sweep) => sweep.forward(mesh),
            Self::Parallel(parallel) => parallel.forward(mesh),
        }
    }
}

impl Sweep {
    fn forward(&self, mesh: &mut Mesh<'_>) -> Result<()> {
        let top = mesh.nodes.len() - 1;
        mesh.pass_within(top, &self.down_same[top])?;
        for l in (0..top).rev() {
            mesh.pass_down(l, &self.down[l])?;
            mesh.pass_within(l, &self.down_same[l])?;
        }
        mesh.pass_within(0, &self.up_same[0])?;
        for l in 0..top {
            mesh.pass_up(l, &self.up[l])?;
            mesh.pass_within(l + 1, &self.up_same[l + 1])?;
        }
        Ok(())
    }
}

impl Parallel {
    /// All messages are made of the nodes as they were before.
    fn forward(&self, mesh: &mut Mesh<'_>) -> Result<()> {
        let Mesh { nodes, same, up, down } = mesh;
        let mut arrived: Vec<Option<Tensor>> = vec![None; nodes.len()];
        let edges = same.iter_mut().enumerate().map(|(l, edges)| (edges, l, l));
        let edges = edges.chain(up.iter_mut().enumerate().map(|(l, edges)| (edges, l, l + 1)));
        let edges = edges.chain(down.iter_mut().enumerate().map(|(l, edges)| (edges, l + 1, l)));
        for ((edges, from, to), mlp) in edges.zip(&self.edge_mlps) {
            let sums = edges.pass(mlp, Messages::Sum, &nodes[from], &nodes[to])?;
            arrived[to] = Some(match arrived[to].take() {
                Some(before) => (before + sums)?,
                None => sums,
            });
        }
        for ((nodes, arrived), mlp) in nodes.iter_mut().zip(arrived).zip(&self.aggr_mlps) {
            if let Some(arrived) = arrived {
                *nodes = mlp.forward(&[nodes, &arrived], Some(nodes))?;
            }
        }
        Ok(())
    }
}
