//! What devices that compute one state together tell each other: rows of tensors, each from everyone to everyone.
//!
//! The devices belong to one process, each to a thread of its own. Rows go by way of the host: between two GPUs Candle copies
//! no other way that can be trusted, and CPU devices share them without a copy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Error, Result, Tensor};

/// What one device sends another.
struct Parcel {
    step: u64,
    /// `None`: the sender's step has failed.
    rows: Option<Tensor>,
}

/// One of the devices. All of them make the same exchanges in the same order.
#[derive(Clone)]
pub struct Peer(Arc<Mailbox>);

struct Mailbox {
    rank: usize,
    /// The step that is being computed: what belongs to an earlier one, which failed, is thrown away.
    step: AtomicU64,
    /// To and from everyone, by rank.
    outgoing: Vec<Sender<Parcel>>,
    incoming: Vec<Mutex<Receiver<Parcel>>>,
}

impl Peer {
    /// So many devices that know each other.
    pub fn group(count: usize) -> Vec<Self> {
        let mut outgoing: Vec<Vec<Sender<Parcel>>> = (0..count).map(|_| Vec::new()).collect();
        let mut incoming: Vec<Vec<Mutex<Receiver<Parcel>>>> = (0..count).map(|_| Vec::new()).collect();
        for from in &mut outgoing {
            for to in &mut incoming {
                let (sender, receiver) = channel();
                from.push(sender);
                to.push(Mutex::new(receiver));
            }
        }
        let ends = outgoing.into_iter().zip(incoming).enumerate();
        ends.map(|(rank, (outgoing, incoming))| {
            Self(Arc::new(Mailbox { rank, step: AtomicU64::new(0), outgoing, incoming }))
        })
        .collect()
    }

    /// Which of them this is.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.outgoing.len()
    }

    /// Begins step number `step`, which all begin.
    pub fn begin(&self, step: u64) {
        self.0.step.store(step, Ordering::Relaxed);
    }

    /// Tells everyone that this step ends here, so that nobody waits.
    pub fn give_up(&self) {
        let step = self.0.step.load(Ordering::Relaxed);
        for sender in &self.0.outgoing {
            // one that has ended waits for nothing
            let _ = sender.send(Parcel { step, rows: None });
        }
    }

    /// Sends each device its rows, where there are any, and waits for those of the devices that are expected to have some;
    /// they come on `device`, in the order of `expected`.
    pub fn exchange(&self, rows: Vec<(usize, Tensor)>, expected: &[usize], device: &Device) -> Result<Vec<Tensor>> {
        let step = self.0.step.load(Ordering::Relaxed);
        for (rank, rows) in rows {
            let rows = rows.to_device(&Device::Cpu)?;
            self.0.outgoing[rank].send(Parcel { step, rows: Some(rows) }).map_err(|_| gone(rank))?;
        }
        expected.iter().map(|&rank| self.receive(rank, step)?.to_device(device)).collect()
    }

    fn receive(&self, rank: usize, step: u64) -> Result<Tensor> {
        let incoming = self.0.incoming[rank].lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let parcel = incoming.recv().map_err(|_| gone(rank))?;
            if parcel.step == step {
                return parcel.rows.ok_or_else(|| gone(rank));
            }
        }
    }
}

fn gone(rank: usize) -> Error {
    Error::Msg(format!("part {rank} of the state was not computed"))
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer {} of {}", self.rank(), self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f32) -> Tensor {
        Tensor::new(&[[value]], &Device::Cpu).unwrap()
    }

    fn value(rows: &Tensor) -> f32 {
        rows.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn everyone_gets_what_is_meant_for_it() {
        let peers = Peer::group(3);
        let got: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = peers
                .iter()
                .map(|peer| {
                    scope.spawn(move || {
                        let others: Vec<usize> = (0..3).filter(|&rank| rank != peer.rank()).collect();
                        let rows = |rank: usize| (rank, row((10 * peer.rank() + rank) as f32));
                        let rows = others.iter().map(|&rank| rows(rank)).collect();
                        let got = peer.exchange(rows, &others, &Device::Cpu).unwrap();
                        got.iter().map(value).collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(got, [[10.0, 20.0], [1.0, 21.0], [2.0, 12.0]]);
    }

    #[test]
    fn nobody_waits_for_one_that_gave_up_and_the_next_step_begins_afresh() {
        let peers = Peer::group(2);
        peers.iter().for_each(|peer| peer.begin(1));
        peers[0].exchange(vec![(1, row(1.0))], &[], &Device::Cpu).unwrap();
        peers[0].give_up();
        peers[1].exchange(vec![], &[0], &Device::Cpu).unwrap();
        let error = peers[1].exchange(vec![(0, row(5.0))], &[0], &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("part 0"), "{error}");
        peers[1].give_up();
        peers.iter().for_each(|peer| peer.begin(2));
        peers[1].exchange(vec![(0, row(7.0))], &[], &Device::Cpu).unwrap();
        assert_eq!(value(&peers[0].exchange(vec![], &[1], &Device::Cpu).unwrap()[0]), 7.0);
    }
}
