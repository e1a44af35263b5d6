//! What a network is told and predicts (`TaskConfig` of the reference), as channels.

use super::npz::Npz;
use crate::atmos::{KnownVariable, Level, known_variables};
use crate::import::ImportError;
use crate::ingest::lexicon;
use crate::model::Formula;

/// Variables on pressure levels, by the names of ERA5; all others are on a single level.
#[rustfmt::skip]
const ON_LEVELS: [&str; 16] = [
    "potential_vorticity", "specific_rain_water_content", "specific_snow_water_content", "geopotential", "temperature",
    "u_component_of_wind", "v_component_of_wind", "specific_humidity", "vertical_velocity", "vorticity", "divergence",
    "relative_humidity", "ozone_mass_mixing_ratio", "specific_cloud_liquid_water_content",
    "specific_cloud_ice_water_content", "fraction_of_cloud_cover",
];

/// Units that ERA5 has, where they are not ours.
const UNITS: [(&str, &str); 2] = [("relative_humidity", "%"), ("total_precipitation", "m")];

/// Forcings that are computed.
const FORMULAS: [(&str, Formula); 5] = [
    ("toa_incident_solar_radiation", Formula::ToaIncidentSolarRadiation),
    ("year_progress_sin", Formula::YearProgressSin),
    ("year_progress_cos", Formula::YearProgressCos),
    ("day_progress_sin", Formula::DayProgressSin),
    ("day_progress_cos", Formula::DayProgressCos),
];

/// The variables of a network, each list in the order of their names, which is that of its channels.
#[derive(Debug, Default)]
pub struct Task {
    /// Predicted; those that are also told are carried.
    pub targets: Vec<Quantity>,
    pub forcings: Vec<Quantity>,
    pub statics: Vec<Quantity>,
    /// Names of all that is told.
    pub inputs: Vec<String>,
    /// As pandas writes it: `12h`.
    pub input_duration: String,
}

/// One variable by the reference's name.
#[derive(Debug, Clone)]
pub struct Quantity {
    pub name: String,
    pub levels: Vec<Level>,
    pub kind: Kind,
}

/// What a variable is to us.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Ours, and the units that the training's numbers are in.
    Known(&'static KnownVariable, &'static str),
    Computed(Formula),
}

impl Task {
    /// Reads the configuration; adds what cannot be understood to `problems`.
    pub fn read(file: &mut Npz, problems: &mut Vec<String>) -> Result<Self, ImportError> {
        let mut list = |name: &str| file.texts(&format!("task_config:{name}"));
        let (inputs, targets, forcings) =
            (list("input_variables")?, list("target_variables")?, list("forcing_variables")?);
        let levels: Vec<Option<f64>> = list("pressure_levels")?.iter().map(|text| text.parse().ok()).collect();
        let levels: Vec<f64> = levels.into_iter().flatten().filter(|level| *level > 0.0).collect();
        for (list, name) in [(&inputs, "input_variables"), (&targets, "target_variables")] {
            if list.is_empty() {
                problems.push(format!("task_config:{name}: nothing; expected the network's variables"));
            }
        }
        for name in forcings.iter().filter(|name| targets.contains(name)) {
            problems.push(format!("{name} is a forcing, and predicted; expected one of both"));
        }
        for name in forcings.iter().filter(|name| !inputs.contains(name)) {
            problems.push(format!("{name} is a forcing, but no input; expected both"));
        }
        let mut of = |names: &mut dyn Iterator<Item = &String>| {
            let mut names: Vec<&String> = names.collect();
            names.sort();
            names.into_iter().filter_map(|name| Quantity::new(name, &levels, problems)).collect()
        };
        let is_static = |name: &&String| !targets.contains(name) && !forcings.contains(name);
        Ok(Self {
            targets: of(&mut targets.iter()),
            forcings: of(&mut forcings.iter()),
            statics: of(&mut inputs.iter().filter(is_static)),
            input_duration: file.text("task_config:input_duration")?.unwrap_or_default(),
            inputs,
        })
    }

    pub fn is_input(&self, quantity: &Quantity) -> bool {
        self.inputs.contains(&quantity.name)
    }

    /// For each row that the network's first layer has in our order, its row in the reference's.
    ///
    /// Ours: each input state's carried channels, the oldest first; forcings at the input states' times and the target's;
    /// statics. The reference's: all inputs by their names, each time by time; then forcings at the target's time.
    pub fn rows(&self, input_states: usize) -> Vec<usize> {
        let mut inputs: Vec<(&Quantity, usize)> = self
            .targets
            .iter()
            .filter(|quantity| self.is_input(quantity))
            .chain(&self.forcings)
            .map(|quantity| (quantity, input_states))
            .chain(self.statics.iter().map(|quantity| (quantity, 1)))
            .collect();
        inputs.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        let mut next = 0;
        let mut begins = std::collections::BTreeMap::new();
        for (quantity, times) in inputs {
            begins.insert(&quantity.name, next);
            next += quantity.levels.len() * times;
        }
        let at = |quantity: &Quantity, time: usize| {
            let begin = begins[&quantity.name] + time * quantity.levels.len();
            begin..begin + quantity.levels.len()
        };
        let carried = |time: usize| {
            self.targets.iter().filter(|quantity| self.is_input(quantity)).flat_map(move |quantity| at(quantity, time))
        };
        let mut rows: Vec<usize> = (0..input_states).flat_map(carried).collect();
        for (n, forcing) in self.forcings.iter().enumerate() {
            rows.extend((0..input_states).flat_map(|time| at(forcing, time)));
            rows.push(next + n);
        }
        rows.extend(self.statics.iter().flat_map(|quantity| at(quantity, 0)));
        rows
    }
}

impl Quantity {
    fn new(name: &str, levels: &[f64], problems: &mut Vec<String>) -> Option<Self> {
        let on_levels = ON_LEVELS.contains(&name);
        let levels =
            if on_levels { levels.iter().copied().map(Level::Pressure).collect() } else { vec![Level::Surface] };
        let formula = FORMULAS.iter().find(|(known, _)| *known == name).map(|(_, formula)| Kind::Computed(*formula));
        let Some(kind) = formula.or_else(|| Kind::of(name, levels.first()?)) else {
            problems.push(format!("{name}: no variable that is known here"));
            return None;
        };
        Some(Self { name: name.to_owned(), levels, kind })
    }
}

impl Kind {
    fn of(name: &str, level: &Level) -> Option<Self> {
        // sums over some hours say so in their names
        let base = match name.rsplit_once('_') {
            Some((base, hours)) if hours.strip_suffix("hr").is_some_and(|hours| hours.parse::<u32>().is_ok()) => base,
            _ => name,
        };
        let ours = lexicon::lookup(base, level, None)?;
        let units = UNITS.iter().find(|(known, _)| *known == base).map(|(_, units)| *units);
        // a variable that we have in the training's own units, too, keeps them
        let known = known_variables(ours).find(|known| units.is_none_or(|units| known.units == units));
        let known = known.or_else(|| known_variables(ours).next())?;
        Some(Self::Known(known, units.unwrap_or(known.units)))
    }
}
