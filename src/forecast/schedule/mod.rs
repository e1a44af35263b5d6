//! Forecasts that nobody asks for each time: a schedule says of which analyses, and a run begins when its analysis is there.

mod keeper;

use std::fmt;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Deserializer};

pub use keeper::{ScheduleEvents, ScheduleKeeper};

use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::EnsembleKind;
use crate::store::Encoding;

/// Analyses that one schedule may wait for at once.
const MOST_AWAITED: usize = 1000;

/// `[[schedule]]`: which forecasts are made again and again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What lists and metrics call it; the model's name where it is left out.
    #[serde(default)]
    name: Option<String>,
    pub model: String,
    /// The reference times, in UTC.
    pub cron: CronTimes,
    #[serde(deserialize_with = "duration")]
    pub lead_time: LeadTime,
    #[serde(default = "float32")]
    pub encoding: Encoding,
    /// Of an ensemble, with what its noise begins, and how members start apart: as `vejr request --members`, `--seed` and
    /// `--perturbation`.
    #[serde(default = "one")]
    pub members: usize,
    #[serde(default)]
    pub seed: u64,
    #[serde(default = "noise")]
    pub perturbation: EnsembleKind,
    /// As `vejr request --winds true`.
    #[serde(default)]
    pub true_winds: bool,
    /// After the reference time: an analysis that has not arrived by then is told to be late.
    #[serde(default, deserialize_with = "some_duration")]
    pub late_after: Option<LeadTime>,
    /// After the reference time: an analysis that has not arrived by then is missing, and no longer looked for.
    #[serde(default = "half_a_day", deserialize_with = "duration")]
    pub wait: LeadTime,
    /// Files that changed within this time may still be being written.
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub settle: LeadTime,
    /// Forecasts of this schedule are deleted so long after their reference time, but never the newest complete one.
    #[serde(default, deserialize_with = "some_duration")]
    pub retention: Option<LeadTime>,
}

fn float32() -> Encoding {
    Encoding::Float32
}

fn one() -> usize {
    1
}

fn noise() -> EnsembleKind {
    EnsembleKind::Noise
}

fn half_a_day() -> LeadTime {
    LeadTime::from_hours(12)
}

fn ten_seconds() -> LeadTime {
    LeadTime::from_seconds(10)
}

/// As on the command line: `15s`, `10d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeadTime, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeadTime>, D::Error> {
    duration(deserializer).map(Some)
}

impl Schedule {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.model)
    }

    /// Who asks for its runs.
    pub fn client(&self) -> String {
        format!("schedule/{}", self.name())
    }

    /// What is wrong with it, by itself.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = self.name();
        let mut wrong = |problem: String| problems.push(format!("[[schedule]] {name:?}: {problem}"));
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_letter) {
            wrong("its name may have 1 to 64 letters, digits, '.', '_' and '-'".to_owned());
        }
        if self.wait <= LeadTime::ZERO {
            wrong(format!("wait is {}; how long after the reference time shall analyses be waited for?", self.wait));
        }
        if let Some(late) = self.late_after.filter(|late| *late >= self.wait) {
            wrong(format!(
                "late_after is {late}, and after wait, {}, an analysis is not waited for any more",
                self.wait
            ));
        }
        if self.settle < LeadTime::ZERO || self.settle >= self.wait {
            wrong(format!("settle is {}; expected 0s or more, and less than wait, {}", self.settle, self.wait));
        }
        if let Some(retention) = self.retention.filter(|retention| *retention <= self.wait) {
            wrong(format!("retention is {retention}; expected more than wait, {}", self.wait));
        }
        let begin = ReferenceTime::from_timestamp(1_767_225_600).map(ReferenceTime::utc).unwrap_or_default();
        let awaited = self.cron.between(begin, begin + chrono::TimeDelta::seconds(self.wait.seconds())).len();
        if awaited > MOST_AWAITED {
            wrong(format!(
                "more than {MOST_AWAITED} analyses would be waited for at once; shorten wait, {}",
                self.wait
            ));
        }
        problems
    }
}

/// A cron expression: minute, hour, day of the month, month, day of the week; in UTC.
#[derive(Debug, Clone)]
pub struct CronTimes {
    text: String,
    cron: Cron,
}

impl CronTimes {
    pub fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        match parser.parse(text) {
            Ok(cron) => Ok(Self { text: text.to_owned(), cron }),
            Err(error) => Err(format!(
                "{text:?} is no cron expression: {error}; expected minute, hour, day of the month, month and day of the week, \
                 such as \"0 */6 * * *\""
            )),
        }
    }

    /// The times after one up to and including another; of very many the last, and one more than may be awaited.
    pub(super) fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<ReferenceTime> {
        let times = self.cron.iter_before(until + chrono::TimeDelta::seconds(1));
        let inside = times.take_while(|time| *time > after).take(MOST_AWAITED + 1);
        let mut times: Vec<ReferenceTime> = inside.map(ReferenceTime::new).collect();
        times.reverse();
        times
    }
}

impl fmt::Display for CronTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CronTimes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, after: &str, until: &str) -> Vec<String> {
        let time = |text: &str| text.parse::<ReferenceTime>().unwrap().utc();
        CronTimes::parse(cron).unwrap().between(time(after), time(until)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reference_times_follow_the_expression() {
        assert_eq!(
            times("0 */6 * * *", "2026-11-27T00:00Z", "2026-11-27T12:00Z"),
            ["2026-11-27T06:00Z", "2026-11-27T12:00Z"]
        );
        assert_eq!(times("0 0,12 * * *", "2026-12-31T12:00Z", "2027-01-01T11:59Z"), ["2027-01-01T00:00Z"]);
        assert_eq!(times("30 * * * *", "2026-11-27T00:30Z", "2026-11-27T01:29Z"), [""; 0]);
        assert_eq!(times("* * * * *", "2020-01-01", "2026-11-27").len(), MOST_AWAITED + 1);
        for wrong in ["", "hourly", "0 25 * * *", "0 0 * *", "0 0 0 * * *", "0 0 * * * 2026"] {
            assert!(CronTimes::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let read = |text: &str| toml::from_str::<Schedule>(text).unwrap().problems();
        let good = "model = \"m\"\ncron = \"0 * * * *\"\nlead_time = \"2d\"\n";
        assert_eq!(read(good), [""; 0]);
        let bad = read(&format!("{good}name = \"a b\"\nlate_after = \"1d\"\nsettle = \"13h\"\nretention = \"1h\""));
        assert_eq!(bad.len(), 4, "{bad:?}");
        let many = read(&good.replace("0 *", "* *").replace("2d", "2d\"\nwait = \"2d"));
        assert!(many.len() == 1 && many[0].contains("1000"), "{many:?}");
    }
}
