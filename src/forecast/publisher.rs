//! The way from a state to the store.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use candle_core::{Device, Tensor};
use tokio::runtime::Handle;
use tracing::Span;

use super::wind::WindRotation;
use super::{Follower, ForecastError, Progress, Rollout, Stop, check_plausible};
use crate::atmos::{Field, Grid, LeadTime, ValidTime};
use crate::device::{Energy, EnergyLap, EnergyMeter};
use crate::model::{ChannelLayout, ModelPackage, State, StateError};
use crate::store::ForecastWriter;

/// A step on its way from the device's thread to the store; fields in the layout's order.
struct ComputedStep {
    fields: Vec<Field>,
    seconds: f64,
}

/// Publishes what a device computes, and knows what is published.
pub(super) struct Publisher<'a> {
    pub writer: ForecastWriter,
    pub runtime: &'a Handle,
    pub layout: &'a ChannelLayout,
    pub winds: Option<WindRotation>,
    /// What the steps take, where something counts that.
    pub energy: Option<StepEnergy>,
}

/// What was used until the last step.
pub(super) struct StepEnergy {
    lap: EnergyLap,
    steps: usize,
    joules: f64,
}

impl StepEnergy {
    /// From now on.
    pub fn begin(meter: &EnergyMeter) -> Self {
        Self { lap: meter.begin(), steps: 0, joules: 0.0 }
    }

    /// Until now.
    pub fn used(&mut self) -> Energy {
        self.lap.used()
    }
}

impl Publisher<'_> {
    /// Steps that all of this writer's members have, the analysis included.
    pub fn complete(&self) -> usize {
        self.writer.own().map(|member| self.writer.steps_complete_of(member)).min().unwrap_or(0)
    }

    /// Whether every step of every member is there, whoever made them.
    pub fn is_whole(&self) -> bool {
        self.writer.steps_complete() == self.writer.manifest().steps_total
    }

    /// The member and how many there are; `None` of a single forecast.
    fn numbered(&self, member: usize) -> Option<(usize, usize)> {
        let members = self.writer.manifest().members.len();
        (members > 0).then_some((member, members))
    }

    /// Checks a member's step, or its `analysis`, then writes it.
    fn publish(&mut self, member: usize, fields: Vec<Field>, analysis: bool) -> Result<(), ForecastError> {
        let mut implausible = check_plausible(&fields, self.layout, analysis);
        if !implausible.is_empty() {
            let number = self.numbered(member).map(|(member, _)| member);
            implausible.iter_mut().for_each(|one| one.member = number);
            return Err(ForecastError::Implausible(implausible));
        }
        let order = publishing_order(self.layout);
        let ordered = |fields: Vec<Field>| -> Vec<Field> {
            let mut fields: Vec<Option<Field>> = fields.into_iter().map(Some).collect();
            order.iter().filter_map(|&channel| fields[channel].take()).collect()
        };
        let Some(winds) = &self.winds else {
            let fields = ordered(fields);
            return Ok(self.runtime.block_on(self.writer.write_step_of(member, &fields, &fields))?);
        };
        // a resumed run goes on from what the model made, not from what was made of it
        let (turned, own) = (ordered(winds.turn(&fields)), ordered(fields));
        Ok(self.runtime.block_on(self.writer.write_step_of(member, &turned, &own))?)
    }

    /// Lead time 0: the analysis that a member starts from. What the model diagnoses is missing there.
    pub fn analysis(
        &mut self,
        member: usize,
        states: &[State],
        grid: &Arc<Grid>,
        follower: &mut dyn Follower,
    ) -> Result<(), ForecastError> {
        let begun = self.writer.steps_complete_of(member) > 0;
        let Some(state) = states.last().filter(|_| !begun) else { return Ok(()) };
        let fields = state.to_fields(self.layout, grid).map_err(state_error)?;
        self.publish(member, fields, true)?;
        Ok(follower.published(&self.progress(member, 0, state.valid_time, 0.0))?)
    }

    /// Tells the store what the steps took, this one included. What it took since the one before.
    fn note_energy(&mut self) -> Option<f64> {
        let energy = self.energy.as_mut()?;
        let used = energy.lap.used();
        let joules = used.joules - energy.joules;
        (energy.steps, energy.joules) = (energy.steps + 1, used.joules);
        self.writer.note_energy(energy.steps, (used.joules, used.idle_joules), &used.source);
        Some(joules)
    }

    fn progress(&self, member: usize, step: usize, valid_time: ValidTime, seconds: f64) -> Progress {
        let total = self.writer.manifest().steps_total - 1;
        let (member, complete) = (self.numbered(member), self.complete());
        Progress { step, total, member, complete, valid_time, seconds, joules: None }
    }

    /// A member's input states for the step after the last published one: analyses, then published steps.
    pub fn history(
        &self,
        package: &ModelPackage,
        (member, analyses): (usize, Vec<State>),
        (grid, device): (&Grid, &Device),
    ) -> Result<Vec<State>, ForecastError> {
        let (h, w) = grid.shape();
        let wanted = package.input_states();
        let published = self.writer.steps_complete_of(member);
        let order = publishing_order(self.layout);
        let mut states = analyses;
        for step in 1.max(published.saturating_sub(wanted))..published {
            let fields = self.runtime.block_on(self.writer.restart_fields(member, step))?;
            let mut values = vec![0f32; order.len() * h * w];
            for (field, &channel) in fields.iter().zip(&order) {
                for (value, published) in values[channel * h * w..].iter_mut().zip(field) {
                    *value = *published;
                }
            }
            let manifest = self.writer.manifest();
            let valid_time = manifest.reference_time + LeadTime::from_seconds(manifest.lead_seconds[step]);
            let tensor = Tensor::from_vec(values, (1, order.len(), h, w), device)?;
            states.push(State { tensor, valid_time });
        }
        Ok(states.split_off(states.len().saturating_sub(wanted)))
    }

    /// Computes on a thread of its own and publishes here, until each member has `total` steps: step by step, and in each
    /// member after member.
    pub fn steps(
        &mut self,
        mut rollouts: Vec<(usize, Rollout<'_>)>,
        grid: &Arc<Grid>,
        total: usize,
        progress: &mut dyn FnMut(&Progress) -> Result<(), Stop>,
    ) -> Result<(), ForecastError> {
        let first: Vec<usize> = rollouts.iter().map(|(member, _)| self.writer.steps_complete_of(*member)).collect();
        let due = |step: usize| (0..first.len()).filter(|&place| first[place] <= step).collect::<Vec<_>>();
        let order: Vec<(usize, usize)> =
            (1..=total).flat_map(|step| due(step).into_iter().map(move |place| (step, place))).collect();
        let members: Vec<usize> = rollouts.iter().map(|(member, _)| *member).collect();
        let layout = self.layout;
        let run = Span::current();
        // a step is handed over when the one before it is published: what is computed and not published, a crash would lose
        let (sender, receiver) = mpsc::sync_channel::<Result<ComputedStep, ForecastError>>(0);
        std::thread::scope(|scope| {
            let device_thread = std::thread::Builder::new().name("vejr-device".to_owned());
            let computed = order.clone();
            let compute = move || {
                for (step, place) in computed {
                    let (member, rollout) = &mut rollouts[place];
                    let span =
                        tracing::info_span!(parent: &run, "compute", "vejr.step" = step, "vejr.member" = *member);
                    let step = span.in_scope(|| compute_step(rollout, layout, grid));
                    let failed = step.is_err();
                    // nobody receives any more: publishing has failed
                    if sender.send(step).is_err() || failed {
                        return;
                    }
                }
            };
            device_thread
                .spawn_scoped(scope, compute)
                .map_err(|error| ForecastError::Configuration(format!("no thread for the device: {error}")))?;
            let publish_all = || {
                for (step, place) in order {
                    let Ok(computed) = receiver.recv() else {
                        return Err(ForecastError::Configuration("the device's thread ended early".to_owned()));
                    };
                    let ComputedStep { fields, seconds } = computed?;
                    let valid_time = fields.first().map(Field::valid_time);
                    let joules = self.note_energy();
                    let member = members[place];
                    let span = tracing::info_span!("publish", "vejr.step" = step, "vejr.member" = member);
                    span.in_scope(|| self.publish(member, fields, false))?;
                    if let Some(valid_time) = valid_time {
                        progress(&Progress { joules, ..self.progress(member, step, valid_time, seconds) })?;
                    }
                }
                Ok(())
            };
            let outcome = publish_all();
            // before the scope waits for the device's thread, which may be waiting to hand over a step
            drop(receiver);
            outcome
        })
    }
}

/// One step, copied to the host: on a GPU the copy is what waits for the computation.
fn compute_step(
    rollout: &mut Rollout<'_>,
    layout: &ChannelLayout,
    grid: &Arc<Grid>,
) -> Result<ComputedStep, ForecastError> {
    let started = Instant::now();
    let state = match rollout.next() {
        Some(state) => state?,
        None => return Err(ForecastError::Configuration("the rollout ended early".to_owned())),
    };
    let fields = state.to_fields(layout, grid).map_err(state_error)?;
    Ok(ComputedStep { fields, seconds: started.elapsed().as_secs_f64() })
}

fn state_error(error: StateError) -> ForecastError {
    match error {
        StateError::Tensor(error) => ForecastError::Compute(error),
        other => ForecastError::Input(other.to_string()),
    }
}

/// Channels in the order of publication: variable by variable, each with all its levels.
fn publishing_order(layout: &ChannelLayout) -> Vec<usize> {
    let of = |name: &str| -> Vec<usize> {
        layout.iter().enumerate().filter(|(_, channel)| &*channel.variable.name == name).map(|(i, _)| i).collect()
    };
    layout.variables().into_iter().flat_map(|(variable, _)| of(&variable.name)).collect()
}
