//! The weights by the names of the reference's state dict.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::config::{MlpSpec, NeuralLamConfig, Widths};
use crate::device::{Messages, Perceptron};
use crate::model::layers::gnn::Gnn;

/// What changes the width between grid and mesh.
#[derive(Debug)]
pub struct Projection {
    weight: Tensor,
    bias: Tensor,
}

impl Projection {
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.silu()?.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

/// Perceptrons by name.
pub struct Weights<'a> {
    vb: VarBuilder<'a>,
    specs: BTreeMap<String, MlpSpec>,
    hidden_layers: usize,
}

impl<'a> Weights<'a> {
    pub fn new(config: &NeuralLamConfig, widths: Widths, vb: VarBuilder<'a>) -> Self {
        let specs = config.perceptrons(widths).into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        Self { vb, specs, hidden_layers: config.hidden_layers }
    }

    /// SiLU, then a linear layer from one width to the other.
    pub fn projection(&self, name: &str, from: usize, to: usize) -> Result<Projection> {
        let vb = self.vb.pp(name);
        Ok(Projection { weight: vb.get((to, from), "weight")?.t()?.contiguous()?, bias: vb.get(to, "bias")? })
    }

    pub fn gnn(&self, name: &str, messages: Messages) -> Result<Gnn> {
        let (edge_mlp, aggr_mlp) = (format!("{name}.edge_mlp"), format!("{name}.aggr_mlp"));
        Ok(Gnn::new(self.perceptron(&edge_mlp)?, self.perceptron(&aggr_mlp)?, messages))
    }

    pub fn perceptron(&self, name: &str) -> Result<Perceptron> {
        let Some(MlpSpec { input, hidden, output, norm, .. }) = self.specs.get(name) else {
            candle_core::bail!("the network has no part {name}")
        };
        let hidden_layers = self.hidden_layers;
        let vb = self.vb.pp(name);
        let layer = |n: usize| -> Result<(Tensor, Tensor)> {
            let from = if n == 0 { *input } else { *hidden };
            let to = if n == hidden_layers { *output } else { *hidden };
            // activations count as modules of their own
            let vb = vb.pp(2 * n);
            Ok((vb.get((to, from), "weight")?, vb.get(to, "bias")?))
        };
        let layers = (0..=hidden_layers).map(layer).collect::<Result<Vec<_>>>()?;
        let norm = norm.then(|| {
            let vb = vb.pp(2 * hidden_layers + 1);
            Ok::<_, candle_core::Error>((vb.get(*output, "weight")?, vb.get(*output, "bias")?))
        });
        Perceptron::new(layers, norm.transpose()?)
    }
}
