//! How the members of an ensemble start apart.
//!
//! Member 0 is the control: it starts from the analysis, bit for bit as a single forecast does. To the other members' analysis
//! noise is added, as the package's `[perturbation]` says, or they are older forecasts ([`EnsembleKind::Lagged`]). A member
//! depends on the seed, its number and the ensemble's size, and on nothing else: any machine can make any member alone.

mod centred;
mod plane;
mod random;
mod sphere;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::centred::Group;
use self::plane::Plane;
use self::random::Normal;
use self::sphere::{Places, Sphere};
use super::ForecastError;
use crate::atmos::{Axes, Grid, LeadTime, ReferenceTime};
use crate::model::{Channel, ChannelLayout, ModelPackage, Noise, Perturbation, State};

/// More members than any ensemble has.
pub const MOST_MEMBERS: usize = 1000;
/// Of the way to a limit that a value may go: nothing that is positive becomes nothing.
const OF_THE_WAY: f64 = 0.5;

/// Where the members' differences come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EnsembleKind {
    /// The noise that the package's `[perturbation]` tells.
    #[default]
    Noise,
    /// Member `k` starts `k` lags earlier, and is a forecast by the time that the others start.
    Lagged(LeadTime),
}

/// What makes an ensemble, beside the analysis and the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ensemble {
    /// 1: a single forecast.
    pub members: usize,
    /// Of the noise; the same seed gives the same members.
    pub seed: u64,
    pub kind: EnsembleKind,
    /// Members that a worker takes at once, and advances side by side. It changes no number.
    pub side_by_side: usize,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self::SINGLE
    }
}

impl Ensemble {
    pub const SINGLE: Self = Self { members: 1, seed: 0, kind: EnsembleKind::Noise, side_by_side: 1 };

    pub fn is_single(&self) -> bool {
        self.members == 1
    }

    /// What is asked for against what the package can do; the error says what to do.
    pub fn check(&self, package: &ModelPackage) -> Result<(), String> {
        let Self { members, kind, side_by_side, .. } = *self;
        if !(1..=MOST_MEMBERS).contains(&members) {
            return Err(format!(
                "{members} members are asked for; an ensemble has 2 to {MOST_MEMBERS}, 1 is a single forecast"
            ));
        }
        if side_by_side == 0 {
            return Err("0 members side by side are none; expected 1 or more".to_owned());
        }
        match kind {
            _ if self.is_single() => Ok(()),
            EnsembleKind::Noise if package.perturbation().is_none() => Err(format!(
                "{} does not say how the members of an ensemble start apart: its model.toml needs [perturbation] with kind and \
                 amplitude; or let them start at different times (lagged:6h)",
                package.name()
            )),
            EnsembleKind::Noise => Ok(()),
            EnsembleKind::Lagged(lag)
                if lag.seconds() % package.time_step().seconds() != 0 || lag <= LeadTime::ZERO =>
            {
                Err(format!("a lag of {lag} is no multiple of the model's time step, {}", package.time_step()))
            }
            EnsembleKind::Lagged(_) if package.needs_boundary() => Err(format!(
                "{} is told on its way what happens: it cannot start at different times; its ensembles need [perturbation]",
                package.name()
            )),
            EnsembleKind::Lagged(_) => Ok(()),
        }
    }

    /// The reference times of older analyses that members start from, the control's left out: none but of a lagged ensemble.
    pub fn earlier_times(&self, reference_time: ReferenceTime) -> Vec<ReferenceTime> {
        let EnsembleKind::Lagged(lag) = self.kind else { return Vec::new() };
        let lags = 1..i64::try_from(self.members).unwrap_or(1);
        let back = |n: i64| reference_time.valid() - LeadTime::from_seconds(n.saturating_mul(lag.seconds()));
        lags.map(|n| back(n).as_reference()).collect()
    }

    /// The members that worker number `part` makes.
    pub fn part(&self, part: usize) -> Range<usize> {
        let first = part.saturating_mul(self.side_by_side).min(self.members);
        first..first.saturating_add(self.side_by_side).min(self.members)
    }

    /// How many parts there are: one worker can take each.
    pub fn parts(&self) -> usize {
        self.members.div_ceil(self.side_by_side.max(1))
    }

    /// As it stands in the run's identity; `None` of a single forecast.
    pub fn perturbation(&self) -> Option<String> {
        (!self.is_single()).then(|| self.kind.to_string())
    }
}

impl fmt::Display for EnsembleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise => f.write_str("noise"),
            Self::Lagged(lag) => write!(f, "lagged:{lag}"),
        }
    }
}

impl FromStr for EnsembleKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no way to start apart; expected noise (the package's), or lagged:6h");
        match text.split_once(':') {
            None if text == "noise" => Ok(Self::Noise),
            Some(("lagged", lag)) => lag.parse().map(Self::Lagged).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for EnsembleKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EnsembleKind> for String {
    fn from(kind: EnsembleKind) -> Self {
        kind.to_string()
    }
}

/// Makes the analyses of an ensemble's members by adding noise.
pub(super) struct Perturber {
    perturbation: Perturbation,
    layout: Arc<ChannelLayout>,
    pattern: Pattern,
    points: usize,
    members: usize,
    seed: u64,
}

/// Unit noise at the grid's points.
enum Pattern {
    Independent,
    Sphere(Sphere),
    Plane(Plane),
}

impl Perturber {
    pub fn new(
        perturbation: &Perturbation,
        layout: &Arc<ChannelLayout>,
        grid: &Grid,
        ensemble: &Ensemble,
    ) -> Result<Self, ForecastError> {
        let pattern = match perturbation.noise {
            Noise::Gaussian => Ok(Pattern::Independent),
            Noise::Correlated { length_scale } => match grid.axes() {
                Axes::Projected { projection, y, x } if !projection.is_angular() => {
                    Plane::new(y, x, length_scale).map(Pattern::Plane)
                }
                _ => Sphere::new(places(grid), length_scale).map(Pattern::Sphere),
            },
        };
        let pattern = pattern.map_err(|reason| ForecastError::Configuration(format!("[perturbation]: {reason}")))?;
        let (layout, points) = (layout.clone(), grid.len());
        let Ensemble { members, seed, .. } = *ensemble;
        Ok(Self { perturbation: perturbation.clone(), layout, pattern, points, members, seed })
    }

    /// The member's input states: to each of them the same is added. The control's are those that were given.
    pub fn member(&self, member: usize, states: Vec<State>) -> Result<Vec<State>, ForecastError> {
        let Some(group) = Group::of(member, self.members) else { return Ok(states) };
        let mut values = states.iter().map(|state| state.tensor.flatten_all()?.to_vec1::<f32>());
        let mut values = values.by_ref().collect::<candle_core::Result<Vec<Vec<f32>>>>()?;
        let added: Vec<(usize, Vec<f64>)> = self
            .layout
            .iter()
            .enumerate()
            .collect::<Vec<_>>()
            .into_par_iter()
            .filter(|&(place, _)| self.perturbation.amplitudes[place] > 0.0)
            .map(|(place, channel)| {
                let from = place * self.points;
                let fields: Vec<&[f32]> = values.iter().map(|state| &state[from..from + self.points]).collect();
                (place, self.added(&group, channel, self.perturbation.amplitudes[place], &fields))
            })
            .collect();
        for (place, added) in added {
            for state in &mut values {
                let field = &mut state[place * self.points..(place + 1) * self.points];
                field.iter_mut().zip(&added).for_each(|(value, added)| *value = (f64::from(*value) + added) as f32);
            }
        }
        let make = |(state, values): (&State, Vec<f32>)| -> Result<State, ForecastError> {
            let tensor = Tensor::from_vec(values, state.tensor.dims(), state.tensor.device())?;
            Ok(State { tensor, valid_time: state.valid_time })
        };
        states.iter().zip(values).map(make).collect()
    }

    /// What is added to a channel; `fields` are its values in each input state. Where one of the member's group would come
    /// too near to a limit, all of the group get less, so that their sum stays zero.
    fn added(&self, group: &Group, channel: &Channel, amplitude: f64, fields: &[&[f32]]) -> Vec<f64> {
        let draws = group.coefficients.iter().map(|two| if two[1] == 0.0 { 1 } else { 2 }).max().unwrap_or(1);
        let patterns: Vec<Vec<f64>> = (0..draws)
            .map(|draw| self.pattern(Normal::stream(self.seed, group.first_draw + draw, &channel.label())))
            .collect();
        let (low, high) = limits(channel);
        (0..self.points)
            .map(|point| {
                let of = |two: &[f64; 2]| -> f64 {
                    patterns.iter().zip(two).map(|(pattern, part)| part * pattern[point]).sum::<f64>() * amplitude
                };
                let largest = group.coefficients.iter().map(|two| of(two).abs()).fold(0.0, f64::max);
                let room = fields.iter().map(|field| f64::from(field[point]));
                let room = room.map(|value| OF_THE_WAY * (value - low).min(high - value)).fold(f64::INFINITY, f64::min);
                let own = of(&group.coefficients[group.place]);
                match largest > room {
                    true => own * room.max(0.0) / largest,
                    false => own,
                }
            })
            .collect()
    }

    fn pattern(&self, normal: Normal) -> Vec<f64> {
        match &self.pattern {
            Pattern::Independent => normal.take(self.points).collect(),
            Pattern::Sphere(sphere) => sphere.draw(normal),
            Pattern::Plane(plane) => plane.draw(normal),
        }
    }
}

/// A rotated pole is a sphere as good as the other.
fn places(grid: &Grid) -> Places {
    match grid.axes() {
        Axes::Rectilinear { latitude: rows, longitude: columns } | Axes::Projected { y: rows, x: columns, .. } => {
            Places::Rows { latitude: rows.to_vec(), longitude: columns.to_vec() }
        }
        Axes::None => {
            let places = grid.coordinates();
            let all = |values: &ndarray::Array2<f64>| values.iter().copied().collect();
            Places::Points { latitude: all(&places.latitude), longitude: all(&places.longitude) }
        }
    }
}

/// Between which values a channel stays: what is plausible, what the network keeps to, and above zero what has no less.
fn limits(channel: &Channel) -> (f64, f64) {
    let (mut low, mut high) = channel.plausible;
    low = low.max(channel.clamp.lower.unwrap_or(low));
    high = high.min(channel.clamp.upper.unwrap_or(high));
    if is_never_negative(&channel.variable.standard_name) {
        low = low.max(0.0);
    }
    (low, high)
}

/// Of CF standard names.
fn is_never_negative(standard_name: &str) -> bool {
    standard_name.ends_with("_humidity")
        || standard_name.ends_with("_area_fraction")
        || standard_name.contains("precipitation")
        || standard_name.starts_with("mass_fraction_")
        || standard_name.starts_with("atmosphere_mass_content_")
        || standard_name.starts_with("wind_speed")
}

#[cfg(test)]
mod tests;
