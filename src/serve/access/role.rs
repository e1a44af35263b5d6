//! What callers may do, and what routes need.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// What a caller may do. Each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See what there is: forecasts, runs, models, data, maps.
    Read,
    /// Ask for forecasts, and cancel runs.
    Request,
    /// All there is, metrics included.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Read, Self::Request, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Request => "request",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.name() == text);
        known.ok_or_else(|| format!("{text:?} is no role; expected read, request or admin"))
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing, and as often as anybody likes: probes must be answered most of all when something is wrong.
    Probe,
    /// Nothing: it is the same for all, and part of the program.
    Open,
    Role(Role),
    /// What the setting `metrics` says.
    Metrics,
}

/// The setting `anonymous`: what may be done without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anonymous(pub Option<Role>);

impl<'de> Deserialize<'de> for Anonymous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "none" {
            return Ok(Self(None));
        }
        let wrong = |_| serde::de::Error::custom(format!("{text:?}; expected none, read, request or admin"));
        text.parse().map(|role| Self(Some(role))).map_err(wrong)
    }
}

/// The setting `metrics`: who may read them; `None`: everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsFor(pub Option<Role>);

impl Default for MetricsFor {
    fn default() -> Self {
        Self(Some(Role::Admin))
    }
}

impl<'de> Deserialize<'de> for MetricsFor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "open" {
            return Ok(Self(None));
        }
        let wrong = |_| serde::de::Error::custom(format!("{text:?}; expected open, read, request or admin"));
        text.parse().map(|role| Self(Some(role))).map_err(wrong)
    }
}
