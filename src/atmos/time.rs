//! The three times of a forecast. All of them are UTC; there is no local time anywhere in vejr.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A time or duration that could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} is not {expected}")]
pub struct TimeParseError {
    pub found: String,
    pub expected: &'static str,
}

const TIME_FORMATS: &str = "a UTC time such as 2026-11-23T06:00Z, 2026-11-23T06:00:00Z, 2026-11-23T0600Z or 2026-11-23";

/// Reads the spellings that people and file names use; a missing zone means UTC.
fn parse_utc(text: &str) -> Result<DateTime<Utc>, TimeParseError> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let bare = text.strip_suffix('Z').unwrap_or(text);
    for format in ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, format) {
            return Ok(time.and_utc());
        }
    }
    // chrono reads no time of day from a pattern without minutes
    let padded = if bare.len() == 10 { format!("{bare}T00:00") } else { format!("{bare}:00") };
    NaiveDateTime::parse_from_str(&padded, "%Y-%m-%dT%H:%M")
        .map(|time| time.and_utc())
        .map_err(|_| TimeParseError { found: text.to_owned(), expected: TIME_FORMATS })
}

macro_rules! instant {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(DateTime<Utc>);

        impl $name {
            /// Sub-second parts are dropped: no weather product has them, and they break keys.
            pub fn new(time: DateTime<Utc>) -> Self {
                Self(time.trunc_subsecs(0))
            }

            pub fn utc(self) -> DateTime<Utc> {
                self.0
            }

            /// Seconds since 1970-01-01T00:00Z.
            pub fn timestamp(self) -> i64 {
                self.0.timestamp()
            }

            /// From seconds since 1970-01-01T00:00Z; `None` outside the years that chrono holds.
            pub fn from_timestamp(seconds: i64) -> Option<Self> {
                DateTime::from_timestamp(seconds, 0).map(Self)
            }

            /// `YYYY-MM-DDTHHMMZ`, as in object paths: no colon.
            pub fn compact(self) -> String {
                self.0.format("%Y-%m-%dT%H%MZ").to_string()
            }
        }

        /// ISO 8601 to the minute, to the second only where there are seconds.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let pattern = if self.0.timestamp() % 60 == 0 { "%Y-%m-%dT%H:%MZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
                f.pad(&self.0.format(pattern).to_string())
            }
        }

        impl FromStr for $name {
            type Err = TimeParseError;
            fn from_str(text: &str) -> Result<Self, TimeParseError> {
                parse_utc(text).map(Self::new)
            }
        }
    };
}

instant!(ReferenceTime, "The time of the analysis that a forecast starts from (CF `forecast_reference_time`).");
instant!(ValidTime, "The time that a field describes (CF `time`).");

impl ReferenceTime {
    /// The analysis itself, seen as a valid time.
    pub fn valid(self) -> ValidTime {
        ValidTime(self.0)
    }
}

impl ValidTime {
    /// A forecast that starts here.
    pub fn as_reference(self) -> ReferenceTime {
        ReferenceTime(self.0)
    }
}

/// Time since the reference time (CF `forecast_period`), in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeadTime(i64);

impl LeadTime {
    pub const ZERO: Self = Self(0);

    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    pub fn from_hours(hours: i64) -> Self {
        Self(hours * 3600)
    }

    pub fn seconds(self) -> i64 {
        self.0
    }

    pub fn hours(self) -> f64 {
        self.0 as f64 / 3600.0
    }

    /// `self × n`, `None` on overflow.
    pub fn checked_mul(self, n: i64) -> Option<Self> {
        self.0.checked_mul(n).map(Self)
    }
}

/// `6h`, `90m`, `45s`: the largest unit that needs no fraction, hours at the most (forecasters say 240 h).
impl fmt::Display for LeadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
        f.pad(&text)
    }
}

/// `10d`, `240h`, `90m`, `1d12h`, `3600s`, and ISO 8601 (`PT6H`, `P10D`).
impl FromStr for LeadTime {
    type Err = TimeParseError;
    fn from_str(text: &str) -> Result<Self, TimeParseError> {
        let error = || TimeParseError {
            found: text.to_owned(),
            expected: "a duration such as 10d, 240h, 90m, 1d12h, PT6H or P10D",
        };
        let lower = text.trim().to_ascii_lowercase();
        let iso = lower.strip_prefix('p');
        let mut rest: String = match iso {
            Some(iso) => iso.replacen('t', "", 1),
            None => lower.clone(),
        };
        if rest.is_empty() {
            return Err(error());
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let split = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
            let number: i64 = rest[..split].parse().map_err(|_| error())?;
            let unit = match rest.as_bytes()[split] {
                b'w' => 604_800,
                b'd' => 86_400,
                b'h' => 3_600,
                b'm' => 60,
                b's' => 1,
                _ => return Err(error()),
            };
            total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(error)?;
            rest = rest.split_off(split + 1);
        }
        Ok(Self(total))
    }
}

impl Add<LeadTime> for ReferenceTime {
    type Output = ValidTime;
    fn add(self, lead: LeadTime) -> ValidTime {
        shift(self.0, lead)
    }
}

impl Add<LeadTime> for ValidTime {
    type Output = ValidTime;
    fn add(self, lead: LeadTime) -> ValidTime {
        shift(self.0, lead)
    }
}

impl Sub<LeadTime> for ValidTime {
    type Output = ValidTime;
    fn sub(self, lead: LeadTime) -> ValidTime {
        shift(self.0, LeadTime(lead.0.saturating_neg()))
    }
}

/// Saturates at the ends of chrono's calendar, 262,000 years away: no panic on a hostile lead time.
fn shift(time: DateTime<Utc>, lead: LeadTime) -> ValidTime {
    let shifted = TimeDelta::try_seconds(lead.0).and_then(|delta| time.checked_add_signed(delta));
    ValidTime(shifted.unwrap_or(if lead.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC }))
}

impl Sub<ReferenceTime> for ValidTime {
    type Output = LeadTime;
    fn sub(self, reference: ReferenceTime) -> LeadTime {
        LeadTime((self.0 - reference.0).num_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_spelling() {
        for (text, hours) in [("10d", 240), ("240h", 240), ("1d12h", 36), ("PT6H", 6), ("P10D", 240), ("P1DT6H", 30)] {
            assert_eq!(text.parse::<LeadTime>().unwrap(), LeadTime::from_hours(hours), "{text}");
        }
        assert_eq!("90m".parse::<LeadTime>().unwrap().seconds(), 5400);
        for text in ["", "10", "h", "10x", "-6h", "99999999999999999999d", "9999999999999999w", "PT"] {
            assert!(text.parse::<LeadTime>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_in_every_spelling_are_utc() {
        let expected: ReferenceTime = "2026-11-23T06:00:00Z".parse().unwrap();
        for text in
            ["2026-11-23T06:00Z", "2026-11-23T0600Z", "2026-11-23T06Z", "2026-11-23 06:00", "2026-11-23T07:00:00+01:00"]
        {
            assert_eq!(text.parse::<ReferenceTime>().unwrap(), expected, "{text}");
        }
        assert_eq!("2026-11-23".parse::<ValidTime>().unwrap().to_string(), "2026-11-23T00:00Z");
        assert_eq!(expected.compact(), "2026-11-23T0600Z");
        for text in ["", "yesterday", "2026-13-01", "2026-11-23T25:00Z", "é026-11-2"] {
            assert!(text.parse::<ReferenceTime>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn valid_is_reference_plus_lead_and_never_panics() {
        let reference: ReferenceTime = "2001-01-01T00:00Z".parse().unwrap();
        let valid = reference + LeadTime::from_hours(30);
        assert_eq!(valid.to_string(), "2001-01-02T06:00Z");
        assert_eq!(valid - reference, LeadTime::from_hours(30));
        let _ = reference + LeadTime::from_seconds(i64::MAX);
        let _ = valid - LeadTime::from_seconds(i64::MIN);
    }
}
