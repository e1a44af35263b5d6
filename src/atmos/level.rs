//! Where in the vertical.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A vertical position. Equality and order are by kind, then by value.
#[derive(Debug, Clone, Copy)]
pub enum Level {
    /// Single-level fields: surface, mean sea level, 2 m, 10 m. Which of these it is belongs to the variable.
    Surface,
    /// Pressure in hPa.
    Pressure(f64),
    /// Height above ground in m, for variables that come on several heights.
    Height(f64),
    /// Model (hybrid, sigma) level number, counted from the top as the producer counts.
    Model(u32),
}

/// The text is no level.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a level: expected surface, 500hPa, 100m or ml8")]
pub struct LevelParseError(String);

impl Level {
    /// CF/Zarr name of the vertical dimension of this kind, `None` for single-level fields.
    pub fn dimension(&self) -> Option<&'static str> {
        match self {
            Self::Surface => None,
            Self::Pressure(_) => Some("pressure"),
            Self::Height(_) => Some("height"),
            Self::Model(_) => Some("model_level"),
        }
    }

    /// Units of [`Self::value`]: `hPa`, `m`, `1`.
    pub fn units(&self) -> &'static str {
        match self {
            Self::Surface | Self::Model(_) => "1",
            Self::Pressure(_) => "hPa",
            Self::Height(_) => "m",
        }
    }

    /// The coordinate value in [`Self::units`]; 0 for the surface.
    pub fn value(&self) -> f64 {
        match *self {
            Self::Surface => 0.0,
            Self::Pressure(value) | Self::Height(value) => value,
            Self::Model(number) => f64::from(number),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Surface => 0,
            Self::Pressure(_) => 1,
            Self::Height(_) => 2,
            Self::Model(_) => 3,
        }
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Level {}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        self.kind().cmp(&other.kind()).then(self.value().total_cmp(&other.value()))
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Level {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        self.value().to_bits().hash(state);
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Surface => "surface".to_owned(),
            Self::Pressure(hpa) => format!("{hpa}hPa"),
            Self::Height(m) => format!("{m}m"),
            Self::Model(number) => format!("ml{number}"),
        };
        f.pad(&text)
    }
}

impl FromStr for Level {
    type Err = LevelParseError;
    fn from_str(text: &str) -> Result<Self, LevelParseError> {
        let error = || LevelParseError(text.to_owned());
        let positive = |number: &str| match number.trim().parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
            _ => Err(error()),
        };
        if text == "surface" {
            Ok(Self::Surface)
        } else if let Some(hpa) = text.strip_suffix("hPa") {
            positive(hpa).map(Self::Pressure)
        } else if let Some(number) = text.strip_prefix("ml") {
            number.parse().map(Self::Model).map_err(|_| error())
        } else if let Some(m) = text.strip_suffix('m') {
            positive(m).map(Self::Height)
        } else {
            Err(error())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        for level in
            [Level::Surface, Level::Pressure(500.0), Level::Pressure(0.5), Level::Height(100.0), Level::Model(8)]
        {
            assert_eq!(level.to_string().parse::<Level>().unwrap(), level);
        }
        for text in ["", "500", "hPa", "-5hPa", "NaNhPa", "mlx", "inf m"] {
            assert!(text.parse::<Level>().is_err(), "{text:?}");
        }
    }
}
