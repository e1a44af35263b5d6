//! One layer of message passing.

use candle_core::{Device, Result, Tensor};

use super::graph::Edges;
use super::weights::Weights;
use crate::device::{EdgeInput, Messages, Perceptron, ReceiverEdges, message_passing};

/// `InteractionNet` (Battaglia et al. 2016, <https://arxiv.org/abs/1612.00222>) and the reference's `PropagationNet`:
/// messages along the edges, their sum or mean at each receiver, and receivers that change by it.
#[derive(Debug)]
pub struct Gnn {
    messages: Messages,
    edge_mlp: Perceptron,
    aggr_mlp: Perceptron,
}

impl Gnn {
    pub fn load(weights: &Weights<'_>, name: &str, messages: Messages) -> Result<Self> {
        let (edge_mlp, aggr_mlp) = (format!("{name}.edge_mlp"), format!("{name}.aggr_mlp"));
        Ok(Self { messages, edge_mlp: weights.perceptron(&edge_mlp)?, aggr_mlp: weights.perceptron(&aggr_mlp)? })
    }

    /// What edges that never change add to the first layer, `[E, D]`.
    pub fn constant(&self, embedded: &Tensor) -> Result<Tensor> {
        self.edge_mlp.project(0..embedded.dim(1)?, embedded, true)
    }

    /// Receivers `[R, D]` → receivers.
    pub fn nodes(
        &self,
        edges: &ReceiverEdges,
        constant: &Tensor,
        senders: &Tensor,
        receivers: &Tensor,
    ) -> Result<Tensor> {
        let input = EdgeInput::Term(constant);
        let (sums, _) = message_passing(edges, &self.edge_mlp, input, (senders, receivers), self.messages, false)?;
        self.update(&sums, receivers)
    }

    /// The same, and the edges' states `[E, D]` change, too.
    pub fn nodes_and_edges(&self, edges: &mut EdgeStates, senders: &Tensor, receivers: &Tensor) -> Result<Tensor> {
        let sums = edges.pass(&self.edge_mlp, self.messages, senders, receivers)?;
        self.update(&sums, receivers)
    }

    fn update(&self, sums: &Tensor, receivers: &Tensor) -> Result<Tensor> {
        let base = if self.messages == Messages::Propagation { sums } else { receivers };
        self.aggr_mlp.forward(&[receivers, sums], Some(base))
    }
}

/// Edges with the embedding of their features.
#[derive(Debug)]
pub struct EmbeddedEdges {
    pub edges: ReceiverEdges,
    /// `[E, D]`, in the order of `edges`.
    pub embedded: Tensor,
}

impl EmbeddedEdges {
    pub fn new(edges: &Edges, nodes: (usize, usize), embedder: &Perceptron, device: &Device) -> Result<Self> {
        let features = edges.features.tensor(device)?;
        let edges = ReceiverEdges::new(&edges.senders, &edges.receivers, nodes)?;
        let embedded = embedder.forward(&[&edges.sorted(&features)?], None)?;
        Ok(Self { edges, embedded })
    }

    /// Where a step begins.
    pub fn states(&self) -> EdgeStates<'_> {
        EdgeStates { edges: &self.edges, states: self.embedded.clone() }
    }
}

/// Edges whose states change during a step.
#[derive(Debug)]
pub struct EdgeStates<'a> {
    pub edges: &'a ReceiverEdges,
    states: Tensor,
}

impl EdgeStates<'_> {
    /// Passes messages and adds them to the states; returns what arrives at each receiver.
    pub fn pass(
        &mut self,
        edge_mlp: &Perceptron,
        messages: Messages,
        senders: &Tensor,
        receivers: &Tensor,
    ) -> Result<Tensor> {
        let input = EdgeInput::State(&self.states);
        let (sums, states) = message_passing(self.edges, edge_mlp, input, (senders, receivers), messages, true)?;
        if let Some(states) = states {
            self.states = states;
        }
        Ok(sums)
    }

    pub fn states(&self) -> &Tensor {
        &self.states
    }
}
