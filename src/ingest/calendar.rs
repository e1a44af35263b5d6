//! CF times (CF 4.4): numbers since an epoch, in one of the calendars of the convention.

use chrono::DateTime;

use crate::atmos::ValidTime;

/// A time in its own calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CfTime {
    /// In the calendar that the world uses.
    Real(ValidTime),
    /// A date of a model calendar (`noleap`, `360_day`, …), as text.
    Model(String),
}

impl std::fmt::Display for CfTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Real(time) => time.fmt(f),
            Self::Model(text) => f.pad(text),
        }
    }
}

/// CF's calendars, 4.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calendar {
    /// Julian until 1582-10-04, Gregorian from 1582-10-15 on.
    Standard,
    ProlepticGregorian,
    Julian,
    /// Years of 365 days, of 366 days, of twelve months of 30 days.
    NoLeap,
    AllLeap,
    Day360,
}

const SECONDS_PER_DAY: i64 = 86_400;
/// Julian day number of 1970-01-01.
const UNIX_EPOCH: i64 = 2_440_588;
/// First day of each month in a year of 365 days.
const MONTHS: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

impl Calendar {
    /// A missing attribute means standard.
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name.trim().to_lowercase().as_str() {
            "" | "standard" | "gregorian" => Self::Standard,
            "proleptic_gregorian" => Self::ProlepticGregorian,
            "julian" => Self::Julian,
            "noleap" | "no_leap" | "365_day" => Self::NoLeap,
            "all_leap" | "366_day" => Self::AllLeap,
            "360_day" => Self::Day360,
            other => return Err(format!("calendar {other:?}")),
        })
    }

    /// The calendars of the real world, with years before the first (which CF leaves undefined) counted astronomically.
    fn real(self) -> Option<julian::Calendar> {
        match self {
            Self::Standard => Some(julian::Calendar::REFORM1582),
            Self::ProlepticGregorian => Some(julian::Calendar::GREGORIAN),
            Self::Julian => Some(julian::Calendar::JULIAN),
            _ => None,
        }
    }

    /// First day of each month in a year of a model calendar.
    fn month_starts(self) -> [i64; 13] {
        match self {
            Self::Day360 => std::array::from_fn(|month| 30 * month as i64),
            Self::AllLeap => std::array::from_fn(|month| MONTHS[month] + i64::from(month >= 2)),
            _ => MONTHS,
        }
    }

    /// Number of a day, counted from any day that is fixed for the calendar.
    fn day_number(self, year: i32, month: u32, day: u32) -> Option<i64> {
        if let Some(calendar) = self.real() {
            let month = julian::Month::try_from(month).ok()?;
            return calendar.at_ymd(year, month, day).ok().map(|date| i64::from(date.julian_day_number()));
        }
        let starts = self.month_starts();
        let month = usize::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        let length = starts[month] - starts[month - 1];
        (1..=length)
            .contains(&i64::from(day))
            .then(|| i64::from(year) * starts[12] + starts[month - 1] + i64::from(day) - 1)
    }

    /// Year, month, day of a model calendar.
    fn model_date(self, number: i64) -> (i64, usize, i64) {
        let starts = self.month_starts();
        let (year, rest) = (number.div_euclid(starts[12]), number.rem_euclid(starts[12]));
        let month = starts.iter().take_while(|&&start| start <= rest).count();
        (year, month, rest - starts[month - 1] + 1)
    }

    /// The time so many seconds after the beginning of a day.
    fn time(self, day: i64, seconds: i64) -> Option<CfTime> {
        let (day, seconds) =
            (day.checked_add(seconds.div_euclid(SECONDS_PER_DAY))?, seconds.rem_euclid(SECONDS_PER_DAY));
        if self.real().is_some() {
            let since_epoch = day.checked_sub(UNIX_EPOCH)?.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds)?;
            return DateTime::from_timestamp(since_epoch, 0).map(|time| CfTime::Real(ValidTime::new(time)));
        }
        let (year, month, date) = self.model_date(day);
        let (hour, minute) = (seconds / 3600, seconds % 3600 / 60);
        Some(CfTime::Model(format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02} ({self:?} calendar)")))
    }
}

/// Decodes `values` in `units` (`hours since …`); the error says what is not understood.
pub fn decode(values: &[f64], units: &str, calendar: &str) -> Result<Vec<CfTime>, String> {
    let calendar = Calendar::parse(calendar)?;
    let error = || format!("units {units:?}");
    let words: Vec<&str> = units.split_whitespace().collect();
    let [unit, since, epoch @ ..] = words.as_slice() else { return Err(error()) };
    if !since.eq_ignore_ascii_case("since") {
        return Err(error());
    }
    let factor = seconds_per(unit).ok_or_else(error)?;
    let ((year, month, day), offset) = parse_epoch(epoch).ok_or_else(error)?;
    let first = calendar.day_number(year, month, day).ok_or_else(error)?;
    let time = |value: f64| {
        // whole seconds: float32 hours are off by fractions of one
        let seconds = (value * factor).round();
        let in_range = seconds.is_finite() && seconds.abs() < 1e15;
        in_range
            .then(|| calendar.time(first, seconds as i64 + offset))
            .flatten()
            .ok_or_else(|| format!("time value {value}"))
    };
    values.iter().map(|&value| time(value)).collect()
}

fn seconds_per(unit: &str) -> Option<f64> {
    Some(match unit.to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "week" | "weeks" => 604_800.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1e-3,
        "us" | "microsecond" | "microseconds" => 1e-6,
        "ns" | "nanosecond" | "nanoseconds" => 1e-9,
        _ => return None,
    })
}

/// `1800-1-1 00:00:0.0`, `1970-01-01T00:00:00Z`, `2000-02-29 00:00 UTC`, `2000-01-01 00:00:00 -6:00`:
/// the date, and seconds from its beginning in UTC.
fn parse_epoch(words: &[&str]) -> Option<((i32, u32, u32), i64)> {
    let (date, rest) = words.split_first()?;
    let (date, time) = match date.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (*date, rest.first().copied()),
    };
    let zone = rest.get(usize::from(!words[0].contains(['T', 't']))).copied();
    let mut parts = date.splitn(3, '-');
    let date = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let clock = |text: &str| -> Option<i64> {
        let mut seconds = 0.0;
        for (part, factor) in text.split(':').zip([3600.0, 60.0, 1.0]) {
            seconds += part.parse::<f64>().ok().filter(|value| (0.0..=60.0).contains(value))? * factor;
        }
        Some(seconds.round() as i64)
    };
    let time = time.map(|time| time.trim_end_matches(['Z', 'z'])).filter(|time| !time.is_empty());
    let seconds = time.map_or(Some(0), clock)?;
    let shift = match zone {
        None => 0,
        Some(zone) if ["utc", "z", "gmt"].contains(&zone.to_lowercase().as_str()) => 0,
        Some(zone) => match zone.split_at_checked(1)? {
            ("-", west) => -clock(west)?,
            ("+", east) => clock(east)?,
            _ => clock(zone)?,
        },
    };
    Some((date, seconds - shift))
}

/// A forecast step (`hours`, `days`, …) in seconds.
pub fn step_seconds(values: &[f64], units: &str) -> Result<Vec<i64>, String> {
    let factor = seconds_per(units.trim()).ok_or_else(|| format!("units {units:?}"))?;
    let seconds = |value: &f64| {
        let seconds = (value * factor).round();
        if seconds.is_finite() && seconds.abs() < 1e12 { Ok(seconds as i64) } else { Err(format!("step {value}")) }
    };
    values.iter().map(seconds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(value: f64, units: &str, calendar: &str) -> String {
        decode(&[value], units, calendar).unwrap()[0].to_string()
    }

    #[test]
    fn times_of_real_files() {
        assert_eq!(first(0.0, "hours since 2001-01-01", "proleptic_gregorian"), "2001-01-01T00:00Z");
        assert_eq!(first(1_946_016.0, "hours since 1800-01-01 00:00:0.0", ""), "2022-01-01T00:00Z");
        assert_eq!(first(6.0, "hours since 2020-1-5 12:00:00", "gregorian"), "2020-01-05T18:00Z");
        assert_eq!(first(1_577_836_800.0, "seconds since 1970-01-01T00:00:00Z", "standard"), "2020-01-01T00:00Z");
        assert_eq!(first(0.25, "days since 2000-02-29 00:00 UTC", ""), "2000-02-29T06:00Z");
        assert_eq!(first(0.0, "days since 2000-01-01 00:00:00 -6:00", ""), "2000-01-01T06:00Z");
        // the standard calendar is the Julian one before the reform: 577736 days later it is two days behind the proleptic
        assert_eq!(first(730_120.0, "days since 0001-01-01", "standard"), "1999-12-30T00:00Z");
        assert_eq!(first(730_119.0, "days since 0001-01-01", "proleptic_gregorian"), "2000-01-01T00:00Z");
        assert!(first(59.0, "days since 2001-01-01", "noleap").starts_with("2001-03-01"));
        assert!(first(59.0, "days since 2001-01-01", "360_day").starts_with("2001-02-30"));
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for (units, calendar) in [
            ("hours", ""),
            ("hours since yesterday", ""),
            ("fortnights since 2000-01-01", ""),
            ("hours since 2000-01-01", "mayan"),
            ("", ""),
        ] {
            assert!(decode(&[1.0], units, calendar).is_err(), "{units:?} {calendar:?}");
        }
        assert!(decode(&[f64::NAN], "hours since 2000-01-01", "").is_err());
        let _ = decode(&[1e300], "days since 2000-01-01", ""); // whatever it says, no panic
    }
}
