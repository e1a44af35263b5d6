//! Model packages, and networks that step a state forward.
//!
//! A package is a folder: [`Manifest`] (`model.toml`) + `weights.safetensors` + what the architecture needs beside them.
//! [`ModelPackage::open`] validates all of it before any tensor is allocated; [`ModelPackage::load`] then makes a
//! [`StepModel`] on a device: history of [`State`]s → next [`State`].

pub mod arch;
mod channel;
mod error;
pub mod layers;
mod manifest;
mod normalizer;
mod package;
mod parity;
mod state;
mod step;

pub use channel::{Channel, ChannelLayout, Role};
pub use error::{PackageError, Problem, ProblemList};
pub use manifest::{Manifest, Predicts};
pub use normalizer::Normalizer;
pub use package::{MANIFEST_FILE, ModelPackage};
pub use parity::{ChannelParity, ParityError};
pub use state::{State, StateError};
pub use step::{NetworkStep, Persistence, StepModel};
