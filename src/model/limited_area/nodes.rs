//! A boundary whose points are nodes of their own: where they lie, of which times a step is told, and what it is told.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Error, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use crate::atmos::{Grid, LeadTime, ValidTime};
use crate::model::arch::neural_lam::{BoundaryArguments, TimeDeltaEncoding};
use crate::model::forcings::{Forcings, standardised_statics};
use crate::model::{Channels, NodeData};

/// Where the nodes of a graph lie, in their order.
#[derive(Debug, Clone)]
pub struct BoundaryNodes {
    pub boundary: Arc<Grid>,
    /// Those that are forecast; without them they are the grid's points column by column, each from the south.
    pub interior: Option<Arc<Grid>>,
}

impl BoundaryNodes {
    /// Writes a safetensors file: `boundary` `[B, 2]` and, where it is told, `interior` `[N, 2]`, float64, degrees north and
    /// degrees east.
    pub fn write(&self, path: &Path) -> Result<()> {
        let tensor = |nodes: &Grid| {
            let places = nodes.coordinates();
            let values: Vec<f64> = places.latitude.iter().zip(&places.longitude).flat_map(|(&a, &b)| [a, b]).collect();
            Tensor::from_vec(values, (nodes.len(), 2), &Device::Cpu)
        };
        let mut tensors = HashMap::from([("boundary".to_owned(), tensor(&self.boundary)?)]);
        if let Some(interior) = &self.interior {
            tensors.insert("interior".to_owned(), tensor(interior)?);
        }
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
        let nodes = |name: &str| -> Result<Option<Arc<Grid>>> {
            let Some(tensor) = tensors.get(name) else { return Ok(None) };
            let places = match tensor.dims() {
                [_, 2] if tensor.dtype() == DType::F64 => tensor.to_vec2::<f64>()?,
                other => bail!("{}: {name} is {:?} {other:?}; expected F64 [nodes, 2]", path.display(), tensor.dtype()),
            };
            let (latitude, longitude) = places.iter().map(|place| (place[0], place[1])).unzip();
            let grid = Grid::points(latitude, longitude);
            grid.map(|grid| Some(Arc::new(grid))).map_err(|error| Error::Msg(format!("{name}: {error}")))
        };
        let boundary = nodes("boundary")?.ok_or_else(|| Error::Msg(format!("{}: no boundary", path.display())))?;
        Ok(Self { boundary, interior: nodes("interior")? })
    }
}

/// What the boundary's data are, which decides the time that a step looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoundaryKind {
    /// The last one at or before the time that the step leads to.
    #[default]
    Analyses,
    /// The last one at or before the time that the step starts from, as the reference takes them of forecasts.
    Forecasts,
}

/// The times of the boundary's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundaryTimes {
    pub kind: BoundaryKind,
    /// Between two of them.
    pub time_step: LeadTime,
    /// From midnight UTC to the first.
    pub offset: LeadTime,
}

/// The times of the boundary's data that a step is told of.
#[derive(Debug, Clone, Copy)]
pub struct BoundaryWindow {
    times: BoundaryTimes,
    model_step: LeadTime,
    /// Times before and after the one that the step looks at.
    past: i64,
    future: i64,
    /// Each how many-th time is taken.
    every: i64,
    /// Differences in time are to the model's time, not to that of the boundary's data.
    dynamic: bool,
}

impl BoundaryWindow {
    pub fn new(times: BoundaryTimes, arguments: &BoundaryArguments, model_step: LeadTime) -> Self {
        Self {
            times,
            model_step,
            past: arguments.num_past_boundary_steps as i64,
            future: arguments.num_future_boundary_steps as i64,
            every: arguments.boundary_subsample_step as i64,
            dynamic: arguments.dynamic_time_deltas,
        }
    }

    /// The times for a step to `target`, earliest first.
    pub fn times(&self, target: ValidTime) -> Vec<ValidTime> {
        let (_, matched) = self.looked_at(target);
        (-self.past..=self.future).map(|k| matched + self.steps(k)).collect()
    }

    /// How far each of [`Self::times`] is from what the step looks at, in steps of the model.
    pub fn deltas(&self, target: ValidTime) -> Vec<f32> {
        let (model_time, matched) = self.looked_at(target);
        let origin = if self.dynamic { model_time } else { matched };
        let seconds = |time: ValidTime| (time.timestamp() - origin.timestamp()) as f64;
        let deltas =
            self.times(target).into_iter().map(|time| (seconds(time) / self.model_step.seconds() as f64) as f32);
        deltas.collect()
    }

    /// The model's time, and the last of the boundary's that is not after it.
    fn looked_at(&self, target: ValidTime) -> (ValidTime, ValidTime) {
        let model_time = match self.times.kind {
            BoundaryKind::Analyses => target,
            BoundaryKind::Forecasts => target - self.model_step,
        };
        let BoundaryTimes { time_step, offset, .. } = self.times;
        let since = (model_time.timestamp() - offset.seconds()).rem_euclid(time_step.seconds());
        (model_time, model_time - LeadTime::from_seconds(since))
    }

    fn steps(&self, k: i64) -> LeadTime {
        LeadTime::from_seconds(k * self.every * self.times.time_step.seconds())
    }
}

/// What a network is told at the boundary's nodes.
#[derive(Debug)]
pub struct NodeFeatures {
    window: BoundaryWindow,
    encoding: TimeDeltaEncoding,
    forcings: Forcings,
    /// Standardised, `[B, S]`.
    pub statics: Option<Tensor>,
    nodes: usize,
    device: Device,
}

impl NodeFeatures {
    pub fn new(
        arguments: &BoundaryArguments,
        window: BoundaryWindow,
        channels: &Channels,
        data: NodeData,
        device: &Device,
    ) -> Result<Self> {
        let NodeData { nodes, statics, forcings } = data;
        let places = nodes.boundary.clone();
        let statics = standardised_statics(&channels.boundary_statics, &statics, &places)?;
        let around = (arguments.num_past_boundary_steps, arguments.num_future_boundary_steps);
        Ok(Self {
            window,
            encoding: TimeDeltaEncoding::new(
                arguments.time_delta_enc_dim,
                around,
                arguments.step_length_ratio,
                device,
            )?,
            nodes: places.len(),
            statics: (!statics.is_empty()).then(|| side_by_side(&statics, places.len(), device)).transpose()?,
            forcings: Forcings::new(channels.boundary.clone(), places, forcings),
            device: device.clone(),
        })
    }

    /// Of a step to `target`, `[B, features · window + window · encoding]`.
    pub fn at(&self, target: ValidTime) -> Result<Tensor> {
        let mut fields = self.forcings.at(&self.window.times(target))?;
        fields.extend(self.window.deltas(target).into_iter().map(|delta| vec![delta; self.nodes]));
        self.encoding.encode(&side_by_side(&fields, self.nodes, &self.device)?)
    }
}

/// Fields, each at all nodes → `[nodes, fields]`.
fn side_by_side(fields: &[Vec<f32>], nodes: usize, device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = (0..nodes).flat_map(|node| fields.iter().map(move |field| field[node])).collect();
    Tensor::from_vec(values, (nodes, fields.len()), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kind: BoundaryKind, dynamic: bool) -> BoundaryWindow {
        let arguments = BoundaryArguments {
            num_past_boundary_steps: 1,
            num_future_boundary_steps: 2,
            boundary_subsample_step: 1,
            time_delta_enc_dim: 4,
            step_length_ratio: 2.0,
            dynamic_time_deltas: dynamic,
        };
        let times = BoundaryTimes { kind, time_step: LeadTime::from_hours(6), offset: LeadTime::ZERO };
        BoundaryWindow::new(times, &arguments, LeadTime::from_hours(3))
    }

    fn times(texts: &[&str]) -> Vec<ValidTime> {
        texts.iter().map(|text| format!("2020-03-{text}Z").parse().unwrap()).collect()
    }

    #[test]
    fn analyses_are_those_at_and_around_the_last_one_before_the_target() {
        let [on, between]: [ValidTime; 2] = times(&["27T06:00", "27T09:00"]).try_into().unwrap();
        let expected = times(&["27T00:00", "27T06:00", "27T12:00", "27T18:00"]);
        let fixed = window(BoundaryKind::Analyses, false);
        assert_eq!((fixed.times(on), fixed.deltas(on)), (expected.clone(), vec![-2.0, 0.0, 2.0, 4.0]));
        assert_eq!((fixed.times(between), fixed.deltas(between)), (expected.clone(), vec![-2.0, 0.0, 2.0, 4.0]));
        let dynamic = window(BoundaryKind::Analyses, true);
        assert_eq!((dynamic.times(between), dynamic.deltas(between)), (expected, vec![-3.0, -1.0, 1.0, 3.0]));
    }

    #[test]
    fn forecasts_are_those_around_the_time_that_a_step_starts_from() {
        let target = times(&["27T06:00"])[0];
        let expected = times(&["26T18:00", "27T00:00", "27T06:00", "27T12:00"]);
        let fixed = window(BoundaryKind::Forecasts, false);
        assert_eq!((fixed.times(target), fixed.deltas(target)), (expected.clone(), vec![-2.0, 0.0, 2.0, 4.0]));
        let dynamic = window(BoundaryKind::Forecasts, true);
        assert_eq!((dynamic.times(target), dynamic.deltas(target)), (expected, vec![-3.0, -1.0, 1.0, 3.0]));
    }

    #[test]
    fn places_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.safetensors");
        let boundary = Arc::new(Grid::points(vec![56.25, -1e-9], vec![-3.0, 359.75]).unwrap());
        let nodes = BoundaryNodes { boundary: boundary.clone(), interior: None };
        nodes.write(&path).unwrap();
        let read = BoundaryNodes::read(&path).unwrap();
        assert_eq!(read.boundary, boundary);
        assert!(read.interior.is_none());
    }
}
