//! A step over a limited area: two states, forcings around the target time, what is static, and the boundary's data: on a
//! frame at the edges where they decide, or at nodes of their own.

mod frame;
mod nodes;
mod order;
mod part;

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::arch::neural_lam::{Inputs, NeuralLamConfig, StepPredictor};
use super::forcings::{Forcings, LEAST_STD, standardised_statics};
use super::layers::graph::Graph;
use super::{Channel, ChannelLayout, Channels, State, StepModel, Surroundings};
use crate::atmos::{Grid, LeadTime, ValidTime};
pub use frame::Frame;
use frame::FrameData;
use nodes::NodeFeatures;
pub use nodes::{BoundaryKind, BoundaryNodes, BoundaryTimes, BoundaryWindow};
use order::NodeOrder;
pub use part::{LimitedAreaPart, divide};

/// Neural-LAM's autoregressive step. Inside, a state is standardised and lies as `[F, N]`, nodes in the order of the graph.
#[derive(Debug)]
pub struct LimitedAreaStep {
    predictor: StepPredictor,
    time_step: LeadTime,
    grid: Arc<Grid>,
    order: NodeOrder,
    /// `[F, 1]` each.
    mean: Tensor,
    std: Tensor,
    /// Standardised, `[N, S]`.
    statics: Option<Tensor>,
    forcings: Forcings,
    /// Steps before and after the target time of which forcings are told.
    window: (i64, i64),
    frame: Option<FrameData>,
    nodes: Option<NodeFeatures>,
    device: Device,
}

/// How the boundary's data enter, if there is a boundary.
#[derive(Debug, Clone)]
pub enum Boundary {
    None,
    Frame(Frame),
    Nodes(BoundaryWindow),
}

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
        (surroundings, boundary): (Surroundings, Boundary),
        time_step: LeadTime,
    ) -> Result<Self> {
        let device = weights.device().clone();
        let Surroundings { grid, statics, forcings, frame, nodes } = surroundings;
        if graph.grid_nodes != grid.len() {
            candle_core::bail!(
                "the graph is made for {} points, the grid has {}: {grid}",
                graph.grid_nodes,
                grid.len()
            );
        }
        let order = match nodes.as_ref().and_then(|data| data.nodes.interior.as_ref()) {
            Some(places) => NodeOrder::at(places, &grid, &device)?,
            None => NodeOrder::columns(grid.shape(), &device)?,
        };
        let statics = standardised_statics(&channels.statics, &statics, &grid)?;
        let (frame, nodes) = match (boundary, nodes, &config.boundary) {
            (Boundary::None, None, None) => (None, None),
            (Boundary::Frame(known), None, None) => (Some(FrameData::new(known, frame, &grid, &device)?), None),
            (Boundary::Nodes(window), Some(data), Some(arguments)) => {
                if data.nodes.boundary.len() != graph.boundary_nodes {
                    candle_core::bail!(
                        "the graph has {} nodes in the boundary, places are told of {}",
                        graph.boundary_nodes,
                        data.nodes.boundary.len()
                    );
                }
                (None, Some(NodeFeatures::new(arguments, window, channels, data, &device)?))
            }
            _ => candle_core::bail!("a boundary of another kind than the network's"),
        };
        let state = &channels.state;
        Ok(Self {
            predictor: StepPredictor::load(config, config.widths(channels), graph, weights, state)?,
            time_step,
            mean: column(state, &device, |channel| channel.mean as f32)?,
            std: column(state, &device, |channel| (channel.std as f32).max(LEAST_STD))?,
            statics: (!statics.is_empty()).then(|| order.interleave(&statics, &device)).transpose()?,
            forcings: Forcings::new(channels.forcings.clone(), grid.clone(), forcings),
            window: (config.num_past_forcing_steps as i64, config.num_future_forcing_steps as i64),
            frame,
            nodes,
            order,
            device,
            grid,
        })
    }

    /// Physical `[1, F, H, W]` → standardised `[F, N]`.
    fn standardise(&self, state: &State) -> Result<Tensor> {
        let x = self.order.to_nodes(&state.tensor.squeeze(0)?.flatten_from(1)?)?;
        x.broadcast_sub(&self.mean)?.broadcast_div(&self.std)
    }

    /// Of a step to `target`, `[N, features · window]`: feature by feature, each from the earliest time to the latest.
    fn forcing(&self, target: ValidTime) -> Result<Option<Tensor>> {
        if self.forcings.is_empty() {
            return Ok(None);
        }
        let steps = |k: i64| LeadTime::from_seconds(k * self.time_step.seconds());
        let times: Vec<ValidTime> = (-self.window.0..=self.window.1).map(|k| target + steps(k)).collect();
        self.order.interleave(&self.forcings.at(&times)?, &self.device).map(Some)
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
        let forcing = self.forcing(valid_time)?;
        let told = self.nodes.as_ref().map(|nodes| nodes.at(valid_time)).transpose()?;
        let boundary: Vec<&Tensor> =
            told.iter().chain(self.nodes.iter().filter_map(|nodes| nodes.statics.as_ref())).collect();
        let (before, now) = (self.standardise(before)?, self.standardise(now)?);
        let inputs = Inputs {
            before: &before,
            now: &now,
            forcing: forcing.as_ref(),
            statics: self.statics.as_ref(),
            boundary: &boundary,
        };
        let next = self.predictor.predict(&inputs)?;
        let next = next.broadcast_mul(&self.std)?.broadcast_add(&self.mean)?;
        let next = self.order.to_points(&next)?; // [F, H·W]
        let next = match &self.frame {
            Some(frame) => frame.overwrite(&next, valid_time)?,
            None => next,
        };
        let (h, w) = self.grid.shape();
        Ok(State { tensor: next.reshape((1, (), h, w))?, valid_time })
    }
}
