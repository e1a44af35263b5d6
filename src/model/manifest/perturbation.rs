//! `[perturbation]` of a manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{ChannelLayout, ProblemList, Role};

/// How the members of an ensemble are told apart at the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbationSection {
    pub kind: NoiseKind,
    /// Of correlated noise, km.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_scale: Option<f64>,
    /// Standard deviation of a variable (`t`), or of it on one level (`"t 500hPa"`), in its unit.
    pub amplitude: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseKind {
    Gaussian,
    Correlated,
}

/// Noise of variance 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// Independent from point to point.
    Gaussian,
    /// Correlation `exp(-r² / 2 L²)` at distance `r`; `length_scale` is `L` in m.
    Correlated { length_scale: f64 },
}

/// Noise, and how much of it each channel of the state gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Perturbation {
    pub noise: Noise,
    /// In the order of the state's channels and in their units; 0 where nothing is added.
    pub amplitudes: Vec<f64>,
}

impl PerturbationSection {
    pub(super) fn validate(&self, state: &ChannelLayout, problems: &mut ProblemList) -> Option<Perturbation> {
        let place = |key: &str| format!("model.toml: [perturbation] {key}");
        let before = problems.len();
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let noise = match (self.kind, self.length_scale) {
            (NoiseKind::Gaussian, None) => Some(Noise::Gaussian),
            (NoiseKind::Gaussian, Some(found)) => {
                problems.add(place("length_scale"), format!("{found}"), "nothing: Gaussian noise has none");
                None
            }
            (NoiseKind::Correlated, Some(km)) if positive(km) => Some(Noise::Correlated { length_scale: km * 1e3 }),
            (NoiseKind::Correlated, found) => {
                let found = found.map_or("nothing".to_owned(), |found| found.to_string());
                problems.add(place("length_scale"), found, "more than 0, in km");
                None
            }
        };
        if self.amplitude.is_empty() {
            problems.add(place("amplitude"), "none", "a variable's standard deviation, such as { t = 0.5 }");
        }
        let mut amplitudes = vec![0.0; state.len()];
        // in the map's order a name comes before the same with a level, which so has the last word
        for (name, &value) in &self.amplitude {
            if !positive(value) {
                problems.add(place(&format!("amplitude {name:?}")), value.to_string(), "more than 0");
            }
            let named = |channel: &&crate::model::Channel| {
                channel.role == Role::Prognostic && (*channel.variable.name == **name || channel.label() == *name)
            };
            let places: Vec<usize> =
                state.iter().enumerate().filter(|(_, channel)| named(channel)).map(|(n, _)| n).collect();
            if places.is_empty() {
                let expected = "a prognostic variable of the model, or one with its level, such as \"t 500hPa\"";
                problems.add(place("amplitude"), format!("{name:?}"), expected);
            }
            places.into_iter().for_each(|n| amplitudes[n] = value);
        }
        (problems.len() == before).then_some(Perturbation { noise: noise?, amplitudes })
    }
}
