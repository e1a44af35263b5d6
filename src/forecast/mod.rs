//! Where the floors below meet: a [`Rollout`] steps a model, a run publishes what it makes.

mod arrivals;
mod desk;
mod error;
mod facing;
mod input;
mod key;
mod ledger;
mod perturbation;
mod placement;
mod plausible;
mod publisher;
mod regridding;
mod rollout;
mod run;
mod schedule;
mod start;
mod told;
mod wind;
mod worker;

pub use arrivals::{Arrivals, ArrivalsError};
pub use desk::{Asked, Desk, DeskLimits, RequestError};
pub use error::ForecastError;
pub use input::{InitialStates, Sources, needs, read_initial_states, read_inputs};
pub use key::{RunIdentity, RunKey};
pub use ledger::{
    Admission, Attempt, Awaited, AwaitedState, Entering, EventKind, Lease, Ledger, LedgerError, NewRun, OpenRun,
    QueueDepth, RunEvent, RunFault, RunFilter, RunPhase, RunRecord, RunRequest,
};
pub use perturbation::{Ensemble, EnsembleKind, MOST_MEMBERS};
pub use placement::{SlurmPlacement, SlurmSettings};
pub use plausible::{Implausible, check_plausible};
pub use regridding::Regridding;
pub use rollout::Rollout;
pub use run::{
    Destination, Follower, MOST_STEPS, Progress, RunOptions, RunSummary, Stop, identify, path_in_store, run,
};
pub use schedule::{CronTimes, Schedule, ScheduleEvents, ScheduleKeeper};
pub use worker::{Worker, WorkerEvents, WorkerSettings};
