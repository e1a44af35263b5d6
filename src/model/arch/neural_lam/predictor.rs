//! From standardised states to the next one: what the reference calls a step predictor.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::clamping::Clamping;
use super::{NeuralLam, NeuralLamConfig, Widths};
use crate::model::layers::graph::Graph;
use crate::model::{Channel, ChannelLayout};

/// The network, with what its output is multiplied by and kept within.
#[derive(Debug)]
pub struct StepPredictor {
    network: NeuralLam,
    /// Statistics of the differences in units of the state's deviation, `[F, 1]`.
    diff_mean: Tensor,
    diff_std: Tensor,
    clamping: Clamping,
}

/// Everything that a step is made from, standardised.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The two last states, `[F, N]`.
    pub before: &'a Tensor,
    pub now: &'a Tensor,
    /// Features of the points at and around the target time, `[N, …]`.
    pub forcing: Option<&'a Tensor>,
    /// Features of the points that never change, `[N, …]`.
    pub statics: Option<&'a Tensor>,
    /// Features of the boundary's nodes, where it has nodes, `[B, …]` each.
    pub boundary: &'a [&'a Tensor],
}

impl StepPredictor {
    /// `vb` is rooted at the step predictor's state dict; `graph` is scaled as the network takes it.
    pub fn load(
        config: &NeuralLamConfig,
        widths: Widths,
        graph: &Graph,
        vb: VarBuilder<'_>,
        state: &ChannelLayout,
    ) -> Result<Self> {
        let device = vb.device().clone();
        Ok(Self {
            network: NeuralLam::load(config, widths, graph, vb)?,
            // of numbers that float32 holds, the quotient in float64 rounds to that in float32
            diff_mean: column(state, &device, |channel| (channel.diff_mean / channel.std) as f32)?,
            diff_std: column(state, &device, |channel| (channel.diff_std / channel.std) as f32)?,
            clamping: Clamping::new(state),
        })
    }

    /// The next state, standardised, `[F, N]`.
    pub fn predict(&self, inputs: &Inputs<'_>) -> Result<Tensor> {
        let (now, before) = (inputs.now.t()?.contiguous()?, inputs.before.t()?.contiguous()?); // [N, F]
        let features: Vec<&Tensor> =
            [Some(&now), Some(&before), inputs.forcing, inputs.statics].into_iter().flatten().collect();
        let change = self.network.forward(&features, inputs.boundary)?.t()?.contiguous()?;
        let change = change.broadcast_mul(&self.diff_std)?.broadcast_add(&self.diff_mean)?;
        self.clamping.add(inputs.now, &change)
    }
}

/// One value for each channel, `[F, 1]`.
fn column(layout: &ChannelLayout, device: &Device, value: impl Fn(&Channel) -> f32) -> Result<Tensor> {
    Tensor::from_vec(layout.iter().map(value).collect::<Vec<_>>(), (layout.len(), 1), device)
}
