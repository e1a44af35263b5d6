//! What is made of an ensemble's members, for each lead time that all of them have: a group of its own inside the forecast.
//!
//! `statistics/` has for each variable `t` the fields `t_mean`, `t_spread` (standard deviation of the members around their
//! mean), `t_q10` (a quantile, linear between the members) and, where it is asked for, `t_above_273.15` (the fraction of the
//! members that are above). The manifest lists the lead times that may be read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::{Array3, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::array::{ObjectIndex, VariableArray};
use super::metadata::{self, Copy, Documents};
use super::shard::Part;
use super::spec::{Encoding, ForecastSpec, Output};
use super::{Location, StoreError};
use crate::atmos::{Level, Variable};

/// Its folder inside the forecast.
pub(super) const FOLDER: &str = "statistics";
const MEAN: &str = "mean";
/// The name of the standard deviation behind a variable's.
pub const SPREAD: &str = "spread";
/// Values of all members that are in memory at once.
const MOST_VALUES: usize = 1 << 24;
const CONCURRENT_READS: usize = 8;

/// Which statistics, beside mean and spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Between 0 and 1.
    pub quantiles: Vec<f64>,
    #[serde(default)]
    pub exceed: Vec<Exceedance>,
}

/// How many of the members are above a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exceedance {
    pub variable: String,
    /// `None`: on all of the variable's levels.
    pub level: Option<Level>,
    /// In the variable's unit.
    pub threshold: f64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { quantiles: vec![0.1, 0.5, 0.9], exceed: Vec::new() }
    }
}

/// Its name behind a variable's.
fn quantile_name(quantile: f64) -> String {
    format!("q{}", (quantile * 1e8).round() / 1e6)
}

impl Exceedance {
    /// Its name behind a variable's.
    fn name(&self) -> String {
        let level = self.level.map_or(String::new(), |level| format!("{level}_"));
        format!("{level}above_{}", self.threshold)
    }
}

impl Statistics {
    /// What is made of a variable, by the names behind the variable's own: `mean`, `spread`, `q10`, `850hPa_above_280`.
    pub fn names(&self, variable: &str) -> Vec<String> {
        let always = [MEAN, SPREAD].map(str::to_owned).into_iter();
        let quantiles = self.quantiles.iter().map(|&quantile| quantile_name(quantile));
        let exceed = self.exceed.iter().filter(|one| one.variable == variable).map(Exceedance::name);
        always.chain(quantiles).chain(exceed).collect()
    }

    /// Whether they can be made of these variables; the error says of which not.
    pub fn check(&self, outputs: &[(&Variable, Vec<Level>)]) -> Result<(), String> {
        if let Some(wrong) = self.quantiles.iter().find(|quantile| !(0.0..=1.0).contains(*quantile)) {
            return Err(format!("{wrong} is no quantile; expected 0 to 1"));
        }
        for one in &self.exceed {
            let found = outputs.iter().find(|(variable, _)| *variable.name == *one.variable);
            let Some((_, levels)) = found else {
                let names: Vec<&str> = outputs.iter().map(|(variable, _)| &*variable.name).collect();
                return Err(format!("{one}: there is no such variable; there are {}", names.join(", ")));
            };
            if one.level.is_some_and(|level| !levels.contains(&level)) {
                let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
                return Err(format!("{one}: there is no such level; there are {}", levels.join(", ")));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Exceedance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.map_or(String::new(), |level| format!(" {level}"));
        write!(f, "{}{level}>{}", self.variable, self.threshold)
    }
}

impl FromStr for Exceedance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no threshold; expected one such as t2m>273.15, or \"t 500hPa>250\"");
        let (field, threshold) = text.split_once('>').ok_or_else(wrong)?;
        let threshold: f64 = threshold.trim().parse().map_err(|_| wrong())?;
        let (variable, level) = match field.trim().split_once(' ') {
            Some((variable, level)) => (variable, Some(level.trim().parse().map_err(|_| wrong())?)),
            None => (field.trim(), None),
        };
        if variable.is_empty() || !threshold.is_finite() {
            return Err(wrong());
        }
        Ok(Self { variable: variable.to_owned(), level, threshold })
    }
}

impl TryFrom<String> for Exceedance {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Exceedance> for String {
    fn from(one: Exceedance) -> Self {
        one.to_string()
    }
}

/// What a field is made of a point's members by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Made {
    Mean,
    Spread,
    Quantile(f64),
    Above(f64),
}

impl Made {
    /// Of CF; quantiles and fractions have none.
    fn cell_methods(self) -> Option<&'static str> {
        match self {
            Self::Mean => Some("member: mean"),
            Self::Spread => Some("member: standard_deviation"),
            Self::Quantile(_) | Self::Above(_) => None,
        }
    }

    /// `values` are the members', ascending, and their mean.
    fn of(self, values: &[f64], mean: f64) -> f64 {
        let n = values.len() as f64;
        match self {
            Self::Mean => mean,
            Self::Spread => (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt(),
            Self::Quantile(quantile) => {
                let place = quantile * (n - 1.0);
                let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
                low + (high - low) * place.fract()
            }
            Self::Above(threshold) => values.iter().filter(|value| **value > threshold).count() as f64 / n,
        }
    }
}

/// The group of the statistics, as a forecast without members, and what each of its variables is made of.
pub(super) struct Group {
    pub spec: ForecastSpec,
    /// By output: the forecast's output, its levels, and how.
    made: Vec<(usize, Vec<usize>, Made)>,
}

impl Group {
    /// `None` where none are asked for.
    pub fn of(spec: &ForecastSpec) -> Option<Self> {
        let statistics = spec.statistics.as_ref().filter(|_| spec.is_ensemble())?;
        let (mut outputs, mut made) = (Vec::new(), Vec::new());
        for (source, output) in spec.outputs.iter().enumerate() {
            let Variable { name, standard_name, long_name, units } = &output.variable;
            let mut add = |variable: Variable, levels: Vec<usize>, how: Made| {
                let of = levels.iter().map(|&level| output.levels[level]).collect();
                outputs.push(Output { variable, levels: of, precision: output.precision, range: output.range });
                made.push((source, levels, how));
            };
            let all: Vec<usize> = (0..output.levels.len()).collect();
            let named = |suffix: &str, what: &str| {
                Variable::new(&format!("{name}_{suffix}"), standard_name, &format!("{long_name}, {what}"), units)
            };
            add(named(MEAN, "mean of the members"), all.clone(), Made::Mean);
            add(named(SPREAD, "standard deviation of the members"), all.clone(), Made::Spread);
            for &quantile in &statistics.quantiles {
                let what = format!("quantile {quantile} of the members");
                add(named(&quantile_name(quantile), &what), all.clone(), Made::Quantile(quantile));
            }
            for one in statistics.exceed.iter().filter(|one| *one.variable == **name) {
                let chosen = |level: &usize| one.level.is_none_or(|wanted| output.levels[*level] == wanted);
                let long_name = format!("fraction of the members with {one} {units}");
                let variable = Variable::new(&format!("{name}_{}", one.name()), "", &long_name, "1");
                add(variable, all.iter().copied().filter(chosen).collect(), Made::Above(one.threshold));
            }
        }
        let spec = ForecastSpec {
            title: format!("{}: statistics of the members", spec.title),
            members: 1,
            statistics: None,
            outputs,
            encoding: Encoding::Float32,
            ..spec.clone()
        };
        Some(Self { spec, made })
    }

    /// The `zarr.json` documents, with how each variable follows from the members.
    pub fn documents(&self, provenance: &serde_json::Map<String, Value>) -> Documents {
        let mut documents = metadata::documents(&self.spec, Copy::Map, provenance);
        for (output, (_, _, made)) in self.spec.outputs.iter().zip(&self.made) {
            let Some(methods) = made.cell_methods() else { continue };
            let name = &*output.variable.name;
            for (_, document) in documents.arrays.iter_mut().filter(|(other, _)| other == name) {
                document["attributes"]["cell_methods"] = json!(methods);
            }
            documents.group["consolidated_metadata"]["metadata"][name]["attributes"]["cell_methods"] = json!(methods);
        }
        documents
    }

    /// Reads all members' fields of a step back, and writes what is made of them.
    pub async fn write(
        &self,
        location: &Location,
        forecast: (&ForecastSpec, &[Arc<VariableArray>]),
        step: usize,
    ) -> Result<(), StoreError> {
        let (spec, arrays) = forecast;
        let own = VariableArray::all(&location.join(FOLDER), &self.spec, Copy::Map)?;
        let (h, w) = spec.grid.shape();
        let rows = (MOST_VALUES / (spec.members * w)).clamp(1, h);
        for (source, level) in spec.fields() {
            let targets: Vec<(usize, usize, Made)> = self
                .made
                .iter()
                .enumerate()
                .filter(|(_, (of, _, _))| *of == source)
                .filter_map(|(output, (_, levels, made))| {
                    Some((output, levels.iter().position(|&other| other == level)?, *made))
                })
                .collect();
            let how: Vec<Made> = targets.iter().map(|(_, _, made)| *made).collect();
            let mut fields = vec![Array3::from_elem((1, h, w), f32::NAN); targets.len()];
            for first in (0..h).step_by(rows) {
                let band = first..h.min(first + rows);
                let reads = (0..spec.members).map(|member| {
                    let part = Part { leads: step..step + 1, rows: band.clone(), columns: 0..w };
                    let array = arrays[source].clone();
                    async move { array.read((member, level), part).await }
                });
                let members: Vec<Array3<f32>> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
                let how = how.clone();
                let made = spawn_blocking(move || of_points(&members, &how)).await;
                let made = made.map_err(|error| StoreError::storage("making statistics", error))?;
                for (field, made) in fields.iter_mut().zip(made) {
                    field.slice_mut(s![.., band.clone(), ..]).assign(&made);
                }
            }
            for ((output, level, _), field) in targets.into_iter().zip(fields) {
                own[output].write(ObjectIndex { lead: step, member: 0, level, band: 0 }, field).await?;
            }
        }
        Ok(())
    }
}

/// From each point's members what is asked for; missing where one of them is missing.
fn of_points(members: &[Array3<f32>], how: &[Made]) -> Vec<Array3<f32>> {
    let Some(first) = members.first() else { return Vec::new() };
    let shape = first.dim();
    let flat: Vec<&[f32]> = members.iter().filter_map(|member| member.as_slice()).collect();
    let point = |point: usize| -> Vec<f32> {
        let mut values: Vec<f64> = flat.iter().map(|member| f64::from(member[point])).collect();
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return vec![f32::NAN; how.len()];
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.sort_by(f64::total_cmp);
        how.iter().map(|made| made.of(&values, mean) as f32).collect()
    };
    let points: Vec<Vec<f32>> = (0..first.len()).into_par_iter().map(point).collect();
    let field = |n: usize| {
        let values = points.iter().map(|made| made[n]).collect();
        Array3::from_shape_vec(shape, values).unwrap_or_else(|_| Array3::from_elem(shape, f32::NAN))
    };
    (0..how.len()).map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_members_of_a_point() {
        let members: Vec<Array3<f32>> =
            [4.0, 1.0, 2.0, 3.0].map(|value| Array3::from_shape_vec((1, 1, 2), vec![value, f32::NAN]).unwrap()).into();
        let how =
            [Made::Mean, Made::Spread, Made::Quantile(0.5), Made::Quantile(0.1), Made::Quantile(1.0), Made::Above(2.0)];
        let made: Vec<f32> = of_points(&members, &how).iter().map(|field| field[[0, 0, 0]]).collect();
        assert_eq!(made, [2.5, (5.0f32 / 3.0).sqrt(), 2.5, 1.3, 4.0, 0.5]);
        assert!(of_points(&members, &how).iter().all(|field| field[[0, 0, 1]].is_nan()));
    }

    #[test]
    fn what_is_made_has_the_names_of_its_variables_endings() {
        let exceed = ["t 850hPa>280", "t>250.5", "u>10"].map(|one| one.parse().unwrap()).to_vec();
        let statistics = Statistics { quantiles: vec![0.1, 0.975], exceed };
        let names = ["mean", "spread", "q10", "q97.5", "850hPa_above_280", "above_250.5"];
        assert_eq!(statistics.names("t"), names);
        assert_eq!(statistics.names("v"), names[..4]);
    }

    #[test]
    fn thresholds_read_back() {
        for text in ["t2m>273.15", "t 500hPa>250", "q ml7>0.001"] {
            assert_eq!(text.parse::<Exceedance>().unwrap().to_string(), text);
        }
        for text in ["t2m", "t2m>", "t2m>warm", ">1", "t nowhere>1", "t>inf"] {
            assert!(text.parse::<Exceedance>().unwrap_err().contains("expected"), "{text}");
        }
    }
}
