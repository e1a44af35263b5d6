//! Model packages, and networks that step a state forward.
//!
//! A package is a folder: [`Manifest`] (`model.toml`) + `weights.safetensors` + what the architecture needs beside them.
//! [`ModelPackage::open`] validates all of it before any tensor is allocated; [`ModelPackage::load`] then makes a
//! [`StepModel`] on a device: history of [`State`]s → next [`State`].

pub mod arch;
mod channel;
pub mod checkpoint;
mod error;
mod forcings;
mod formula;
mod global_step;
pub mod layers;
mod limited_area;
pub mod manifest;
mod normalizer;
mod numpy;
mod package;
mod parity;
mod sharded;
mod solar;
mod state;
mod step;
mod surroundings;

pub use channel::{Channel, ChannelLayout, Clamp, Role};
pub use error::{PackageError, Problem, ProblemList};
pub use formula::Formula;
pub use limited_area::{BoundaryKind, BoundaryNodes, BoundaryTimes, BoundaryWindow, Frame};
pub use manifest::{Channels, Manifest, Noise, Perturbation, Planet, Predicts};
pub use normalizer::Normalizer;
pub use package::{MANIFEST_FILE, ModelPackage, sha256_of};
pub use parity::{ChannelParity, ParityError};
pub use sharded::ShardedStep;
pub use state::{State, StateError};
pub use step::{NetworkStep, Persistence, StepModel};
pub use surroundings::{ModelGrid, NodeData, Surroundings};
