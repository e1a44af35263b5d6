//! Everything that is wrong with the input, at once.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `None` where no single file is to blame.
    pub file: Option<PathBuf>,
    pub variable: Option<String>,
    pub found: String,
    /// What was expected, and what to do where that is not the same.
    pub expected: String,
}

impl Problem {
    pub fn in_file(file: impl Into<PathBuf>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { file: Some(file.into()), variable: None, found: found.into(), expected: expected.into() }
    }

    pub fn of(self, variable: impl Into<String>) -> Self {
        Self { variable: Some(variable.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(variable) = &self.variable {
            write!(f, "{variable}: ")?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// Input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the input cannot be used:\n{}", .problems.iter().map(|problem| format!("  - {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct IngestError {
    pub problems: Vec<Problem>,
}

impl IngestError {
    /// Each problem once, in the order of finding.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.to_string()));
        Self { problems }
    }
}
