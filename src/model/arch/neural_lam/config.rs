//! Hyperparameters, and the weights that follow from them.

use serde::{Deserialize, Serialize};

use crate::device::Messages;
use crate::model::arch::WeightShapes;
use crate::model::{Channels, ProblemList};

/// The arguments of the reference's training that decide the network, by its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuralLamConfig {
    pub network: Architecture,
    #[serde(default)]
    pub dialect: Dialect,
    pub hidden_dim: usize,
    /// Width on the grid's side, where it is another than the mesh's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_dim_grid: Option<usize>,
    #[serde(default = "one")]
    pub hidden_layers: usize,
    pub processor_layers: usize,
    /// Levels of a hierarchical mesh; 1 for `graph_lam`.
    #[serde(default = "one")]
    pub mesh_levels: usize,
    /// How `graph_lam`'s processor adds up messages; everything else takes their sum.
    #[serde(default)]
    pub mesh_aggr: Aggregation,
    #[serde(default)]
    pub g2m_gnn_type: GnnType,
    #[serde(default)]
    pub m2g_gnn_type: GnnType,
    #[serde(default)]
    pub mesh_up_gnn_type: GnnType,
    #[serde(default)]
    pub mesh_down_gnn_type: GnnType,
    /// The network also predicts a standard deviation, which nothing uses here.
    #[serde(default)]
    pub output_std: bool,
    #[serde(default = "one")]
    pub num_past_forcing_steps: usize,
    #[serde(default = "one")]
    pub num_future_forcing_steps: usize,
    /// Where the boundary's points are nodes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<BoundaryArguments>,
    pub graph: GraphSection,
}

/// How data at the boundary's nodes enter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundaryArguments {
    #[serde(default = "one")]
    pub num_past_boundary_steps: usize,
    #[serde(default = "one")]
    pub num_future_boundary_steps: usize,
    /// Of the boundary's times, each how many-th is told.
    #[serde(default = "one")]
    pub boundary_subsample_step: usize,
    /// Numbers that tell how far a time is; even.
    pub time_delta_enc_dim: usize,
    /// The boundary's time step over the state's, in the training data.
    pub step_length_ratio: f64,
    /// Times are counted from the model's, not from the boundary's.
    #[serde(default)]
    pub dynamic_time_deltas: bool,
}

impl BoundaryArguments {
    /// Times that a step is told of.
    pub fn window(&self) -> usize {
        self.num_past_boundary_steps + 1 + self.num_future_boundary_steps
    }
}

/// Which of the reference's lines of development the weights are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `mllam/neural-lam`: the boundary's data overwrite a frame of the state.
    #[default]
    Mainline,
    /// The branch `research` of `joeloskarsson/neural-lam-dev`: the boundary's points are nodes of their own, and the widths
    /// of grid and mesh may differ.
    Research,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    GraphLam,
    HiLam,
    HiLamParallel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    #[default]
    Sum,
    Mean,
}

/// How messages pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GnnType {
    #[default]
    InteractionNet,
    PropagationNet,
}

impl GnnType {
    pub fn messages(self) -> Messages {
        match self {
            Self::InteractionNet => Messages::Sum,
            Self::PropagationNet => Messages::Propagation,
        }
    }
}

impl Aggregation {
    pub fn messages(self) -> Messages {
        match self {
            Self::Sum => Messages::Sum,
            Self::Mean => Messages::Mean,
        }
    }
}

/// Where the graph comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSection {
    /// A file of the package; without one the graph is made from the grid's positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Mesh levels to make, counted from the finest; as many as the grid allows without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<usize>,
    /// The file's mesh positions are divided by the grid's span already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub positions_normalised: bool,
    /// The file's edge features are divided by the longest edge already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edges_normalised: bool,
}

fn one() -> usize {
    1
}

/// Sizes that the channels and the graph decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Features of a grid point that the network sees.
    pub input: usize,
    /// Features of a boundary's node; 0 where the boundary has no nodes.
    pub boundary: usize,
    /// Channels of the state.
    pub state: usize,
}

/// Between the widths of grid and mesh.
pub const PRE_MESH: &str = "pre_mesh_proj.1";
pub const POST_MESH: &str = "post_mesh_proj.1";

/// One perceptron of the reference's module tree.
#[derive(Debug, Clone)]
pub struct MlpSpec {
    pub name: String,
    pub input: usize,
    pub hidden: usize,
    pub output: usize,
    pub norm: bool,
}

impl NeuralLamConfig {
    pub fn is_hierarchical(&self) -> bool {
        self.network != Architecture::GraphLam
    }

    /// What a grid point's features are: two states, the forcings' windows, the statics; and a boundary node's: forcings and
    /// time differences of its window, the statics.
    pub fn widths(&self, channels: &Channels) -> Widths {
        let Channels { state, statics, forcings, boundary, boundary_statics } = channels;
        let window = self.num_past_forcing_steps + self.num_future_forcing_steps + 1;
        let at_node = |arguments: &BoundaryArguments| {
            (boundary.len() + arguments.time_delta_enc_dim) * arguments.window() + boundary_statics.len()
        };
        Widths {
            input: 2 * state.len() + forcings.len() * window + statics.len(),
            boundary: self.boundary.as_ref().map_or(0, at_node),
            state: state.len(),
        }
    }

    pub fn grid_dim(&self) -> usize {
        self.hidden_dim_grid.unwrap_or(self.hidden_dim)
    }

    /// Features of a mesh node and of an edge: on a plane, or on the sphere with the third component.
    pub fn graph_widths(&self) -> (usize, usize) {
        match self.dialect {
            Dialect::Mainline => (2, 3),
            Dialect::Research => (3, 4),
        }
    }

    pub fn validate(&self, problems: &mut ProblemList) {
        let mut check = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                problems.add(format!("model.toml: [arch] {key}"), value.to_string(), format!("{low} to {high}"));
            }
        };
        check("hidden_dim", self.hidden_dim, 1, 16_384);
        check("hidden_dim_grid", self.grid_dim(), 1, 16_384);
        check("hidden_layers", self.hidden_layers, 0, 16);
        check("processor_layers", self.processor_layers, 0, 256);
        let (low, high) = if self.is_hierarchical() { (2, 16) } else { (1, 1) };
        check("mesh_levels", self.mesh_levels, low, high);
        check("num_past_forcing_steps", self.num_past_forcing_steps, 0, 64);
        check("num_future_forcing_steps", self.num_future_forcing_steps, 0, 64);
        if let Some(levels) = self.graph.levels {
            check("graph.levels", levels, 1, 16);
        }
        let Some(boundary) = &self.boundary else { return };
        check("boundary.num_past_boundary_steps", boundary.num_past_boundary_steps, 0, 64);
        check("boundary.num_future_boundary_steps", boundary.num_future_boundary_steps, 0, 64);
        check("boundary.boundary_subsample_step", boundary.boundary_subsample_step, 1, 1024);
        check("boundary.time_delta_enc_dim", boundary.time_delta_enc_dim, 2, 16_384);
        if boundary.time_delta_enc_dim % 2 != 0 {
            let found = boundary.time_delta_enc_dim.to_string();
            problems.add("model.toml: [arch] boundary.time_delta_enc_dim", found, "an even number: sines and cosines");
        }
        if !(boundary.step_length_ratio.is_finite() && boundary.step_length_ratio > 0.0) {
            let found = boundary.step_length_ratio.to_string();
            problems.add("model.toml: [arch] boundary.step_length_ratio", found, "a finite number above 0");
        }
        if self.dialect != Dialect::Research {
            let expected = "dialect = \"research\": only its networks have nodes in the boundary";
            problems.add("model.toml: [arch] boundary", "nodes in the boundary", expected);
        }
    }

    /// Every perceptron, by its place in the state dict.
    pub(super) fn perceptrons(&self, widths: Widths) -> Vec<MlpSpec> {
        let (d, g) = (self.hidden_dim, self.grid_dim());
        let (node, edge) = self.graph_widths();
        let mut all = Vec::new();
        let mut add = |name: String, input: usize, hidden: usize, output: usize, norm: bool| {
            all.push(MlpSpec { name, input, hidden, output, norm });
        };
        match self.dialect {
            Dialect::Mainline => add("grid_embedder".to_owned(), widths.input, g, g, true),
            Dialect::Research => {
                add("interior_embedder".to_owned(), widths.input, g, g, true);
                if widths.boundary > 0 {
                    add("boundary_embedder".to_owned(), widths.boundary, g, g, true);
                }
            }
        }
        add("g2m_embedder".to_owned(), edge, g, g, true);
        add("m2g_embedder".to_owned(), edge, g, g, true);
        add("encoding_grid_mlp".to_owned(), g, g, g, true);
        add("output_map".to_owned(), g, g, widths.state * if self.output_std { 2 } else { 1 }, false);
        let mut gnn = |name: &str, width: usize| {
            add(format!("{name}.edge_mlp"), 3 * width, width, width, true);
            add(format!("{name}.aggr_mlp"), 2 * width, width, width, true);
        };
        gnn("g2m_gnn", g);
        gnn("m2g_gnn", g);
        let levels = self.mesh_levels;
        if self.network == Architecture::GraphLam {
            (0..self.processor_layers).for_each(|k| gnn(&format!("processor.module_{k}"), d));
            // it meets the grid's side first
            add("mesh_embedder".to_owned(), node, g, g, true);
            add("m2m_embedder".to_owned(), edge, d, d, true);
            return all;
        }
        for l in 0..levels.saturating_sub(1) {
            gnn(&format!("mesh_init_gnns.{l}"), d);
            gnn(&format!("mesh_read_gnns.{l}"), d);
        }
        for k in 0..self.processor_layers {
            if self.network == Architecture::HiLam {
                for l in 0..levels {
                    gnn(&format!("mesh_down_same_gnns.{k}.{l}"), d);
                    gnn(&format!("mesh_up_same_gnns.{k}.{l}"), d);
                }
                for l in 0..levels.saturating_sub(1) {
                    gnn(&format!("mesh_down_gnns.{k}.{l}"), d);
                    gnn(&format!("mesh_up_gnns.{k}.{l}"), d);
                }
            }
        }
        if self.network == Architecture::HiLamParallel {
            for k in 0..self.processor_layers {
                // same-level edges of all levels, then those up, then those down
                for set in 0..(3 * levels).saturating_sub(2) {
                    add(format!("processor.module_{k}.edge_mlp.mlps.{set}"), 3 * d, d, d, true);
                }
                for l in 0..levels {
                    add(format!("processor.module_{k}.aggr_mlp.mlps.{l}"), 2 * d, d, d, true);
                }
            }
        }
        for l in 0..levels {
            let width = if l == 0 { g } else { d };
            add(format!("mesh_embedders.{l}"), node, width, width, true);
            add(format!("mesh_same_embedders.{l}"), edge, d, d, true);
        }
        for l in 0..levels.saturating_sub(1) {
            add(format!("mesh_up_embedders.{l}"), edge, d, d, true);
            add(format!("mesh_down_embedders.{l}"), edge, d, d, true);
        }
        all
    }

    pub fn weight_shapes(&self, widths: Widths) -> WeightShapes {
        let mut shapes = WeightShapes::new();
        if self.dialect == Dialect::Research {
            let (d, g) = (self.hidden_dim, self.grid_dim());
            for (name, from, to) in [(PRE_MESH, g, d), (POST_MESH, d, g)] {
                shapes.insert(format!("{name}.weight"), vec![to, from]);
                shapes.insert(format!("{name}.bias"), vec![to]);
            }
        }
        for MlpSpec { name, input, hidden, output, norm } in self.perceptrons(widths) {
            let layers = self.hidden_layers + 1;
            for n in 0..layers {
                let from = if n == 0 { input } else { hidden };
                let to = if n + 1 == layers { output } else { hidden };
                // activations count as modules of their own
                shapes.insert(format!("{name}.{}.weight", 2 * n), vec![to, from]);
                shapes.insert(format!("{name}.{}.bias", 2 * n), vec![to]);
            }
            if norm {
                shapes.insert(format!("{name}.{}.weight", 2 * layers - 1), vec![output]);
                shapes.insert(format!("{name}.{}.bias", 2 * layers - 1), vec![output]);
            }
        }
        shapes
    }
}
