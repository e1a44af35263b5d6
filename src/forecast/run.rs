//! A run: from initial states to a published forecast.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::input::InitialStates;
use super::wind::{WindRotation, true_wind};
use super::{ForecastError, Rollout, RunIdentity, RunKey, check_plausible};
use crate::atmos::{Field, Grid, LeadTime, ReferenceTime, ValidTime};
use crate::device::{device_name, peak_resident_bytes};
use crate::location::Location;
use crate::model::{ChannelLayout, ModelPackage, Planet, State, StateError};
use crate::store::{Encoding, Fence, ForecastPath, ForecastSpec, ForecastWriter, Output, RunState};

/// More steps than any forecast has: ten years of 6-hour steps.
pub const MOST_STEPS: i64 = 14_600;

/// What is asked of a run beside the model and the analysis.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// A multiple of the model's time step, at most [`MOST_STEPS`] of them.
    pub lead_time: LeadTime,
    pub encoding: Encoding,
    /// Replace another forecast at the same place.
    pub overwrite: bool,
    /// Publish winds along the axes of a projected grid as winds to east and north.
    pub true_winds: bool,
    /// What the input's files were like when the run was asked for; then they, and not their contents, say who the run is.
    pub fingerprint: Option<String>,
}

/// A step was published.
#[derive(Debug, Clone)]
pub struct Progress {
    pub step: usize,
    pub total: usize,
    pub valid_time: ValidTime,
    /// Time that computing it took.
    pub seconds: f64,
}

/// Why a run was stopped between two steps; what is published stays, and the run can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// This process is to end.
    Draining,
    /// Nobody wants the run any more, or somebody else has it now.
    Withdrawn,
}

/// Who follows a run, and may stop it between two steps.
pub trait Follower {
    /// So many steps are there already, the analysis included.
    fn begins(&mut self, _steps_complete: usize) -> Result<(), Stop> {
        Ok(())
    }

    /// A step is there for readers; 0 is the analysis.
    fn published(&mut self, progress: &Progress) -> Result<(), Stop>;

    /// Every step is there; what is made of all of them is begun.
    fn completes(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    /// Whether an error ends the run for its readers, too: nobody will try again.
    fn gives_up(&mut self, _error: &ForecastError) -> bool {
        true
    }
}

/// Where a run is published, and by what right.
#[derive(Debug)]
pub struct Destination<'a> {
    pub location: &'a Location,
    /// As long as it is open; `None` where nobody gives out turns.
    pub fence: Option<Fence>,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct RunSummary {
    pub run_key: RunKey,
    pub reference_time: ReferenceTime,
    pub steps_total: usize,
    /// Fewer than the total where a run was resumed; 0 where it was complete.
    pub steps_computed: usize,
    pub wall_seconds: f64,
    /// Sum of the computing times of the steps.
    pub step_seconds: f64,
    pub peak_resident_bytes: Option<u64>,
}

/// A step on its way from the device's thread to the store; fields in the layout's order.
struct ComputedStep {
    fields: Vec<Field>,
    seconds: f64,
}

/// Who a run is. `input_digest` is that of what was read ([`InitialStates::digest`]), or of the files that will be
/// ([`crate::forecast::Arrivals`]).
pub fn identify(
    package: &ModelPackage,
    input_digest: &str,
    reference_time: ReferenceTime,
    options: &RunOptions,
) -> RunIdentity {
    RunIdentity {
        model_digest: package.digest().to_owned(),
        reference_time,
        input_digest: options.fingerprint.clone().unwrap_or_else(|| input_digest.to_owned()),
        lead_time: options.lead_time,
        members: 1,
        seed: None,
        perturbation: None,
        precision: "float32",
        encoding: options.encoding.name(),
        winds: options.true_winds.then_some("true"),
    }
}

/// Where a run lies in a store of forecasts.
pub fn path_in_store(package: &ModelPackage, identity: &RunIdentity) -> ForecastPath {
    ForecastPath {
        model: package.name().to_owned(),
        reference_time: identity.reference_time,
        run_key: identity.key().to_string(),
    }
}

/// Computes and publishes a forecast, or what is missing of it.
///
/// The network runs on a thread of its own, so that publishing a step overlaps computing the next one. Calls block;
/// `runtime` is not one that they are made from.
pub fn run(
    package: &ModelPackage,
    device: &Device,
    initial: InitialStates,
    (to, options): (Destination<'_>, &RunOptions),
    runtime: &Handle,
    follower: &mut dyn Follower,
) -> Result<RunSummary, ForecastError> {
    let started = Instant::now();
    let identity = identify(package, &initial.digest, initial.reference_time, options);
    let grid = initial.surroundings.grid.clone();
    let winds = options.true_winds.then(|| WindRotation::new(package.layout(), &grid)).transpose();
    let winds = winds.map_err(ForecastError::Configuration)?;
    let spec = specify(package, device, &grid, (&identity, &initial.digest), options);
    let total = spec.lead_times.len() - 1;
    let Destination { location, fence } = to;
    let writer = match fence {
        Some(fence) => runtime.block_on(ForecastWriter::under_lease(location, spec, fence)),
        None => runtime.block_on(ForecastWriter::create_or_resume(location, spec, options.overwrite)),
    }?;
    let mut summary = RunSummary {
        run_key: identity.key(),
        reference_time: initial.reference_time,
        steps_total: total,
        steps_computed: 0,
        wall_seconds: 0.0,
        step_seconds: 0.0,
        peak_resident_bytes: None,
    };
    follower.begins(writer.steps_complete())?;
    if writer.manifest().state == RunState::Done {
        return Ok(summary);
    }
    let mut publisher = Publisher { writer, runtime, layout: package.layout(), winds };
    let outcome = (|| {
        publisher.analysis(&initial, &grid, follower)?;
        let InitialStates { states, surroundings, .. } = initial;
        let history = publisher.history(package, states, (&grid, device))?;
        let model =
            package.load(device, surroundings).map_err(|error| ForecastError::Configuration(error.to_string()))?;
        let rollout = Rollout::new(&*model, history).ok_or_else(|| {
            ForecastError::Input(format!("the model needs {} initial states, fewer were given", model.input_states()))
        })?;
        publisher.steps(rollout, &grid, total, &mut |step| {
            summary.steps_computed += 1;
            summary.step_seconds += step.seconds;
            follower.published(step)
        })?;
        Ok(follower.completes()?)
    })();
    if let Err(error) = outcome {
        if !matches!(error, ForecastError::Stopped(_)) && follower.gives_up(&error) {
            // the reason is for readers; where even that cannot be written, the error itself says more
            let _ = runtime.block_on(publisher.writer.fail(error.to_string()));
        }
        return Err(error);
    }
    let provenance = Map::from_iter([
        ("wall_seconds".to_owned(), json!(started.elapsed().as_secs_f64())),
        ("joules".to_owned(), json!("not measured")),
    ]);
    runtime.block_on(publisher.writer.finish(provenance))?;
    summary.wall_seconds = started.elapsed().as_secs_f64();
    summary.peak_resident_bytes = peak_resident_bytes();
    Ok(summary)
}

/// The way from a state to the store.
struct Publisher<'a> {
    writer: ForecastWriter,
    runtime: &'a Handle,
    layout: &'a ChannelLayout,
    winds: Option<WindRotation>,
}

impl Publisher<'_> {
    /// Checks a step, or the `analysis`, then writes it.
    fn publish(&mut self, fields: Vec<Field>, analysis: bool) -> Result<(), ForecastError> {
        let implausible = check_plausible(&fields, self.layout, analysis);
        if !implausible.is_empty() {
            return Err(ForecastError::Implausible(implausible));
        }
        let order = publishing_order(self.layout);
        let ordered = |fields: Vec<Field>| -> Vec<Field> {
            let mut fields: Vec<Option<Field>> = fields.into_iter().map(Some).collect();
            order.iter().filter_map(|&channel| fields[channel].take()).collect()
        };
        let Some(winds) = &self.winds else {
            return Ok(self.runtime.block_on(self.writer.write_step(&ordered(fields)))?);
        };
        // a resumed run goes on from what the model made, not from what was made of it
        let (turned, own) = (ordered(winds.turn(&fields)), ordered(fields));
        Ok(self.runtime.block_on(self.writer.write_step_beside(&turned, &own))?)
    }

    /// Lead time 0: the analysis that the run starts from. What the model diagnoses is missing there.
    fn analysis(
        &mut self,
        initial: &InitialStates,
        grid: &Arc<Grid>,
        follower: &mut dyn Follower,
    ) -> Result<(), ForecastError> {
        let Some(state) = initial.states.last().filter(|_| self.writer.steps_complete() == 0) else { return Ok(()) };
        let fields = state.to_fields(self.layout, grid).map_err(state_error)?;
        self.publish(fields, true)?;
        let total = self.writer.manifest().steps_total - 1;
        Ok(follower.published(&Progress { step: 0, total, valid_time: state.valid_time, seconds: 0.0 })?)
    }

    /// The model's input states for the step after the last published one: analyses, then published steps.
    fn history(
        &self,
        package: &ModelPackage,
        analyses: Vec<State>,
        (grid, device): (&Grid, &Device),
    ) -> Result<Vec<State>, ForecastError> {
        let (h, w) = grid.shape();
        let wanted = package.input_states();
        let published = self.writer.steps_complete();
        let order = publishing_order(self.layout);
        let mut states = analyses;
        for step in 1.max(published.saturating_sub(wanted))..published {
            let fields = self.runtime.block_on(self.writer.restart_fields(step))?;
            let mut values = vec![0f32; order.len() * h * w];
            for (field, &channel) in fields.iter().zip(&order) {
                for (value, published) in values[channel * h * w..].iter_mut().zip(field) {
                    *value = *published;
                }
            }
            let manifest = self.writer.manifest();
            let valid_time = manifest.reference_time + LeadTime::from_seconds(manifest.steps[step].lead_seconds);
            let tensor = Tensor::from_vec(values, (1, order.len(), h, w), device)?;
            states.push(State { tensor, valid_time });
        }
        Ok(states.split_off(states.len().saturating_sub(wanted)))
    }

    /// Computes on a thread of its own and publishes here, until `total` steps are published.
    fn steps(
        &mut self,
        mut rollout: Rollout<'_>,
        grid: &Arc<Grid>,
        total: usize,
        progress: &mut dyn FnMut(&Progress) -> Result<(), Stop>,
    ) -> Result<(), ForecastError> {
        let done = self.writer.steps_complete() - 1;
        let layout = self.layout;
        // a step is handed over when the one before it is published: what is computed and not published, a crash would lose
        let (sender, receiver) = mpsc::sync_channel::<Result<ComputedStep, ForecastError>>(0);
        std::thread::scope(|scope| {
            let device_thread = std::thread::Builder::new().name("vejr-device".to_owned());
            let compute = move || {
                for _ in done..total {
                    let step = compute_step(&mut rollout, layout, grid);
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
            let mut publish_all = || {
                for step in done + 1..=total {
                    let Ok(computed) = receiver.recv() else {
                        return Err(ForecastError::Configuration("the device's thread ended early".to_owned()));
                    };
                    let ComputedStep { fields, seconds } = computed?;
                    let valid_time = fields.first().map(Field::valid_time);
                    self.publish(fields, false)?;
                    if let Some(valid_time) = valid_time {
                        progress(&Progress { step, total, valid_time, seconds })?;
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

/// What the run will publish.
fn specify(
    package: &ModelPackage,
    device: &Device,
    grid: &Arc<Grid>,
    (identity, input_digest): (&RunIdentity, &str),
    options: &RunOptions,
) -> ForecastSpec {
    let steps = options.lead_time.seconds() / package.time_step().seconds();
    let layout = package.layout();
    let outputs = layout.variables().into_iter().map(|(variable, levels)| {
        let channels = || layout.iter().filter(|channel| channel.variable.name == variable.name);
        let low = channels().map(|channel| channel.plausible.0).fold(f64::INFINITY, f64::min);
        let high = channels().map(|channel| channel.plausible.1).fold(f64::NEG_INFINITY, f64::max);
        // of a variable that the table does not know, nobody tells apart a thousandth of its variability
        let spread = channels().map(|channel| channel.std).fold(f64::INFINITY, f64::min);
        let precision = variable.known().map_or(spread * 1e-3, |known| known.precision);
        let variable = if options.true_winds { true_wind(variable) } else { variable.clone() };
        Output { variable, levels, precision, range: (low, high) }
    });
    let model = &package.manifest().model;
    let mut provenance = Map::from_iter(
        [
            ("model", json!(model.name)),
            ("model_version", json!(model.version)),
            ("model_digest", json!(identity.model_digest)),
            ("model_licence", json!(model.licence)),
            ("input_digest", json!(input_digest)),
            ("run_key", json!(identity.key().as_str())),
            ("seed", Value::Null),
            ("precision", json!(identity.precision)),
            ("encoding", json!(identity.encoding)),
            ("device", json!(device_name(device))),
            ("vejr_version", json!(env!("CARGO_PKG_VERSION"))),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if model.planet != Planet::Earth {
        provenance.insert("planet".to_owned(), json!(model.planet));
    }
    ForecastSpec {
        run_key: identity.key().to_string(),
        model: model.name.clone(),
        title: format!("{}, forecast from {}", model.title, identity.reference_time),
        reference_time: identity.reference_time,
        lead_times: (0..=steps).map(|n| LeadTime::from_seconds(n * package.time_step().seconds())).collect(),
        grid: grid.clone(),
        outputs: outputs.collect(),
        encoding: options.encoding,
        restart_states: package.input_states(),
        restart_apart: options.true_winds,
        provenance,
    }
}
