//! `vejr inspect`: what files hold, as ingest understands it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Fault, isolation, map, say};
use crate::atmos::{LeadTime, Level, ValidTime};
use crate::forecast;
use crate::ingest::{CfTime, IngestError, Inventory, Problem, Range, Recognition, SourceFile, SourceVariable};
use crate::model::ModelPackage;

/// Show what vejr understands of NetCDF files and Zarr stores, and everything that is wrong with them at once.
///
/// With --model: whether the files hold what the model needs, and what is missing.
///
/// Example: vejr inspect data-samples/held-suarez-init.nc --model models/held-suarez-sfno
#[derive(Debug, Args)]
pub struct Arguments {
    /// NetCDF or GRIB files, groups of NetCDF-4 files (FILE.nc/GROUP), or Zarr stores (folder, zip, URL)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Model package whose needs are checked
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Believe the units of these variables, even where the values contradict them
    #[arg(long, value_name = "VAR", num_args = 1..)]
    trust_units: Vec<String>,
    /// Show the first field of each grid as a small map, or write it as --map=FILE.png
    #[arg(long, value_name = "FILE.png", num_args = 0..=1, require_equals = true, default_missing_value = "-", conflicts_with = "json")]
    map: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let package = arguments.model.as_deref().map(ModelPackage::open).transpose()?;
    let (inventory, mut problems) = Inventory::survey(&arguments.files, &isolation()?);
    let inventory = inventory.trusting_units(arguments.trust_units);
    let mut files = Vec::new();
    for file in inventory.files() {
        let mut variables = Vec::new();
        for (variable, ranges) in file.variables.iter().zip(inventory.ranges(file)) {
            let ranges = ranges.unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            });
            variables.push(describe(&inventory, file, variable, &ranges, &mut problems));
        }
        let unread: Vec<Value> =
            file.unread.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
        files.push(json!({ "file": file.path, "format": file.format, "variables": variables, "not_read": unread }));
    }
    let mut reference_time = Value::Null;
    if let Some(package) = &package {
        let known: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
        let regridding = forecast::Regridding::parse(&[], package)?;
        let sources = forecast::Sources { regridding, ..forecast::Sources::new(&inventory) };
        match forecast::read_initial_states(package, &sources, None, &candle_core::Device::Cpu) {
            Ok(initial) => reference_time = json!(initial.reference_time.to_string()),
            Err(forecast::ForecastError::Ingest(error)) => {
                // what is wrong with a file by itself has been said
                problems.extend(error.problems.into_iter().filter(|problem| !known.contains(&problem.to_string())));
            }
            Err(other) => return Err(other.into()),
        }
    }
    if arguments.json {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let together = together(&inventory);
        say(
            json!({ "files": files, "together": together, "latest_reference_time": reference_time, "problems": problems }),
        );
    } else {
        files.iter().for_each(print);
        if files.len() > 1 {
            print_together(&together(&inventory));
        }
        if let (Some(package), Some(time)) = (&package, reference_time.as_str()) {
            say(format!("\n{}: everything is there; the latest forecast can start from {time}", package.name()));
        }
    }
    if let Some(path) = &arguments.map {
        maps(&inventory, path, &mut problems)?;
    }
    if problems.is_empty() { Ok(()) } else { Err(IngestError { problems }.into()) }
}

/// The first field of each grid: on the terminal, or into files where a path is given.
fn maps(inventory: &Inventory, path: &Path, problems: &mut Vec<Problem>) -> Result<(), Failure> {
    for (n, grid) in inventory.grids().iter().enumerate() {
        let on_it = inventory.variables().find(|(_, variable)| variable.grid.same_points(grid));
        let Some((file, variable)) = on_it else { continue };
        let (level, time, values) = match inventory.first_field(file, variable) {
            Ok(field) => field,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let range = Range::of(&values);
        let level = if level == Level::Surface { String::new() } else { format!(" {level}") };
        let time = time.map(|time| format!(" at {time}")).unwrap_or_default();
        let units = variable.units_read();
        let title =
            format!("\n{}{level}{time}: {} .. {} {units}, {}", variable.name, range.low, range.high, variable.grid);
        let shown = map::Shown { title, grid: &variable.grid, values: &values, low: range.low, high: range.high };
        if path.as_os_str() == "-" {
            say(shown.text());
            continue;
        }
        let path = map::file(path, n);
        let failed = |error: &dyn std::fmt::Display| Failure::new(Fault::Other, format!("{}: {error}", path.display()));
        let png = shown.png().map_err(|error| failed(&error))?;
        std::fs::write(&path, png).map_err(|error| failed(&error))?;
        say(format!("{}{}", path.display(), shown.title.replace('\n', ": ")));
    }
    Ok(())
}

/// What the files hold as one analysis.
fn together(inventory: &Inventory) -> Value {
    let mut variables: BTreeMap<&str, BTreeSet<Level>> = BTreeMap::new();
    for (_, variable) in inventory.variables().filter(|(_, variable)| variable.blocked().is_none()) {
        if let Recognition::Known { variable: ours, .. } = &variable.recognition {
            variables.entry(&ours.name).or_default().extend(&variable.levels);
        }
    }
    let variables: Vec<Value> = variables
        .into_iter()
        .map(|(name, levels)| json!({ "name": name, "levels": levels.iter().map(ToString::to_string).collect::<Vec<_>>() }))
        .collect();
    json!({
        "grids": inventory.grids().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "variables": variables,
        "times": inventory.times().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn describe(
    inventory: &Inventory,
    file: &SourceFile,
    variable: &SourceVariable,
    ranges: &[(Level, Range)],
    problems: &mut Vec<Problem>,
) -> Value {
    let mut notes: Vec<String> =
        variable.blocked().iter().map(|reason| format!("cannot be read yet: {reason}")).collect();
    notes.extend(several_forecasts(variable));
    notes.extend(absent(variable));
    match &variable.recognition {
        Recognition::WrongUnits { accepted, .. } => {
            let found = format!("units {:?}", variable.units);
            problems.push(Problem::in_file(&file.path, found, format!("units {accepted}")).of(&variable.name));
        }
        Recognition::NoUnits { accepted, .. } => {
            notes.push(format!("cannot be read yet: it has no units attribute (expected {accepted})"));
        }
        Recognition::Known { .. } | Recognition::Unnamed => {}
    }
    let all = ranges.iter().map(|(_, range)| *range).reduce(Range::union);
    problems.extend(all.and_then(|range| inventory.implausible(file, variable, range)));
    let range_json = |range: Range| json!({ "low": finite(range.low), "high": finite(range.high), "valid": range.valid, "total": range.total });
    let (h, w) = variable.grid.shape();
    let [west, south, east, north] = variable.grid.bounds();
    let levels: Vec<String> =
        variable.levels.iter().filter(|level| **level != Level::Surface).map(ToString::to_string).collect();
    let base_times: BTreeSet<&ValidTime> = variable.base_times.iter().collect();
    let base_times: Vec<String> = base_times.into_iter().map(ToString::to_string).collect();
    json!({
        "name": variable.name,
        "ours": variable.recognition.variable().map(|ours| ours.name.to_string()),
        "standard_name": variable.standard_name,
        "long_name": variable.long_name,
        "units_found": variable.units,
        "units": variable.units_read(),
        "levels": levels,
        "height": variable.height,
        "times": variable.times.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "base_times": base_times,
        "grid": {
            "text": variable.grid.to_string(), "rows": h, "columns": w, "order_found": variable.order_found(),
            "north": north, "south": south, "west": west, "east": east,
        },
        "range": all.map(range_json),
        "range_by_level": ranges.iter().map(|(level, range)| json!({ "level": level.to_string(), "range": range_json(*range) })).collect::<Vec<_>>(),
        "notes": notes,
    })
}

/// Times that several forecasts are valid at.
fn several_forecasts(variable: &SourceVariable) -> Option<String> {
    let times: BTreeSet<String> = variable.times.iter().map(ToString::to_string).collect();
    let bases: BTreeSet<&ValidTime> = variable.base_times.iter().collect();
    let from = match (bases.first(), bases.last()) {
        (Some(first), Some(last)) if first != last => format!(", from {first} to {last} ({})", bases.len()),
        _ => String::new(),
    };
    (times.len() < variable.times.len()).then(|| {
        let twice = variable.times.len() - times.len();
        format!("several forecasts of the same times{from}: {twice} fields more than times; --reference-time says which is meant")
    })
}

/// Levels and times that the file has not, though it has others of both.
fn absent(variable: &SourceVariable) -> Option<String> {
    const MOST_NAMED: usize = 4;
    let absent = variable.absent();
    let name = |(level, time): &(Level, Option<CfTime>)| match (level, time) {
        (Level::Surface, Some(time)) => time.to_string(),
        (level, Some(time)) => format!("{level} at {time}"),
        (level, None) => level.to_string(),
    };
    let named: Vec<String> = absent.iter().take(MOST_NAMED).map(name).collect();
    let more = if absent.len() > MOST_NAMED { ", …" } else { "" };
    (!absent.is_empty()).then(|| format!("{} fields are not in the file: {}{more}", absent.len(), named.join(", ")))
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
            if let Some(order) = variable["grid"]["order_found"].as_str().filter(|order| !order.is_empty()) {
                say(format!("         found with {order}"));
            }
        }
        let name = text(&variable["name"]);
        let height = variable["height"].as_f64().map_or(String::new(), |metres| format!(" at {metres} m"));
        let as_ours = match variable["ours"].as_str() {
            Some(ours) if ours == name => ours.to_owned(),
            Some(ours) => format!("{name} = {ours}"),
            None => format!("{name} (not recognised: read under this name only)"),
        };
        let (found, units) = (text(&variable["units_found"]), text(&variable["units"]));
        let units = if found.is_empty() {
            "no units".to_owned()
        } else if found == units {
            units
        } else {
            format!("{units}, from {found}")
        };
        let range = &variable["range"];
        let missing = range["total"].as_u64().unwrap_or(0) - range["valid"].as_u64().unwrap_or(0);
        let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
        let number = |value: &Value| {
            value.as_f64().map_or("-".to_owned(), |value| {
                format!("{:.6}", value as f32).trim_end_matches('0').trim_end_matches('.').to_owned()
            })
        };
        say(format!(
            "  {as_ours}{height}  [{units}]  {} .. {}{missing}",
            number(&range["low"]),
            number(&range["high"])
        ));
        let (levels, times) = (list(&variable["levels"]), list(&variable["times"]));
        if !levels.is_empty() {
            say(format!("      {} level(s): {}", levels.len(), levels.join(" ")));
        }
        match times.as_slice() {
            [] => say("      no time"),
            [one] => say(format!("      time: {one}")),
            times => say(format!("      {}", span(times))),
        }
        for note in list(&variable["notes"]) {
            say(format!("      {note}"));
        }
    }
    for unread in file["not_read"].as_array().unwrap_or(&empty) {
        say(format!("  {}: not read: {}", text(&unread["name"]), text(&unread["reason"])));
    }
}

fn print_together(together: &Value) {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    say("together");
    for grid in list(&together["grids"]) {
        say(format!("  grid   {grid}"));
    }
    for variable in together["variables"].as_array().into_iter().flatten() {
        say(format!("  {}  {}", variable["name"].as_str().unwrap_or_default(), list(&variable["levels"]).join(" ")));
    }
    say(format!("  {}", span(&list(&together["times"]))));
}

/// `5 times: 2022-01-01T00:00Z .. 2022-01-05T00:00Z, 24h apart`
fn span(times: &[String]) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return "no times".to_owned() };
    let parsed: Vec<ValidTime> = times.iter().filter_map(|time| time.parse().ok()).collect();
    let steps: BTreeSet<LeadTime> = parsed.windows(2).map(|pair| pair[1] - pair[0].as_reference()).collect();
    let apart = match steps.first() {
        Some(step) if steps.len() == 1 && parsed.len() == times.len() => format!(", {step} apart"),
        Some(_) => ", not equally spaced".to_owned(),
        None => String::new(),
    };
    format!("{} times: {first} .. {last}{apart}", times.len())
}
