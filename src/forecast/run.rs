//! A run: from initial states to a published forecast.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::input::InitialStates;
use super::publisher::{Publisher, StepEnergy};
use super::start::{Network, Starts};
use super::wind::{WindRotation, true_wind};
use super::{Ensemble, EnsembleKind, ForecastError, Rollout, RunIdentity, RunKey};
use crate::atmos::{Grid, LeadTime, ReferenceTime, ValidTime};
use crate::device::{DeviceGroup, Energy, EnergyMeter, peak_resident_bytes};
use crate::location::Location;
use crate::model::{ModelPackage, Planet};
use crate::store::{Encoding, Fence, ForecastPath, ForecastSpec, ForecastWriter, Output, RunState, Statistics};

/// More steps than any forecast has: ten years of 6-hour steps.
pub const MOST_STEPS: i64 = 14_600;

/// What is asked of a run beside the model and the analysis.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// A multiple of the model's time step, at most [`MOST_STEPS`] of them.
    pub lead_time: LeadTime,
    pub ensemble: Ensemble,
    /// What is made of an ensemble's members.
    pub statistics: Statistics,
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
    /// Of an ensemble, whose step it is, and how many members there are.
    pub member: Option<(usize, usize)>,
    /// Steps that are there now, the analysis included: those that all members have which are made here.
    pub complete: usize,
    pub valid_time: ValidTime,
    /// Time that computing it took.
    pub seconds: f64,
    /// What it took since the step before; `None` where nothing counts that.
    pub joules: Option<f64>,
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
    /// So many steps are there already, the analysis included: those that all members have which are made here.
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
    /// The members that are made here; `None`: all.
    pub members: Option<Range<usize>>,
    /// As long as it is open; `None` where nobody gives out turns.
    pub fence: Option<Fence>,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct RunSummary {
    pub run_key: RunKey,
    pub reference_time: ReferenceTime,
    /// Made here.
    pub members: usize,
    /// Of each member.
    pub steps_total: usize,
    /// Of all members made here; fewer than there are where a run was resumed, 0 where it was complete.
    pub steps_computed: usize,
    pub wall_seconds: f64,
    /// Sum of the computing times of the steps.
    pub step_seconds: f64,
    pub peak_resident_bytes: Option<u64>,
    /// Of what was computed here; `None` where nothing counts that.
    pub energy: Option<Energy>,
}

/// Who a run on one device is. `input_digest` is that of what was read ([`InitialStates::digest`]), or of the files that will be
/// ([`crate::forecast::Arrivals`]).
pub fn identify(
    package: &ModelPackage,
    input_digest: &str,
    reference_time: ReferenceTime,
    options: &RunOptions,
) -> RunIdentity {
    let ensemble = &options.ensemble;
    let noise = !ensemble.is_single() && ensemble.kind == EnsembleKind::Noise;
    RunIdentity {
        model_digest: package.digest().to_owned(),
        reference_time,
        input_digest: options.fingerprint.clone().unwrap_or_else(|| input_digest.to_owned()),
        lead_time: options.lead_time,
        members: u32::try_from(ensemble.members).unwrap_or(u32::MAX),
        seed: noise.then_some(ensemble.seed),
        perturbation: ensemble.perturbation(),
        precision: "float32",
        encoding: options.encoding.name(),
        winds: options.true_winds.then_some("true"),
        shards: None,
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
/// The network runs on a thread of its own, so that publishing a step overlaps computing the next one. Of an ensemble so many
/// members at a time are advanced side by side, step by step, as [`Ensemble::side_by_side`] says; each by calls of the network
/// of its own, so that its numbers do not depend on what is computed beside it. On several devices each state is divided among
/// them; `initial` and the states lie where [`DeviceGroup::states`] says. Calls block; `runtime` is not one that they are
/// made from. `meter` counts what it takes.
pub fn run(
    package: &ModelPackage,
    (devices, meter): (&DeviceGroup, Option<&EnergyMeter>),
    initial: InitialStates,
    (to, options): (Destination<'_>, &RunOptions),
    runtime: &Handle,
    follower: &mut dyn Follower,
) -> Result<RunSummary, ForecastError> {
    let started = Instant::now();
    let ensemble = options.ensemble;
    ensemble.check(package).map_err(ForecastError::Configuration)?;
    options.statistics.check(&package.layout().variables()).map_err(ForecastError::Configuration)?;
    let identity = identify(package, &initial.digest, initial.reference_time, options);
    let shards = devices.single().is_none().then_some(devices.len());
    let identity = RunIdentity { shards, ..identity };
    let grid = initial.surroundings.grid.clone();
    let fits = package.check_devices(devices, Some(&grid));
    fits.map_err(|error| ForecastError::Configuration(error.to_string()))?;
    let winds = options.true_winds.then(|| WindRotation::new(package.layout(), &grid)).transpose();
    let winds = winds.map_err(ForecastError::Configuration)?;
    let spec = specify(package, devices, &grid, (&identity, &initial.digest), options);
    let total = spec.lead_times.len() - 1;
    let Destination { location, members, fence } = to;
    let members = members.unwrap_or(0..ensemble.members);
    let span = tracing::info_span!(
        "run",
        "vejr.run" = identity.key().as_str(),
        "vejr.model" = package.name(),
        "vejr.reference_time" = %initial.reference_time,
        "vejr.steps" = total,
        "vejr.members" = ?members,
    );
    let _entered = span.entered();
    let writer = match fence {
        Some(fence) if ensemble.is_single() => runtime.block_on(ForecastWriter::under_lease(location, spec, fence)),
        Some(fence) => runtime.block_on(ForecastWriter::of_members(location, spec, members.clone(), fence)),
        None => runtime.block_on(ForecastWriter::create_or_resume(location, spec, options.overwrite)),
    }?;
    let mut summary = RunSummary {
        run_key: identity.key(),
        reference_time: initial.reference_time,
        members: members.len(),
        steps_total: total,
        steps_computed: 0,
        wall_seconds: 0.0,
        step_seconds: 0.0,
        peak_resident_bytes: None,
        energy: None,
    };
    let energy = meter.map(StepEnergy::begin);
    let mut publisher = Publisher { writer, runtime, layout: package.layout(), winds, energy };
    follower.begins(publisher.complete())?;
    if publisher.writer.manifest().state == RunState::Done {
        return Ok(summary);
    }
    let outcome = (|| {
        let InitialStates { states, earlier, surroundings, .. } = initial;
        let network = Network::new(package, devices, surroundings);
        let starts = Starts::new(package, (states, earlier), &grid, &ensemble)?;
        let all: Vec<usize> = members.collect();
        for together in all.chunks(ensemble.side_by_side) {
            let unfinished =
                together.iter().copied().filter(|&member| publisher.writer.steps_complete_of(member) <= total);
            let mut begun = Vec::new();
            for member in unfinished.collect::<Vec<_>>() {
                let analyses = starts.of(member, &network)?;
                publisher.analysis(member, &analyses, &grid, follower)?;
                begun.push((member, publisher.history(package, (member, analyses), (&grid, devices.states()))?));
            }
            let mut rollouts = Vec::new();
            for (member, history) in begun {
                rollouts.push((member, Rollout::new(network.get()?, history).ok_or_else(|| too_few(package))?));
            }
            publisher.steps(rollouts, &grid, total, &mut |step| {
                summary.steps_computed += 1;
                summary.step_seconds += step.seconds;
                follower.published(step)
            })?;
        }
        // else others still have members to make, and the last of them will finish
        if publisher.is_whole() { Ok(follower.completes()?) } else { Ok(()) }
    })();
    if let Err(error) = outcome {
        if !matches!(error, ForecastError::Stopped(_)) && follower.gives_up(&error) {
            // the reason is for readers; where even that cannot be written, the error itself says more
            let _ = runtime.block_on(publisher.writer.fail(error.to_string()));
        }
        return Err(error);
    }
    let joules = publisher.writer.manifest().energy_used().map_or(json!("not measured"), |used| json!(used.joules));
    let provenance = Map::from_iter([
        ("wall_seconds".to_owned(), json!(started.elapsed().as_secs_f64())),
        ("joules".to_owned(), joules),
    ]);
    if publisher.is_whole() {
        let _span = tracing::info_span!("complete").entered();
        runtime.block_on(publisher.writer.finish(provenance))?;
    }
    summary.wall_seconds = started.elapsed().as_secs_f64();
    summary.peak_resident_bytes = peak_resident_bytes();
    summary.energy = publisher.energy.as_mut().map(StepEnergy::used);
    Ok(summary)
}

pub(super) fn too_few(package: &ModelPackage) -> ForecastError {
    let needed = package.input_states();
    ForecastError::Input(format!("the model needs {needed} initial states, fewer were given"))
}

/// What the run will publish.
fn specify(
    package: &ModelPackage,
    devices: &DeviceGroup,
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
            ("seed", identity.seed.map_or(Value::Null, |seed| json!(seed))),
            ("precision", json!(identity.precision)),
            ("encoding", json!(identity.encoding)),
            ("device", json!(devices.name())),
            ("vejr_version", json!(env!("CARGO_PKG_VERSION"))),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if model.planet != Planet::Earth {
        provenance.insert("planet".to_owned(), json!(model.planet));
    }
    if let Some(perturbation) = &identity.perturbation {
        provenance.insert("members".to_owned(), json!(identity.members));
        provenance.insert("perturbation".to_owned(), json!(perturbation));
    }
    ForecastSpec {
        run_key: identity.key().to_string(),
        model: model.name.clone(),
        title: format!("{}, forecast from {}", model.title, identity.reference_time),
        reference_time: identity.reference_time,
        lead_times: (0..=steps).map(|n| LeadTime::from_seconds(n * package.time_step().seconds())).collect(),
        members: options.ensemble.members,
        statistics: (!options.ensemble.is_single()).then(|| options.statistics.clone()),
        grid: grid.clone(),
        outputs: outputs.collect(),
        encoding: options.encoding,
        restart_states: package.input_states(),
        restart_apart: options.true_winds,
        provenance,
    }
}
