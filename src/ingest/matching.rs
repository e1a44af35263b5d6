//! Which variable of which file is the one that is wanted.

use std::collections::BTreeSet;

use super::file::{SourceFile, SourceVariable};
use super::units::{self, Conversion, conversion_to};
use super::{Inventory, Problem, Recognition, lexicon};
use crate::atmos::{Grid, Level, ValidTime, Variable};

/// One wanted variable and level in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub file: &'a SourceFile,
    pub variable: &'a SourceVariable,
    pub conversion: Conversion,
    /// Place in the variable's levels.
    pub level: usize,
}

impl Found<'_> {
    /// When its field is there.
    pub fn times(&self) -> impl Iterator<Item = ValidTime> {
        let times = self.variable.times.iter().enumerate();
        times.filter(|(index, _)| self.variable.holds(self.level, *index)).filter_map(|(_, time)| time.real())
    }
}

/// How sure it is that a variable is the wanted one; the surest candidates win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// It has the name, and no attribute says otherwise.
    Name,
    /// The lexicon knows it under this name.
    Recognised,
    /// Its CF standard name and its place in the vertical say so.
    Attributes,
    /// And it has the name, too.
    AttributesAndName,
}

/// Where a variable and level are; problems where they are nowhere. What lies on `grid` comes before what does not: files of
/// two models may be looked at together.
pub(super) fn find<'a>(
    inventory: &'a Inventory,
    (wanted, level): (&Variable, Level),
    grid: Option<&Grid>,
) -> Result<Vec<Found<'a>>, Vec<Problem>> {
    let mut found: Vec<((bool, Likeness), Found<'a>)> = Vec::new();
    let mut problems = Vec::new();
    for (file, variable) in inventory.variables() {
        let Some(likeness) = likeness(variable, wanted, level) else { continue };
        let problem = |found: String, expected: String| {
            Problem::in_file(&file.path, found, expected).of(label(wanted, level, variable))
        };
        let mut candidate = true;
        if let Some(reason) = variable.blocked() {
            problems.push(problem(reason, "fields at known times, of one member".to_owned()));
            candidate = false;
        }
        let places: Vec<usize> = positions(variable, level).collect();
        match places.len() {
            0 => problems.push(problem(levels_text(variable), format!("level {level}"))),
            1 => {}
            n => problems.push(problem(format!("level {level} {n} times"), "it once".to_owned())),
        }
        let conversion = conversion_to(&variable.units, wanted);
        if conversion.is_none() {
            let units =
                if variable.units.is_empty() { "no units".into() } else { format!("units {:?}", variable.units) };
            problems.push(problem(units, format!("units {}", units::accepted(&wanted.units))));
        }
        if let (true, [place], Some(conversion)) = (candidate, places.as_slice(), conversion) {
            let there = grid.is_some_and(|grid| variable.grid.same_points(grid));
            found.push(((there, likeness), Found { file, variable, conversion, level: *place }));
        }
    }
    let surest = found.iter().map(|(likeness, _)| *likeness).max();
    let found: Vec<Found<'a>> =
        found.into_iter().filter(|(likeness, _)| Some(*likeness) == surest).map(|(_, found)| found).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    if problems.is_empty() {
        problems.push(nowhere(inventory, wanted, level));
    }
    Err(problems)
}

/// Whether a variable is the wanted one but for its units, its times and the value of its level.
fn likeness(variable: &SourceVariable, wanted: &Variable, level: Level) -> Option<Likeness> {
    let same_name = variable.own_name() == &*wanted.name || variable.name == *wanted.name;
    let ours = variable.recognition.variable();
    let recognised = ours.is_some_and(|ours| ours.name == wanted.name);
    let same_kind = variable.levels.iter().any(|other| other.dimension() == level.dimension())
        || matches!((level, variable.height), (Level::Height(_), Some(_)));
    let same_standard_name = !wanted.standard_name.is_empty()
        && canonical(&variable.standard_name, &variable.grid) == canonical(&wanted.standard_name, &variable.grid)
        // geopotential at the surface is another field than on levels
        && same_kind;
    if same_standard_name && at_right_height(variable, wanted, level) {
        return Some(if same_name { Likeness::AttributesAndName } else { Likeness::Attributes });
    }
    let contradicts = !variable.standard_name.is_empty()
        && !wanted.standard_name.is_empty()
        && canonical(&variable.standard_name, &variable.grid) != canonical(&wanted.standard_name, &variable.grid);
    if recognised {
        return Some(Likeness::Recognised);
    }
    (same_name && !contradicts).then_some(Likeness::Name)
}

/// 2 m temperature and skin temperature have one standard name: a single level is told by its height.
fn at_right_height(variable: &SourceVariable, wanted: &Variable, level: Level) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < 0.5;
    match (level, lexicon::height_of(&wanted.name), variable.height) {
        (Level::Surface, Some(expected), Some(found)) => near(expected, found),
        // of a file that does not tell heights, the lexicon must know the name
        (Level::Surface, Some(_), None) => {
            matches!(variable.recognition.variable(), Some(ours) if ours.name == wanted.name)
        }
        // the lexicon knows it as another field (2 m temperature is not the surface's)
        (Level::Surface, None, _) => variable.recognition.variable().is_none_or(|ours| {
            ours.name == wanted.name || lexicon::height_of(&ours.name).is_none() || !lexicon::is_ours(&wanted.name)
        }),
        _ => true,
    }
}

/// CF has renamed some quantities; aliases of the standard name table, and winds along the axes of a grid of parallels
/// and meridians, which are eastward and northward.
fn canonical<'a>(standard_name: &'a str, grid: &Grid) -> &'a str {
    match standard_name {
        "x_wind" if grid.rectilinear().is_some() => "eastward_wind",
        "y_wind" if grid.rectilinear().is_some() => "northward_wind",
        "air_pressure_at_sea_level" => "air_pressure_at_mean_sea_level",
        "geopotential_height" => "geopotential",
        "vertical_air_velocity_expressed_as_tendency_of_pressure" | "omega" => "lagrangian_tendency_of_air_pressure",
        "atmosphere_water_vapor_content" | "lwe_thickness_of_atmosphere_mass_content_of_water_vapor" => {
            "atmosphere_mass_content_of_water_vapor"
        }
        "land_area_fraction" => "land_binary_mask",
        other => other,
    }
}

fn positions(variable: &SourceVariable, level: Level) -> impl Iterator<Item = usize> {
    let is_it = move |other: &Level| match (level, other, variable.height) {
        // stored as float32: 0.1 hPa is 0.100000001
        (Level::Pressure(a), Level::Pressure(b), _) | (Level::Height(a), Level::Height(b), _) => {
            (a - b).abs() <= 1e-5 * a
        }
        (Level::Height(a), Level::Surface, Some(b)) => (a - b).abs() <= 1e-5 * a,
        (a, b, _) => a == *b,
    };
    variable.levels.iter().enumerate().filter(move |(_, other)| is_it(other)).map(|(place, _)| place)
}

fn levels_text(variable: &SourceVariable) -> String {
    match (variable.levels.as_slice(), variable.height) {
        ([Level::Surface], Some(height)) => format!("a single level at {height} m"),
        ([Level::Surface], None) => "a single level".to_owned(),
        (levels, _) => format!("levels {}", levels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    }
}

/// `t 500hPa`, or `t 500hPa (air)` where the file calls it otherwise.
pub(super) fn label(wanted: &Variable, level: Level, variable: &SourceVariable) -> String {
    let ours = field_label(wanted, level);
    if variable.name == *wanted.name { ours } else { format!("{ours} ({})", variable.name) }
}

pub(super) fn field_label(wanted: &Variable, level: Level) -> String {
    if level == Level::Surface { wanted.name.to_string() } else { format!("{} {level}", wanted.name) }
}

fn nowhere(inventory: &Inventory, wanted: &Variable, level: Level) -> Problem {
    const MOST_NAMES: usize = 30;
    let describe = |variable: &SourceVariable| match &variable.recognition {
        Recognition::Known { variable: ours, .. } if *ours.name != *variable.name => {
            format!("{} ({})", variable.name, ours.name)
        }
        _ => variable.name.clone(),
    };
    let names: BTreeSet<String> = inventory.variables().map(|(_, variable)| describe(variable)).collect();
    let more = if names.len() > MOST_NAMES { ", …" } else { "" };
    let there = names.into_iter().take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    let files: BTreeSet<String> = inventory.files().iter().map(|file| file.path.display().to_string()).collect();
    let standard_name = match &*wanted.standard_name {
        "" => String::new(),
        name => format!("with standard_name {name:?}, or "),
    };
    Problem {
        file: None,
        variable: Some(field_label(wanted, level)),
        found: format!(
            "no such variable in {} (there are {there}{more})",
            files.into_iter().collect::<Vec<_>>().join(", ")
        ),
        expected: format!("one {standard_name}called {:?}, in {}", wanted.name, wanted.units),
    }
}
