//! What can stop a run.

use super::{Implausible, Stop};
use crate::atmos::ReferenceTime;
use crate::ingest::IngestError;
use crate::store::StoreError;

/// A run that did not finish. What was published before stays published.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The request cannot be meant.
    #[error("{0}")]
    Configuration(String),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The files would do, but for a later time than they hold.
    #[error(
        "the analysis of {reference_time} has not arrived: the files hold the model's input until {latest}\n{missing}"
    )]
    NotYet { reference_time: ReferenceTime, latest: ReferenceTime, missing: IngestError },
    /// The analysis does not fit the model.
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The step is not published.
    #[error("the forecast became unphysical and was stopped before this step was published:\n{}", lines(.0))]
    Implausible(Vec<Implausible>),
    #[error("computing a step failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// A bug of ours or below, which ends the run's attempt and not its worker.
    #[error("computing a step panicked: {0}")]
    Panicked(String),
    #[error("the run was stopped: {}", match .0 { Stop::Draining => "this process ends", Stop::Withdrawn => "it is not this process's any more" })]
    Stopped(Stop),
}

impl From<Stop> for ForecastError {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl ForecastError {
    /// Whether the same may go well later: storage fails and mends, a device runs out of memory; an analysis does not change.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(
                error,
                StoreError::AlreadyExists { .. }
                    | StoreError::Invalid { .. }
                    | StoreError::Unpackable { .. }
                    | StoreError::Corrupt { .. }
                    | StoreError::Location(_)
            ),
            Self::Compute(_) | Self::Panicked(_) | Self::Stopped(_) => true,
            Self::Configuration(_) | Self::Ingest(_) | Self::NotYet { .. } | Self::Input(_) | Self::Implausible(_) => {
                false
            }
        }
    }
}

fn lines(implausible: &[Implausible]) -> String {
    implausible.iter().map(|one| format!("  - {one}")).collect::<Vec<_>>().join("\n")
}
