//! A step over the globe of a network that is told forcings: its input states, forcings at their times and at the target's,
//! and what is static.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result, Tensor, bail};

use super::arch::GraphCast;
use super::forcings::{Forcings, standardised_statics};
use super::layers::graph::Graph;
use super::layers::halo::GraphPart;
use super::sharded::{device_of_points, row_ranges};
use super::{Channel, ChannelLayout, Channels, Role, State, StepModel, Surroundings};
use crate::atmos::{Grid, LeadTime, ValidTime};
use crate::device::{Peer, transposed};

/// GraphCast's autoregressive step: what is carried is predicted as its difference to the last state, what is not as it is.
#[derive(Debug)]
pub struct GlobalStep {
    network: GraphCast,
    time_step: LeadTime,
    input_states: usize,
    grid: Arc<Grid>,
    carried: Carried,
    /// Of the channels that are carried, `[C', 1]` each.
    mean: Tensor,
    std: Tensor,
    /// Standardised, `[N, S]`.
    statics: Option<Tensor>,
    forcings: Forcings,
    /// Forcings at the times that were asked for last.
    told: Mutex<VecDeque<Told>>,
    device: Device,
}

/// Standardised forcings at one time, each at all points.
type Told = (ValidTime, Arc<Vec<Vec<f32>>>);

/// How a state follows from the network's output.
#[derive(Debug)]
struct Carried {
    /// Places of the channels that are carried, and of those that are not; `None` where all are.
    places: Option<(Tensor, Tensor)>,
    /// Where each channel lies when those that are not carried come last.
    order: Tensor,
    /// `[C', 1]` of the differences.
    diff_std: Tensor,
    /// `[C'', 1]` of what is not carried.
    mean: Tensor,
    std: Tensor,
}

fn column(channels: &[&Channel], device: &Device, value: fn(&Channel) -> f64) -> Result<Tensor> {
    let values: Vec<f32> = channels.iter().map(|channel| value(channel) as f32).collect();
    Tensor::from_vec(values, (channels.len(), 1), device)
}

impl Carried {
    fn new(layout: &ChannelLayout, device: &Device) -> Result<Self> {
        let (carried, others) = (layout.places(Role::Prognostic), layout.places(Role::Diagnostic));
        let channels = |places: &[u32]| -> Vec<&Channel> {
            layout
                .iter()
                .enumerate()
                .filter(|(n, _)| places.contains(&(*n as u32)))
                .map(|(_, channel)| channel)
                .collect()
        };
        let mut order = vec![0u32; layout.len()];
        (0..).zip(carried.iter().chain(&others)).for_each(|(n, &place)| order[place as usize] = n);
        let places = |places: &[u32]| Tensor::new(places, device);
        Ok(Self {
            diff_std: column(&channels(&carried), device, |channel| channel.diff_std)?,
            mean: column(&channels(&others), device, |channel| channel.mean)?,
            std: column(&channels(&others), device, |channel| channel.std)?,
            places: (!others.is_empty())
                .then(|| Ok::<_, candle_core::Error>((places(&carried)?, places(&others)?)))
                .transpose()?,
            order: Tensor::new(order.as_slice(), device)?,
        })
    }

    /// Of `[C, N]`, what is carried.
    fn of(&self, state: &Tensor) -> Result<Tensor> {
        match &self.places {
            None => Ok(state.clone()),
            Some((carried, _)) => state.index_select(carried, 0),
        }
    }

    /// The next state from this one and the network's output, `[C, N]` both.
    fn next(&self, now: &Tensor, output: &Tensor) -> Result<Tensor> {
        let next = (self.of(now)? + self.of(output)?.broadcast_mul(&self.diff_std)?)?;
        let Some((_, others)) = &self.places else { return Ok(next) };
        let others = output.index_select(others, 0)?.broadcast_mul(&self.std)?.broadcast_add(&self.mean)?;
        Tensor::cat(&[next, others], 0)?.index_select(&self.order, 0)
    }
}

/// What a device is given of a step that is divided by rows of the grid.
pub struct GlobalPart {
    pub rows: Range<usize>,
    pub peer: Peer,
    pub graph: Graph,
    pub surroundings: Surroundings,
}

impl GlobalPart {
    /// For so many devices each.
    pub fn divide(graph: &Graph, surroundings: &Surroundings, parts: usize) -> Result<Vec<Self>> {
        let grid = &surroundings.grid;
        if graph.grid_nodes != grid.len() {
            bail!("the graph is made for {} points, the grid has {}: {grid}", graph.grid_nodes, grid.len());
        }
        let rows = row_ranges(grid, parts)?;
        let divided = graph.divide(device_of_points(grid, &rows), parts).into_iter().zip(rows);
        let part = |(part, rows): (GraphPart, Range<usize>)| Self {
            surroundings: surroundings.part(&rows),
            rows,
            peer: part.peer,
            graph: part.graph,
        };
        Ok(divided.map(part).collect())
    }
}

impl GlobalStep {
    pub fn new(
        network: GraphCast,
        channels: &Channels,
        surroundings: Surroundings,
        (input_states, time_step): (usize, LeadTime),
        device: &Device,
    ) -> Result<Self> {
        let Surroundings { grid, statics, forcings, .. } = surroundings;
        let carried: Vec<&Channel> = channels.state.iter().filter(|channel| channel.role == Role::Prognostic).collect();
        let statics = standardised_statics(&channels.statics, &statics, &grid)?;
        Ok(Self {
            network,
            time_step,
            input_states,
            carried: Carried::new(&channels.state, device)?,
            mean: column(&carried, device, |channel| channel.mean)?,
            std: column(&carried, device, |channel| channel.std)?,
            statics: (!statics.is_empty()).then(|| beside(&statics, device)).transpose()?,
            forcings: Forcings::new(channels.forcings.clone(), grid.clone(), forcings),
            told: Mutex::default(),
            device: device.clone(),
            grid,
        })
    }

    /// Forcings of a step to `target`, `[N, forcings · times]`: one after the other, each from the earliest time to the
    /// latest.
    fn forcing(&self, target: ValidTime) -> Result<Option<Tensor>> {
        if self.forcings.is_empty() {
            return Ok(None);
        }
        let back = |n: usize| target - LeadTime::from_seconds(n as i64 * self.time_step.seconds());
        let at = (0..=self.input_states).rev().map(|n| self.told_at(back(n))).collect::<Result<Vec<_>>>()?;
        let count = at.first().map_or(0, |fields| fields.len());
        let fields: Vec<&Vec<f32>> = (0..count).flat_map(|n| at.iter().map(move |fields| &fields[n])).collect();
        beside(&fields, &self.device).map(Some)
    }

    /// All but one of the times were asked for in the step before.
    fn told_at(&self, time: ValidTime) -> Result<Arc<Vec<Vec<f32>>>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = told.iter().find(|(other, _)| *other == time) {
            return Ok(known.clone());
        }
        let fields = Arc::new(self.forcings.at(&[time])?);
        told.truncate(self.input_states);
        told.push_front((time, fields.clone()));
        Ok(fields)
    }
}

impl StepModel for GlobalStep {
    fn time_step(&self) -> LeadTime {
        self.time_step
    }

    fn input_states(&self) -> usize {
        self.input_states
    }

    fn step(&self, history: &[State]) -> Result<State> {
        let Some(history) = history.len().checked_sub(self.input_states).map(|surplus| &history[surplus..]) else {
            bail!("a step needs {} states, {} given", self.input_states, history.len())
        };
        let Some(now) = history.last() else { bail!("a step of no states") };
        let valid_time = now.valid_time + self.time_step;
        let rows = |state: &State| state.tensor.squeeze(0)?.flatten_from(1); // [C, N]
        let standardised = |state: &State| -> Result<Tensor> {
            let carried = self.carried.of(&rows(state)?)?;
            transposed(&carried.broadcast_sub(&self.mean)?.broadcast_div(&self.std)?)
        };
        let states = history.iter().map(standardised).collect::<Result<Vec<_>>>()?;
        let forcing = self.forcing(valid_time)?;
        let inputs: Vec<&Tensor> = states.iter().chain(&forcing).chain(&self.statics).collect();
        let output = transposed(&self.network.forward(&inputs)?)?; // [C, N]
        let (h, w) = self.grid.shape();
        let tensor = self.carried.next(&rows(now)?, &output)?.reshape((1, (), h, w))?;
        Ok(State { tensor, valid_time })
    }
}

/// Fields, each at all points → features side by side for each point, `[N, fields]`.
fn beside<F: AsRef<[f32]>>(fields: &[F], device: &Device) -> Result<Tensor> {
    let points = fields.first().map_or(0, |field| field.as_ref().len());
    let values = (0..points).flat_map(|point| fields.iter().map(move |field| field.as_ref()[point])).collect();
    Tensor::from_vec(values, (points, fields.len()), device)
}
