//! What the ledger knows of a run.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::LedgerError;
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::Ensemble;
use crate::store::{Encoding, ForecastPath, Statistics};

/// How far a run is.
///
/// ```text
/// queued ─► running ─► publishing ─► done
///    │         │            └──────► failed
///    ├─► expired └─► failed, cancelled, or queued again where the cause may pass
///    └─► cancelled
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunPhase {
    /// Accepted, and not begun.
    Queued,
    /// A worker computes it, or computed it and another will go on.
    Running,
    /// Every step is there; what is made of all of them is being written.
    Publishing,
    Done,
    Failed,
    Cancelled,
    /// It was not begun before its deadline.
    Expired,
}

impl RunPhase {
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Publishing, Self::Done, Self::Failed, Self::Cancelled, Self::Expired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing happens any more, unless somebody asks for the run again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunPhase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|phase| phase.name() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|phase| phase.name()).collect();
            format!("{text:?} is no state of a run; expected one of {}", known.join(", "))
        })
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunFault {
    Configuration,
    Input,
    Device,
    Storage,
    Other,
}

impl RunFault {
    const ALL: [Self; 5] = [Self::Configuration, Self::Input, Self::Device, Self::Storage, Self::Other];

    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Input => "input",
            Self::Device => "device",
            Self::Storage => "storage",
            Self::Other => "other",
        }
    }

    /// `None` for what names no fault.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == text)
    }
}

/// What a worker needs to know to compute a run, beside who the run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    pub lead_time: LeadTime,
    #[serde(default)]
    pub ensemble: Ensemble,
    #[serde(default)]
    pub statistics: Statistics,
    pub encoding: Encoding,
    /// Publish winds along the axes of a projected grid as winds to east and north.
    pub true_winds: bool,
    /// Files with the initial states: paths or URLs.
    pub init: Vec<String>,
    pub boundary: Vec<String>,
    pub regrid: Vec<String>,
    pub trust_units: Vec<String>,
    /// What the files were like when the run was asked for ([`crate::forecast::Arrivals::fingerprint`]).
    pub fingerprint: String,
}

/// A run, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    pub path: ForecastPath,
    pub model_digest: String,
    pub request: RunRequest,
    pub client: String,
    pub phase: RunPhase,
    /// Of a failed run.
    pub fault: Option<RunFault>,
    /// Why it failed, or waits; empty otherwise.
    pub reason: String,
    pub joined: u64,
    pub steps_complete: usize,
    /// The analysis included.
    pub steps_total: usize,
    /// Number of the last event.
    pub events: i64,
    pub created: DateTime<Utc>,
    pub changed: DateTime<Utc>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The state changed, or an attempt began or ended.
    State,
    /// A step is there for readers.
    Step,
}

impl EventKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Step => "step",
        }
    }
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEvent {
    /// From 1, without gaps.
    pub number: i64,
    pub time: DateTime<Utc>,
    pub kind: EventKind,
    pub phase: RunPhase,
    /// Complete by then.
    pub steps_complete: usize,
    /// For people; may be empty.
    pub detail: String,
}

/// A worker's try at a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub token: i64,
    pub holder: String,
    /// The first step that it had to compute; `None` where it did not get so far.
    pub first_step: Option<usize>,
    /// Published by it.
    pub steps: usize,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    /// How it ended; empty while it has not.
    pub outcome: String,
}

/// Columns that [`RunRecord::of`] reads; `runs` and its part.
pub(super) const RUN_COLUMNS: &str = "runs.run_key, model, model_digest, reference_time, steps_total, request, client, \
    runs.state, fault, reason, joined, events, created, changed, \
    (SELECT MIN(parts.steps_complete) FROM parts WHERE parts.run_key = runs.run_key) AS steps_complete";

pub(super) fn instant(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl RunRecord {
    pub(super) fn of(row: &AnyRow) -> Result<Self, LedgerError> {
        let run_key: String = row.try_get("run_key")?;
        let corrupt = |what: String| LedgerError::Corrupt { run_key: run_key.clone(), what };
        let seconds: i64 = row.try_get("reference_time")?;
        let reference_time = ReferenceTime::from_timestamp(seconds);
        let reference_time = reference_time.ok_or_else(|| corrupt(format!("reference time {seconds}")))?;
        let request: String = row.try_get("request")?;
        let request = serde_json::from_str(&request).map_err(|error| corrupt(error.to_string()))?;
        let state: String = row.try_get("state")?;
        let fault: String = row.try_get("fault")?;
        let joined: i64 = row.try_get("joined")?;
        Ok(Self {
            model_digest: row.try_get("model_digest")?,
            request,
            client: row.try_get("client")?,
            phase: state.parse().map_err(corrupt)?,
            fault: RunFault::named(&fault),
            reason: row.try_get("reason")?,
            joined: joined.unsigned_abs(),
            steps_complete: count(row.try_get("steps_complete")?),
            steps_total: count(row.try_get("steps_total")?),
            events: row.try_get("events")?,
            created: instant(row.try_get("created")?),
            changed: instant(row.try_get("changed")?),
            path: ForecastPath { model: row.try_get("model")?, reference_time, run_key },
        })
    }
}

impl RunEvent {
    pub(super) fn of(row: &AnyRow) -> Result<Self, LedgerError> {
        let state: String = row.try_get("state")?;
        let kind: String = row.try_get("kind")?;
        Ok(Self {
            number: row.try_get("number")?,
            time: instant(row.try_get("time")?),
            kind: if kind == EventKind::Step.name() { EventKind::Step } else { EventKind::State },
            phase: state.parse().map_err(|what| LedgerError::Corrupt { run_key: String::new(), what })?,
            steps_complete: count(row.try_get("steps")?),
            detail: row.try_get("detail")?,
        })
    }
}

impl Attempt {
    pub(super) fn of(row: &AnyRow) -> Result<Self, LedgerError> {
        let ended: i64 = row.try_get("ended")?;
        Ok(Self {
            token: row.try_get("token")?,
            holder: row.try_get("holder")?,
            first_step: usize::try_from(row.try_get::<i64, _>("first_step")?).ok(),
            steps: count(row.try_get("steps")?),
            started: instant(row.try_get("started")?),
            ended: (ended > 0).then(|| instant(ended)),
            outcome: row.try_get("outcome")?,
        })
    }
}
