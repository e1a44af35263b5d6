//! How a command ends when it cannot do what it was asked.

use std::fmt;

use crate::device::DeviceError;
use crate::forecast::ForecastError;
use crate::import::ImportError;
use crate::ingest::IngestError;
use crate::location::LocationError;
use crate::model::PackageError;
use crate::store::StoreError;

/// Whose fault it is; the number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Other = 1,
    Configuration = 2,
    Input = 3,
    Device = 4,
    Storage = 5,
    /// The analysis that was asked for has not arrived.
    NotYet = 6,
}

/// A fault with its message.
#[derive(Debug)]
pub struct Failure {
    pub fault: Fault,
    pub message: String,
}

impl Failure {
    pub fn new(fault: Fault, message: impl fmt::Display) -> Self {
        Self { fault, message: message.to_string() }
    }

    pub fn configuration(message: impl fmt::Display) -> Self {
        Self::new(Fault::Configuration, message)
    }
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        Self::configuration(error)
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let fault = match error {
            ImportError::Exists(_) => Fault::Configuration,
            ImportError::Write { .. } => Fault::Storage,
            _ => Fault::Input,
        };
        Self::new(fault, error)
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        Self::new(Fault::Input, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Fault::Storage, error)
    }
}

impl From<LocationError> for Failure {
    fn from(error: LocationError) -> Self {
        Self::new(Fault::Storage, error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let fault = match error {
            DeviceError::Unknown { .. } | DeviceError::Shards { .. } => Fault::Configuration,
            DeviceError::Unavailable { .. } => Fault::Device,
        };
        Self::new(fault, error)
    }
}

impl From<ForecastError> for Failure {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Configuration(_) => Self::configuration(error),
            ForecastError::Ingest(error) => error.into(),
            ForecastError::Store(error) => error.into(),
            ForecastError::NotYet { .. } => Self::new(Fault::NotYet, error),
            ForecastError::Input(_) => Self::new(Fault::Input, error),
            ForecastError::Implausible(_)
            | ForecastError::Compute(_)
            | ForecastError::Panicked(_)
            | ForecastError::Stopped(_) => Self::new(Fault::Other, error),
        }
    }
}
