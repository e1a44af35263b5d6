//! The contract that DMI's infrastructure has with a forecasting container: everything comes from environment variables, one
//! Zarr store goes in, one comes out, and the exit code says whose fault it was.
//!
//! The contract is that of <https://github.com/dmidk/dummy-mlwp-model>, the stand-in that the infrastructure was built
//! against; this is what takes its place. What the stand-in cannot know, the model package says: which variables and levels
//! it reads and predicts, and its time step.
//!
//! From below: `declared` (the grammar of variables) → `settings`, `storage`, `unread` (the environment) → `input` (what the
//! store must be) → `predicted` (which output is which channel) → `output` (the store that is written). Beside it stands
//! `scheme`: a published forecast as DMI's own stores, under DMI's paths.

mod declared;
mod error;
mod input;
mod output;
mod predicted;
mod scheme;
mod settings;
mod storage;
mod store;
mod unread;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tokio::runtime::Runtime;
use tracing::{info, warn};

pub use error::ContractError;
pub use scheme::{Scheme, publish};
pub use settings::Settings;

use crate::atmos::{LeadTime, ReferenceTime, ValidTime};
use crate::device::device_name;
use crate::forecast::{self, ForecastError, Rollout, Sources, check_plausible};
use crate::ingest::{Dataset, Inventory};
use crate::model::ModelPackage;
use input::StoreLayout;
use output::{Header, OutputStore};

/// The variables of this process. One that is not UTF-8 is none of the contract's.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads, forecasts with the package at `model`, writes.
pub fn run(environment: &BTreeMap<String, String>, model: &Path, runtime: &Runtime) -> Result<(), ContractError> {
    let started = Instant::now();
    info!("Starting vejr {}", env!("CARGO_PKG_VERSION"));
    unread::warnings(environment.keys()).iter().for_each(|warning| warn!("{warning}"));
    let settings = Settings::parse(environment)?;
    settings.log();
    let package = ModelPackage::open(model).map_err(|error| ContractError::configuration(error.to_string()))?;
    info!("Model {} {} from {}", package.name(), package.manifest().model.version, model.display());
    let outputs = predicted::outputs(&settings, &package)?;

    info!("Opening input store {}", settings.input_zarr);
    let format = runtime.block_on(storage::zarr_format(&settings.source, &settings.input_zarr))?;
    let dataset = Dataset::of_store(&settings.source).map_err(ContractError::input)?;
    let layout = StoreLayout::check(&dataset, &settings)?;
    let inventory = Inventory::of_store(&settings.source)?;
    let selected = layout.select(&settings)?;
    let (reference_time, step) = timing(&settings, &package, &layout.times[selected])?;

    let device = settings.device.open().map_err(|error| ContractError::Device(error.to_string()))?;
    info!("Computing on {}", device_name(&device));
    let steps = settings.forecast_steps;
    let strides = step.seconds() / package.time_step().seconds();
    let lead_time = step.checked_mul(steps).filter(|_| steps * strides <= forecast::MOST_STEPS).ok_or_else(|| {
        ContractError::configuration(format!("N_FORECAST_STEPS={steps} steps of {step} are more than a forecast has"))
    })?;
    let told = package.needs_boundary().then_some(&inventory);
    let sources = Sources { boundary: told, ..Sources::new(&inventory) };
    let initial = forecast::read_inputs(&package, &sources, Some(reference_time), lead_time, &device);
    let initial = initial.map_err(|error| match (ContractError::from(error), told) {
        (ContractError::Input(mut problems), Some(_)) => {
            problems.push(format!(
                "{} covers a limited area, and needs its variables in the store until {}, {lead_time} after the last selected \
                 time: N_INPUT_TIMESTEPS selects",
                package.name(),
                reference_time + lead_time
            ));
            ContractError::Input(problems)
        }
        (error, _) => error,
    })?;
    let grid = initial.surroundings.grid.clone();
    let shown = layout.shown(&inventory, &settings)?;
    // before the store that is there is replaced
    let model = package.load(&device.clone().into(), initial.surroundings);
    let model = model.map_err(|error| ContractError::configuration(error.to_string()))?;
    let header = Header {
        settings: &settings,
        dataset: &dataset,
        layout: &layout,
        package: &package,
        device: device_name(&device).to_owned(),
        reference_time,
        lead_times: (1..=steps).map(|n| LeadTime::from_seconds(n * step.seconds())).collect(),
        format: settings.zarr_format.unwrap_or(format),
    };
    info!("Writing {} (Zarr format {})", settings.output_zarr, header.format);
    let mut store = OutputStore::begin(&header, &outputs, runtime)?;
    let failed = |error: &dyn std::fmt::Display| ContractError::Failed(error.to_string());
    let rollout = Rollout::new(&*model, initial.states).ok_or_else(|| failed(&"too few input states"))?;
    for (n, state) in (1i64..=steps * strides).zip(rollout) {
        let state = state.map_err(|error| failed(&error))?;
        let fields = state.to_fields(package.layout(), &grid).map_err(|error| failed(&error))?;
        let implausible = check_plausible(&fields, package.layout(), false);
        if !implausible.is_empty() {
            return Err(ForecastError::Implausible(implausible).into());
        }
        if n % strides == 0 {
            store.write_step((n / strides - 1) as usize, &fields, shown)?;
            info!("Step {} of {steps}: {}", n / strides, state.valid_time);
        }
    }
    store.finish()?;
    info!("Wrote {} variable(s) and {steps} timestep(s) to {}", outputs.len(), settings.output_zarr);
    info!("Done in {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Reference time and time between outputs.
fn timing(
    settings: &Settings,
    package: &ModelPackage,
    times: &[ValidTime],
) -> Result<(ReferenceTime, LeadTime), ContractError> {
    let own = package.time_step();
    let between = |pair: &[ValidTime]| LeadTime::from_seconds(pair[1].timestamp() - pair[0].timestamp());
    let inferred = times.windows(2).next().map(between);
    let (step, from) = match (settings.timestep, inferred) {
        (Some(given), Some(inferred)) if given != inferred => {
            warn!("FORECAST_TIMESTEP {given} differs from the input's time resolution, {inferred}");
            (given, "FORECAST_TIMESTEP")
        }
        (Some(given), _) => (given, "FORECAST_TIMESTEP"),
        (None, Some(inferred)) => (inferred, "the input's time resolution"),
        (None, None) => {
            return Err(ContractError::configuration(
                "FORECAST_TIMESTEP is needed: the input has a single timestep, which tells no time resolution"
                    .to_owned(),
            ));
        }
    };
    if step.seconds() % own.seconds() != 0 {
        return Err(ContractError::configuration(format!(
            "{from} is {step}, which is no multiple of the time step of {}, {own}; set FORECAST_TIMESTEP to one",
            package.name()
        )));
    }
    match times.last() {
        Some(last) => Ok((last.as_reference(), step)),
        None => Err(ContractError::Input(vec!["the time coordinate has no values".to_owned()])),
    }
}
