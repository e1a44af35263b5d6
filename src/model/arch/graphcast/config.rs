//! Hyperparameters, and the weights that follow from them.

use serde::{Deserialize, Serialize};

use crate::model::arch::WeightShapes;
use crate::model::{Channels, ProblemList, Role};

/// `ModelConfig` of the reference, by its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphCastConfig {
    /// How often the icosahedron is refined.
    pub mesh_size: usize,
    pub latent_size: usize,
    /// Steps of message passing on the mesh.
    pub gnn_msg_steps: usize,
    pub hidden_layers: usize,
    /// Of the finest mesh's longest edge: mesh nodes so near to a point receive from it.
    pub radius_query_fraction_edge_length: f64,
    /// Length that edges from mesh to grid are measured in; the longest of them where it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh2grid_edge_normalization_factor: Option<f64>,
    /// The package's file that holds mesh and edges.
    pub graph: String,
}

/// Features of a node's place, and of an edge.
pub const NODE_FEATURES: usize = 3;
pub const EDGE_FEATURES: usize = 4;

/// Numbers that go in and come out at a point of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Prognostic channels of each input state; forcings at their times and at the target's; statics.
    pub input: usize,
    pub output: usize,
}

impl Widths {
    pub fn of(channels: &Channels, input_states: usize) -> Self {
        let carried = channels.state.iter().filter(|channel| channel.role == Role::Prognostic).count();
        let told = channels.forcings.len() * (input_states + 1) + channels.statics.len();
        Self { input: carried * input_states + told, output: channels.state.len() }
    }
}

/// A perceptron by the reference's name: widths of its layers, and whether a LayerNorm follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlpSpec {
    /// `grid2mesh_gnn.encoder_edges_grid2mesh`
    pub name: String,
    pub widths: Vec<usize>,
    pub norm: bool,
}

impl MlpSpec {
    /// Weight and bias of layer `n`, as keys.
    pub fn layer(&self, n: usize) -> (String, String) {
        let layer = format!("{}_mlp.linear_{n}", self.name);
        (format!("{layer}.w"), format!("{layer}.b"))
    }

    /// Scale and offset of the LayerNorm, as keys.
    pub fn norm(&self) -> (String, String) {
        let norm = format!("{}_layer_norm", self.name);
        (format!("{norm}.scale"), format!("{norm}.offset"))
    }
}

impl GraphCastConfig {
    pub fn validate(&self, problems: &mut ProblemList) {
        let mut check = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                problems.add(format!("model.toml: [arch] {key}"), value.to_string(), format!("{low} to {high}"));
            }
        };
        check("mesh_size", self.mesh_size, 0, 9);
        check("latent_size", self.latent_size, 1, 16_384);
        check("gnn_msg_steps", self.gnn_msg_steps, 0, 256);
        check("hidden_layers", self.hidden_layers, 0, 16);
        let factor = self.mesh2grid_edge_normalization_factor;
        for (key, value) in [
            ("radius_query_fraction_edge_length", Some(self.radius_query_fraction_edge_length)),
            ("mesh2grid_edge_normalization_factor", factor),
        ] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0 && *value <= 10.0)) {
                problems.add(format!("model.toml: [arch] {key}"), value.to_string(), "more than 0, at most 10");
            }
        }
    }

    /// Every perceptron. What the reference computes and nothing uses (the mesh after the decoder's messages) is left out.
    pub(super) fn perceptrons(&self, widths: Widths) -> Vec<MlpSpec> {
        let d = self.latent_size;
        let hidden = vec![d; self.hidden_layers];
        let mlp = |name: String, input: usize, output: usize, norm: bool| MlpSpec {
            name,
            widths: [&[input], hidden.as_slice(), &[output]].concat(),
            norm,
        };
        let latent = |name: &str, input: usize| mlp(name.to_owned(), input, d, true);
        let mut all = vec![
            latent("grid2mesh_gnn.encoder_nodes_grid_nodes", widths.input + NODE_FEATURES),
            latent("grid2mesh_gnn.encoder_nodes_mesh_nodes", NODE_FEATURES),
            latent("grid2mesh_gnn.encoder_edges_grid2mesh", EDGE_FEATURES),
            latent("grid2mesh_gnn.processor_edges_0_grid2mesh", 3 * d),
            latent("grid2mesh_gnn.processor_nodes_0_mesh_nodes", 2 * d),
            latent("grid2mesh_gnn.processor_nodes_0_grid_nodes", d),
            latent("mesh_gnn.encoder_edges_mesh", EDGE_FEATURES),
            latent("mesh2grid_gnn.encoder_edges_mesh2grid", EDGE_FEATURES),
            latent("mesh2grid_gnn.processor_edges_0_mesh2grid", 3 * d),
            latent("mesh2grid_gnn.processor_nodes_0_grid_nodes", 2 * d),
            mlp("mesh2grid_gnn.decoder_nodes_grid_nodes".to_owned(), d, widths.output, false),
        ];
        for k in 0..self.gnn_msg_steps {
            all.push(latent(&format!("mesh_gnn.processor_edges_{k}_mesh"), 3 * d));
            all.push(latent(&format!("mesh_gnn.processor_nodes_{k}_mesh_nodes"), 2 * d));
        }
        all
    }

    /// Weights `[in, out]`.
    pub fn weight_shapes(&self, widths: Widths) -> WeightShapes {
        let mut shapes = WeightShapes::new();
        for spec in self.perceptrons(widths) {
            for (n, pair) in spec.widths.windows(2).enumerate() {
                let (weight, bias) = spec.layer(n);
                shapes.insert(weight, pair.to_vec());
                shapes.insert(bias, vec![pair[1]]);
            }
            if spec.norm {
                let out = vec![spec.widths[spec.widths.len() - 1]];
                let (scale, offset) = spec.norm();
                shapes.insert(scale, out.clone());
                shapes.insert(offset, out);
            }
        }
        shapes
    }
}
