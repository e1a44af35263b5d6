//! Whose fault it was.

use crate::forecast::ForecastError;
use crate::ingest::{IngestError, Problem};
use crate::store::StoreError;

/// A run that did not do what was asked; each kind has its exit code in the contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// Everything that is wrong with the environment, or does not go with the model.
    #[error("the configuration cannot be used:\n{}", list(.0))]
    Configuration(Vec<String>),
    #[error("the input store does not match what is configured:\n{}", list(.0))]
    Input(Vec<String>),
    #[error("the device cannot be used: {0}; DEVICE takes auto, cuda or cpu")]
    Device(String),
    #[error("storage failed: {0}")]
    Storage(String),
    #[error("the forecast failed: {0}")]
    Failed(String),
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("  - {problem}")).collect::<Vec<_>>().join("\n")
}

impl ContractError {
    pub(super) fn configuration(problem: String) -> Self {
        Self::Configuration(vec![problem])
    }

    pub(super) fn input(problem: Problem) -> Self {
        Self::Input(vec![problem.to_string()])
    }
}

impl From<IngestError> for ContractError {
    fn from(error: IngestError) -> Self {
        Self::Input(error.problems.iter().map(ToString::to_string).collect())
    }
}

impl From<StoreError> for ContractError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<ForecastError> for ContractError {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Configuration(problem) => Self::configuration(problem),
            ForecastError::Input(problem) => Self::Input(vec![problem]),
            ForecastError::Ingest(error) | ForecastError::NotYet { missing: error, .. } => error.into(),
            ForecastError::Store(error) => error.into(),
            error @ (ForecastError::Implausible(_)
            | ForecastError::Compute(_)
            | ForecastError::Panicked(_)
            | ForecastError::Stopped(_)) => Self::Failed(error.to_string()),
        }
    }
}
