//! CF times (CF 4.4): numbers since an epoch, in one of the calendars of the convention.

use chrono::DateTime;

use crate::atmos::ValidTime;

/// A time in its own calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CfTime {
    /// In the calendar that the world uses.
    Real(ValidTime),
    /// A date of a model calendar (`noleap`, `360_day`, …), as text: no instant of our time.
    Model(String),
}

impl CfTime {
    pub fn real(&self) -> Option<ValidTime> {
        match self {
            Self::Real(time) => Some(*time),
            Self::Model(_) => None,
        }
    }
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

/// Beyond a million years a time is a mistake.
const LONGEST: f64 = 3.2e13;

/// Whether the units are those of a time coordinate.
pub fn is_time_units(units: &str) -> bool {
    units.split_whitespace().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("since")) || is_absolute(units)
}

/// CDO's and GrADS's absolute times: 20240131.25 is 06 UTC on 31 January.
fn is_absolute(units: &str) -> bool {
    units.trim().to_ascii_lowercase().starts_with("day as %y%m%d")
}

/// Decodes `values` in `units` (`hours since …`); the error says what is not understood.
pub fn decode(values: &[f64], units: &str, calendar: &str) -> Result<Vec<CfTime>, String> {
    let calendar = Calendar::parse(calendar)?;
    let epoch = if is_absolute(units) { None } else { Some(parse_units(units, calendar)?) };
    let time = |value: f64| match epoch {
        Some(epoch) => {
            // whole seconds: float32 hours are off by fractions of one
            let seconds = (value * epoch.unit + epoch.seconds).round();
            (seconds.abs() < LONGEST).then(|| calendar.time(epoch.day, seconds as i64))?
        }
        None => {
            let date = value.floor();
            let whole = (1e4..1e8).contains(&date).then_some(date as u32)?;
            let day = calendar.day_number((whole / 10_000) as i32, whole / 100 % 100, whole % 100)?;
            calendar.time(day, ((value - date) * SECONDS_PER_DAY as f64).round() as i64)
        }
    };
    values.iter().map(|&value| time(value).ok_or_else(|| format!("time value {value}"))).collect()
}

/// A forecast step (`hours`, `days`, …) in seconds.
pub fn step_seconds(values: &[f64], units: &str) -> Result<Vec<i64>, String> {
    let unit = seconds_per(units.trim()).ok_or_else(|| format!("units {units:?}"))?;
    let seconds = |value: f64| Some((value * unit).round()).filter(|seconds| seconds.abs() < LONGEST);
    values.iter().map(|&value| seconds(value).map(|s| s as i64).ok_or_else(|| format!("step {value}"))).collect()
}

fn seconds_per(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "week" | "weeks" => 604_800.0,
        "d" | "day" | "days" => 86_400.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1e-3,
        "us" | "microsecond" | "microseconds" => 1e-6,
        "ns" | "nanosecond" | "nanoseconds" => 1e-9,
        _ => return None,
    })
}

/// What time values count from, and in what.
#[derive(Clone, Copy)]
struct Epoch {
    /// Seconds per unit.
    unit: f64,
    day: i64,
    /// From the beginning of that day, in UTC.
    seconds: f64,
}

/// `hours since 1800-1-1 00:00:0.0`, `Hour since 1970-01-01T00:00:00Z`, `days since 2000-01-01 00:00:00 -6:00`.
fn parse_units(units: &str, calendar: Calendar) -> Result<Epoch, String> {
    let error = |what: &str| format!("units {units:?} ({what})");
    let mut words = units.split_whitespace();
    let unit = words.next().unwrap_or_default();
    if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("since")) {
        return Err(error("not of the form \"hours since 2000-01-31\""));
    }
    let day = SECONDS_PER_DAY as f64;
    let unit = match (seconds_per(unit), calendar, unit.to_ascii_lowercase().as_str()) {
        (Some(seconds), ..) => seconds,
        (None, Calendar::Day360, "month" | "months") => 30.0 * day,
        (None, Calendar::Day360, "year" | "years") => 360.0 * day,
        (None, _, "common_year" | "common_years") => 365.0 * day,
        (None, _, "month" | "months" | "year" | "years") => return Err(error("months and years differ in length")),
        _ => return Err(error("no unit of time")),
    };
    let rest = words.collect::<Vec<_>>().join(" ");
    let (date, rest) = match rest.find([' ', 'T', 't']) {
        Some(end) => (&rest[..end], rest[end + 1..].trim()),
        None => (rest.as_str(), ""),
    };
    let date = parse_date(date).ok_or_else(|| error("no date such as 2000-01-31"))?;
    let (clock, zone) =
        parse_clock(rest).ok_or_else(|| error("no time such as 12:00:00, or no zone such as +01:00"))?;
    let day = calendar.day_number(date.0, date.1, date.2).ok_or_else(|| error("no date of this calendar"))?;
    Ok(Epoch { unit, day, seconds: clock - zone })
}

fn parse_date(text: &str) -> Option<(i32, u32, u32)> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((sign * digits[..4].parse::<i32>().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?));
    }
    let parts = digits.split('-').map(whole).collect::<Option<Vec<u32>>>()?;
    let year = sign * i32::try_from(*parts.first()?).ok()?;
    match parts[1..] {
        [month, day] => Some((year, month, day)),
        [month] => Some((year, month, 1)),
        _ => None,
    }
}

/// Seconds of the day, and the zone's offset in seconds.
fn parse_clock(text: &str) -> Option<(f64, f64)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, zone) = (&text[..end], text[end..].trim());
    let mut seconds = 0.0;
    if !clock.is_empty() {
        let parts: Vec<&str> = clock.split(':').collect();
        if parts.len() > 3 {
            return None;
        }
        for ((part, unit), limit) in parts.iter().zip([3600.0, 60.0, 1.0]).zip([24.0, 60.0, 61.0]) {
            let value: f64 = part.parse().ok()?;
            if value >= limit || (unit > 1.0 && value.fract() != 0.0) {
                return None;
            }
            seconds += unit * value;
        }
    }
    let zone = zone.to_ascii_uppercase();
    let zone = match zone.strip_prefix("UTC").or(zone.strip_prefix("GMT")).unwrap_or(&zone).trim() {
        "" | "Z" => 0.0,
        text => {
            let (sign, digits) = match text.split_at_checked(1)? {
                ("+", digits) => (1.0, digits),
                ("-", digits) => (-1.0, digits),
                _ => return None,
            };
            let (hours, minutes) = match digits.split_once(':') {
                Some((hours, minutes)) => (whole(hours)?, whole(minutes)?),
                None if digits.len() == 4 => {
                    let (hours, minutes) = digits.split_at_checked(2)?;
                    (whole(hours)?, whole(minutes)?)
                }
                None => (whole(digits)?, 0),
            };
            if hours > 14 || minutes > 59 {
                return None;
            }
            sign * f64::from(hours * 3600 + minutes * 60)
        }
    };
    Some((seconds, zone))
}

/// A number of digits only.
fn whole(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() < 9 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(value: f64, units: &str, calendar: &str) -> String {
        decode(&[value], units, calendar).unwrap()[0].to_string()
    }

    #[test]
    fn times_in_the_spellings_of_real_files() {
        for (value, units, calendar, expected) in [
            (0.0, "hours since 2001-01-01", "proleptic_gregorian", "2001-01-01T00:00Z"),
            (1_946_016.0, "hours since 1800-01-01 00:00:0.0", "", "2022-01-01T00:00Z"),
            (6.0, "Hour since 2021-01-30T12:00:00Z", "gregorian", "2021-01-30T18:00Z"),
            (0.0, "Hour since 2010-10-26T12:00:00+00:00", "", "2010-10-26T12:00Z"),
            (1_577_836_800.0, "seconds since 1970-01-01 00:00:00 +00:00", "standard", "2020-01-01T00:00Z"),
            (0.25, "days since 2000-02-29 00:00 UTC", "", "2000-02-29T06:00Z"),
            (0.0, "days since 2024-1-1T00:00:00-7:00", "", "2024-01-01T07:00Z"),
            (20_240_131.25, "day as %Y%m%d.%f", "", "2024-01-31T06:00Z"),
            // the standard calendar is the Julian one before the reform: two days behind the proleptic
            (730_120.0, "days since 0001-01-01", "standard", "1999-12-31T00:00Z"),
            (730_119.0, "days since 0001-01-01", "proleptic_gregorian", "2000-01-01T00:00Z"),
            (1.0, "days since 1582-10-04", "", "1582-10-15T00:00Z"),
        ] {
            assert_eq!(first(value, units, calendar), expected, "{value} {units} {calendar}");
        }
    }

    #[test]
    fn model_calendars_are_dates_but_no_instants() {
        for (value, units, calendar, expected) in [
            (59.0, "days since 2000-01-01", "noleap", "2000-03-01T00:00"),
            (60.0, "days since 2001-01-01", "all_leap", "2001-03-01T00:00"),
            (59.0, "days since 2001-01-01", "360_day", "2001-02-30T00:00"),
            (2.0, "months since 2001-01-01", "360_day", "2001-03-01T00:00"),
            (-1.0, "hours since 1970-01-01", "360_day", "1969-12-30T23:00"),
        ] {
            let time = decode(&[value], units, calendar).unwrap().remove(0);
            assert!(time.real().is_none() && time.to_string().starts_with(expected), "{time} {calendar}");
        }
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for (units, calendar) in [
            ("hours", ""),
            ("Month", ""),
            ("hours since yesterday", ""),
            ("fortnights since 2000-01-01", ""),
            ("months since 2000-01-01", ""),
            ("hours since 2000-02-30", ""),
            ("hours since 2000-01-01 25:00", ""),
            ("days since 2024-1-1T00:00:00 U C", ""),
            ("hours since 2000-01-01", "mayan"),
            ("hours since 2000-é1-01", ""),
            ("hours since 2000-01-01 00:00 +1€", ""),
            ("hours since 4294967295-01-01", ""),
            ("", ""),
        ] {
            assert!(decode(&[1.0], units, calendar).is_err(), "{units:?} {calendar:?}");
        }
        for value in [f64::NAN, f64::INFINITY, 1e300, -1e300, 9.97e36] {
            for calendar in ["", "360_day"] {
                assert!(decode(&[value], "hours since 2000-01-01", calendar).is_err(), "{value}");
            }
            assert!(decode(&[value], "day as %Y%m%d.%f", "").is_err() && step_seconds(&[value], "hours").is_err());
        }
        assert_eq!(step_seconds(&[21_600e9], "nanoseconds").unwrap(), [21_600]);
    }
}
