//! `vejr inspect`: what files hold, as ingest understands it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, say};
use crate::atmos::Level;
use crate::forecast;
use crate::ingest::{IngestError, Inventory, Problem, Recognition, SourceFile, SourceVariable};
use crate::model::ModelPackage;

/// Show what vejr understands of NetCDF files, and everything that is wrong with them at once.
///
/// With --model: whether the files hold what the model needs, and what is missing.
///
/// Example: vejr inspect data-samples/held-suarez-init.nc --model models/held-suarez-sfno
#[derive(Debug, Args)]
pub struct Arguments {
    /// NetCDF files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Model package whose needs are checked
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let package = arguments.model.as_deref().map(ModelPackage::open).transpose()?;
    let inventory = Inventory::open(&arguments.files)?;
    let mut problems: Vec<Problem> = Vec::new();
    let mut files = Vec::new();
    for file in inventory.files() {
        let variables: Vec<Value> =
            file.variables.iter().map(|variable| describe(&inventory, file, variable, &mut problems)).collect();
        let unread: Vec<Value> =
            file.unread.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
        files.push(json!({ "file": file.path, "format": file.format, "variables": variables, "not_read": unread }));
    }
    let mut reference_time = Value::Null;
    if let Some(package) = &package {
        match forecast::read_initial_states(package, &arguments.files, None, &candle_core::Device::Cpu) {
            Ok(initial) => reference_time = json!(initial.reference_time.to_string()),
            Err(forecast::ForecastError::Ingest(error)) => problems.extend(error.problems),
            Err(other) => return Err(other.into()),
        }
    }
    if arguments.json {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        say(json!({ "files": files, "latest_reference_time": reference_time, "problems": problems }));
    } else {
        files.iter().for_each(print);
        if let (Some(package), Some(time)) = (&package, reference_time.as_str()) {
            say(format!("\n{}: everything is there; the latest forecast can start from {time}", package.name()));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(IngestError { problems }.into()) }
}

fn describe(inventory: &Inventory, file: &SourceFile, variable: &SourceVariable, problems: &mut Vec<Problem>) -> Value {
    let (ours, units) = match &variable.recognition {
        Recognition::Known { variable, .. } => (json!(&*variable.name), json!(&*variable.units)),
        Recognition::Unnamed => (Value::Null, json!(variable.units)),
        Recognition::WrongUnits { variable: ours, accepted } => {
            let found = format!("units {:?}", variable.units);
            problems.push(Problem::in_file(&file.path, found, format!("units {accepted}")).of(&variable.name));
            (json!(&*ours.name), json!(variable.units))
        }
    };
    let range = match inventory.range(file, variable) {
        Ok(range) => {
            json!({ "low": finite(range.low), "high": finite(range.high), "valid": range.valid, "total": range.total })
        }
        Err(problem) => {
            problems.push(problem);
            Value::Null
        }
    };
    let (h, w) = variable.grid.shape();
    let (latitude, longitude) = (variable.grid.latitude(), variable.grid.longitude());
    let levels: Vec<String> =
        variable.levels.iter().filter(|level| **level != Level::Surface).map(ToString::to_string).collect();
    json!({
        "name": variable.name,
        "ours": ours,
        "standard_name": variable.standard_name,
        "long_name": variable.long_name,
        "units_found": variable.units,
        "units": units,
        "levels": levels,
        "times": variable.times.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "grid": {
            "text": variable.grid.to_string(), "rows": h, "columns": w,
            "north": latitude[0], "south": latitude[h - 1], "west": longitude[0], "east": longitude[w - 1],
        },
        "range": range,
    })
}

/// JSON has no infinity: nothing valid is nothing.
fn finite(value: f32) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

fn print(file: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list =
        |value: &Value| value.as_array().map(|items| items.iter().map(text).collect::<Vec<_>>()).unwrap_or_default();
    let empty = Vec::new();
    let variables = file["variables"].as_array().unwrap_or(&empty);
    say(format!("{}  ({})", text(&file["file"]), text(&file["format"])));
    let mut grid = String::new();
    for variable in variables {
        if text(&variable["grid"]["text"]) != grid {
            grid = text(&variable["grid"]["text"]);
            say(format!("  grid   {grid}"));
        }
        let name = text(&variable["name"]);
        let as_ours = match variable["ours"].as_str() {
            Some(ours) if ours == name => ours.to_owned(),
            Some(ours) => format!("{name} = {ours}"),
            None => format!("{name} (not recognised: read under this name only)"),
        };
        let (found, units) = (text(&variable["units_found"]), text(&variable["units"]));
        let units = if found == units { units } else { format!("{units}, from {found}") };
        let range = &variable["range"];
        let missing = range["total"].as_u64().unwrap_or(0) - range["valid"].as_u64().unwrap_or(0);
        let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
        let number = |value: &Value| {
            value.as_f64().map_or("-".to_owned(), |value| {
                format!("{:.6}", value as f32).trim_end_matches('0').trim_end_matches('.').to_owned()
            })
        };
        say(format!("  {as_ours}  [{units}]  {} .. {}{missing}", number(&range["low"]), number(&range["high"])));
        let (levels, times) = (list(&variable["levels"]), list(&variable["times"]));
        if !levels.is_empty() {
            say(format!("      {} level(s): {}", levels.len(), levels.join(" ")));
        }
        match times.as_slice() {
            [] => say("      no time"),
            [one] => say(format!("      time: {one}")),
            [first, .., last] => say(format!("      {} times: {first} .. {last}", times.len())),
        }
    }
    for unread in file["not_read"].as_array().unwrap_or(&empty) {
        say(format!("  {}: not read: {}", text(&unread["name"]), text(&unread["reason"])));
    }
}
