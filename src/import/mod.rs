//! What training leaves behind → model packages.
//!
//! `recognise` what was given → read it (checkpoints through [`crate::model::checkpoint`], which executes nothing) → write
//! a package beside its destination, open it as any package is opened, and move it there.

mod error;
mod graphcast;
mod neural_lam;
mod params;
mod source;
mod write;

use std::path::Path;

pub use error::ImportError;
pub use neural_lam::{BareNetwork, read_network};
pub use params::Params;

use crate::model::ModelPackage;
use source::Source;

/// What an import made, and what its user should know.
#[derive(Debug)]
pub struct Imported {
    pub package: ModelPackage,
    /// What the source does not tell and was assumed.
    pub notes: Vec<String>,
}

/// What training leaves behind differs by architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NeuralLam,
    GraphCast,
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "neural-lam" => Ok(Self::NeuralLam),
            "graphcast" => Ok(Self::GraphCast),
            other => Err(format!("{other:?}; expected neural-lam or graphcast")),
        }
    }
}

/// Imports `source` into the package folder `output`, which must not exist yet; as `kind`, or as what it looks like.
pub fn import(source: &Path, output: &Path, params: &Params, kind: Option<Kind>) -> Result<Imported, ImportError> {
    if output.exists() {
        return Err(ImportError::Exists(output.to_owned()));
    }
    let parameters = match kind {
        Some(Kind::NeuralLam) => None,
        Some(Kind::GraphCast) => Some(graphcast::recognise(source)?.unwrap_or(source.to_owned())),
        None => graphcast::recognise(source)?,
    };
    let (draft, notes) = match parameters {
        Some(parameters) => graphcast::import(&parameters, params)?,
        None => neural_lam::import(&Source::open(source, params)?, params)?,
    };
    let package = draft.write(output)?;
    Ok(Imported { package, notes })
}
