//! What can stop an import.

use std::path::PathBuf;

use crate::ingest::Problem;
use crate::model::PackageError;
use crate::model::checkpoint::CheckpointError;

/// An import that made nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0} is there already; give --output a new folder, or remove it first")]
    Exists(PathBuf),
    #[error("{path}: {reason}")]
    Source { path: PathBuf, reason: String },
    #[error("{path}: {source}")]
    Checkpoint { path: PathBuf, source: CheckpointError },
    #[error("{0}")]
    Statistics(Box<Problem>),
    /// Everything that cannot be understood or supported.
    #[error("{path} cannot be imported:\n{}", lines(.problems))]
    Problems { path: PathBuf, problems: Vec<String> },
    #[error("the package cannot be written to {path}: {reason}")]
    Write { path: PathBuf, reason: String },
    /// The package that was made is not sound: what the source says of the network is not what its weights are.
    #[error("what was made of it is no sound package, and was removed: {0}")]
    Unsound(#[from] PackageError),
}

fn lines(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("  - {problem}")).collect::<Vec<_>>().join("\n")
}
