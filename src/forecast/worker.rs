//! Computes the runs of a ledger: one thread per device.
//!
//! A worker takes a run by a lease and renews it while it works. As long as the lease is certain, a [`Fence`] is open
//! between the run and the store; a worker that was stopped and wakes too late finds it closed, and writes nothing.
//!
//! Each device is looked at all the time. One that does not compute any more is given no run, and its run's lease is left to
//! run out, so that another device goes on with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use candle_core::Device;
use tokio::runtime::Handle;

use super::arrivals::{ArrivalsError, fingerprint};
use super::ledger::{Lease, Ledger, LedgerError, RunFault};
use super::{
    Destination, Follower, ForecastError, Progress, Regridding, RunOptions, Sources, Stop, path_in_store, read_inputs,
    run,
};
use crate::device::{DeviceWatch, EnergyMeter, HealthCheck, device_label};
use crate::ingest::{Inventory, Isolation};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::store::{Fence, Moment, StoreError};

/// How often a worker looks for work that it was not told of.
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks whether a thread has ended.
const DRAINING: Duration = Duration::from_millis(5);
/// Between two looks at deadlines.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// After the ledger did not answer.
const LEDGER_PAUSE: Duration = Duration::from_secs(1);
/// Attempts that published nothing before a run is given up. A run that ends its workers, and storage that never mends, are
/// told from a bad day by their number alone, so there are many: an hour of failures, or as many lost workers.
const MOST_FRUITLESS: u64 = 60;
/// Before the next attempt after a failure that may pass; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a worker works with.
#[derive(Clone)]
pub struct WorkerSettings {
    pub ledger: Ledger,
    /// The store that forecasts are published in.
    pub store: Location,
    pub packages: Vec<Arc<ModelPackage>>,
    pub isolation: Isolation,
    /// How long a worker that is not heard of keeps its run.
    pub lease: Duration,
    /// Names the process: unique among all that share the ledger.
    pub name: String,
    /// Work on this run only.
    pub only_run: Option<String>,
    /// End when nothing is left to do, and nothing that others do may be left by them.
    pub until_idle: bool,
    /// How it is found that a device does not work any more.
    pub health: HealthCheck,
    pub events: WorkerEvents,
}

/// What a worker tells whoever started it.
#[derive(Clone, Default)]
pub struct WorkerEvents {
    /// A step was published; computing it took so many seconds and, where something counts them, joules.
    pub step: Option<Arc<StepTold>>,
    /// A device was found to work, or not to.
    pub device: Option<Arc<DeviceTold>>,
}

type StepTold = dyn Fn(f64, Option<f64>) + Send + Sync;
type DeviceTold = dyn Fn(&str, bool) + Send + Sync;

/// The threads that compute.
pub struct Worker {
    stop: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, DeviceWatch)>,
}

impl Worker {
    /// One thread for each device. `runtime` is where storage and the ledger are waited for.
    pub fn start(settings: &WorkerSettings, devices: Vec<Device>, runtime: &Handle) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        // all of them before the first run: what is used now is the idle share
        let meters = EnergyMeter::each(&devices);
        for (number, (device, meter)) in devices.into_iter().zip(meters).enumerate() {
            let watch = DeviceWatch::start(device.clone(), settings.health.clone())?;
            let bench = Bench {
                holder: format!("{}/{number}", settings.name),
                settings: settings.clone(),
                meter,
                device,
                number,
                watch: watch.clone(),
                runtime: runtime.clone(),
                stop: stop.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("vejr-run-{number}"));
            threads.push((thread.spawn(move || bench.work())?, watch));
        }
        runtime.spawn(end_what_waited_too_long(settings.ledger.clone(), stop.clone()));
        Ok(Self { stop, threads })
    }

    /// Tells the threads to end after the step that each is at.
    pub fn stop_soon(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether all threads have ended by themselves.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(|(thread, _)| thread.is_finished())
    }

    /// What is wrong with a device, if something is with any.
    pub fn problem(&self) -> Option<String> {
        self.threads.iter().find_map(|(_, watch)| watch.problem())
    }

    /// Lets each thread finish the step it is at, give its run back, and end.
    pub fn drain(self) {
        self.stop_soon();
        for (thread, watch) in self.threads {
            while !thread.is_finished() && watch.problem().is_none() {
                std::thread::sleep(DRAINING);
            }
            // what waits for a device that does not answer would be waited for without end
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a worker's thread had panicked");
            }
        }
    }
}

/// A device, and the one who works at it.
struct Bench {
    holder: String,
    settings: WorkerSettings,
    device: Device,
    meter: Option<EnergyMeter>,
    /// Among the devices of the process.
    number: usize,
    watch: DeviceWatch,
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

/// A failure as the ledger is told of it.
struct Failed {
    fault: RunFault,
    reason: String,
    may_pass: bool,
}

impl Bench {
    fn work(&self) {
        let digests: Vec<String> = self.settings.packages.iter().map(|package| package.digest().to_owned()).collect();
        let mut was_well = None;
        while !self.stop.load(Ordering::Acquire) {
            let problem = self.watch.problem();
            if was_well != Some(problem.is_none()) {
                self.tell_health(problem.as_deref(), was_well.is_none());
                was_well = Some(problem.is_none());
            }
            if problem.is_some() {
                if self.settings.until_idle {
                    return;
                }
                std::thread::sleep(LOOK);
                continue;
            }
            let since = Moment::now();
            let WorkerSettings { ledger, only_run, lease, .. } = &self.settings;
            let claim = ledger.claim_of(only_run.as_deref(), &self.holder, &digests, *lease);
            match self.runtime.block_on(claim) {
                Ok(Some(lease)) => self.serve(&lease, since),
                Ok(None) if self.settings.until_idle && self.is_idle() => return,
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => {
                    tracing::warn!(%error, "no work can be looked for");
                    std::thread::sleep(LEDGER_PAUSE);
                }
            }
        }
    }

    fn tell_health(&self, problem: Option<&str>, first: bool) {
        let device = device_label(&self.device, self.number);
        match problem {
            Some(problem) => tracing::error!(device, problem, "the device does not work: it gets no runs"),
            None if !first => tracing::info!(device, "the device works again"),
            None => {}
        }
        if let Some(told) = &self.settings.events.device {
            told(&device, problem.is_none());
        }
    }

    /// Whether there is nothing left that could be taken, now or later.
    fn is_idle(&self) -> bool {
        let only = self.settings.only_run.as_deref();
        let open = self.runtime.block_on(self.settings.ledger.open_runs());
        open.is_ok_and(|open| !open.iter().any(|run| only.is_none_or(|only| only == run.run_key)))
    }

    /// Works on a run until it is done, fails, or is somebody else's.
    fn serve(&self, lease: &Lease, since: Moment) {
        let path = &lease.run.path;
        let attempt = tracing::info_span!(
            "attempt",
            "vejr.run" = &*path.run_key,
            "vejr.model" = &*path.model,
            "vejr.lease" = lease.token,
            "vejr.device" = device_label(&self.device, self.number),
        );
        let _entered = attempt.entered();
        tracing::info!(run = %path, token = lease.token, "begins");
        let fence = Fence::default();
        fence.open(since, self.settings.lease);
        if lease.fruitless > MOST_FRUITLESS {
            let reason = format!(
                "{MOST_FRUITLESS} workers took it and were not heard of any more before they published a step; their logs may \
                 say why"
            );
            tracing::error!(run = %path, %reason, "given up");
            if let Err(error) = self.patiently(&fence, || self.settings.ledger.fail(lease, RunFault::Other, &reason)) {
                tracing::warn!(run = %path, %error, "the ledger could not be told; the lease will run out");
            }
            return;
        }
        let (ledger, duration) = (self.settings.ledger.clone(), self.settings.lease);
        let keeper = self.runtime.spawn(keep((ledger, lease.clone()), duration, fence.clone(), self.watch.clone()));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.compute(lease, &fence)));
        let outcome = outcome.unwrap_or_else(|panic| Err(ForecastError::Panicked(panic_message(&*panic))));
        keeper.abort();
        let told = match outcome {
            Ok(steps) => self.patiently(&fence, || self.settings.ledger.finish(lease, steps)),
            Err(ForecastError::Stopped(Stop::Withdrawn)) => Err(LedgerError::LeaseLost),
            Err(ForecastError::Stopped(Stop::Draining)) => {
                let reason = "its worker was told to end";
                self.patiently(&fence, || self.settings.ledger.give_back(lease, Duration::ZERO, reason))
            }
            Err(error) => self.failed(lease, &fence, &error),
        };
        fence.close();
        match told {
            Ok(()) => tracing::info!(run = %path, token = lease.token, "ends"),
            Err(LedgerError::LeaseLost) => tracing::warn!(run = %path, token = lease.token, "somebody else has it now"),
            Err(error) => tracing::warn!(run = %path, %error, "the ledger could not be told; the lease will run out"),
        }
    }

    fn failed(&self, lease: &Lease, fence: &Fence, error: &ForecastError) -> Result<(), LedgerError> {
        // whoever has it now will tell
        if !fence.is_open() {
            return Err(LedgerError::LeaseLost);
        }
        let Failed { fault, reason, may_pass } = classify(error);
        if may_pass && lease.fruitless < MOST_FRUITLESS {
            let doublings = u32::try_from(lease.fruitless.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
            let delay = (FIRST_DELAY * 2u32.pow(doublings)).min(LONGEST_DELAY);
            tracing::warn!(run = %lease.run.path, %reason, ?delay, "will be tried again");
            let told = format!("will be tried again: {reason}");
            self.patiently(fence, || self.settings.ledger.give_back(lease, delay, &told))
        } else {
            tracing::error!(run = %lease.run.path, %reason, "given up");
            self.patiently(fence, || self.settings.ledger.fail(lease, fault, &reason))
        }
    }

    /// Tells the ledger, again and again while the lease is certain.
    fn patiently<F>(&self, fence: &Fence, tell: impl Fn() -> F) -> Result<(), LedgerError>
    where
        F: Future<Output = Result<(), LedgerError>>,
    {
        loop {
            match self.runtime.block_on(tell()) {
                Err(LedgerError::Database(error)) if fence.is_open() => {
                    tracing::warn!(%error, "the ledger does not answer; trying again");
                    std::thread::sleep(LEDGER_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Number of steps that are there in the end.
    fn compute(&self, lease: &Lease, fence: &Fence) -> Result<usize, ForecastError> {
        let (run_record, request) = (&lease.run, &lease.run.request);
        let gone = || ForecastError::Configuration("its model package is not here any more".to_owned());
        let packages = &self.settings.packages;
        let package = packages.iter().find(|package| package.digest() == run_record.model_digest).ok_or_else(gone)?;
        let reference_time = run_record.path.reference_time;
        let reading = tracing::info_span!("read").entered();
        self.check_unchanged(lease)?;
        let open = |files: &[String]| -> Result<Inventory, ForecastError> {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let inventory = Inventory::open(&files, &self.settings.isolation)?;
            Ok(inventory.trusting_units(request.trust_units.clone()).as_known_at(Some(reference_time)))
        };
        let init = open(&request.init)?;
        let boundary = (!request.boundary.is_empty()).then(|| open(&request.boundary)).transpose()?;
        let regridding = Regridding::parse(&request.regrid, package)?;
        let sources = Sources { init: &init, boundary: boundary.as_ref(), regridding };
        let initial = read_inputs(package, &sources, Some(reference_time), request.lead_time, &self.device)?;
        let initial = initial.for_ensemble(package, &sources, &request.ensemble, &self.device)?;
        drop(reading);
        let options = RunOptions {
            lead_time: request.lead_time,
            ensemble: request.ensemble,
            statistics: request.statistics.clone(),
            encoding: request.encoding,
            overwrite: false,
            true_winds: request.true_winds,
            fingerprint: Some(request.fingerprint.clone()),
        };
        let path = path_in_store(package, &super::identify(package, &initial.digest, reference_time, &options));
        if path != run_record.path {
            return Err(ForecastError::Configuration(format!(
                "the run is {path} for this worker; do all machines have the same vejr?"
            )));
        }
        let location = path.location(&self.settings.store);
        let mut follower = Teller { bench: self, lease, fence };
        let members = request.ensemble.part(usize::try_from(lease.part).unwrap_or(usize::MAX));
        let to = Destination { location: &location, members: Some(members), fence: Some(fence.clone()) };
        run(
            package,
            (&self.device.clone().into(), self.meter.as_ref()),
            initial,
            (to, &options),
            &self.runtime,
            &mut follower,
        )?;
        Ok(run_record.steps_total)
    }

    /// The analysis must be the one that was there when the run was asked for.
    fn check_unchanged(&self, lease: &Lease) -> Result<(), ForecastError> {
        let request = &lease.run.request;
        let found = self.runtime.block_on(fingerprint(
            lease.run.path.reference_time,
            (&request.init, &request.boundary),
            (&request.regrid, &request.trust_units),
        ));
        match found {
            Ok(found) if found == request.fingerprint => Ok(()),
            Ok(_) => Err(ForecastError::Input(
                "the analysis was replaced after the run was asked for; ask again for a forecast from the new one"
                    .to_owned(),
            )),
            Err(ArrivalsError::NotYet { missing, .. }) => Err(ForecastError::Input(format!(
                "the analysis is gone: there is no {}; do all workers see the same files?",
                missing.join(", no ")
            ))),
            Err(error) => Err(ForecastError::Store(StoreError::Storage {
                doing: "looking for the analysis".to_owned(),
                source: error.into(),
            })),
        }
    }
}

/// Deadlines of runs that nobody has begun.
async fn end_what_waited_too_long(ledger: Ledger, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = ledger.expire().await {
            tracing::warn!(%error, "deadlines could not be looked at");
        }
        tokio::time::sleep(HOUSEKEEPING).await;
    }
}

/// Whose fault a failure is, and whether it may pass.
fn classify(error: &ForecastError) -> Failed {
    let fault = match error {
        ForecastError::Configuration(_) => RunFault::Configuration,
        ForecastError::Ingest(_) | ForecastError::NotYet { .. } | ForecastError::Input(_) => RunFault::Input,
        ForecastError::Store(_) => RunFault::Storage,
        ForecastError::Compute(_) => RunFault::Device,
        ForecastError::Implausible(_) | ForecastError::Stopped(_) | ForecastError::Panicked(_) => RunFault::Other,
    };
    Failed { fault, reason: error.to_string(), may_pass: error.may_pass() }
}

/// What somebody said who panicked.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// Renews a lease until it is lost, its device does not work any more, or this is dropped.
async fn keep((ledger, lease): (Ledger, Lease), duration: Duration, fence: Fence, watch: DeviceWatch) {
    let mut ticks = tokio::time::interval(duration / 4);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(problem) = watch.problem() {
            tracing::error!(run = %lease.run.path, problem, "the device does not work: somebody else may go on with the run");
            fence.close();
            return;
        }
        let since = Moment::now();
        match tokio::time::timeout(duration / 2, ledger.renew(&lease, duration)).await {
            Ok(Ok(())) => fence.open(since, duration),
            Ok(Err(LedgerError::LeaseLost)) => {
                fence.close();
                return;
            }
            Ok(Err(error)) => tracing::warn!(%error, "a lease could not be renewed"),
            Err(_) => tracing::warn!("a lease could not be renewed in time"),
        }
    }
}

/// Tells the ledger how a run goes, and the run when to stop.
struct Teller<'a> {
    bench: &'a Bench,
    lease: &'a Lease,
    fence: &'a Fence,
}

impl Teller<'_> {
    fn tell<F>(&self, tell: impl Fn() -> F) -> Result<(), Stop>
    where
        F: Future<Output = Result<(), LedgerError>>,
    {
        if !self.fence.is_open() {
            return Err(Stop::Withdrawn);
        }
        match self.bench.patiently(self.fence, tell) {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(run = %self.lease.run.path, %error, "stops here");
                self.fence.close();
                Err(Stop::Withdrawn)
            }
        }
    }
}

impl Follower for Teller<'_> {
    fn begins(&mut self, steps_complete: usize) -> Result<(), Stop> {
        self.tell(|| self.bench.settings.ledger.begins(self.lease, steps_complete))
    }

    fn published(&mut self, progress: &Progress) -> Result<(), Stop> {
        let detail =
            progress.member.map_or(String::new(), |(member, _)| format!("member {member}, step {}", progress.step));
        self.tell(|| self.bench.settings.ledger.published_of(self.lease, progress.complete, &detail))?;
        if let Some(told) = self.bench.settings.events.step.as_ref().filter(|_| progress.step > 0) {
            told(progress.seconds, progress.joules);
        }
        match self.bench.stop.load(Ordering::Acquire) {
            true if progress.complete <= progress.total => Err(Stop::Draining),
            _ => Ok(()),
        }
    }

    fn completes(&mut self) -> Result<(), Stop> {
        self.tell(|| self.bench.settings.ledger.completes(self.lease))
    }

    fn gives_up(&mut self, error: &ForecastError) -> bool {
        self.fence.is_open() && !(error.may_pass() && self.lease.fruitless < MOST_FRUITLESS)
    }
}
