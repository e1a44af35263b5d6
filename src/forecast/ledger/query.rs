//! What can be asked.

use std::time::Duration;

use sqlx::Row;

use super::record::RUN_COLUMNS;
use super::{Attempt, Ledger, LedgerError, RunEvent, RunPhase, RunRecord};
use crate::atmos::ReferenceTime;
use crate::store::ForecastPath;

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Empty: of all models.
    pub model: String,
    /// Empty: in all states.
    pub phases: Vec<RunPhase>,
    /// Reference times, both ends included.
    pub from: Option<ReferenceTime>,
    pub until: Option<ReferenceTime>,
}

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Runs by state; a state that no run is in is left out.
    pub runs: Vec<(RunPhase, u64)>,
    /// Since the oldest waiting run was asked for.
    pub oldest: Duration,
}

/// A run with something left to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    pub run_key: String,
    /// Parts that nobody has finished.
    pub parts: usize,
}

impl Ledger {
    pub async fn run(&self, run_key: &str) -> Result<Option<RunRecord>, LedgerError> {
        let text = format!("SELECT {RUN_COLUMNS} FROM runs WHERE run_key = $1");
        let row = sqlx::query(self.sql(&text)).bind(run_key).fetch_optional(&self.pool).await?;
        row.as_ref().map(RunRecord::of).transpose()
    }

    /// Newest reference time first, then by model and key; those after a given one.
    pub async fn list(
        &self,
        filter: &RunFilter,
        after: Option<&ForecastPath>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, LedgerError> {
        let phases: Vec<RunPhase> = match filter.phases.as_slice() {
            [] => RunPhase::ALL.to_vec(),
            some => some.to_vec(),
        };
        // names from a fixed set
        let phases: Vec<String> = phases.iter().map(|phase| format!("'{phase}'")).collect();
        let text = format!(
            "SELECT {RUN_COLUMNS} FROM runs WHERE ($1 = '' OR model = $1) AND runs.state IN ({}) \
             AND reference_time >= $2 AND reference_time <= $3 AND (reference_time < $4 OR (reference_time = $4 \
             AND (model > $5 OR (model = $5 AND runs.run_key > $6)))) \
             ORDER BY reference_time DESC, model, runs.run_key LIMIT $7",
            phases.join(", ")
        );
        let seconds = |time: Option<ReferenceTime>, open: i64| time.map_or(open, ReferenceTime::timestamp);
        let rows = sqlx::query(self.sql(&text))
            .bind(&filter.model)
            .bind(seconds(filter.from, i64::MIN))
            .bind(seconds(filter.until, i64::MAX))
            .bind(seconds(after.map(|path| path.reference_time), i64::MAX))
            .bind(after.map_or("", |path| &path.model))
            .bind(after.map_or("", |path| &path.run_key))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(RunRecord::of).collect()
    }

    /// What happened to a run after the event of this number.
    pub async fn events(&self, run_key: &str, after: i64, limit: i64) -> Result<Vec<RunEvent>, LedgerError> {
        let text = "SELECT number, time, kind, state, steps, detail FROM events WHERE run_key = $1 AND number > $2 \
                    ORDER BY number LIMIT $3";
        let rows = sqlx::query(text).bind(run_key).bind(after).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(RunEvent::of).collect()
    }

    /// Oldest first.
    pub async fn attempts(&self, run_key: &str) -> Result<Vec<Attempt>, LedgerError> {
        let text = "SELECT token, holder, first_step, steps, started, ended, outcome FROM attempts WHERE run_key = $1 \
                    ORDER BY started, part, token";
        let rows = sqlx::query(text).bind(run_key).fetch_all(&self.pool).await?;
        rows.iter().map(Attempt::of).collect()
    }

    /// Runs with something left to compute, those first that have waited longest.
    pub async fn open_runs(&self) -> Result<Vec<OpenRun>, LedgerError> {
        let text = "SELECT runs.run_key, COUNT(*) AS open FROM runs JOIN parts ON parts.run_key = runs.run_key \
                    WHERE runs.state IN ('queued', 'running', 'publishing') AND parts.state IN ('queued', 'leased') \
                    GROUP BY runs.run_key, runs.created ORDER BY runs.created, runs.run_key";
        let rows = sqlx::query(text).fetch_all(&self.pool).await?;
        let open = rows.iter().map(|row| {
            let open: i64 = row.try_get("open")?;
            Ok(OpenRun { run_key: row.try_get("run_key")?, parts: usize::try_from(open).unwrap_or(0) })
        });
        open.collect()
    }

    pub async fn depth(&self) -> Result<QueueDepth, LedgerError> {
        let text = "SELECT state, COUNT(*) AS number, {now} - MIN(created) AS age FROM runs GROUP BY state";
        let rows = sqlx::query(self.sql(text)).fetch_all(&self.pool).await?;
        let mut depth = QueueDepth { runs: Vec::new(), oldest: Duration::ZERO };
        for row in rows {
            let state: String = row.try_get("state")?;
            let phase = state.parse().map_err(|what| LedgerError::Corrupt { run_key: String::new(), what })?;
            let number: i64 = row.try_get("number")?;
            let age: i64 = row.try_get("age")?;
            depth.runs.push((phase, number.unsigned_abs()));
            if phase == RunPhase::Queued {
                depth.oldest = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            }
        }
        Ok(depth)
    }
}
