//! `[[channel]]` of a manifest.

use serde::{Deserialize, Serialize};

use super::is_object_name;
use crate::atmos::{Level, Variable, known_variables};
use crate::model::{Channel, Clamp, Formula, Predicts, ProblemList, Role};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSection {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub standard_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_name: Option<String>,
    pub units: String,
    pub level: LevelSection,
    pub role: Role,
    pub mean: f64,
    pub std: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_std: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plausible: Option<(f64, f64)>,
    /// Limits that the network's output keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamp: Option<Clamp>,
    /// Of a forcing that is computed, not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<Formula>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LevelSection {
    Name(String),
    Pressure { pressure: f64 },
    Height { height: f64 },
    Model { model_level: u32 },
}

impl From<Level> for LevelSection {
    fn from(level: Level) -> Self {
        match level {
            Level::Surface => Self::Name(level.to_string()),
            Level::Pressure(pressure) => Self::Pressure { pressure },
            Level::Height(height) => Self::Height { height },
            Level::Model(model_level) => Self::Model { model_level },
        }
    }
}

impl ChannelSection {
    pub(super) fn validate(
        &self,
        predicts: Predicts,
        place: &dyn Fn(&str) -> String,
        problems: &mut ProblemList,
    ) -> Option<Channel> {
        if !is_object_name(&self.name) {
            problems.add(
                place("name"),
                format!("{:?}", self.name),
                "1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
            );
        }
        let level = match &self.level {
            LevelSection::Name(name) => name.parse::<Level>().ok(),
            LevelSection::Pressure { pressure } => Some(Level::Pressure(*pressure)),
            LevelSection::Height { height } => Some(Level::Height(*height)),
            LevelSection::Model { model_level } => Some(Level::Model(*model_level)),
        }
        .filter(|level| level.value().is_finite() && level.value() >= 0.0);
        if level.is_none() {
            problems.add(
                place("level"),
                format!("{:?}", self.level),
                "\"surface\", { pressure = 500 }, { height = 100 } or { model_level = 8 }",
            );
        }
        if !self.mean.is_finite() {
            problems.add(place("mean"), self.mean.to_string(), "a finite number");
        }
        if !(self.std.is_finite() && self.std > 0.0) {
            problems.add(place("std"), self.std.to_string(), "a finite number above 0");
        }
        let carried = self.role == Role::Prognostic;
        let diff_std = match (self.diff_std, predicts) {
            (Some(value), _) if value.is_finite() && value > 0.0 => value,
            (None, Predicts::State) => 1.0,
            (None, Predicts::Tendency) if !carried => 1.0,
            (found, _) => {
                let found = found.map_or("nothing".to_owned(), |value| value.to_string());
                problems.add(
                    place("diff_std"),
                    found,
                    "a finite number above 0, since the network predicts the tendency",
                );
                1.0
            }
        };
        let known = known_variables(&self.name).find(|known| known.units == self.units);
        let plausible = self.plausible.or(known.map(|known| known.plausible)).unwrap_or((f64::MIN, f64::MAX));
        if plausible.0.partial_cmp(&plausible.1) != Some(std::cmp::Ordering::Less) {
            problems.add(place("plausible"), format!("{plausible:?}"), "[lowest, highest]");
        }
        let diff_mean = self.diff_mean.unwrap_or(0.0);
        if !diff_mean.is_finite() {
            problems.add(place("diff_mean"), diff_mean.to_string(), "a finite number");
        }
        let clamp = self.clamp.unwrap_or_default();
        if !clamp.is_sound() {
            problems.add(place("clamp"), format!("{clamp:?}"), "{ lower, upper }: one, or both in this order");
        }
        if clamp != Clamp::default() && !carried {
            problems.add(place("clamp"), "limits", "none: only what the network predicts is clamped");
        }
        if self.formula.is_some() && !matches!(self.role, Role::Forcing | Role::Boundary) {
            problems.add(place("formula"), "a formula", "none: only a forcing is computed");
        }
        let units: Vec<&str> = known_variables(&self.name).map(|known| known.units).collect();
        if known.is_none() && !units.is_empty() {
            let expected = format!("{units:?}: inside vejr, {} has no other", self.name);
            problems.add(place("units"), format!("{:?}", self.units), expected);
        }
        let long_name = self.long_name.as_deref().or(known.map(|known| known.long_name)).unwrap_or(&self.name);
        Some(Channel {
            variable: Variable::new(&self.name, &self.standard_name, long_name, &self.units),
            level: level?,
            role: self.role,
            mean: self.mean,
            std: self.std,
            diff_mean,
            diff_std,
            plausible,
            told_plausible: self.plausible,
            clamp,
            formula: self.formula,
        })
    }
}
