//! One layer of message passing, and what does not change from step to step.

use candle_core::{Device, Result, Tensor};

use super::graph::Edges;
use super::halo::{Halo, HaloExchange};
use crate::device::{EdgeInput, Messages, Perceptron, ReceiverEdges, message_passing};

/// Bytes up to which what constant edges add to a first layer is held in memory, on all devices together; what is larger is computed in each step.
const MOST_HELD: usize = 256 << 20;

/// `InteractionNet` (Battaglia et al. 2016, <https://arxiv.org/abs/1612.00222>) and the reference's `PropagationNet`:
/// messages along the edges, their sum or mean at each receiver, and receivers that change by it.
#[derive(Debug)]
pub struct Gnn {
    messages: Messages,
    edge_mlp: Perceptron,
    aggr_mlp: Perceptron,
}

impl Gnn {
    /// `edge_mlp` takes `[edge, sender, receiver]`, `aggr_mlp` `[receiver, what arrives]`.
    pub fn new(edge_mlp: Perceptron, aggr_mlp: Perceptron, messages: Messages) -> Self {
        Self { messages, edge_mlp, aggr_mlp }
    }

    /// What edges that never change add to the first layer, `[E, D]`.
    pub fn constant(&self, embedded: &Tensor) -> Result<Tensor> {
        self.edge_mlp.project(0..embedded.dim(1)?, embedded, true)
    }

    /// Receivers `[R, D]` → receivers.
    pub fn nodes(
        &self,
        edges: &ReceiverEdges,
        input: EdgeInput<'_>,
        senders: &Tensor,
        receivers: &Tensor,
    ) -> Result<Tensor> {
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

/// Edges with their features, and what embeds these.
#[derive(Debug)]
pub struct EmbeddedEdges {
    pub edges: ReceiverEdges,
    /// `[E, features]`, in the order of `edges`.
    features: Tensor,
    embedder: Perceptron,
    /// Senders that other devices hold.
    halo: Option<HaloExchange>,
    /// Devices that hold the edges together.
    parts: usize,
}

impl EmbeddedEdges {
    /// Between so many senders and receivers that this device holds.
    pub fn new(
        edges: &Edges,
        (senders, receivers): (usize, usize),
        embedder: Perceptron,
        device: &Device,
    ) -> Result<Self> {
        let features = edges.features.tensor(device)?;
        let halo = edges.halo.as_ref();
        let parts = halo.map_or(1, Halo::parts);
        let senders = senders + halo.map_or(0, Halo::len);
        let halo = halo.map(|halo| halo.to_device(device)).transpose()?;
        let edges = ReceiverEdges::new(&edges.senders, &edges.receivers, (senders, receivers))?;
        Ok(Self { features: edges.sorted(&features)?, edges, embedder, halo, parts })
    }

    /// The senders that this device holds, and those that others do.
    fn reach(&self, senders: &Tensor) -> Result<Tensor> {
        self.halo.as_ref().map_or(Ok(senders.clone()), |halo| halo.reach(senders))
    }

    fn embedded(&self) -> Result<Tensor> {
        self.embedder.forward(&[&self.features], None)
    }

    /// Where a step begins.
    pub fn states(&self) -> EdgeStates<'_> {
        EdgeStates { edges: self, states: None }
    }
}

/// A layer of messages along edges that never change.
#[derive(Debug)]
pub struct Link {
    gnn: Gnn,
    edges: EmbeddedEdges,
    /// What they add to the first layer, `[E, D]`, where memory is asked for so much.
    constant: Option<Tensor>,
}

impl Link {
    pub fn new(gnn: Gnn, edges: EmbeddedEdges) -> Result<Self> {
        let bytes = edges.features.dim(0)? * gnn.edge_mlp.first_width() * size_of::<f32>();
        let constant = (bytes <= MOST_HELD / edges.parts).then(|| gnn.constant(&edges.embedded()?)).transpose()?;
        Ok(Self { gnn, edges, constant })
    }

    /// Receivers `[R, D]` → receivers.
    pub fn forward(&self, senders: &Tensor, receivers: &Tensor) -> Result<Tensor> {
        let EmbeddedEdges { edges, features, embedder, .. } = &self.edges;
        let input = match &self.constant {
            Some(constant) => EdgeInput::Term(constant),
            None => EdgeInput::Features(features, embedder),
        };
        self.gnn.nodes(edges, input, &self.edges.reach(senders)?, receivers)
    }
}

/// Edges whose states change during a step.
#[derive(Debug)]
pub struct EdgeStates<'a> {
    edges: &'a EmbeddedEdges,
    /// `None` as long as they are the embedded features.
    states: Option<Tensor>,
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
        let senders = self.edges.reach(senders)?;
        let (sums, states) =
            message_passing(&self.edges.edges, edge_mlp, self.input(), (&senders, receivers), messages, true)?;
        self.states = states;
        Ok(sums)
    }

    /// Receivers `[R, D]` → receivers by a layer that is the last to see these edges.
    pub fn last(self, gnn: &Gnn, senders: &Tensor, receivers: &Tensor) -> Result<Tensor> {
        gnn.nodes(&self.edges.edges, self.input(), &self.edges.reach(senders)?, receivers)
    }

    fn input(&self) -> EdgeInput<'_> {
        match &self.states {
            Some(states) => EdgeInput::State(states),
            None => EdgeInput::Features(&self.edges.features, &self.edges.embedder),
        }
    }
}
