//! Which axis a coordinate is (CF 4), and what its values mean.

use super::calendar::{self, CfTime};
use super::units::conversion;
use super::values::{Decoding, read_stored, text};
use crate::atmos::Level;

/// A dimension, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Degrees north, in the file's order.
    Latitude(Vec<f64>),
    /// Degrees east, in the file's order.
    Longitude(Vec<f64>),
    Levels(Vec<Level>),
    /// Valid times, or reference times where a step axis goes with them.
    Times(Vec<CfTime>),
    /// Seconds since the reference time.
    Steps(Vec<i64>),
    Members(usize),
    /// Length 1, of no meaning to us.
    Single,
    /// Something that we do not read; says what it is.
    Foreign(String),
}

/// Attributes of a coordinate variable that tell what it is.
struct Hints {
    name: String,
    standard_name: String,
    units: String,
    axis: String,
}

impl Hints {
    fn of(variable: &netcdf::Variable<'_>) -> Self {
        let lower = |name: &str| text(variable, name).unwrap_or_default().to_lowercase();
        Self {
            name: variable.name().to_lowercase(),
            standard_name: lower("standard_name"),
            units: text(variable, "units").unwrap_or_default(),
            axis: lower("axis"),
        }
    }

    fn is_latitude(&self) -> bool {
        let units = ["degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"];
        self.standard_name == "latitude"
            || units.contains(&self.units.to_lowercase().as_str())
            || (self.standard_name.is_empty() && ["lat", "latitude", "nav_lat"].contains(&self.name.as_str()))
    }

    fn is_longitude(&self) -> bool {
        let units = ["degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"];
        self.standard_name == "longitude"
            || units.contains(&self.units.to_lowercase().as_str())
            || (self.standard_name.is_empty() && ["lon", "longitude", "nav_lon"].contains(&self.name.as_str()))
    }

    fn is_time(&self) -> bool {
        self.units.to_lowercase().contains(" since ")
    }

    fn is_reference_time(&self) -> bool {
        self.standard_name == "forecast_reference_time"
            || ["forecast_reference_time", "reference_time", "reftime"].contains(&self.name.as_str())
    }

    fn is_step(&self) -> bool {
        self.standard_name == "forecast_period"
            || ["step", "lead_time", "leadtime", "prediction_timedelta", "forecast_period"]
                .contains(&self.name.as_str())
    }

    fn is_member(&self) -> bool {
        self.standard_name == "realization"
            || ["number", "member", "realization", "ensemble", "ensemble_member", "ens"].contains(&self.name.as_str())
    }

    /// Levels of this coordinate, or why not.
    fn levels(&self, values: &[f64], positive: bool) -> Option<Result<Vec<Level>, String>> {
        const MODEL: &[&str] = &[
            "model_level_number",
            "atmosphere_hybrid_sigma_pressure_coordinate",
            "atmosphere_hybrid_height_coordinate",
            "atmosphere_sigma_coordinate",
        ];
        const PRESSURE_NAMES: &[&str] = &[
            "plev",
            "isobaricinhpa",
            "isobaric",
            "pressure_level",
            "pressure",
            "level",
            "lev",
            "plevel",
            "air_pressure",
        ];
        let pressure = conversion(&self.units, "Pa").filter(|_| !self.units.is_empty());
        if let Some(conversion) = pressure {
            // hPa with at most six digits: 850.0000000001 is 850
            let hpa = |value: f64| (conversion.apply(value) * 1e4).round() / 1e6;
            return Some(Ok(values.iter().map(|&value| Level::Pressure(hpa(value))).collect()));
        }
        if MODEL.contains(&self.standard_name.as_str())
            || ["hybrid", "model_level", "modellevel", "ml"].contains(&self.name.as_str())
        {
            let whole = values.iter().all(|value| value.fract() == 0.0 && *value >= 0.0 && *value < 1e6);
            let number = |(i, value): (usize, &f64)| Level::Model(if whole { *value as u32 } else { i as u32 + 1 });
            return Some(Ok(values.iter().enumerate().map(number).collect()));
        }
        let metres = conversion(&self.units, "m").filter(|_| !self.units.is_empty());
        if let Some(conversion) = metres.filter(|_| self.standard_name == "height" || self.name.starts_with("height")) {
            return Some(Ok(values.iter().map(|&value| Level::Height(conversion.apply(value))).collect()));
        }
        if PRESSURE_NAMES.contains(&self.name.as_str()) && self.standard_name != "depth" {
            let plausible = values.iter().all(|value| *value >= 1.0 && *value <= 1100.0);
            if (self.name.contains("isobaric") || self.name.contains("pres") || self.name.contains("plev")) && plausible
            {
                return Some(Ok(values.iter().map(|&value| Level::Pressure(value)).collect()));
            }
            return Some(Err(format!("levels without a unit that tells what they are (units {:?})", self.units)));
        }
        let vertical = self.axis == "z" || positive;
        vertical.then(|| {
            Err(format!(
                "a vertical coordinate of another kind (standard_name {:?}, units {:?})",
                self.standard_name, self.units
            ))
        })
    }
}

/// Understands a one-dimensional coordinate.
pub fn understand(variable: &netcdf::Variable<'_>) -> Result<Axis, String> {
    let hints = Hints::of(variable);
    if let Some(projected) = foreign(&hints) {
        return Ok(Axis::Foreign(projected));
    }
    let values = coordinate_values(variable)?;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("no number at index {index}"));
    }
    if hints.is_latitude() {
        return Ok(Axis::Latitude(values));
    }
    if hints.is_longitude() {
        return Ok(Axis::Longitude(values));
    }
    if hints.is_step() && !hints.is_time() {
        return calendar::step_seconds(&values, &hints.units).map(Axis::Steps);
    }
    if hints.is_time() {
        let name = text(variable, "calendar").unwrap_or_default();
        return calendar::decode(&values, &hints.units, &name).map(Axis::Times);
    }
    if hints.is_member() {
        return Ok(Axis::Members(values.len()));
    }
    let positive = text(variable, "positive").is_some();
    match hints.levels(&values, positive) {
        Some(Ok(levels)) => Ok(Axis::Levels(levels)),
        Some(Err(reason)) if values.len() > 1 => Ok(Axis::Foreign(reason)),
        _ if values.len() == 1 => Ok(Axis::Single),
        _ => Ok(Axis::Foreign(format!("an axis of unknown kind ({})", hints.name))),
    }
}

/// Whether a scalar coordinate is the time that a forecast was started at.
pub fn is_reference_time(variable: &netcdf::Variable<'_>) -> bool {
    Hints::of(variable).is_reference_time()
}

/// Horizontal axes of grids that are not made of parallels and meridians.
fn foreign(hints: &Hints) -> Option<String> {
    Some(
        match hints.standard_name.as_str() {
            "grid_latitude" | "grid_longitude" => "a rotated-pole grid",
            "projection_x_coordinate" | "projection_y_coordinate" => "a projected grid",
            _ => return None,
        }
        .to_owned(),
    )
}

/// All values of a coordinate, decoded.
pub fn coordinate_values(variable: &netcdf::Variable<'_>) -> Result<Vec<f64>, String> {
    let decoding = Decoding::of(variable)?;
    let shape: Vec<usize> = variable.dimensions().iter().map(netcdf::Dimension::len).collect();
    let stored = read_stored(variable, &vec![0; shape.len()], &shape)?;
    Ok(stored.into_iter().map(|value| decoding.decode(value)).collect())
}
