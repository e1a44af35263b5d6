//! Which of the model's channels a declared output is.

use super::ContractError;
use super::declared::Declared;
use super::output::KNOWN_LEVELS;
use super::settings::Settings;
use crate::atmos::{Level, Variable};
use crate::ingest::{Conversion, conversion, lexicon};
use crate::model::ModelPackage;

/// A declared output, found among what the model predicts.
#[derive(Debug, Clone)]
pub struct Predicted {
    pub name: String,
    pub standard_name: String,
    pub units: String,
    pub long_name: String,
    /// Name of the level coordinate.
    pub level: Option<String>,
    /// In the order of the levels; one without a level coordinate.
    pub channels: Vec<usize>,
    /// From the declared units to the model's.
    pub conversion: Conversion,
}

/// All outputs; what cannot be is reported together.
pub fn outputs(settings: &Settings, package: &ModelPackage) -> Result<Vec<Predicted>, ContractError> {
    let mut problems = Vec::new();
    if let Some(n) = settings.input_timesteps.filter(|n| (n.unsigned_abs() as usize) < package.input_states()) {
        problems.push(format!(
            "N_INPUT_TIMESTEPS={n} selects fewer states than {} starts from, {}",
            package.name(),
            package.input_states()
        ));
    }
    for level in settings.output_variables.iter().filter_map(|declared| declared.level.as_ref()) {
        let of_input = settings.input_variables.iter().any(|declared| declared.level.as_ref() == Some(level));
        if !of_input && !KNOWN_LEVELS.iter().any(|(name, ..)| name == level) {
            let known: Vec<&str> = KNOWN_LEVELS.iter().map(|(name, ..)| *name).collect();
            problems.push(format!(
                "OUTPUT_VARIABLES: the level coordinate {level:?} lies on no input variable that it could be described by, and \
                 is none of {}",
                known.join(", ")
            ));
        }
    }
    problems.dedup();
    let found: Vec<Predicted> = settings
        .output_variables
        .iter()
        .filter_map(|declared| {
            output(declared, settings.levels_of(declared), package)
                .map_err(|reason| problems.push(format!("OUTPUT_VARIABLES: {declared}: {reason}")))
                .ok()
        })
        .collect();
    if problems.is_empty() { Ok(found) } else { Err(ContractError::Configuration(problems)) }
}

fn output(declared: &Declared, levels: &[f64], package: &ModelPackage) -> Result<Predicted, String> {
    let layout = package.layout();
    let single = declared.level.is_none();
    let kind: Vec<(&Variable, Vec<Level>)> = layout
        .variables()
        .into_iter()
        .filter(|(_, levels)| single == levels.iter().all(|level| level.dimension().is_none()))
        .collect();
    let of_name = |name: &str| kind.iter().position(|(variable, _)| *variable.name == *name);
    let (level, height) = if single { (Level::Surface, None) } else { (Level::Pressure(500.0), None) };
    let known_as = || lexicon::lookup(&declared.name, &level, height).and_then(of_name);
    let by_standard_name = || {
        let wanted = declared.standard_name.as_deref()?;
        let mut same = kind.iter().enumerate().filter(|(_, (variable, _))| *variable.standard_name == *wanted);
        same.next().filter(|_| same.next().is_none()).map(|(n, _)| n)
    };
    let Some(n) = of_name(&declared.name).or_else(known_as).or_else(by_standard_name) else {
        let names: Vec<&str> = kind.iter().map(|(variable, _)| &*variable.name).collect();
        let kind = if single { "on single levels" } else { "on levels" };
        return Err(format!("{} does not predict it; {kind} it predicts {}", package.name(), names.join(", ")));
    };
    let (variable, has) = &kind[n];
    let same = |level: &Level, value: f64| matches_level(declared.level.as_deref().unwrap_or_default(), level, value);
    let wanted: Vec<Option<Level>> = match single {
        true => vec![has.first().copied()],
        false => levels.iter().map(|value| has.iter().copied().find(|level| same(level, *value))).collect(),
    };
    let missing: Vec<String> =
        wanted.iter().zip(levels).filter(|(level, _)| level.is_none()).map(|(_, value)| value.to_string()).collect();
    if !missing.is_empty() {
        let has: Vec<String> = has.iter().map(ToString::to_string).collect();
        return Err(format!(
            "{} is not predicted at {}; it is at {}",
            variable.name,
            missing.join(", "),
            has.join(", ")
        ));
    }
    let channel = |level: Level| layout.iter().position(|own| own.variable.name == variable.name && own.level == level);
    let channels = wanted.into_iter().flatten().filter_map(channel).collect();
    let units = declared.units.as_deref().unwrap_or(&variable.units);
    let conversion = conversion(units, &variable.units).ok_or_else(|| {
        format!("{} is predicted in {}, which does not become {units:?}", variable.name, variable.units)
    })?;
    let standard_name = match declared.standard_name.as_deref() {
        Some(wanted) if same_wind(wanted, &variable.standard_name) => {
            tracing::warn!("{} is published as {wanted}, as declared; it is {}", declared.name, variable.standard_name);
            wanted
        }
        Some(wanted) if !variable.standard_name.is_empty() && *variable.standard_name != *wanted => {
            return Err(format!("{} is {}, and not {wanted}", variable.name, variable.standard_name));
        }
        Some(wanted) => wanted,
        None => &variable.standard_name,
    };
    Ok(Predicted {
        name: declared.name.clone(),
        standard_name: standard_name.to_owned(),
        units: units.to_owned(),
        long_name: variable.long_name.to_string(),
        level: declared.level.clone(),
        channels,
        conversion,
    })
}

/// Names of one component of the wind, which producers on projected grids take one for the other.
fn same_wind(a: &str, b: &str) -> bool {
    let components =
        [["eastward_wind", "x_wind", "grid_eastward_wind"], ["northward_wind", "y_wind", "grid_northward_wind"]];
    a != b && components.iter().any(|names| names.contains(&a) && names.contains(&b))
}

/// Whether a level of the model is the value of a coordinate with this name.
fn matches_level(coordinate: &str, level: &Level, value: f64) -> bool {
    let near = |a: f64| (a - value).abs() <= 1e-6 * a.abs();
    match (coordinate, level) {
        ("isobaricInhPa", Level::Pressure(hpa)) => near(*hpa),
        ("isobaricInPa", Level::Pressure(hpa)) => near(hpa * 100.0),
        ("heightAboveGround", Level::Height(metres)) => near(*metres),
        ("hybrid", Level::Model(number)) => near(f64::from(*number)),
        ("isobaricInhPa" | "isobaricInPa" | "heightAboveGround" | "hybrid", _) => false,
        (_, Level::Pressure(hpa)) => near(*hpa) || near(hpa * 100.0),
        (_, level) => near(level.value()),
    }
}
