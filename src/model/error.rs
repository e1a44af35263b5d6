//! What can be wrong with a model package: everything at once.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `model.toml: [[channel]] 3 (t): std`, or a file.
    pub place: String,
    pub found: String,
    /// What was expected, and what to do where that is not the same.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.place, self.found, self.expected)
    }
}

/// All problems of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemList(Vec<Problem>);

impl ProblemList {
    pub fn add(&mut self, place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) {
        self.0.push(Problem { place: place.into(), found: found.into(), expected: expected.into() });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "  - {problem}")?;
        }
        Ok(())
    }
}

/// A package that cannot be opened or loaded.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("no model package at {path}: {source}; expected a folder with model.toml and its weights")]
    Missing { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a manifest: {source}")]
    Manifest { path: PathBuf, source: Box<toml::de::Error> },
    #[error("the model package {path} has problems:\n{problems}")]
    Invalid { path: PathBuf, problems: ProblemList },
    #[error("{path} cannot be computed on {devices} devices together: {reason}")]
    Undivided { path: PathBuf, devices: usize, reason: String },
    #[error("a device of several: {0}")]
    Device(candle_core::Error),
    #[error("loading {path} failed: {source}")]
    Load { path: PathBuf, source: candle_core::Error },
}
