//! One state on several devices: each holds some of the grid's rows and its share of the network, on a thread of its own.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use candle_core::{Device, Error, Result, Tensor};
use rayon::ThreadPool;

use super::{PackageError, State, StepModel};
use crate::atmos::{Grid, LeadTime};
use crate::device::{DeviceGroup, Peer};

/// Rows of a grid for each of so many devices, as equal as may be; of points, some of them.
pub fn row_ranges(grid: &Grid, parts: usize) -> Result<Vec<Range<usize>>> {
    let rows = grid.cuts();
    if rows < parts {
        candle_core::bail!("{rows} rows cannot be divided among {parts} devices: {grid}; take fewer devices");
    }
    Ok((0..parts).map(|part| part * rows / parts..(part + 1) * rows / parts).collect())
}

/// The device of each point of a grid, row by row.
pub fn device_of_points(grid: &Grid, rows: &[Range<usize>]) -> Vec<u32> {
    let width = grid.len() / grid.cuts();
    (0..).zip(rows).flat_map(|(device, rows)| vec![device; rows.len() * width]).collect()
}

/// What makes a device's part of a step; called on the thread that it is going to be used on.
pub type LoadPart = Box<dyn FnOnce(&Device) -> std::result::Result<Box<dyn StepModel>, PackageError> + Send>;

/// A step whose parts are computed on several devices at once. States lie on the host.
pub struct ShardedStep {
    parts: Vec<Part>,
    time_step: LeadTime,
    input_states: usize,
    /// Of `[1, C, H, W]`, the one that is cut.
    axis: usize,
    /// Steps that were begun.
    steps: AtomicU64,
}

struct Part {
    /// `None` when it is to end.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    step: u64,
    history: Vec<State>,
    reply: Sender<Result<State>>,
}

impl ShardedStep {
    /// For a device each: its rows, what it is called among the others, and what makes its part.
    pub fn load(
        devices: &DeviceGroup,
        grid: &Grid,
        parts: Vec<(Range<usize>, Peer, LoadPart)>,
    ) -> std::result::Result<Self, PackageError> {
        let axis = if grid.cuts() == grid.shape().0 { 2 } else { 3 };
        let (loaded, answers) = channel();
        let threads = devices.iter().zip(parts).map(|(device, (rows, peer, load))| {
            let (orders, incoming) = channel();
            let (device, loaded) = (device.clone(), loaded.clone());
            let threads = rayon::current_num_threads() / devices.len();
            let name = format!("vejr-shard-{}", peer.rank());
            let work = move || {
                // of the CPU, each device is a share of the cores
                let pool = matches!(device, Device::Cpu).then(|| share_of_cores(peer.rank(), threads));
                let on_device = |work: &mut (dyn FnMut() + Send)| match &pool {
                    Some(Ok(pool)) => pool.install(work),
                    _ => work(),
                };
                let mut model = None;
                let mut load = Some(load);
                on_device(&mut || model = load.take().map(|load| load(&device)));
                let model = match model {
                    Some(Ok(model)) => model,
                    Some(Err(error)) => return drop(loaded.send(Err(error))),
                    None => return,
                };
                let times = (model.time_step(), model.input_states());
                // whoever asked has gone: nothing is to be done
                let _ = loaded.send(Ok(times));
                drop(loaded);
                serve(&*model, &device, (axis, rows), &peer, &incoming, &on_device);
            };
            let thread = std::thread::Builder::new().name(name).spawn(work);
            Ok(Part { orders: Some(orders), thread: Some(thread.map_err(Error::wrap)?) })
        });
        let threads: Vec<Part> = threads.collect::<Result<_>>().map_err(PackageError::Device)?;
        drop(loaded);
        let (mut count, mut times) = (0, (LeadTime::ZERO, 0));
        for answer in answers {
            times = answer?;
            count += 1;
        }
        if count != threads.len() {
            return Err(PackageError::Device(Error::Msg("a part of the network could not be loaded".to_owned())));
        }
        let (time_step, input_states) = times;
        Ok(Self { parts: threads, time_step, input_states, axis, steps: AtomicU64::new(0) })
    }
}

fn share_of_cores(rank: usize, threads: usize) -> std::result::Result<ThreadPool, rayon::ThreadPoolBuildError> {
    let name = move |_| format!("vejr-shard-{rank}");
    rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(name).build()
}

/// Computes its part of each step that is asked for.
fn serve(
    model: &dyn StepModel,
    device: &Device,
    (axis, rows): (usize, Range<usize>),
    peer: &Peer,
    orders: &Receiver<Order>,
    on_device: &dyn Fn(&mut (dyn FnMut() + Send)),
) {
    for Order { step, history, reply } in orders {
        peer.begin(step);
        let part = |state: &State| -> Result<State> {
            let tensor = state.tensor.narrow(axis, rows.start, rows.len())?.contiguous()?.to_device(device)?;
            Ok(State { tensor, valid_time: state.valid_time })
        };
        let compute = || -> Result<State> {
            let history = history.iter().map(part).collect::<Result<Vec<_>>>()?;
            let next = model.step(&history)?;
            Ok(State { tensor: next.tensor.to_device(&Device::Cpu)?, valid_time: next.valid_time })
        };
        let mut outcome = None;
        on_device(&mut || outcome = catch_unwind(AssertUnwindSafe(compute)).ok());
        let outcome = outcome.unwrap_or_else(|| Err(Error::Msg("computing a part of the state panicked".to_owned())));
        if outcome.is_err() {
            peer.give_up();
        }
        // whoever asked may have gone
        let _ = reply.send(outcome);
    }
}

impl StepModel for ShardedStep {
    fn time_step(&self) -> LeadTime {
        self.time_step
    }

    fn input_states(&self) -> usize {
        self.input_states
    }

    fn step(&self, history: &[State]) -> Result<State> {
        let step = 1 + self.steps.fetch_add(1, Ordering::Relaxed);
        let ended = || Error::Msg("a device of the group has ended".to_owned());
        let replies = self.parts.iter().map(|part| {
            let (reply, answer) = channel();
            let order = Order { step, history: history.to_vec(), reply };
            part.orders.as_ref().ok_or_else(ended)?.send(order).map_err(|_| ended())?;
            Ok(answer)
        });
        let replies: Vec<Receiver<Result<State>>> = replies.collect::<Result<_>>()?;
        let mut parts = Vec::with_capacity(replies.len());
        let mut failure = None;
        for answer in replies {
            match answer.recv().unwrap_or_else(|_| Err(ended())) {
                Ok(state) => parts.push(state),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match (failure, parts.first().map(|state| state.valid_time)) {
            (None, Some(valid_time)) => {
                let tensors: Vec<Tensor> = parts.into_iter().map(|state| state.tensor).collect();
                Ok(State { tensor: Tensor::cat(&tensors, self.axis)?, valid_time })
            }
            (failure, _) => Err(failure.unwrap_or_else(ended)),
        }
    }
}

impl Drop for ShardedStep {
    fn drop(&mut self) {
        self.parts.iter_mut().for_each(|part| part.orders = None);
        for part in &mut self.parts {
            // a panic was told of when it happened
            let _ = part.thread.take().map(JoinHandle::join);
        }
    }
}
