//! Where the floors below meet: a [`Rollout`] steps a model, a run publishes what it makes.

mod error;
mod input;
mod key;
mod plausible;
mod regridding;
mod rollout;
mod run;
mod told;
mod wind;

pub use error::ForecastError;
pub use input::{InitialStates, Sources, needs, read_initial_states, read_inputs};
pub use key::{RunIdentity, RunKey};
pub use plausible::{Implausible, check_plausible};
pub use regridding::Regridding;
pub use rollout::Rollout;
pub use run::{MOST_STEPS, Progress, RunOptions, RunSummary, identify, path_in_store, run};
