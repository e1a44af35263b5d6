//! `vejr dmi-container`: a forecast as DMI's infrastructure asks for it, by environment variables.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Fault, runtime};
use crate::dmi::{self, ContractError};

/// Forecast as DMI's containers do: everything by environment variables, one Zarr store in, one out.
///
/// Read: INPUT_ZARR, OUTPUT_ZARR, INPUT_VARIABLES, OUTPUT_VARIABLES, LEVEL_COORDS, N_INPUT_TIMESTEPS, N_FORECAST_STEPS,
/// FORECAST_TIMESTEP, TIME_COORD, Y_COORD, X_COORD, DEVICE, ZARR_FORMAT, LOG_LEVEL, and for each store SRC_… and DST_…
/// AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, S3_ANON, S3_ENDPOINT_URL, STORAGE_OPTIONS.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the model package
    #[arg(long, value_name = "DIR", default_value = "/model")]
    model: PathBuf,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    dmi::run(&dmi::environment(), &arguments.model, &runtime()?).map_err(Failure::from)
}

/// What LOG_LEVEL means to the log's filter, with loguru's names; `None` where it is none of them.
pub(super) fn log_filter(level: &str) -> Option<&'static str> {
    Some(match level.trim().to_uppercase().as_str() {
        "TRACE" => "warn,vejr=trace",
        "DEBUG" => "warn,vejr=debug",
        "" | "INFO" | "SUCCESS" => "warn,vejr=info",
        "WARNING" | "WARN" => "warn",
        "ERROR" | "CRITICAL" => "error",
        _ => return None,
    })
}

impl From<ContractError> for Failure {
    fn from(error: ContractError) -> Self {
        let fault = match error {
            ContractError::Configuration(_) => Fault::Configuration,
            ContractError::Input(_) => Fault::Input,
            ContractError::Device(_) => Fault::Device,
            ContractError::Storage(_) => Fault::Storage,
            ContractError::Failed(_) => Fault::Other,
        };
        Self::new(fault, error)
    }
}
