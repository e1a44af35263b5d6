//! Real files by many producers: each is read as its checked values say, or refused for a reason that its description
//! implies. The files lie outside the project, at `../shared/real-data` (or where `VEJR_REAL_DATA` says).
//!
//!     cargo test --release --test real_data -- --nocapture
//!
//! prints a table. No file is named here: what is expected comes from the manifest beside the files. With the feature `grib`
//! the GRIB files are read, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use vejr::atmos::{GridKind, Level};
use vejr::ingest::{Conversion, Inventory, Isolation, Problem, Range, Recognition, SourceFile, SourceVariable};

#[derive(Deserialize)]
struct Manifest {
    file: Vec<Entry>,
}

/// What is known of a file.
#[derive(Deserialize)]
struct Entry {
    file: String,
    format: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    special: String,
    #[serde(default)]
    variables: String,
    #[serde(default)]
    grid_mapping: String,
    #[serde(default)]
    lat: String,
    #[serde(default)]
    open_error: String,
    #[serde(default)]
    checked_values: Vec<String>,
}

impl Entry {
    fn says(&self, words: &[&str]) -> bool {
        let Self { format, tags, special, variables, grid_mapping, lat, open_error, .. } = self;
        let text = [format, special, variables, grid_mapping, lat, open_error].map(String::as_str).join(" ");
        let text = format!("{text} {}", tags.join(" ")).to_lowercase();
        words.iter().any(|word| text.contains(word))
    }
}

/// Why something may be refused: words of our reason, and words of a description that implies it.
const IMPLIED: &[(&[&str], &[&str])] = &[
    (&["no grid_mapping"], &["regional"]),
    (&["unstructured", "HEALPix"], &["unstructured", "ugrid", "healpix"]),
    (&["places missing"], &["gathered", "nc_fill"]),
    (&["no latitude and longitude"], &["without the lat/lon", "subgrid", "section"]),
    (&["length 0"], &["zero-length"]),
    (&["is the unit in the file right"], &["unit lie", "unit", "range check"]),
    (&["no data variables"], &["malformed", "units", "attrs"]),
    (&["truncated", "damaged", "empty file"], &["malformed", "truncated", "empty", "corrupt"]),
    (&["begins with", "JSON file"], &["ascii", "json"]),
    (&["built without GRIB"], &["grib"]),
    (&["spherical harmonics"], &["spectral", "spherical"]),
    (&["stretched grid"], &["stretched"]),
    (&["Gaussian latitudes"], &["inconsistent", "increment"]),
    (&["no time"], &["missing year", "year"]),
    (&["no validityDate"], &["unknown to eccodes", "decode error"]),
    (&["ensemble members"], &["members", "ensemble"]),
];

fn implied(entry: &Entry, reason: &str) -> bool {
    IMPLIED.iter().any(|(ours, theirs)| ours.iter().any(|word| reason.contains(word)) && entry.says(theirs))
}

/// `air: valid 893520/893520 min 186.025 max 314.9`; `raw`: of the numbers as stored. Of GRIB's messages
/// `t@500: n 684 valid 684 min 248.545 max 311.027`.
struct Checked {
    variable: String,
    /// Of one message: in the units of its type of level.
    level: Option<f64>,
    raw: bool,
    valid: usize,
    total: usize,
    range: Option<(f64, f64)>,
}

/// `None`: of another kind of file, whose values are described otherwise.
fn parse(text: &str) -> Option<Checked> {
    let (variable, rest) = text.rsplit_once(": ")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let after = |name: &str| words.iter().position(|word| *word == name).map(|place| words[place + 1]);
    let message = variable.rsplit_once('@').and_then(|(name, level)| Some((name, level.parse().ok()?)));
    let (valid, total) = match message {
        Some(_) => (after("valid")?, after("n")?),
        None => after("valid")?.split_once('/')?,
    };
    let number = |name: &str| after(name)?.parse::<f64>().ok();
    Some(Checked {
        variable: message.map_or(variable, |(name, _)| name).to_owned(),
        level: message.map(|(_, level)| level),
        raw: words[0] == "raw",
        valid: valid.parse().ok()?,
        total: total.parse().ok()?,
        range: number("min").zip(number("max")),
    })
}

/// `None`: as it should be.
fn differs(inventory: &Inventory, file: &SourceFile, variable: &SourceVariable, checked: &Checked) -> Option<String> {
    let range = match inventory.range(file, variable) {
        Ok(range) => range,
        Err(problem) => return Some(problem.to_string()),
    };
    // what fills up the rows of a reduced grid is no value
    let filled_up =
        variable.grid.kind() == GridKind::Points && range.total < checked.total && range.valid == checked.valid;
    let same = (range.valid, range.total) == (checked.valid, checked.total);
    if !same && !filled_up && !repeats_a_meridian(range.total, checked.total) {
        return Some(format!("{} of {} valid, not {} of {}", range.valid, range.total, checked.valid, checked.total));
    }
    // stored numbers say nothing of values but that they are there
    let (low, high) = checked.range.filter(|_| !checked.raw)?;
    let conversion = match &variable.recognition {
        Recognition::Known { conversion, .. } => *conversion,
        _ => Conversion { scale: 1.0, offset: 0.0 },
    };
    let near = |found: f32, expected: f64| {
        let expected = conversion.apply(expected);
        // six digits are written, of values that may be far from zero in our units
        (f64::from(found) - expected).abs() <= 1e-5 * expected.abs().max((high - low).abs() * conversion.scale.abs())
    };
    let same = near(range.low, low) && near(range.high, high);
    (!same).then(|| format!("{} to {}, not {low} to {high} (× {})", range.low, range.high, conversion.scale))
}

/// Of each variable of a file the ranges of its levels.
type Ranges = BTreeMap<String, Result<Vec<(Level, Range)>, Problem>>;

/// The same of one message: what it holds is among the values of its variable and level.
fn message_differs(ranges: &Ranges, (variable, place): (&SourceVariable, usize), checked: &Checked) -> Option<String> {
    let range = match &ranges[&variable.name] {
        Ok(ranges) => ranges[place].1,
        Err(problem) => return Some(problem.to_string()),
    };
    let (low, high) = checked.range?;
    let conversion = match &variable.recognition {
        Recognition::Known { conversion, .. } => *conversion,
        _ => Conversion { scale: 1.0, offset: 0.0 },
    };
    let near = |found: f32, expected: f64| {
        let slack = 1e-5 * expected.abs().max((high - low).abs() * conversion.scale.abs());
        (f64::from(found) - expected).abs() <= slack
    };
    let (low, high) = (conversion.apply(low), conversion.apply(high));
    let alone = range.total == checked.total;
    let same = match alone {
        true => near(range.low, low) && near(range.high, high) && range.valid == checked.valid,
        // other times and members lie around
        false => f64::from(range.low) <= low + 1e-5 * low.abs() && f64::from(range.high) >= high - 1e-5 * high.abs(),
    };
    (!same || range.total % checked.total != 0)
        .then(|| format!("{} to {} ({} of {}), not {low} to {high}", range.low, range.high, range.valid, range.total))
}

fn ranges_of(inventory: &Inventory) -> Ranges {
    let of_file = |file: &SourceFile| {
        let names: Vec<String> = file.variables.iter().map(|variable| variable.name.clone()).collect();
        names.into_iter().zip(inventory.ranges(file))
    };
    inventory.files().iter().flat_map(of_file).collect()
}

/// The variable and level that a message of GRIB became part of.
fn of_message<'i>(inventory: &'i Inventory, checked: &Checked, level: f64) -> Vec<(&'i SourceVariable, usize)> {
    let named = |name: &str| {
        name == checked.variable || name.strip_prefix(&checked.variable).is_some_and(|rest| rest.starts_with('_'))
    };
    let at = |variable: &SourceVariable| {
        let near = |value: f64| (value - level).abs() < 1e-6 || (value * 100.0 - level).abs() < 1e-6;
        match variable.levels.as_slice() {
            // a level by itself is told by the name, or by nothing
            [Level::Surface] => Some(0),
            levels => levels.iter().position(|other| near(other.value())),
        }
    };
    let all = inventory.variables().filter(|(_, variable)| named(&variable.name));
    all.filter_map(|(_, variable)| Some((variable, at(variable)?))).collect()
}

/// A meridian that closes the circle a second time is left out.
fn repeats_a_meridian(found: usize, expected: usize) -> bool {
    found < expected && found * 129 == expected * 128
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("VEJR_REAL_DATA").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real-data"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {}", folder.display());
    None
}

/// What became of a file, and why; and what should not have.
fn outcome(entry: &Entry, path: PathBuf) -> (&'static str, String, Vec<String>) {
    let isolation = Isolation::Process { program: env!("CARGO_BIN_EXE_vejr").into() };
    let (inventory, problems) = Inventory::survey(&[path], &isolation);
    let mut wrong = Vec::new();
    let mut reasons: Vec<String> = problems.iter().map(|problem| problem.found.clone()).collect();
    let unread = |name: &str| {
        inventory.files().iter().flat_map(|file| &file.unread).find(|(other, _)| other == name).map(|(_, why)| why)
    };
    let mut read = 0;
    // read once, where a file is described message by message
    let mut ranges = None;
    for checked in entry.checked_values.iter().filter_map(|text| parse(text)) {
        if let Some(level) = checked.level {
            let found = of_message(&inventory, &checked, level);
            let told = inventory.files().iter().flat_map(|file| &file.unread);
            let mut told = told.filter(|(name, _)| name.starts_with(&checked.variable));
            let differences: Vec<String> = found
                .iter()
                .filter_map(|found| {
                    message_differs(ranges.get_or_insert_with(|| ranges_of(&inventory)), *found, &checked)
                })
                .collect();
            match (found.len() > differences.len(), told.next()) {
                (true, _) => read += 1,
                (false, Some((_, reason))) => reasons.push(reason.clone()),
                (false, None) if found.is_empty() && problems.is_empty() => {
                    wrong.push(format!("{}@{level}: no word of it", checked.variable));
                }
                (false, None) => wrong.extend(differences),
            }
            continue;
        }
        let found = inventory.variables().find(|(_, variable)| variable.name == checked.variable);
        match (found, unread(&checked.variable)) {
            (Some((file, variable)), _) => {
                read += 1;
                if let Some(what) = differs(&inventory, file, variable, &checked) {
                    wrong.push(format!("{}: {what}", checked.variable));
                }
            }
            (None, Some(reason)) => reasons.push(reason.clone()),
            (None, None) if problems.is_empty() => wrong.push(format!("{}: no word of it", checked.variable)),
            (None, None) => {}
        }
    }
    reasons.sort();
    reasons.dedup();
    wrong.extend(reasons.iter().filter(|reason| !implied(entry, reason)).map(|reason| format!("refused: {reason}")));
    match (inventory.files().is_empty(), reasons.is_empty()) {
        (false, true) => ("read", format!("{read} variables checked"), wrong),
        (false, false) => ("in part", reasons.join("; "), wrong),
        (true, _) => ("refused", reasons.join("; "), wrong),
    }
}

#[test]
fn every_file_is_understood_or_refused_for_the_right_reason() {
    let Some(folder) = folder() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.toml")).unwrap();
    let manifest: Manifest = toml::from_str(&manifest).unwrap();
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    for entry in &manifest.file {
        let timed = || {
            let start = Instant::now();
            (outcome(entry, folder.join(&entry.file)), start.elapsed())
        };
        let ((outcome, reason, mistakes), took) = timed();
        *counts.entry(outcome).or_insert(0) += 1;
        println!("{:<45} {outcome:<8} {:.160}", entry.file, reason);
        wrong.extend(mistakes.iter().map(|mistake| format!("{}: {mistake}", entry.file)));
        // damaged files take less than 2 s, and more where the machine has other things to do
        let limit = Duration::from_secs(if entry.tags.iter().any(|tag| tag == "malformed") { 5 } else { 30 });
        let took = if took > limit { timed().1 } else { took };
        if took > limit {
            wrong.push(format!("{}: took {took:?}", entry.file));
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(manifest.file.len() > 50);
}
