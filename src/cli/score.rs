//! `vejr score`: how good a forecast was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ndarray::Array2;

use super::{Failure, Fault, isolation, runtime, say};
use crate::atmos::{Analysis, LeadTime, Level, ReferenceTime, ValidTime, Variable};
use crate::ingest::{Inventory, Request};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::score::{Cell, Pair, Verification, as_json, as_table, ensemble_table, summary};
use crate::store::{self, ForecastReader};

/// Score forecasts against analyses: area-weighted RMSE, bias and anomaly correlation, beside those of persistence.
///
/// Of ensembles these are the control's, and CRPS, RMSE of the mean, spread and the ranks of the truth (--json) the members'.
///
/// FORECAST may be one forecast, or a folder or URL with many: then scores are averaged over all of them. Every lead time
/// is scored for which the truth holds the valid time.
///
/// Example: vejr score f.zarr data-samples/held-suarez-truth.nc --model models/held-suarez-sfno
#[derive(Debug, Args)]
pub struct Arguments {
    /// A published forecast, or a place with several
    forecast: String,
    /// NetCDF files with the verifying analyses
    #[arg(required = true)]
    truth: Vec<PathBuf>,
    /// Climatology that anomalies are measured from [default: the model's, else the mean of the truth over its times]
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    climatology: Option<PathBuf>,
    /// Model package whose climatology is used
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Believe the units of these variables, even where the values contradict them
    #[arg(long, value_name = "VAR", num_args = 1..)]
    trust_units: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

type Fields = BTreeMap<(Arc<str>, Level), Array2<f32>>;

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    let place = Location::parse(&arguments.forecast)?;
    let mut readers = Vec::new();
    for location in runtime.block_on(store::find_forecasts(&place))? {
        readers.push(runtime.block_on(ForecastReader::open(&location))?);
    }
    let Some(first) = readers.first() else {
        return Err(Failure::new(Fault::Storage, format!("no forecasts at {place}")));
    };
    let grid = first.spec().grid.clone();
    let forecast: Vec<(Variable, Level)> = first
        .spec()
        .outputs
        .iter()
        .flat_map(|output| output.levels.iter().map(|&level| (output.variable.clone(), level)))
        .collect();
    if let Some(other) = readers.iter().find(|reader| !reader.spec().grid.same_points(&grid)) {
        let (other, grid) = (other.location(), other.spec().grid.clone());
        return Err(Failure::new(
            Fault::Storage,
            format!("{other} is on another grid ({grid}); score forecasts of one model at a time"),
        ));
    }

    let truth = Inventory::open(&arguments.truth, &isolation()?)?.trusting_units(arguments.trust_units.clone());
    let available = truth.times();
    let all = |fields: &[(Variable, Level)]| fields.iter().cloned().map(Into::into).collect();
    let one = |field: &(Variable, Level)| Request { fields: vec![field.clone().into()], times: Vec::new(), grid: None };
    let held = |field: &(Variable, Level)| truth.latest_time_with(&one(field), 1, LeadTime::ZERO).is_some();
    let (wanted, missing): (Vec<_>, Vec<_>) = forecast.iter().cloned().partition(held);
    // where nothing at all is held, reading says what is missing
    let wanted = if wanted.is_empty() { forecast } else { wanted };
    let missing: Vec<String> = missing.iter().map(|(variable, level)| format!("{} {level}", variable.name)).collect();
    let (climatology, origin) = match climatology_file(&arguments)? {
        Some(file) => {
            let inventory = Inventory::open(std::slice::from_ref(&file), &isolation()?)?;
            let times = inventory.times().into_iter().take(1).collect();
            let analysis = inventory.read(&Request { fields: all(&wanted), times, grid: Some(grid.clone()) })?;
            (mean(&analysis), format!("anomalies from {}", file.display()))
        }
        None => {
            let mut sums = Mean::default();
            for &time in &available {
                sums.add(&truth.read(&Request {
                    fields: all(&wanted),
                    times: vec![time],
                    grid: Some(grid.clone()),
                })?);
            }
            (sums.finish(), format!("anomalies from the mean of the truth over its {} times", available.len()))
        }
    };

    let mut verification = Verification::new(&grid);
    for reader in &readers {
        let reference = reader.spec().reference_time;
        let leads: Vec<LeadTime> =
            reader.published_leads().iter().copied().filter(|&lead| lead > LeadTime::ZERO).collect();
        let initial = initial_fields(&runtime, reader, &wanted)?;
        for lead in leads.into_iter().filter(|&lead| available.contains(&(reference + lead))) {
            let request = Request { fields: all(&wanted), times: vec![reference + lead], grid: Some(grid.clone()) };
            let analysis = truth.read(&request)?;
            score_lead(&runtime, reader, &analysis, (reference, lead), &initial, &climatology, &mut verification)?;
        }
    }
    let scores = verification.scores();
    if scores.is_empty() {
        let spans = |times: &[ValidTime]| match times {
            [] => "no times".to_owned(),
            [first, .., last] => format!("{first} to {last}"),
            [one] => one.to_string(),
        };
        let valid: Vec<ValidTime> =
            first.published_leads().iter().map(|&lead| first.spec().reference_time + lead).collect();
        let message =
            format!("nothing to score: the truth holds {}, the forecast is valid {}", spans(&available), spans(&valid));
        return Err(Failure::new(Fault::Input, message));
    }
    let units = |name: &str| {
        wanted.iter().find(|(variable, _)| &*variable.name == name).map_or(String::new(), |(v, _)| v.units.to_string())
    };
    if arguments.json {
        say(
            serde_json::json!({ "forecasts": readers.len(), "climatology": origin, "scores": as_json(&scores, units) }),
        );
    } else {
        say(format!("{} forecast(s); area-weighted; {origin}", readers.len()));
        say(as_table(&scores, units));
        let ensembles = ensemble_table(&scores, units);
        if !ensembles.is_empty() {
            say(format!("Of the ensembles; above, of their controls\n{ensembles}"));
        }
        say(summary(&scores));
        if !missing.is_empty() {
            say(format!("not scored, because the truth does not hold them as asked for: {}", missing.join(", ")));
        }
    }
    Ok(())
}

fn climatology_file(arguments: &Arguments) -> Result<Option<PathBuf>, Failure> {
    match (&arguments.climatology, &arguments.model) {
        (Some(file), _) => Ok(Some(file.clone())),
        (None, Some(folder)) => {
            let file = ModelPackage::open(folder)?.file("climatology");
            let missing = || {
                format!(
                    "{} has no climatology (a [[file]] with role \"climatology\"); give --climatology FILE",
                    folder.display()
                )
            };
            file.map(Some).ok_or_else(|| Failure::configuration(missing()))
        }
        (None, None) => Ok(None),
    }
}

fn initial_fields(
    runtime: &tokio::runtime::Runtime,
    reader: &ForecastReader,
    wanted: &[(Variable, Level)],
) -> Result<Fields, Failure> {
    let mut fields = Fields::new();
    for (variable, level) in wanted {
        let field = runtime.block_on(reader.field(&variable.name, *level, LeadTime::ZERO))?;
        fields.insert((variable.name.clone(), *level), field);
    }
    Ok(fields)
}

fn score_lead(
    runtime: &tokio::runtime::Runtime,
    reader: &ForecastReader,
    analysis: &Analysis,
    (reference, lead): (ReferenceTime, LeadTime),
    initial: &Fields,
    climatology: &Fields,
    verification: &mut Verification,
) -> Result<(), Failure> {
    // of an ensemble that is being made: leads that all members have
    let whole = reader.whole().steps.iter().any(|step| step.lead_seconds == lead.seconds());
    let members = if whole { 0..reader.spec().members } else { 0..0 };
    let members = members.map(|member| reader.of_member(member)).collect::<Result<Vec<_>, _>>()?;
    for (key @ (variable, level), initial) in initial {
        let forecast = runtime.block_on(reader.field(variable, *level, lead))?;
        if let Some(truth) = analysis.get(reference + lead, variable, *level) {
            let pair = Pair { forecast: &forecast, truth: truth.values(), initial, climatology: climatology.get(key) };
            let cell = Cell { variable: variable.clone(), level: *level, lead };
            verification.add(cell.clone(), pair);
            if members.len() > 1 {
                let fields = members.iter().map(|member| runtime.block_on(member.field(variable, *level, lead)));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                verification.add_ensemble(cell, &fields, truth.values());
            }
        }
    }
    Ok(())
}

/// Mean over times, field by field, in float64.
#[derive(Default)]
struct Mean {
    sums: BTreeMap<(Arc<str>, Level), (Array2<f64>, usize)>,
}

impl Mean {
    fn add(&mut self, analysis: &Analysis) {
        for field in analysis.fields() {
            let key = (field.variable().name.clone(), field.level());
            let values = field.values().mapv(f64::from);
            match self.sums.get_mut(&key) {
                Some((sum, count)) => {
                    *sum += &values;
                    *count += 1;
                }
                None => {
                    self.sums.insert(key, (values, 1));
                }
            }
        }
    }

    fn finish(self) -> Fields {
        self.sums
            .into_iter()
            .map(|(key, (sum, count))| (key, sum.mapv(|value| (value / count as f64) as f32)))
            .collect()
    }
}

fn mean(analysis: &Analysis) -> Fields {
    let mut mean = Mean::default();
    mean.add(analysis);
    mean.finish()
}
