//! The dimensions of a query that are not places: levels and times.

use crate::atmos::{Level, ValidTime};
use crate::serve::catalog::Forecast;
use crate::serve::error::{Error, Violation};
use crate::serve::names::quoted;
use crate::serve::select::listed;

/// Which levels, in the units of each parameter's vertical.
pub enum Levels {
    All,
    These(Vec<f64>),
    Between(f64, f64),
}

impl Levels {
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let wrong = || Violation::new("z", format!("{} is no level; expected 850, 850,500, or 1000/500", quoted(text)));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|z| z.is_finite()).ok_or_else(wrong);
        match (text, text.split_once('/')) {
            ("", _) => Ok(Self::All),
            (_, Some((one, other))) => {
                let (one, other) = (number(one)?, number(other)?);
                Ok(Self::Between(one.min(other), one.max(other)))
            }
            _ => Ok(Self::These(text.split(',').map(number).collect::<Result<_, _>>()?)),
        }
    }

    /// Positions among an offer's levels; `None` where one that is named is not there, or none at all.
    pub fn of(&self, levels: &[Level]) -> Option<Vec<usize>> {
        if levels.iter().all(|level| level.dimension().is_none()) {
            return Some((0..levels.len()).collect());
        }
        let position = |z: f64| levels.iter().position(|level| level.value() == z);
        let found: Vec<usize> = match self {
            Self::All => (0..levels.len()).collect(),
            Self::These(wanted) => wanted.iter().map(|&z| position(z)).collect::<Option<_>>()?,
            Self::Between(low, high) => {
                (0..levels.len()).filter(|&n| (*low..=*high).contains(&levels[n].value())).collect()
            }
        };
        Some(found).filter(|found| !found.is_empty())
    }
}

/// `datetime`: an instant, or an interval that may be open at one end.
pub enum Times {
    All,
    At(ValidTime),
    Between(Option<ValidTime>, Option<ValidTime>),
}

impl Times {
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let wrong = || {
            let expected = "2026-01-31T06:00:00Z, or an interval START/END in which .. is no bound";
            Violation::new("datetime", format!("{} is no time; expected {expected}", quoted(text)))
        };
        let time = |text: &str| text.parse::<ValidTime>().map_err(|_| wrong());
        let bound = |text: &str| if matches!(text, "" | "..") { Ok(None) } else { time(text).map(Some) };
        match (text, text.split_once('/')) {
            ("", _) => Ok(Self::All),
            (_, None) => Ok(Self::At(time(text)?)),
            (_, Some((start, end))) => match (bound(start)?, bound(end)?) {
                (Some(start), Some(end)) if start > end => {
                    Err(Violation::new("datetime", format!("{} ends before it starts", quoted(text))))
                }
                (start, end) => Ok(Self::Between(start, end)),
            },
        }
    }

    /// Lead times of the forecast: of an interval those that are published.
    pub fn steps(&self, forecast: &Forecast) -> Result<Vec<usize>, Violation> {
        let spec = forecast.reader.spec();
        let valid = |step: &usize| spec.reference_time + spec.lead_times[*step];
        let published = forecast.manifest().steps_complete;
        let found: Vec<usize> = match self {
            Self::All => (0..published).collect(),
            Self::At(time) => (0..spec.lead_times.len()).filter(|step| valid(step) == *time).collect(),
            Self::Between(start, end) => (0..published)
                .filter(|step| {
                    start.is_none_or(|start| valid(step) >= start) && end.is_none_or(|end| valid(step) <= end)
                })
                .collect(),
        };
        if found.is_empty() {
            let (first, last) = (spec.reference_time.valid(), spec.lead_times.len().saturating_sub(1));
            let what = format!(
                "none of the forecast's times is asked for: it has {} from {first} to {}, of which {published} are published",
                spec.lead_times.len(),
                valid(&last)
            );
            return Err(Violation::new("datetime", what));
        }
        Ok(found)
    }
}

/// The step of each position of a trajectory: by its own time, or the one that the request has.
pub fn along(forecast: &Forecast, line: &[((f64, f64), Option<f64>)], steps: &[usize]) -> Result<Vec<usize>, Error> {
    let spec = forecast.reader.spec();
    let mut found = Vec::with_capacity(line.len());
    for (_, seconds) in line {
        let step = match (seconds, steps) {
            (None, [step]) => *step,
            (None, _) => {
                let what = "names several times; a LINESTRING is at one, a LINESTRINGM has a time at each position";
                return Err(Violation::new("datetime", what).into());
            }
            (Some(seconds), _) => {
                let at = |&step: &usize| (spec.reference_time + spec.lead_times[step]).timestamp() as f64 == *seconds;
                let wrong = || {
                    let times = listed(steps.iter().map(|&step| spec.reference_time + spec.lead_times[step]));
                    Violation::new("coords", format!("{seconds} is the time of no step; available: {times}"))
                };
                steps.iter().copied().find(at).ok_or_else(wrong)?
            }
        };
        found.push(step);
    }
    Ok(found)
}
