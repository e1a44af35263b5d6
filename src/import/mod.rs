//! What training leaves behind → model packages.
//!
//! `recognise` what was given → read it (checkpoints through [`crate::model::checkpoint`], which executes nothing) → write
//! a package beside its destination, open it as any package is opened, and move it there.

mod error;
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

/// Imports `source` into the package folder `output`, which must not exist yet.
pub fn import(source: &Path, output: &Path, params: &Params) -> Result<Imported, ImportError> {
    if output.exists() {
        return Err(ImportError::Exists(output.to_owned()));
    }
    let source = Source::open(source, params)?;
    let (draft, notes) = neural_lam::import(&source, params)?;
    let package = draft.write(output)?;
    Ok(Imported { package, notes })
}
