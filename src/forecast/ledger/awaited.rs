//! Analyses that schedules wait for.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::record::instant;
use super::{Ledger, LedgerError, signed};
use crate::atmos::ReferenceTime;

/// What became of an analysis that a schedule waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwaitedState {
    /// It has not arrived, or not settled.
    Waiting,
    /// The same, longer than expected.
    Late,
    /// It was there, and its forecast is a run.
    Requested,
    /// It was there, and no forecast can be made of it.
    Refused,
    /// It did not arrive in time, and is no longer looked for.
    Missing,
}

impl AwaitedState {
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Late, Self::Requested, Self::Refused, Self::Missing];

    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Late => "late",
            Self::Requested => "requested",
            Self::Refused => "refused",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for AwaitedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AwaitedState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| format!("{text:?} is no state of an awaited analysis"))
    }
}

/// An analysis that a schedule waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    pub schedule: String,
    pub model: String,
    pub reference_time: ReferenceTime,
    pub state: AwaitedState,
    /// Of the newest run that was asked for.
    pub run_key: Option<String>,
    /// Of the files that it was asked for with; empty before that.
    pub fingerprint: String,
    /// How often the files were replaced after the first run was asked for.
    pub replaced: u64,
    /// For people; may be empty.
    pub detail: String,
    /// When its first run was asked for.
    pub requested: Option<DateTime<Utc>>,
    pub changed: DateTime<Utc>,
}

const COLUMNS: &str =
    "schedule, model, reference_time, state, run_key, fingerprint, replaced, detail, requested, changed";

impl Ledger {
    /// The newest analysis that a schedule has ever waited for.
    pub async fn last_awaited(&self, schedule: &str) -> Result<Option<ReferenceTime>, LedgerError> {
        let text = "SELECT reference_time FROM awaited WHERE schedule = $1 ORDER BY reference_time DESC LIMIT 1";
        let row = sqlx::query(text).bind(schedule).fetch_optional(&self.pool).await?;
        row.as_ref().map(time).transpose()
    }

    /// From now on an analysis is waited for; nothing changes where it is already.
    pub async fn await_analysis(&self, schedule: &str, model: &str, time: ReferenceTime) -> Result<(), LedgerError> {
        let text = "INSERT INTO awaited (schedule, model, reference_time, state, run_key, fingerprint, replaced, detail, \
                    requested, changed) VALUES ($1, $2, $3, 'waiting', '', '', 0, '', 0, {now}) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(self.sql(text)).bind(schedule).bind(model).bind(time.timestamp());
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// What a schedule waits for, and what came of it, after a time; oldest first.
    pub async fn awaited(&self, schedule: &str, after: ReferenceTime) -> Result<Vec<Awaited>, LedgerError> {
        let text = format!(
            "SELECT {COLUMNS} FROM awaited WHERE schedule = $1 AND reference_time > $2 AND state <> 'missing' \
             ORDER BY reference_time"
        );
        let rows = sqlx::query(self.sql(&text)).bind(schedule).bind(after.timestamp()).fetch_all(&self.pool).await?;
        rows.iter().map(Awaited::of).collect()
    }

    /// Of all schedules or one, newest reference time first; those after a given one.
    pub async fn list_awaited(
        &self,
        schedule: &str,
        after: Option<(ReferenceTime, &str)>,
        limit: usize,
    ) -> Result<Vec<Awaited>, LedgerError> {
        let text = format!(
            "SELECT {COLUMNS} FROM awaited WHERE ($1 = '' OR schedule = $1) AND (reference_time < $2 \
             OR (reference_time = $2 AND schedule > $3)) ORDER BY reference_time DESC, schedule LIMIT $4"
        );
        let rows = sqlx::query(self.sql(&text))
            .bind(schedule)
            .bind(after.map_or(i64::MAX, |(time, _)| time.timestamp()))
            .bind(after.map_or("", |(_, schedule)| schedule))
            .bind(signed(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(Awaited::of).collect()
    }

    /// Writes what was found of an analysis, unless somebody else wrote about it meanwhile.
    pub async fn set_awaited(&self, before: &Awaited, now: &Awaited) -> Result<(), LedgerError> {
        let text = "UPDATE awaited SET state = $4, run_key = $5, fingerprint = $6, replaced = $7, detail = $8, \
                    requested = CASE WHEN $5 <> '' AND requested = 0 THEN {now} ELSE requested END, changed = {now} \
                    WHERE schedule = $1 AND reference_time = $2 AND state = $3 AND fingerprint = $9";
        sqlx::query(self.sql(text))
            .bind(&now.schedule)
            .bind(now.reference_time.timestamp())
            .bind(before.state.name())
            .bind(now.state.name())
            .bind(now.run_key.as_deref().unwrap_or_default())
            .bind(&now.fingerprint)
            .bind(i64::try_from(now.replaced).unwrap_or(i64::MAX))
            .bind(&now.detail)
            .bind(&before.fingerprint)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What has not arrived up to a time is missing; which that is.
    pub async fn give_up_awaiting(
        &self,
        schedule: &str,
        until: ReferenceTime,
    ) -> Result<Vec<ReferenceTime>, LedgerError> {
        let text = "UPDATE awaited SET state = 'missing', changed = {now} WHERE schedule = $1 AND reference_time <= $2 \
                    AND state IN ('waiting', 'late') RETURNING reference_time";
        let rows = sqlx::query(self.sql(text)).bind(schedule).bind(until.timestamp()).fetch_all(&self.pool).await?;
        rows.iter().map(time).collect()
    }

    /// How many analyses there are of each schedule in each state.
    pub async fn count_awaited(&self) -> Result<Vec<(String, AwaitedState, u64)>, LedgerError> {
        let text = "SELECT schedule, state, COUNT(*) AS number FROM awaited GROUP BY schedule, state";
        let rows = sqlx::query(text).fetch_all(&self.pool).await?;
        let count = |row: &AnyRow| {
            let number: i64 = row.try_get("number")?;
            Ok((row.try_get("schedule")?, state(row)?, number.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    }
}

impl Awaited {
    fn of(row: &AnyRow) -> Result<Self, LedgerError> {
        let run_key: String = row.try_get("run_key")?;
        let replaced: i64 = row.try_get("replaced")?;
        let requested: i64 = row.try_get("requested")?;
        Ok(Self {
            schedule: row.try_get("schedule")?,
            model: row.try_get("model")?,
            reference_time: time(row)?,
            state: state(row)?,
            run_key: (!run_key.is_empty()).then_some(run_key),
            fingerprint: row.try_get("fingerprint")?,
            replaced: replaced.unsigned_abs(),
            detail: row.try_get("detail")?,
            requested: (requested > 0).then(|| instant(requested)),
            changed: instant(row.try_get("changed")?),
        })
    }
}

fn time(row: &AnyRow) -> Result<ReferenceTime, LedgerError> {
    let seconds: i64 = row.try_get("reference_time")?;
    let corrupt = || LedgerError::Corrupt { run_key: String::new(), what: format!("reference time {seconds}") };
    ReferenceTime::from_timestamp(seconds).ok_or_else(corrupt)
}

fn state(row: &AnyRow) -> Result<AwaitedState, LedgerError> {
    let text: String = row.try_get("state")?;
    text.parse().map_err(|what| LedgerError::Corrupt { run_key: String::new(), what })
}
