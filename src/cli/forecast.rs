//! `vejr forecast`: one forecast, from files to a published Zarr group.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::progress::Reporter;
use super::{Failure, Fault, isolation, runtime, say};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::device::{DeviceGroup, Energy, EnergyMeter};
use crate::dmi;
use crate::forecast::{self, Destination, Ensemble, EnsembleKind, Regridding, RunOptions, RunSummary, Sources};
use crate::ingest::Inventory;
use crate::location::Location;
use crate::model::ModelPackage;
use crate::store::{Encoding, Exceedance, ForecastReader, Statistics};

/// Forecast from an analysis and publish every step as it is computed.
///
/// The same command again finishes a run that was interrupted, and does nothing where the forecast is complete.
///
/// Example: vejr forecast --model models/held-suarez-sfno --init data-samples/held-suarez-init.nc --lead-time 10d --output f.zarr
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the model package
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// NetCDF or GRIB files or Zarr stores (folder, zip, URL) with the initial states
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    init: Vec<PathBuf>,
    /// The same for a model of a limited area, with what happens at its edges: the state at every step, or the driving model's data
    #[arg(long, value_name = "FILE", num_args = 1..)]
    boundary: Vec<PathBuf>,
    /// Carry input on another grid over to the model's: nearest, bilinear or conservative; of some variables METHOD:VAR,…
    #[arg(long, value_name = "METHOD", num_args = 1..)]
    regrid: Vec<String>,
    /// Start from this member of an ensemble
    #[arg(long, value_name = "NUMBER")]
    member: Option<i64>,
    /// Where to publish: a folder, or a URL such as s3://bucket/f.zarr (credentials from the AWS_… variables)
    #[arg(long, value_name = "URL")]
    output: String,
    /// UTC time of the analysis [default: the latest for which the files hold all input states]
    #[arg(long, value_name = "TIME")]
    reference_time: Option<ReferenceTime>,
    /// How far to forecast, for instance 10d or 240h; a multiple of the model's time step [default: 10d]
    #[arg(long, conflicts_with = "steps")]
    lead_time: Option<LeadTime>,
    /// The same as a number of steps
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Members of an ensemble, of which number 0 is the control: it starts from the analysis itself
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    members: usize,
    /// Of the noise that the other members start with: the same seed gives the same members
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How members start apart: noise, as the package says, or lagged:6h (number k starts k lags earlier)
    #[arg(long, value_name = "KIND", default_value = "noise")]
    perturbation: EnsembleKind,
    /// Members that are advanced side by side; it changes no number
    #[arg(long, value_name = "N", default_value_t = 1)]
    member_batch: usize,
    /// Quantiles of the members that are published for each lead time, beside their mean and spread
    #[arg(long, value_name = "P", num_args = 0.., default_values_t = [0.1, 0.5, 0.9])]
    quantiles: Vec<f64>,
    /// Publish the fraction of the members that are above a threshold, for instance t2m>273.15 or "t 500hPa>250"
    #[arg(long, value_name = "VAR>VALUE", num_args = 1..)]
    exceed: Vec<Exceedance>,
    /// auto, cpu, cuda, cuda:N, or with --shards several: cuda:0,1
    #[arg(long, default_value = "auto")]
    device: String,
    /// Divide each state among so many devices, for a model whose state does not fit onto one; of the CPU, each is a share of its
    /// cores
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    shards: usize,
    /// float32 (lossless), or packed: int16 at forecasters' precision
    #[arg(long, default_value = "float32")]
    encoding: Encoding,
    /// What winds on a projected grid are published as: along its axes, or turned to east and north
    #[arg(long, value_name = "FRAME", default_value = "as-is", value_parser = ["as-is", "true"])]
    winds: String,
    /// Folder or URL below which the forecast is written as DMI's stores, too: MODEL/CONFIG/AREA/RESOLUTION/TIME/memberN/KIND.zarr
    #[arg(long, value_name = "ROOT")]
    dmi_stores: Option<String>,
    /// The CONFIG of their paths
    #[arg(long, value_name = "CONFIG", default_value = "default", requires = "dmi_stores")]
    dmi_config: String,
    /// Replace another forecast that lies at --output
    #[arg(long)]
    overwrite: bool,
    /// Believe the units of these variables, even where the values contradict them
    #[arg(long, value_name = "VAR", num_args = 1..)]
    trust_units: Vec<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let devices = DeviceGroup::open(&arguments.device, arguments.shards)?;
    // before anything is computed
    let meter = EnergyMeter::together(&devices);
    let package = ModelPackage::open(&arguments.model)?;
    package.check_devices(&devices, package.grid().fixed().map(AsRef::as_ref))?;
    let lead_time = lead_time(&package, arguments.lead_time, arguments.steps)?;
    let Arguments { members, seed, perturbation, member_batch, .. } = arguments;
    let ensemble = Ensemble { members, seed, kind: perturbation, side_by_side: member_batch };
    ensemble.check(&package).map_err(Failure::configuration)?;
    let statistics = Statistics { quantiles: arguments.quantiles.clone(), exceed: arguments.exceed.clone() };
    statistics.check(&package.layout().variables()).map_err(Failure::configuration)?;
    let location = Location::parse(&arguments.output)?;
    let scheme = |root: &String, member: usize| -> Result<dmi::Scheme, Failure> {
        let member = u32::try_from(member).unwrap_or(u32::MAX);
        Ok(dmi::Scheme::new(Location::parse(root)?, &arguments.dmi_config, member)?)
    };
    let stores = arguments.dmi_stores.iter().flat_map(|root| (0..members).map(move |member| scheme(root, member)));
    let schemes = stores.collect::<Result<Vec<_>, _>>()?;
    let runtime = runtime()?;
    let open = |files: &[PathBuf]| -> Result<Inventory, Failure> {
        let inventory = Inventory::open(files, &isolation()?)?.trusting_units(arguments.trust_units.clone());
        Ok(inventory.as_known_at(arguments.reference_time))
    };
    let mut init = open(&arguments.init)?;
    let mut boundary = (!arguments.boundary.is_empty()).then(|| open(&arguments.boundary)).transpose()?;
    if let Some(member) = arguments.member {
        init = init.of_member(member)?;
        // what drives an ensemble may be one forecast
        boundary = match boundary {
            Some(boundary) if boundary.has_members() => Some(boundary.of_member(member)?),
            other => other,
        };
    }
    let regridding = Regridding::parse(&arguments.regrid, &package)?;
    let sources = Sources { init: &init, boundary: boundary.as_ref(), regridding };
    let initial = forecast::read_inputs(&package, &sources, arguments.reference_time, lead_time, devices.states())?;
    let initial = initial.for_ensemble(&package, &sources, &ensemble, devices.states())?;
    sources.regridding.notes().iter().for_each(|note| eprintln!("regridded: {note}"));
    if !arguments.json {
        let name = match members {
            1 => package.name().to_owned(),
            members => format!("{}, {members} members,", package.name()),
        };
        eprintln!("{name} on {}: {lead_time} from {}, to {location}", devices.name(), initial.reference_time);
    }
    let mut reporter = Reporter::new(arguments.json);
    let options = RunOptions {
        lead_time,
        ensemble,
        statistics,
        encoding: arguments.encoding,
        overwrite: arguments.overwrite,
        true_winds: arguments.winds == "true",
        fingerprint: None,
    };
    let to = Destination { location: &location, members: None, fence: None };
    let summary =
        forecast::run(&package, (&devices, meter.as_ref()), initial, (to, &options), runtime.handle(), &mut reporter);
    reporter.finish();
    let summary = summary?;
    if !schemes.is_empty() {
        let reader = runtime.block_on(ForecastReader::open(&location))?;
        for (member, scheme) in schemes.iter().enumerate() {
            for place in dmi::publish(&reader.of_member(member)?, scheme, &runtime)? {
                eprintln!("{place}");
            }
        }
    }
    if arguments.json {
        say(summary_json(&summary, &location))
    } else {
        say(summary_text(&summary, &location))
    }
    Ok(())
}

/// `--lead-time` or `--steps` as a whole number of the model's steps.
pub(super) fn lead_time(
    package: &ModelPackage,
    lead_time: Option<LeadTime>,
    steps: Option<u32>,
) -> Result<LeadTime, Failure> {
    let step = package.time_step();
    let lead_time = match (lead_time, steps) {
        (_, Some(steps)) => step.checked_mul(i64::from(steps)).unwrap_or(LeadTime::ZERO),
        (Some(lead_time), None) => lead_time,
        (None, None) => LeadTime::from_hours(240),
    };
    let count = lead_time.seconds() / step.seconds();
    if lead_time.seconds() % step.seconds() != 0 || count < 1 {
        let message = format!(
            "--lead-time {lead_time} is not a multiple of the model's time step, {step}; use a multiple of at least one step"
        );
        return Err(Failure::configuration(message));
    }
    if count > forecast::MOST_STEPS {
        let message =
            format!("--lead-time {lead_time} is {count} steps; a forecast has at most {} steps", forecast::MOST_STEPS);
        return Err(Failure::configuration(message));
    }
    Ok(lead_time)
}

pub(super) fn summary_text(summary: &RunSummary, location: &Location) -> String {
    let RunSummary { members, steps_computed, wall_seconds, step_seconds, .. } = summary;
    let steps_total = summary.steps_total * members;
    let memory = summary.peak_resident_bytes.map_or("not measured".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    if *steps_computed == 0 {
        return format!("{location} is complete already: {steps_total} steps, nothing was computed");
    }
    format!(
        "{location}: {steps_computed} of {steps_total} steps computed in {wall_seconds:.2} s \
         ({step_seconds:.2} s in the network), peak memory {memory}, {}",
        energy_text(summary)
    )
}

fn energy_text(summary: &RunSummary) -> String {
    let Some(Energy { joules, idle_joules, source }) = &summary.energy else {
        return "energy not measured".to_owned();
    };
    let per_member = match summary.members {
        1 => String::new(),
        members => format!(", {:.0} J a member", joules / members as f64),
    };
    let idle = 100.0 * idle_joules / joules.max(f64::MIN_POSITIVE);
    format!("{joules:.0} J{per_member} (idle share {idle:.0} %; {source})")
}

fn summary_json(summary: &RunSummary, location: &Location) -> serde_json::Value {
    json!({
        "output": location.to_string(),
        "run_key": summary.run_key.as_str(),
        "reference_time": summary.reference_time,
        "members": summary.members,
        "steps_total": summary.steps_total,
        "steps_computed": summary.steps_computed,
        "wall_seconds": summary.wall_seconds,
        "step_seconds": summary.step_seconds,
        "peak_resident_bytes": summary.peak_resident_bytes,
        "joules": summary.energy.as_ref().map(|energy| energy.joules),
        "idle_joules": summary.energy.as_ref().map(|energy| energy.idle_joules),
        "energy_source": summary.energy.as_ref().map(|energy| energy.source.to_string()),
    })
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Fault::Other, error)
    }
}
