//! What can stop a run.

use super::Implausible;
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
}

fn lines(implausible: &[Implausible]) -> String {
    implausible.iter().map(|one| format!("  - {one}")).collect::<Vec<_>>().join("\n")
}
