//! Which axis a coordinate is (CF 4), and what its values mean.

use super::calendar::{self, CfTime};
use super::dataset::{Array, Dataset};
use super::units::conversion;
use super::values::read_decoded;
use crate::atmos::Level;

/// A coordinate, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Degrees north, in the file's order.
    Latitude(Vec<f64>),
    /// Degrees east, in the file's order.
    Longitude(Vec<f64>),
    /// Along the rows of a projection, in the file's order.
    Y(Plane),
    /// Along its columns.
    X(Plane),
    Levels(Vec<Level>),
    /// Valid times, or base times where a step axis goes with them.
    Times(Vec<CfTime>),
    /// Times that forecasts started from.
    References(Vec<CfTime>),
    /// Seconds since the reference time.
    Steps(Vec<i64>),
    /// Ensemble members, by their numbers.
    Members(Vec<i64>),
    /// Something that we do not read; says what it is.
    Foreign(String),
}

/// Positions on the plane of a projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Metres, or degrees.
    pub values: Vec<f64>,
    pub units: PlaneUnits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneUnits {
    Metres,
    Degrees,
    /// The file does not say.
    Unsaid,
}

/// Attributes of a coordinate variable that tell what it is.
struct Hints {
    name: String,
    standard_name: String,
    long_name: String,
    units: String,
    axis: String,
    positive: bool,
}

const LATITUDE_UNITS: &[&str] =
    &["degrees latitude", "degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"];
const LONGITUDE_UNITS: &[&str] =
    &["degrees longitude", "degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"];
const MODEL_STANDARD_NAMES: &[&str] = &[
    "model_level_number",
    "atmosphere_hybrid_sigma_pressure_coordinate",
    "atmosphere_hybrid_height_coordinate",
    "atmosphere_sigma_coordinate",
];
const MODEL_NAMES: &[&str] = &["hybrid", "model_level", "modellevel", "ml", "sigma"];
const MEMBER_NAMES: &[&str] = &["number", "member", "realization", "ensemble", "ensemble_member", "ens"];
const STEP_NAMES: &[&str] = &["step", "lead_time", "leadtime", "prediction_timedelta", "forecast_period"];
const REFERENCE_NAMES: &[&str] = &["forecast_reference_time", "reference_time", "reftime", "init_time"];

/// Levels in hPa of the producers of pressure-level data (ECMWF, NCEP, JMA, WeatherBench).
const PRESSURE_LEVELS: &[u16] = &[
    1, 2, 3, 5, 7, 10, 20, 30, 40, 50, 70, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 550, 600,
    650, 700, 725, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000,
];

impl Hints {
    fn of(array: &Array) -> Self {
        let lower = |name: &str| array.text(name).to_lowercase();
        Self {
            name: array.own_name().to_lowercase(),
            standard_name: lower("standard_name"),
            long_name: lower("long_name"),
            units: array.text("units"),
            axis: lower("axis"),
            positive: array.attributes.contains("positive"),
        }
    }

    /// By standard name, then units, then name where no attribute says otherwise.
    fn is_horizontal(&self, standard_name: &str, units: &[&str], names: &[&str]) -> bool {
        let unlabelled = self.standard_name.is_empty() && ["", "degrees", "degree"].contains(&self.units.as_str());
        self.standard_name == standard_name
            || units.contains(&self.units.to_lowercase().as_str())
            || (unlabelled && names.contains(&self.name.as_str()))
    }

    fn is_latitude(&self) -> bool {
        self.is_horizontal("latitude", LATITUDE_UNITS, &["lat", "latitude"])
    }

    fn is_longitude(&self) -> bool {
        self.is_horizontal("longitude", LONGITUDE_UNITS, &["lon", "longitude"])
    }

    /// Which axis of a projection it is.
    fn plane(&self) -> Option<fn(Plane) -> Axis> {
        const Y: &[&str] = &["projection_y_coordinate", "grid_latitude"];
        const X: &[&str] = &["projection_x_coordinate", "grid_longitude"];
        // by attributes; by name only where they say nothing else
        let told =
            |names: &[&str]| names.contains(&self.standard_name.as_str()) || names.contains(&self.long_name.as_str());
        let unlabelled =
            self.standard_name.is_empty() && ["", "m", "km", "meters", "metres", "1"].contains(&self.units.as_str());
        let named = |names: &[&str]| unlabelled && names.contains(&self.name.as_str());
        if told(Y) || named(&["y", "yc", "rlat", "y_0"]) {
            Some(Axis::Y)
        } else if told(X) || named(&["x", "xc", "rlon", "x_0"]) {
            Some(Axis::X)
        } else {
            None
        }
    }

    fn position(&self, values: Vec<f64>) -> Result<Plane, String> {
        let units = self.units.to_lowercase();
        if ["degrees", "degree"].contains(&units.as_str())
            || LATITUDE_UNITS.contains(&units.as_str())
            || LONGITUDE_UNITS.contains(&units.as_str())
        {
            return Ok(Plane { values, units: PlaneUnits::Degrees });
        }
        if ["", "1"].contains(&units.as_str()) {
            return Ok(Plane { values, units: PlaneUnits::Unsaid });
        }
        let conversion =
            conversion(&self.units, "m").ok_or_else(|| format!("units {:?} of a projection", self.units))?;
        let values = values.into_iter().map(|value| conversion.apply(value)).collect();
        Ok(Plane { values, units: PlaneUnits::Metres })
    }

    fn is_reference_time(&self) -> bool {
        self.standard_name == "forecast_reference_time"
            || (self.standard_name.is_empty() && REFERENCE_NAMES.contains(&self.name.as_str()))
    }

    fn is_step(&self) -> bool {
        self.standard_name == "forecast_period"
            || (self.standard_name.is_empty() && STEP_NAMES.contains(&self.name.as_str()))
    }

    fn is_member(&self) -> bool {
        self.standard_name == "realization" || MEMBER_NAMES.contains(&self.name.as_str())
    }

    /// Some say the unit in the name, and leave out the attribute, or have "1" there.
    fn is_pressure_in_hpa(&self) -> bool {
        let named = [&self.standard_name, &self.long_name].map(|name| name.replace('_', " "));
        let says = |name: &String| name.contains("pressure") && (name.contains("hpa") || name.contains("millibar"));
        ["", "1"].contains(&self.units.trim()) && named.iter().any(says)
    }

    /// Levels of this coordinate, or why not; `None` where it is not vertical.
    fn levels(&self, values: &[f64]) -> Option<Result<Vec<Level>, String>> {
        let model = MODEL_STANDARD_NAMES.contains(&self.standard_name.as_str())
            || MODEL_NAMES.contains(&self.name.as_str())
            || ["hybrid", "sigma"].iter().any(|word| self.units.to_lowercase().contains(word))
            || (self.units.is_empty() && self.long_name.contains("model level"));
        if model {
            let whole = values.iter().all(|value| value.fract() == 0.0 && (0.0..1e6).contains(value));
            let number = |(i, value): (usize, &f64)| Level::Model(if whole { *value as u32 } else { i as u32 + 1 });
            return Some(Ok(values.iter().enumerate().map(number).collect()));
        }
        let units = if self.is_pressure_in_hpa() { "hPa" } else { &self.units };
        let labelled = |ours: &str| conversion(units, ours).filter(|_| !units.is_empty());
        if let Some(conversion) = labelled("Pa") {
            // hPa with at most six digits: 850.0000000001 is 850
            let hpa = |value: f64| (conversion.apply(value) * 1e4).round() / 1e6;
            return Some(Ok(values.iter().map(|&value| Level::Pressure(hpa(value))).collect()));
        }
        let is_height = self.standard_name == "height" || self.name.starts_with("height");
        if let Some(conversion) = labelled("m").filter(|_| is_height) {
            return Some(Ok(values.iter().map(|&value| Level::Height(conversion.apply(value))).collect()));
        }
        let named_pressure = ["isobaric", "pres", "plev"].iter().any(|word| self.name.contains(word));
        let vertical = self.axis == "z"
            || self.positive
            || named_pressure
            || ["level", "lev", "levels", "height", "depth", "altitude"].contains(&self.name.as_str());
        if !vertical {
            return None;
        }
        // without a unit only where the values leave no doubt: no model counts its levels 500, 700, 850
        let known = |value: &f64| PRESSURE_LEVELS.iter().any(|level| f64::from(*level) == *value);
        let beyond_model_levels = values.iter().any(|value| *value >= 200.0);
        let undoubted = values.iter().all(known) && beyond_model_levels && (values.len() > 1 || named_pressure);
        if self.units.is_empty() && !["depth", "height", "altitude"].contains(&self.standard_name.as_str()) && undoubted
        {
            return Some(Ok(values.iter().map(|&value| Level::Pressure(value)).collect()));
        }
        Some(Err(format!(
            "a vertical axis {:?} of another kind (standard_name {:?}, units {:?}); pressure, height and model levels are read",
            self.name, self.standard_name, self.units
        )))
    }
}

/// Whether an array holds latitudes, whatever its dimensions.
pub fn is_latitude(array: &Array) -> bool {
    let hints = Hints::of(array);
    hints.plane().is_none() && hints.is_latitude()
}

/// Whether an array holds longitudes, whatever its dimensions.
pub fn is_longitude(array: &Array) -> bool {
    let hints = Hints::of(array);
    hints.plane().is_none() && hints.is_longitude()
}

/// Understands the values of a coordinate; the error says what is wrong with it.
pub fn understand(dataset: &Dataset, array: &Array) -> Result<Axis, String> {
    let hints = Hints::of(array);
    if hints.is_member() {
        // where they are not numbered, they are counted
        let numbers = read_decoded(dataset, array).unwrap_or_default();
        let numbered = numbers.iter().all(|number| number.fract() == 0.0 && number.abs() < 1e9);
        let all = array.shape().iter().product::<usize>() as i64;
        let counted = || (0..all).collect();
        let labels: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
        return Ok(Axis::Members(if numbered && labels.len() as i64 == all { labels } else { counted() }));
    }
    if !array.is_numeric() {
        return Ok(Axis::Foreign(format!("coordinate {:?} of text", hints.name)));
    }
    let values = read_decoded(dataset, array)?;
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    if missing > 0 {
        return Err(format!("{missing} of its {} values are missing", values.len()));
    }
    // before latitudes: rotated ones are often labelled degrees_north
    if let Some(plane) = hints.plane() {
        return hints.position(values).map(plane);
    }
    if hints.is_latitude() {
        return Ok(Axis::Latitude(values));
    }
    if hints.is_longitude() {
        return Ok(Axis::Longitude(values));
    }
    if calendar::is_time_units(&hints.units) {
        let name = array.text("calendar");
        let times = calendar::decode(&values, &hints.units, &name)?;
        return Ok(if hints.is_reference_time() { Axis::References(times) } else { Axis::Times(times) });
    }
    if hints.is_step() {
        return calendar::step_seconds(&values, &hints.units).map(Axis::Steps);
    }
    let time = hints.standard_name == "time" || hints.axis == "t" || hints.name == "time";
    match hints.levels(&values) {
        Some(Ok(levels)) => Ok(Axis::Levels(levels)),
        Some(Err(reason)) => Ok(Axis::Foreign(reason)),
        None if time => Ok(Axis::Foreign(format!("times in units {:?}, which are no CF time", hints.units))),
        None => Ok(Axis::Foreign(format!("an axis of unknown kind, {:?} (units {:?})", hints.name, hints.units))),
    }
}
