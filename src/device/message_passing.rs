//! Messages along the edges of a graph and what arrives at each receiver, without anything of `[E, 3·D]`, or a hidden layer
//! of all edges, ever being in memory.
//!
//! The first layer of an interaction network's edge perceptron (Battaglia et al. 2016, <https://arxiv.org/abs/1612.00222>)
//! is a sum of three products, of the edge, its sender and its receiver: those of the nodes are computed once per node. The
//! edges of one receiver lie together; tasks take receivers in runs that depend on the graph alone, and so do the bits.
//!
//! On other devices the same is made of Candle's operations, with one row of every layer for each edge in memory.

use std::sync::OnceLock;

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::matmul::product;
use super::perceptron::{Buffers, Perceptron, Slices};
use super::slices::{Shared, with_all, written};

/// Edges by receiver: those of receiver `r` are `offsets[r]..offsets[r + 1]`.
#[derive(Debug)]
pub struct ReceiverEdges {
    senders: Vec<u32>,
    receivers: Vec<u32>,
    offsets: Vec<usize>,
    sender_count: usize,
    /// Place of each edge in the order that was given.
    order: Vec<u32>,
    /// Senders and receivers on a device that has no kernel of ours.
    indices: OnceLock<(Tensor, Tensor)>,
}

impl ReceiverEdges {
    /// Edges in any order, between so many senders and receivers. Fails where the two differ in length, or an index has no
    /// node.
    pub fn new(senders: &[u32], receivers: &[u32], (sender_count, receiver_count): (usize, usize)) -> Result<Self> {
        if senders.len() != receivers.len() {
            bail!("{} senders and {} receivers; expected one of each per edge", senders.len(), receivers.len());
        }
        if let Some(found) = senders.iter().find(|&&index| index as usize >= sender_count) {
            bail!("an edge from sender {found} of {sender_count}");
        }
        if let Some(found) = receivers.iter().find(|&&index| index as usize >= receiver_count) {
            bail!("an edge to receiver {found} of {receiver_count}");
        }
        let mut order: Vec<u32> = (0..senders.len() as u32).collect();
        order.sort_by_key(|&edge| receivers[edge as usize]);
        let ordered = |indices: &[u32]| order.iter().map(|&edge| indices[edge as usize]).collect();
        let (senders, receivers): (Vec<u32>, Vec<u32>) = (ordered(senders), ordered(receivers));
        let offsets = (0..=receiver_count).map(|r| receivers.partition_point(|&index| (index as usize) < r)).collect();
        Ok(Self { senders, receivers, offsets, sender_count, order, indices: OnceLock::new() })
    }

    /// Rows in the order that was given → in the order of the edges here.
    pub fn sorted(&self, features: &Tensor) -> Result<Tensor> {
        features.index_select(&Tensor::new(self.order.as_slice(), features.device())?, 0)
    }

    fn receiver_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Receivers in runs of at least so many edges, but for the last.
    fn runs(&self, edges: usize) -> Vec<(usize, usize)> {
        let (mut runs, mut start) = (Vec::new(), 0);
        for r in 0..self.receiver_count() {
            if self.offsets[r + 1] - self.offsets[start] >= edges {
                runs.push((start, r + 1));
                start = r + 1;
            }
        }
        if start < self.receiver_count() {
            runs.push((start, self.receiver_count()));
        }
        runs
    }

    fn indices(&self, device: &Device) -> Result<&(Tensor, Tensor)> {
        if let Some(indices) = self.indices.get() {
            return Ok(indices);
        }
        let indices = (Tensor::new(self.senders.as_slice(), device)?, Tensor::new(self.receivers.as_slice(), device)?);
        Ok(self.indices.get_or_init(|| indices))
    }
}

/// What arrives at a receiver, and what a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// The sum of the messages.
    Sum,
    /// Their mean; of none, zero.
    Mean,
    /// Their mean, and each carries its sender's value on top.
    Propagation,
}

/// What the perceptron sees of the edges, in the order of [`ReceiverEdges`].
#[derive(Debug, Clone, Copy)]
pub enum EdgeInput<'a> {
    /// What edges that never change add to its first layer, the bias included: `[E, D]`.
    Term(&'a Tensor),
    /// Their states, `[E, W]`.
    State(&'a Tensor),
    /// Features `[E, F]`, of which a perceptron makes states on the way: no state of all edges is ever in memory.
    Features(&'a Tensor, &'a Perceptron),
}

/// Messages are `mlp([edge, sender, receiver])`; `senders [S, V]`, `receivers [R, V']`, contiguous float32.
/// Returns what arrives, `[R, O]`, and where `update` asks for it the edges' states plus their messages, `[E, O]`.
pub fn message_passing(
    edges: &ReceiverEdges,
    mlp: &Perceptron,
    input: EdgeInput<'_>,
    (senders, receivers): (&Tensor, &Tensor),
    messages: Messages,
    update: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let sizes = Sizes::check(edges, mlp, input, (senders, receivers), messages, update)?;
    let Sizes { edge_width, sender_width, receiver_width, first, out } = sizes;
    let project = || mlp.project(edge_width..edge_width + sender_width, senders, false);
    if !matches!(senders.device(), Device::Cpu) {
        return with_candle(edges, mlp, input, (senders, receivers, &project()?), messages, update);
    }
    // where senders have few edges, their terms are computed edge by edge, and never held for all senders
    let by_edge = edges.senders.len() < 2 * edges.sender_count;
    let sender_terms = if by_edge { senders.clone() } else { project()? };
    let (e, r) = (edges.senders.len(), edges.receiver_count());
    let (edge, embedder) = match input {
        EdgeInput::Term(edge) | EdgeInput::State(edge) => (edge, None),
        EdgeInput::Features(features, embedder) => (features, Some(embedder)),
    };
    let is_state = !matches!(input, EdgeInput::Term(_));
    let pass = |mlp: &Slices<'_>, embedder: Option<&Slices<'_>>, all_arrived: Shared, all_updated: Shared| {
        with_all(&[edge, senders, receivers, &sender_terms], &mut |slices| {
            let [edge, senders, receivers, sender_terms] = slices else { bail!("{} tensors of 4", slices.len()) };
            let weight = mlp.layers[0].0;
            type Space = (Buffers, Buffers, Vec<f32>, Vec<f32>);
            let run = |(buffers, embedded, terms, sent): &mut Space, (begin, end): (usize, usize)| {
                let (start, count) = (edges.offsets[begin], edges.offsets[end] - edges.offsets[begin]);
                let states: &[f32] = match embedder {
                    Some(embedder) => {
                        let features = embedder.widths[0];
                        embedder.apply(embedded, &edge[start * features..][..count * features], count);
                        &embedded.a
                    }
                    None => &edge[start * if is_state { edge_width } else { first }..],
                };
                terms.resize((end - begin) * first, 0.0);
                buffers.a.resize(count * first, 0.0);
                // SAFETY: the shapes were checked; each run writes its own edges and receivers
                let arrived = unsafe {
                    let values = (receivers.as_ptr().add(begin * receiver_width), receiver_width, 1);
                    let columns = (weight.as_ptr().add((edge_width + sender_width) * first), first, 1);
                    let size = (end - begin, first, receiver_width);
                    product(size, (terms.as_mut_ptr(), first), values, columns, (false, 1.0));
                    if is_state {
                        let states = (states.as_ptr(), edge_width, 1);
                        let out = (buffers.a.as_mut_ptr(), first);
                        product((count, first, edge_width), out, states, (weight.as_ptr(), first, 1), (false, 1.0));
                    } else {
                        buffers.a[..count * first].copy_from_slice(&states[..count * first]);
                    }
                    all_arrived.zeros(begin * out, (end - begin) * out)
                };
                if by_edge {
                    sent.clear();
                    for &sender in &edges.senders[start..start + count] {
                        sent.extend_from_slice(&senders[sender as usize * sender_width..][..sender_width]);
                    }
                    // SAFETY: as above; `sent` has a row for each edge
                    unsafe {
                        let (values, columns) =
                            ((sent.as_ptr(), sender_width, 1), weight.as_ptr().add(edge_width * first));
                        let out = (buffers.a.as_mut_ptr(), first);
                        product((count, first, sender_width), out, values, (columns, first, 1), (true, 1.0));
                    }
                }
                for (i, hidden) in (start..).zip(buffers.a[..count * first].chunks_exact_mut(first.max(1))) {
                    let receiver = &terms[(edges.receivers[i] as usize - begin) * first..][..first];
                    if by_edge {
                        hidden.iter_mut().zip(receiver).for_each(|(hidden, a)| *hidden += a);
                        continue;
                    }
                    let sender = &sender_terms[edges.senders[i] as usize * first..][..first];
                    let terms = sender.iter().zip(receiver);
                    hidden.iter_mut().zip(terms).for_each(|(hidden, (a, b))| *hidden += a + b);
                }
                mlp.finish(buffers, count, is_state);
                for (i, message) in (start..).zip(buffers.a[..count * out].chunks_exact_mut(out.max(1))) {
                    if messages == Messages::Propagation {
                        let sender = &senders[edges.senders[i] as usize * out..][..out];
                        message.iter_mut().zip(sender).for_each(|(message, sender)| *message += sender);
                    }
                    let arrived = &mut arrived[(edges.receivers[i] as usize - begin) * out..][..out];
                    arrived.iter_mut().zip(&*message).for_each(|(sum, message)| *sum += message);
                }
                if update {
                    // SAFETY: as above
                    let updated = unsafe { all_updated.part(start * out, count * out) };
                    let sums = states.iter().zip(&buffers.a).map(|(state, message)| state + message);
                    updated.iter_mut().zip(sums).for_each(|(updated, sum)| _ = updated.write(sum));
                }
                if messages != Messages::Sum {
                    for (r, arrived) in (begin..end).zip(arrived.chunks_exact_mut(out.max(1))) {
                        let edges = (edges.offsets[r + 1] - edges.offsets[r]).max(1) as f32;
                        arrived.iter_mut().for_each(|value| *value /= edges);
                    }
                }
            };
            let runs = edges.runs(mlp.rows_at_once());
            runs.into_par_iter().for_each_init(Default::default, run);
            Ok(())
        })
    };
    let fill = |arrived: Shared, updated: Shared| {
        mlp.with_slices(|mlp| match embedder {
            Some(embedder) => embedder.with_slices(|embedder| pass(mlp, Some(embedder), arrived, updated)),
            None => pass(mlp, None, arrived, updated),
        })
    };
    let mut updated = Vec::new();
    // SAFETY: the runs are all receivers, and their edges are all edges
    let arrived = unsafe {
        written(r * out, |arrived| {
            updated = written(if update { e * out } else { 0 }, |updated| fill(arrived, updated))?;
            Ok(())
        })
    }?;
    let updated = update.then(|| Tensor::from_vec(updated, (e, out), &Device::Cpu)).transpose()?;
    Ok((Tensor::from_vec(arrived, (r, out), &Device::Cpu)?, updated))
}

/// Widths of everything, once it is known that they fit.
struct Sizes {
    edge_width: usize,
    sender_width: usize,
    receiver_width: usize,
    first: usize,
    out: usize,
}

impl Sizes {
    fn check(
        edges: &ReceiverEdges,
        mlp: &Perceptron,
        input: EdgeInput<'_>,
        (senders, receivers): (&Tensor, &Tensor),
        messages: Messages,
        update: bool,
    ) -> Result<Self> {
        let ((s, sender_width), (r, receiver_width)) = (senders.dims2()?, receivers.dims2()?);
        let (first, out) = (mlp.widths()[1], mlp.output_width());
        let Some(edge_width) = mlp.input_width().checked_sub(sender_width + receiver_width) else {
            bail!(
                "messages of {sender_width} and {receiver_width} features; the perceptron takes {}",
                mlp.input_width()
            );
        };
        let (edge, due) = match input {
            EdgeInput::Term(term) => (term, first),
            EdgeInput::State(state) => (state, edge_width),
            EdgeInput::Features(features, embedder) if embedder.output_width() == edge_width => {
                (features, embedder.input_width())
            }
            EdgeInput::Features(_, embedder) => {
                bail!("edges embedded in {} numbers; the perceptron takes {edge_width}", embedder.output_width())
            }
        };
        if edge.dims() != [edges.senders.len(), due] || s != edges.sender_count || r != edges.receiver_count() {
            bail!(
                "messages along {} edges from {} to {} nodes: given {:?}, {:?}, {:?}",
                edges.senders.len(),
                edges.sender_count,
                edges.receiver_count(),
                edge.dims(),
                senders.dims(),
                receivers.dims()
            );
        }
        if messages == Messages::Propagation && sender_width != out {
            bail!("messages of width {out} cannot carry senders of width {sender_width}");
        }
        if update && (matches!(input, EdgeInput::Term(_)) || edge_width != out) {
            bail!("edges of width {edge_width} cannot take messages of width {out}");
        }
        Ok(Self { edge_width, sender_width, receiver_width, first, out })
    }
}

fn with_candle(
    edges: &ReceiverEdges,
    mlp: &Perceptron,
    input: EdgeInput<'_>,
    (senders, receivers, sender_terms): (&Tensor, &Tensor, &Tensor),
    messages: Messages,
    update: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let (sender_index, receiver_index) = edges.indices(senders.device())?;
    let (all, width) = (mlp.input_width(), receivers.dim(1)?);
    let receiver_terms = mlp.project(all - width..all, receivers, false)?;
    let state = match input {
        EdgeInput::Term(_) => None,
        EdgeInput::State(state) => Some(state.clone()),
        EdgeInput::Features(features, embedder) => Some(embedder.forward(&[features], None)?),
    };
    let edge_terms = match (input, &state) {
        (EdgeInput::Term(term), _) => term.clone(),
        (_, Some(state)) => mlp.project(0..state.dim(1)?, state, true)?,
        (_, None) => bail!("edges without states"),
    };
    let hidden = (edge_terms + sender_terms.index_select(sender_index, 0)?)?;
    let mut message = mlp.rest_with_candle(&(hidden + receiver_terms.index_select(receiver_index, 0)?)?)?;
    if messages == Messages::Propagation {
        message = (message + senders.index_select(sender_index, 0)?)?;
    }
    let zeros = Tensor::zeros((edges.receiver_count(), mlp.output_width()), message.dtype(), message.device())?;
    let mut arrived = zeros.index_add(receiver_index, &message, 0)?;
    if messages != Messages::Sum {
        let counts: Vec<f32> = edges.offsets.windows(2).map(|pair| (pair[1] - pair[0]).max(1) as f32).collect();
        arrived = arrived.broadcast_div(&Tensor::new(counts, message.device())?.unsqueeze(1)?)?;
    }
    let updated = state.filter(|_| update).map(|state| state + message).transpose()?;
    Ok((arrived, updated))
}

#[cfg(test)]
mod tests {
    use super::super::perceptron::tests::{distance, perceptron, random};
    use super::*;

    /// Receiver 0 has no edge, 1 has 400, the others few or none; not sorted.
    fn edges() -> ReceiverEdges {
        let receivers: Vec<u32> =
            (0..700).map(|i| i * 37 % 700).map(|i| if i < 400 { 1 } else { (i - 400) / 5 * 2 + 3 }).collect();
        let senders: Vec<u32> = (0..700).map(|i| i * 7 % 31).collect();
        ReceiverEdges::new(&senders, &receivers, (31, 130)).unwrap()
    }

    #[test]
    fn agrees_with_candle_whatever_the_degrees_and_widths() {
        let edges = edges();
        for (widths, messages) in [
            (vec![12 + 9 + 7, 12], Messages::Sum),
            (vec![12 + 9 + 7, 20, 12], Messages::Mean),
            (vec![12 + 12 + 12, 33, 17, 12], Messages::Propagation),
            (vec![300 + 300 + 300, 300, 300], Messages::Sum),
        ] {
            let width = *widths.last().unwrap();
            let mlp = perceptron(&widths, true);
            let senders = random(&[31, if widths[0] == 28 { 9 } else { width }]);
            let receivers = random(&[130, if widths[0] == 28 { 7 } else { width }]);
            let (state, nodes) = (random(&[700, width]), (&senders, &receivers));
            let terms = mlp.project(width..width + senders.dim(1).unwrap(), &senders, false).unwrap();
            let all = (&senders, &receivers, &terms);
            let ours = message_passing(&edges, &mlp, EdgeInput::State(&state), nodes, messages, true).unwrap();
            let theirs = with_candle(&edges, &mlp, EdgeInput::State(&state), all, messages, true).unwrap();
            assert!(distance(&ours.0, &theirs.0) < 3e-6, "{widths:?}: {}", distance(&ours.0, &theirs.0));
            assert!(distance(&ours.1.unwrap(), &theirs.1.unwrap()) < 3e-6);
            let term = mlp.project(0..width, &state, true).unwrap();
            let ours = message_passing(&edges, &mlp, EdgeInput::Term(&term), nodes, messages, false).unwrap();
            assert!(distance(&ours.0, &theirs.0) < 3e-6 && ours.1.is_none());
            let (features, embedder) = (random(&[700, 4]), perceptron(&[4, 10, width], true));
            let input = EdgeInput::Features(&features, &embedder);
            let ours = message_passing(&edges, &mlp, input, nodes, messages, true).unwrap();
            let theirs = with_candle(&edges, &mlp, input, all, messages, true).unwrap();
            assert!(distance(&ours.0, &theirs.0) < 3e-6, "{widths:?}: {}", distance(&ours.0, &theirs.0));
            assert!(distance(&ours.1.unwrap(), &theirs.1.unwrap()) < 3e-6);
        }
    }

    #[test]
    fn senders_with_few_edges_agree_with_candle() {
        let receivers: Vec<u32> = (0..700).map(|i| i * 37 % 130).collect();
        let senders: Vec<u32> = (0..700).map(|i| i * 7 % 600).collect();
        let edges = ReceiverEdges::new(&senders, &receivers, (600, 130)).unwrap();
        let (mlp, embedder) = (perceptron(&[12 + 9 + 7, 20, 12], true), perceptron(&[4, 12], true));
        let (senders, receivers, features) = (random(&[600, 9]), random(&[130, 7]), random(&[700, 4]));
        let terms = mlp.project(12..21, &senders, false).unwrap();
        let (input, nodes) = (EdgeInput::Features(&features, &embedder), (&senders, &receivers));
        let ours = message_passing(&edges, &mlp, input, nodes, Messages::Sum, true).unwrap();
        let all = (&senders, &receivers, &terms);
        let theirs = with_candle(&edges, &mlp, input, all, Messages::Sum, true).unwrap();
        assert!(distance(&ours.0, &theirs.0) < 3e-6 && distance(&ours.1.unwrap(), &theirs.1.unwrap()) < 3e-6);
    }

    #[test]
    fn edges_are_found_again_after_sorting() {
        let edges = ReceiverEdges::new(&[0, 1, 2, 0], &[2, 0, 2, 1], (3, 3)).unwrap();
        let features = Tensor::new(&[[0f32], [1.0], [2.0], [3.0]], &Device::Cpu).unwrap();
        let sorted = edges.sorted(&features).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((sorted, edges.senders), (vec![1.0, 3.0, 0.0, 2.0], vec![1, 0, 0, 2]));
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let (edges, mlp) = (edges(), perceptron(&[36, 20, 12], true));
        let (senders, receivers, state) = (random(&[31, 12]), random(&[130, 12]), random(&[700, 12]));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let input = EdgeInput::State(&state);
            let result = pool
                .install(|| message_passing(&edges, &mlp, input, (&senders, &receivers), Messages::Sum, true).unwrap());
            [result.0, result.1.unwrap()].map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        };
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(ReceiverEdges::new(&[0, 3], &[0, 0], (3, 1)).is_err());
        assert!(ReceiverEdges::new(&[0], &[1], (3, 1)).is_err());
        assert!(ReceiverEdges::new(&[0], &[], (1, 1)).is_err());
        let (edges, mlp) = (edges(), perceptron(&[36, 12], true));
        let (senders, receivers, state) = (random(&[31, 12]), random(&[130, 12]), random(&[700, 12]));
        let pass = |input, senders: &Tensor, receivers: &Tensor, update| {
            message_passing(&edges, &mlp, input, (senders, receivers), Messages::Sum, update)
        };
        assert!(pass(EdgeInput::State(&state), &senders, &receivers, true).is_ok());
        assert!(pass(EdgeInput::State(&state), &receivers, &senders, false).is_err());
        let fewer = random(&[699, 12]);
        assert!(pass(EdgeInput::State(&fewer), &senders, &receivers, false).is_err());
        assert!(pass(EdgeInput::State(&state), &random(&[31, 30]), &receivers, false).is_err());
        assert!(pass(EdgeInput::Term(&state), &senders, &receivers, true).is_err());
        let (features, other) = (random(&[700, 4]), perceptron(&[4, 11], true));
        assert!(pass(EdgeInput::Features(&features, &other), &senders, &receivers, false).is_err());
        let none = ReceiverEdges::new(&[], &[], (2, 3)).unwrap();
        let (two, three) = (random(&[2, 12]), random(&[3, 12]));
        let input = random(&[0, 12]);
        let nothing = message_passing(&none, &mlp, EdgeInput::State(&input), (&two, &three), Messages::Mean, true);
        let nothing = nothing.unwrap().0.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(nothing.iter().all(|value| *value == 0.0));
    }
}
