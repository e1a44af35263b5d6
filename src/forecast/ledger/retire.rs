//! The end of forecasts that are kept no longer.

use std::time::Duration;

use sqlx::Row;

use super::record::RUN_COLUMNS;
use super::{Change, Ledger, LedgerError, RunPhase, RunRecord, milliseconds};
use crate::atmos::ReferenceTime;
use crate::store::ForecastPath;

impl Ledger {
    /// Runs that a client asked for, that have ended, and that are of analyses before a time: all but the model's newest
    /// complete one, so that there is always a forecast to look at.
    pub async fn kept_too_long(
        &self,
        client: &str,
        model: &str,
        before: ReferenceTime,
    ) -> Result<Vec<ForecastPath>, LedgerError> {
        let text = format!(
            "SELECT {RUN_COLUMNS} FROM runs WHERE client = $1 AND model = $2 AND reference_time < $3 \
             AND state IN ('done', 'failed', 'cancelled') \
             AND EXISTS (SELECT 1 FROM runs AS newer WHERE newer.model = $2 AND newer.state = 'done' \
               AND newer.reference_time > runs.reference_time) \
             ORDER BY reference_time LIMIT 100"
        );
        let rows = sqlx::query(self.sql(&text));
        let rows = rows.bind(client).bind(model).bind(before.timestamp()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| RunRecord::of(row).map(|run| run.path)).collect()
    }

    /// Keeps everybody else from the objects of a run that has ended, for so long; `None` where somebody else has it. Asked
    /// for meanwhile, the run waits until then.
    pub async fn begin_deleting(&self, run_key: &str, duration: Duration) -> Result<Option<i64>, LedgerError> {
        let text = "UPDATE parts SET token = token + 1, holder = 'being deleted', lease_until = {now} + $2 \
                    WHERE run_key = $1 AND part = 0 AND state IN ('done', 'stopped') AND lease_until < {now} \
                    AND EXISTS (SELECT 1 FROM runs WHERE runs.run_key = $1 AND state IN ('done', 'failed', 'cancelled')) \
                    RETURNING token";
        let row = sqlx::query(self.sql(text)).bind(run_key).bind(milliseconds(duration));
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| Ok(row.try_get("token")?)).transpose()
    }

    /// The objects are gone. Asked for again, the run is begun anew.
    pub async fn deleted(&self, run_key: &str, token: i64, reason: &str) -> Result<(), LedgerError> {
        let mut transaction = self.pool.begin().await?;
        let text = "UPDATE parts SET lease_until = 0 WHERE run_key = $1 AND part = 0 AND token = $2 \
                    AND state IN ('done', 'stopped')";
        let held = sqlx::query(text).bind(run_key).bind(token).execute(&mut *transaction).await?;
        if held.rows_affected() == 0 {
            return Err(LedgerError::LeaseLost);
        }
        let text = "UPDATE parts SET state = 'stopped', steps_complete = 0 WHERE run_key = $1";
        sqlx::query(text).bind(run_key).execute(&mut *transaction).await?;
        self.tell(&mut transaction, run_key, Change { reason, ..Change::to(RunPhase::Expired, reason) }).await?;
        transaction.commit().await?;
        Ok(())
    }
}
