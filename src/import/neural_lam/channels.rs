//! How features become channels.

use indexmap::IndexMap;

use super::config::OutputClamping;
use super::datastore::{Feature, Source};
use super::statistics::Statistics;
use crate::atmos::{Level, known_variable};
use crate::ingest::{conversion, lexicon};
use crate::model::manifest::{ChannelSection, LevelSection};
use crate::model::{Clamp, Role};

/// float32's resolution: smaller deviations are taken as this.
const LEAST_STD: f64 = f32::EPSILON as f64;

/// What all channels share.
pub struct Describe<'a> {
    pub clamping: &'a OutputClamping,
    /// Winds are components along the axes of the grid.
    pub along_axes: bool,
}

impl Describe<'_> {
    pub fn channels(&self, role: Role, features: &[Feature], statistics: &Statistics) -> Vec<ChannelSection> {
        (0..features.len()).map(|n| self.channel(role, n, &features[n], statistics)).collect()
    }

    fn channel(&self, role: Role, n: usize, feature: &Feature, statistics: &Statistics) -> ChannelSection {
        let (name, level, formula) = match &feature.source {
            Source::Variable(name, level) => (name.clone(), *level, None),
            Source::Formula(formula) => (feature.names[0].clone(), Level::Surface, Some(*formula)),
        };
        let found_units = statistics.units.get(n).map_or("", String::as_str);
        // what the store calls by one of our names has our units inside
        let own = known_variable(&name);
        let known = lexicon::lookup(&name, &level, None).and_then(known_variable).or(own);
        let units = own.map_or(found_units, |own| own.units);
        let units = if units.is_empty() { known.map_or("1", |known| known.units) } else { units };
        let to_ours = own.filter(|_| !found_units.is_empty()).and_then(|own| conversion(found_units, own.units));
        let (scale, offset) = to_ours.map_or((1.0, 0.0), |to_ours| (to_ours.scale, to_ours.offset));
        let value = |value: f64| value * scale + offset;
        let of = |values: &[f64]| values.get(n).map(|value| value * scale);
        let (mean, std) = (value(statistics.mean[n]), (statistics.std[n] * scale).max(LEAST_STD));
        let limit = |limits: &IndexMap<String, f64>| limits.get(&statistics.names[n]).copied().map(value);
        let clamp = Clamp { lower: limit(&self.clamping.lower), upper: limit(&self.clamping.upper) };
        let clamp = (role == Role::Prognostic && clamp != Clamp::default()).then_some(clamp);
        let standard_name = known.filter(|known| known.units == units).map_or("", |known| known.standard_name);
        let standard_name = match standard_name {
            "eastward_wind" if self.along_axes => "x_wind",
            "northward_wind" if self.along_axes => "y_wind",
            other => other,
        };
        let long_name =
            statistics.long_names.get(n).filter(|text| !text.is_empty() && level == Level::Surface).cloned();
        let long_name = long_name.or_else(|| known.map(|known| known.long_name.to_owned()));
        let long_name = long_name.map(|text| match standard_name {
            "x_wind" | "y_wind" if !text.contains("grid") => format!("{text} (along the grid)"),
            _ => text,
        });
        // what the atmosphere can show, or what the training data came near
        let near = (mean - 100.0 * std, mean + 100.0 * std);
        let plausible = known
            .filter(|known| known.units == units)
            .map_or(near, |known| (known.plausible.0.min(mean - 8.0 * std), known.plausible.1.max(mean + 8.0 * std)));
        ChannelSection {
            name,
            standard_name: standard_name.to_owned(),
            long_name,
            units: units.to_owned(),
            level: LevelSection::from(level),
            role,
            mean,
            std,
            diff_mean: of(&statistics.diff_mean),
            diff_std: of(&statistics.diff_std),
            plausible: (role == Role::Prognostic).then_some(plausible),
            clamp,
            formula,
        }
    }
}
