//! The channels of a model, in order.

use serde::{Deserialize, Serialize};

use super::Formula;
use crate::atmos::{Level, Variable};

/// How a channel takes part in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// In and out: carried from step to step.
    Prognostic,
    /// Out only.
    Diagnostic,
    /// In only, different at each time.
    Forcing,
    /// In only, the same at all times.
    Static,
    /// As [`Self::Forcing`], at the nodes of the boundary.
    Boundary,
    /// As [`Self::Static`], at the nodes of the boundary.
    #[serde(rename = "boundary-static")]
    BoundaryStatic,
}

/// One channel: what it is, and the statistics that standardise it.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    pub variable: Variable,
    pub level: Level,
    pub role: Role,
    /// Mean of the state over the training data, in the variable's units.
    pub mean: f64,
    /// Standard deviation of the state over the training data, in the variable's units.
    pub std: f64,
    /// Mean of the one-step difference over the training data, in the variable's units; 0 where it is not told.
    pub diff_mean: f64,
    /// Standard deviation of the one-step difference, in the variable's units; 1 where the network predicts the state.
    pub diff_std: f64,
    /// Values outside stop a run, in the variable's units.
    pub plausible: (f64, f64),
    /// The same, where the package tells it: then it holds for what is read, too.
    pub told_plausible: Option<(f64, f64)>,
    pub clamp: Clamp,
    /// Of a forcing that is computed; others are read.
    pub formula: Option<Formula>,
}

/// Limits of a channel, in its variable's units: the network's output comes near them and never beyond.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

impl Clamp {
    /// Finite, and the lower one below the upper one.
    pub fn is_sound(&self) -> bool {
        let finite = |limit: Option<f64>| limit.is_none_or(f64::is_finite);
        let ordered = self.lower.zip(self.upper).is_none_or(|(lower, upper)| lower < upper);
        finite(self.lower) && finite(self.upper) && ordered
    }
}

impl Channel {
    /// `t 500hPa`, `sp`.
    pub fn label(&self) -> String {
        match self.level {
            Level::Surface => self.variable.name.to_string(),
            level => format!("{} {level}", self.variable.name),
        }
    }
}

/// The channels of a state, in the order of dimension `C`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelLayout {
    channels: Vec<Channel>,
}

impl ChannelLayout {
    pub fn new(channels: Vec<Channel>) -> Self {
        Self { channels }
    }

    pub fn len(&self) -> usize {
        self.channels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Channel> {
        self.channels.iter()
    }

    /// Those with one of these roles, in order: their places.
    pub fn places(&self, role: Role) -> Vec<u32> {
        (0..).zip(&self.channels).filter(|(_, channel)| channel.role == role).map(|(place, _)| place).collect()
    }

    /// Variables in order of first appearance, each with its levels in channel order.
    pub fn variables(&self) -> Vec<(&Variable, Vec<Level>)> {
        let mut variables: Vec<(&Variable, Vec<Level>)> = Vec::new();
        for channel in &self.channels {
            match variables.iter_mut().find(|(variable, _)| variable.name == channel.variable.name) {
                Some((_, levels)) => levels.push(channel.level),
                None => variables.push((&channel.variable, vec![channel.level])),
            }
        }
        variables
    }
}
