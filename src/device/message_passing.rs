//! Messages along the edges of a graph.

use candle_core::{Result, Tensor, bail};

use super::Perceptron;

/// Edges sorted by receiver.
#[derive(Debug, Clone)]
pub struct ReceiverEdges {
    senders: Tensor,
    receivers: Tensor,
    order: Tensor,
    counts: Vec<f32>,
}

impl ReceiverEdges {
    pub fn new(senders: &[u32], receivers: &[u32], (s, r): (usize, usize)) -> Result<Self> {
        if senders.len() != receivers.len() {
            bail!("{} senders and {} receivers; expected one of each per edge", senders.len(), receivers.len());
        }
        if senders.iter().any(|&i| i as usize >= s) || receivers.iter().any(|&i| i as usize >= r) {
            bail!("an edge to no node");
        }
        let mut order: Vec<u32> = (0..senders.len() as u32).collect();
        order.sort_by_key(|&e| receivers[e as usize]);
        let d = candle_core::Device::Cpu;
        let take =
            |v: &[u32]| Tensor::from_vec(order.iter().map(|&e| v[e as usize]).collect::<Vec<_>>(), order.len(), &d);
        let mut counts = vec![0f32; r];
        receivers.iter().for_each(|&i| counts[i as usize] += 1.0);
        Ok(Self {
            senders: take(senders)?,
            receivers: take(receivers)?,
            order: Tensor::new(order.as_slice(), &d)?,
            counts,
        })
    }

    pub fn sorted(&self, features: &Tensor) -> Result<Tensor> {
        features.index_select(&self.order, 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    Sum,
    Mean,
    /// mean, and messages carry the sender's value
    Propagation,
}

#[derive(Debug, Clone, Copy)]
pub enum EdgeInput<'a> {
    Term(&'a Tensor),
    State(&'a Tensor),
}

pub fn message_passing(
    edges: &ReceiverEdges,
    mlp: &Perceptron,
    input: EdgeInput<'_>,
    senders: &Tensor,
    receivers: &Tensor,
    kind: Messages,
    update: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let (sw, rw) = (senders.dim(1)?, receivers.dim(1)?);
    let (edge, ew) = match input {
        EdgeInput::Term(t) => (t.clone(), mlp.first_width()? - sw - rw),
        EdgeInput::State(s) => (mlp.project(0..s.dim(1)?, s, true)?, s.dim(1)?),
    };
    let s = mlp.project(ew..ew + sw, senders, false)?.index_select(&edges.senders, 0)?;
    let r = mlp.project(ew + sw..ew + sw + rw, receivers, false)?.index_select(&edges.receivers, 0)?;
    let mut m = mlp.rest(&((edge + s)? + r)?)?;
    if kind == Messages::Propagation {
        m = (m + senders.index_select(&edges.senders, 0)?)?;
    }
    let n = edges.counts.len();
    let mut sums = Tensor::zeros((n, m.dim(1)?), m.dtype(), m.device())?.index_add(&edges.receivers, &m, 0)?;
    if kind != Messages::Sum {
        let counts: Vec<f32> = edges.counts.iter().map(|c| c.max(1.0)).collect();
        sums = sums.broadcast_div(&Tensor::from_vec(counts, (n, 1), m.device())?)?;
    }
    let updated = match (update, input) {
        (true, EdgeInput::State(s)) => Some((s + m)?),
        _ => None,
    };
    Ok((sums, updated))
}
