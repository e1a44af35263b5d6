//! A step over a limited area: two states, forcings around the target time, what is static, and a frame at the edges where
//! the boundary's data decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Error, Result, Tensor};
use candle_nn::VarBuilder;

use super::arch::neural_lam::{Graph, Inputs, NeuralLamConfig, StepPredictor};
use super::{Channel, ChannelLayout, Channels, Formula, Frame, State, StepModel, Surroundings};
use crate::atmos::{Grid, LeadTime, ValidTime};

/// Neural-LAM's autoregressive step. Inside, a state is standardised and lies as `[F, N]`, nodes in the order of the graph.
#[derive(Debug)]
pub struct LimitedAreaStep {
    predictor: StepPredictor,
    time_step: LeadTime,
    grid: Arc<Grid>,
    nodes: Nodes,
    /// `[F, 1]` each.
    mean: Tensor,
    std: Tensor,
    /// Standardised, `[N, S]`.
    statics: Option<Tensor>,
    forcings: Forcings,
    boundary: Option<Boundary>,
    device: Device,
}

/// The order of the graph's nodes and that of the grid's points.
#[derive(Debug)]
struct Nodes {
    /// The point of each node, and the node of each point.
    points: Vec<u32>,
    points_tensor: Tensor,
    nodes_tensor: Tensor,
}

impl Nodes {
    /// Points are row by row from the north; nodes column by column, each from the south.
    fn new((h, w): (usize, usize), device: &Device) -> Result<Self> {
        let points: Vec<u32> = (0..h * w).map(|node| ((h - 1 - node % h) * w + node / h) as u32).collect();
        let mut nodes = vec![0u32; points.len()];
        points.iter().enumerate().for_each(|(node, &point)| nodes[point as usize] = node as u32);
        Ok(Self {
            points_tensor: Tensor::from_slice(&points, points.len(), device)?,
            nodes_tensor: Tensor::from_vec(nodes, points.len(), device)?,
            points,
        })
    }

    /// Fields in the order of the points → features side by side for each node, `[N, fields]`.
    fn interleave(&self, fields: &[Vec<f32>], device: &Device) -> Result<Tensor> {
        let values: Vec<f32> =
            self.points.iter().flat_map(|&point| fields.iter().map(move |field| field[point as usize])).collect();
        Tensor::from_vec(values, (self.points.len(), fields.len()), device)
    }
}

/// What happens at the edges.
#[derive(Debug)]
struct Boundary {
    frame: Frame,
    /// `[1, points]`: 1 on the frame.
    mask: Tensor,
    states: BTreeMap<ValidTime, Vec<f32>>,
}

impl Boundary {
    fn new(frame: Frame, states: BTreeMap<ValidTime, Vec<f32>>, grid: &Grid, device: &Device) -> Result<Self> {
        let mut mask = vec![0u8; grid.len()];
        frame.points().iter().for_each(|&point| mask[point as usize] = 1);
        Ok(Self { frame, mask: Tensor::from_vec(mask, (1, grid.len()), device)?, states })
    }

    /// `[F, H·W]` with the boundary's data on the frame.
    fn overwrite(&self, state: &Tensor, time: ValidTime) -> Result<Tensor> {
        let (channels, points) = state.dims2()?;
        let frame = self.frame.points();
        let told = self.states.get(&time).filter(|told| told.len() == channels * frame.len());
        let told = told.ok_or_else(|| Error::Msg(format!("no boundary data for {time}")))?;
        let mut values = vec![0f32; channels * points];
        for (values, told) in values.chunks_exact_mut(points).zip(told.chunks_exact(frame.len().max(1))) {
            frame.iter().zip(told).for_each(|(&point, &told)| values[point as usize] = told);
        }
        let told = Tensor::from_vec(values, (channels, points), state.device())?;
        self.mask.broadcast_as(state.shape())?.where_cond(&told, state)
    }
}

/// Features that differ from time to time.
#[derive(Debug)]
struct Forcings {
    layout: Vec<Channel>,
    /// Steps before and after the target time.
    window: (i64, i64),
    read: BTreeMap<ValidTime, Vec<f32>>,
}

impl Forcings {
    fn new(config: &NeuralLamConfig, layout: &ChannelLayout, read: BTreeMap<ValidTime, Vec<f32>>) -> Self {
        let window = (config.num_past_forcing_steps as i64, config.num_future_forcing_steps as i64);
        Self { layout: layout.iter().cloned().collect(), window, read }
    }

    /// Standardised features of a step to `target`, `[N, features · window]`: feature by feature, each from the earliest
    /// time to the latest.
    fn at(
        &self,
        target: ValidTime,
        step: LeadTime,
        grid: &Grid,
        nodes: &Nodes,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if self.layout.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        for (n, channel) in self.layout.iter().enumerate() {
            let (mean, std) = (channel.mean as f32, (channel.std as f32).max(LEAST_STD));
            let among_read = self.layout[..n].iter().filter(|channel| channel.formula.is_none()).count();
            for k in -self.window.0..=self.window.1 {
                let time = target + LeadTime::from_seconds(k * step.seconds());
                let values: Vec<f32> = match channel.formula {
                    Some(formula) => computed(formula, time, grid),
                    None => self.field(among_read, time, grid)?.to_vec(),
                };
                fields.push(values.into_iter().map(|value| (value - mean) / std).collect());
            }
        }
        nodes.interleave(&fields, device).map(Some)
    }

    fn field(&self, number: usize, time: ValidTime, grid: &Grid) -> Result<&[f32]> {
        let fields = self.read.get(&time).and_then(|fields| fields.chunks_exact(grid.len()).nth(number));
        fields.ok_or_else(|| Error::Msg(format!("no forcing data for {time}")))
    }
}

fn computed(formula: Formula, time: ValidTime, grid: &Grid) -> Vec<f32> {
    formula.evaluate(time, grid.coordinates()).into_iter().map(|value| value as f32).collect()
}

/// Deviations below this are taken as this: float32's resolution, as the reference does.
const LEAST_STD: f32 = f32::EPSILON;

fn column(layout: &ChannelLayout, device: &Device, value: impl Fn(&Channel) -> f32) -> Result<Tensor> {
    Tensor::from_vec(layout.iter().map(value).collect::<Vec<_>>(), (layout.len(), 1), device)
}

impl LimitedAreaStep {
    /// `graph` is scaled, `weights` are those of the step predictor.
    pub fn load(
        config: &NeuralLamConfig,
        graph: &Graph,
        weights: VarBuilder<'_>,
        channels: &Channels,
        (surroundings, frame): (Surroundings, Option<Frame>),
        time_step: LeadTime,
    ) -> Result<Self> {
        let device = weights.device().clone();
        let Surroundings { grid, statics, forcings, boundary } = surroundings;
        let Channels { state, statics: static_channels, forcings: forcing_channels } = channels;
        let nodes = Nodes::new(grid.shape(), &device)?;
        if graph.grid_nodes != grid.len() {
            candle_core::bail!(
                "the graph is made for {} points, the grid has {}: {grid}",
                graph.grid_nodes,
                grid.len()
            );
        }
        if statics.len() != static_channels.len() * grid.len() {
            candle_core::bail!("{} static values for {} fields of {grid}", statics.len(), static_channels.len());
        }
        let widths = config.widths(state.len(), forcing_channels.len(), static_channels.len());
        let standardised = static_channels.iter().zip(statics.chunks_exact(grid.len()));
        let standardised: Vec<Vec<f32>> = standardised
            .map(|(channel, values)| {
                let standardise = |&value: &f32| ((f64::from(value) - channel.mean) / channel.std) as f32;
                values.iter().map(standardise).collect()
            })
            .collect();
        let boundary = frame.map(|frame| Boundary::new(frame, boundary, &grid, &device));
        Ok(Self {
            predictor: StepPredictor::load(config, widths, graph, weights, state)?,
            time_step,
            mean: column(state, &device, |channel| channel.mean as f32)?,
            std: column(state, &device, |channel| (channel.std as f32).max(LEAST_STD))?,
            statics: (!standardised.is_empty()).then(|| nodes.interleave(&standardised, &device)).transpose()?,
            forcings: Forcings::new(config, forcing_channels, forcings),
            boundary: boundary.transpose()?,
            nodes,
            device,
            grid,
        })
    }

    /// Physical `[1, F, H, W]` → standardised `[F, N]`.
    fn standardise(&self, state: &State) -> Result<Tensor> {
        let x = state.tensor.squeeze(0)?.flatten_from(1)?.index_select(&self.nodes.points_tensor, 1)?;
        x.broadcast_sub(&self.mean)?.broadcast_div(&self.std)
    }
}

impl StepModel for LimitedAreaStep {
    fn time_step(&self) -> LeadTime {
        self.time_step
    }

    fn input_states(&self) -> usize {
        2
    }

    fn step(&self, history: &[State]) -> Result<State> {
        let [.., before, now] = history else {
            candle_core::bail!("a step over a limited area needs two states, {} given", history.len())
        };
        let valid_time = now.valid_time + self.time_step;
        let forcing = self.forcings.at(valid_time, self.time_step, &self.grid, &self.nodes, &self.device)?;
        let (before, now) = (self.standardise(before)?, self.standardise(now)?);
        let inputs = Inputs {
            before: &before,
            now: &now,
            forcing: forcing.as_ref(),
            statics: self.statics.as_ref(),
            boundary: &[],
        };
        let next = self.predictor.predict(&inputs)?;
        let next = next.broadcast_mul(&self.std)?.broadcast_add(&self.mean)?;
        let next = next.index_select(&self.nodes.nodes_tensor, 1)?; // [F, H·W]
        let next = match &self.boundary {
            Some(boundary) => boundary.overwrite(&next, valid_time)?,
            None => next,
        };
        let (h, w) = self.grid.shape();
        Ok(State { tensor: next.reshape((1, (), h, w))?, valid_time })
    }
}
