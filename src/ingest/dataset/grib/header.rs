//! What one message says of its field.

use chrono::{NaiveDate, NaiveDateTime};
use eccodes::{GribMessage, KeyGet};

/// The keys of a message that decide where its field belongs.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its number among the fields of the file, from 1.
    pub number: usize,
    /// ecCodes' short name; of what it does not know the numbers of the parameter.
    pub name: String,
    /// Empty where ecCodes knows none.
    pub standard_name: String,
    pub long_name: String,
    pub units: String,
    pub level_type: String,
    pub level: f64,
    /// Seconds since 1970.
    pub reference_time: i64,
    pub valid_time: i64,
    /// `instant`, `accum`, `avg`, `max`, `min`, …
    pub step_type: String,
    pub member: i64,
    /// The same for all messages on one grid.
    pub grid: String,
}

impl Header {
    pub fn read(message: &GribMessage, number: usize) -> Result<Self, String> {
        let text = |key: &str| known(message, key);
        let name = match text("shortName") {
            name if name.is_empty() => unknown(message),
            name => name,
        };
        check_step(message)?;
        let valid_time = time(message, "validityDate", "validityTime")?;
        Ok(Self {
            number,
            standard_name: text("cfName"),
            long_name: text("name"),
            units: text("units"),
            level_type: text("typeOfLevel"),
            level: message.get::<f64>("level").unwrap_or(0.0),
            reference_time: time(message, "dataDate", "dataTime")?,
            valid_time,
            step_type: text("stepType"),
            member: message.get::<i64>("number").unwrap_or(0),
            grid: message.get::<String>("md5GridSection").unwrap_or_default(),
            name,
        })
    }
}

/// No forecast reaches farther, in years. ecCodes counts to the valid time minute by minute.
const MOST_YEARS: f64 = 300.0;

fn check_step(message: &GribMessage) -> Result<(), String> {
    const HOUR: f64 = 3600.0;
    const DAY: f64 = 24.0 * HOUR;
    const YEAR: f64 = 365.25 * DAY;
    let Some(steps) = number::<f64>(message, "endStep") else { return Ok(()) };
    // code table 4.4
    let seconds = match number::<i64>(message, "stepUnits") {
        Some(0) => 60.0,
        Some(2) => DAY,
        Some(3) => YEAR / 12.0,
        Some(4) => YEAR,
        Some(5) => 10.0 * YEAR,
        Some(6) => 30.0 * YEAR,
        Some(7) => 100.0 * YEAR,
        Some(10) => 3.0 * HOUR,
        Some(11) => 6.0 * HOUR,
        Some(12) => 12.0 * HOUR,
        Some(13) => 1.0,
        _ => HOUR,
    };
    let years = steps * seconds / YEAR;
    if years.abs() <= MOST_YEARS { Ok(()) } else { Err(format!("a forecast step of {years:.0} years")) }
}

/// ecCodes' word for what it does not know is "unknown", or "~" of units.
fn known(message: &GribMessage, key: &str) -> String {
    let text = message.get::<String>(key).unwrap_or_default();
    if ["unknown", "~", "not_found"].contains(&text.as_str()) { String::new() } else { text }
}

/// A name from the numbers of a parameter.
fn unknown(message: &GribMessage) -> String {
    let keys: &[&str] = match message.get::<i64>("edition") {
        Ok(2) => &["discipline", "parameterCategory", "parameterNumber"],
        _ => &["table2Version", "indicatorOfParameter"],
    };
    let numbers =
        keys.iter().map(|key| number::<i64>(message, key).map_or("x".to_owned(), |number| number.to_string()));
    format!("unknown_{}", numbers.collect::<Vec<_>>().join("_"))
}

fn number<T: KeyGet>(message: &GribMessage, key: &str) -> Option<T> {
    message.get(key).ok()
}

/// Seconds since 1970 of a date, `20200131`, and a time of the day, `630`.
fn time(message: &GribMessage, date: &str, clock: &str) -> Result<i64, String> {
    let (Some(day), Some(minutes)) = (number::<i64>(message, date), number::<i64>(message, clock)) else {
        return Err(format!("no {date} and {clock}"));
    };
    let parse = || -> Option<NaiveDateTime> {
        let part = |value: i64| u32::try_from(value).ok();
        let year = i32::try_from(day / 10_000).ok().filter(|year| *year > 1000)?;
        let date = NaiveDate::from_ymd_opt(year, part(day / 100 % 100)?, part(day % 100)?)?;
        date.and_hms_opt(part(minutes / 100)?, part(minutes % 100)?, 0)
    };
    parse().map(|time| time.and_utc().timestamp()).ok_or_else(|| format!("{date} {day}, {clock} {minutes}: no time"))
}
