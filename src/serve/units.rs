//! Values in the units that somebody asks for.
//!
//! A request lists units: `degC`, `kn,hPa`, or of one variable `t2m:degC`. A unit alone is for every variable whose quantity
//! it measures. The spellings are those that are understood in files (UDUNITS', and what forecasters write).

use super::error::Violation;
use super::names::quoted;
use crate::atmos::Variable;
use crate::ingest::conversion_to;

/// `shown = value × scale + offset`, in `units`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub units: String,
    pub scale: f64,
    pub offset: f64,
}

impl Shown {
    /// As stored.
    pub fn stored(variable: &Variable) -> Self {
        Self { units: variable.units.to_string(), scale: 1.0, offset: 0.0 }
    }

    /// `None` where the units do not measure the variable's quantity.
    pub fn of(variable: &Variable, units: &str) -> Option<Self> {
        let found = conversion_to(units, variable)?;
        Some(Self { units: units.to_owned(), scale: 1.0 / found.scale, offset: -found.offset / found.scale })
    }

    pub fn show(&self, value: f32) -> f32 {
        if self.scale == 1.0 && self.offset == 0.0 {
            return value;
        }
        (f64::from(value) * self.scale + self.offset) as f32
    }
}

/// The units of a request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Units(Vec<(Option<String>, String)>);

impl Units {
    pub fn parse(text: &str) -> Self {
        let one = |part: &str| match part.split_once(':') {
            Some((name, units)) => (Some(name.trim().to_owned()), units.trim().to_owned()),
            None => (None, part.trim().to_owned()),
        };
        Self(text.split(',').filter(|part| !part.trim().is_empty()).map(one).collect())
    }

    /// How each of these variables, by the name that the request gives it, is shown. Units that fit none of them, or not the
    /// one that they are asked for, are an error.
    pub fn choose(&self, variables: &[(&str, &Variable)]) -> Result<Vec<Shown>, Violation> {
        let mut shown: Vec<Shown> = variables.iter().map(|(_, variable)| Shown::stored(variable)).collect();
        for (wanted, units) in &self.0 {
            let mut used = false;
            for (shown, (name, variable)) in shown.iter_mut().zip(variables) {
                if wanted.as_deref().is_some_and(|wanted| wanted != *name) {
                    continue;
                }
                if let Some(found) = Shown::of(variable, units) {
                    *shown = found;
                    used = true;
                }
            }
            if !used {
                let of: Vec<String> = match wanted {
                    Some(wanted) => vec![wanted.clone()],
                    None => variables.iter().map(|(name, variable)| format!("{name} in {}", variable.units)).collect(),
                };
                let what = format!("{} measures none of what is asked for: {}", quoted(units), of.join(", "));
                return Err(Violation::new("units", what));
            }
        }
        Ok(shown)
    }
}

/// How one variable is shown, where the units are its own: stored ones for an empty text.
pub fn one_unit(variable: &Variable, units: &str) -> Result<Shown, Violation> {
    if units.is_empty() {
        return Ok(Shown::stored(variable));
    }
    Shown::of(variable, units).ok_or_else(|| {
        let what = format!("{} does not measure {}, which is in {}", quoted(units), variable.name, variable.units);
        Violation::new("units", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::known_variable;

    fn variable(name: &str) -> Variable {
        known_variable(name).unwrap().into()
    }

    #[test]
    fn forecasters_units_are_understood() {
        for (name, units, value, expected) in [
            ("t2m", "°C", 273.15, 0.0),
            ("t2m", "degC", 283.15, 10.0),
            ("t2m", "degF", 273.15, 32.0),
            ("u10", "kn", 1852.0 / 3600.0, 1.0),
            ("u10", "km/h", 10.0, 36.0),
            ("msl", "hPa", 101_325.0, 1013.25),
            ("r2m", "%", 0.5, 50.0),
            ("tp", "mm", 2.0, 2.0),
            ("z", "gpm", 9.806_65, 1.0),
            ("q", "g/kg", 0.001, 1.0),
        ] {
            let shown = Shown::of(&variable(name), units).unwrap_or_else(|| panic!("{units}"));
            assert!((shown.show(value) - expected).abs() < 1e-4, "{name} {units}: {}", shown.show(value));
        }
        assert_eq!(Shown::of(&variable("t2m"), "hPa"), None);
    }

    #[test]
    fn units_go_to_what_they_measure_and_to_nothing_else() {
        let (t, u, z) = (variable("t2m"), variable("u10"), variable("msl"));
        let variables = [("t2m", &t), ("u10", &u), ("msl", &z)];
        let units = |text: &str| {
            let shown = Units::parse(text).choose(&variables)?;
            Ok::<_, Violation>(shown.into_iter().map(|shown| shown.units).collect::<Vec<_>>())
        };
        assert_eq!(units("").unwrap(), ["K", "m s-1", "Pa"]);
        assert_eq!(units("hPa,kn").unwrap(), ["K", "kn", "hPa"]);
        assert_eq!(units("t2m:degC").unwrap(), ["degC", "m s-1", "Pa"]);
        assert!(units("furlong").is_err() && units("t2m:hPa").is_err() && units("sp:hPa").is_err());
    }
}
