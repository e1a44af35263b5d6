//! Who holds what: leases, and what their holders tell.

use std::time::Duration;

use sqlx::{Any, Row, Transaction};

use super::record::RUN_COLUMNS;
use super::{Change, Ledger, LedgerError, RunFault, RunPhase, RunRecord, milliseconds, signed};

/// The right to work on a part of a run, until it is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub run: RunRecord,
    /// Which members of an ensemble it is: [`crate::forecast::Ensemble::part`].
    pub part: i64,
    /// Of the part.
    pub steps_complete: usize,
    /// Grows with every lease of the part.
    pub token: i64,
    /// Attempts, this one included, since a step was published.
    pub fruitless: u64,
}

/// A part that may be taken: nobody's, or one whose holder has not been heard of.
const TAKEABLE: &str = "((parts.state = 'queued' AND parts.not_before <= {now}) \
                        OR (parts.state = 'leased' AND parts.lease_until < {now}))";

/// What goes on with a run that a part was taken of.
const UNDER_WAY: &str = "('queued', 'running', 'publishing')";

/// Of a part: nobody has given up the run of which it is one.
const RUN_GOES_ON: &str = "EXISTS (SELECT 1 FROM runs WHERE runs.run_key = parts.run_key \
                           AND runs.state IN ('queued', 'running', 'publishing'))";

impl Ledger {
    /// Takes the part that has waited longest, of a model that the worker has; `None` where there is none.
    pub async fn claim(
        &self,
        holder: &str,
        model_digests: &[String],
        duration: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        self.claim_of(None, holder, model_digests, duration).await
    }

    /// The same, of one run only.
    pub async fn claim_of(
        &self,
        only_run: Option<&str>,
        holder: &str,
        model_digests: &[String],
        duration: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        if model_digests.is_empty() {
            return Ok(None);
        }
        let places: Vec<String> = (4..4 + model_digests.len()).map(|n| format!("${n}")).collect();
        // the outer condition is looked at again where another transaction took the row meanwhile
        let text = format!(
            "UPDATE parts SET state = 'leased', holder = $1, token = token + 1, fruitless = fruitless + 1, \
             lease_until = {{now}} + $2 \
             WHERE (run_key, part) IN (SELECT parts.run_key, parts.part FROM parts \
               JOIN runs ON runs.run_key = parts.run_key \
               WHERE {TAKEABLE} AND runs.state IN {UNDER_WAY} AND ($3 = '' OR runs.run_key = $3) AND runs.model_digest IN ({}) \
               ORDER BY runs.created, parts.part LIMIT 1) AND {TAKEABLE} \
             RETURNING run_key, part, token, fruitless, steps_complete",
            places.join(", ")
        );
        let mut transaction = self.pool.begin().await?;
        let text = self.sql(&text);
        let mut query = sqlx::query(text).bind(holder).bind(milliseconds(duration)).bind(only_run.unwrap_or_default());
        for digest in model_digests {
            query = query.bind(digest);
        }
        let Some(row) = query.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        let run_key: String = row.try_get("run_key")?;
        let part: i64 = row.try_get("part")?;
        let token: i64 = row.try_get("token")?;
        let fruitless: i64 = row.try_get("fruitless")?;
        let steps_complete: i64 = row.try_get("steps_complete")?;
        let steps_complete = usize::try_from(steps_complete).unwrap_or(0);
        // who was not heard of any more
        let text = "UPDATE attempts SET ended = {now}, outcome = 'not heard of any more' \
                    WHERE run_key = $1 AND part = $2 AND ended = 0";
        sqlx::query(self.sql(text)).bind(&run_key).bind(part).execute(&mut *transaction).await?;
        let text = "INSERT INTO attempts (run_key, part, token, holder, first_step, steps, started, ended, outcome) \
                    VALUES ($1, $2, $3, $4, -1, 0, {now}, 0, '')";
        let attempt = sqlx::query(self.sql(text)).bind(&run_key).bind(part).bind(token).bind(holder);
        attempt.execute(&mut *transaction).await?;
        self.tell(&mut transaction, &run_key, Change::to(RunPhase::Running, holder)).await?;
        let text = format!("SELECT {RUN_COLUMNS} FROM runs WHERE run_key = $1");
        let row = sqlx::query(self.sql(&text)).bind(&run_key).fetch_one(&mut *transaction).await?;
        let run = RunRecord::of(&row)?;
        transaction.commit().await?;
        Ok(Some(Lease { run, part, steps_complete, token, fruitless: fruitless.unsigned_abs() }))
    }

    /// Keeps a lease for another while. [`LedgerError::LeaseLost`] where somebody else has the part, or the run was
    /// cancelled.
    pub async fn renew(&self, lease: &Lease, duration: Duration) -> Result<(), LedgerError> {
        let text = format!(
            "UPDATE parts SET lease_until = {{now}} + $4 WHERE run_key = $1 AND part = $2 AND token = $3 \
             AND state = 'leased' AND {RUN_GOES_ON}"
        );
        let done = sqlx::query(self.sql(&text))
            .bind(&lease.run.path.run_key)
            .bind(lease.part)
            .bind(lease.token)
            .bind(milliseconds(duration))
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(LedgerError::LeaseLost) }
    }

    /// How many steps the holder found, and goes on from.
    pub async fn begins(&self, lease: &Lease, steps_complete: usize) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, Some(steps_complete), false).await?;
        let text = "UPDATE attempts SET first_step = $4 WHERE run_key = $1 AND part = $2 AND token = $3";
        sqlx::query(text)
            .bind(&lease.run.path.run_key)
            .bind(lease.part)
            .bind(lease.token)
            .bind(signed(steps_complete))
            .execute(&mut *transaction)
            .await?;
        let told = steps_complete != lease.steps_complete;
        if told {
            // published by somebody who could not say so any more
            self.tell(&mut transaction, &lease.run.path.run_key, Change::step()).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// A step is there for readers.
    pub async fn published(&self, lease: &Lease, steps_complete: usize) -> Result<(), LedgerError> {
        self.published_of(lease, steps_complete, "").await
    }

    /// The same, and for people, of which member it is. `steps_complete` are those of all members of the part.
    pub async fn published_of(&self, lease: &Lease, steps_complete: usize, detail: &str) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, Some(steps_complete), true).await?;
        let text = "UPDATE attempts SET steps = steps + 1 WHERE run_key = $1 AND part = $2 AND token = $3";
        let key = &lease.run.path.run_key;
        sqlx::query(text).bind(key).bind(lease.part).bind(lease.token).execute(&mut *transaction).await?;
        let phase = Self::under_way(&mut transaction, key).await?;
        self.tell(&mut transaction, key, Change { detail, phase, ..Change::step() }).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Every step of every member is there; what is made of all of them is begun.
    pub async fn completes(&self, lease: &Lease) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, None, false).await?;
        self.tell(&mut transaction, &lease.run.path.run_key, Change::to(RunPhase::Publishing, "")).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The part is whole; the run is when all of its parts are.
    pub async fn finish(&self, lease: &Lease, steps_complete: usize) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, Some(steps_complete), false).await?;
        self.leave(&mut transaction, lease, ("done", Duration::ZERO), "done").await?;
        // of two that end at once the second waits here, and sees that the first has ended
        let key = &lease.run.path.run_key;
        sqlx::query("UPDATE runs SET events = events WHERE run_key = $1").bind(key).execute(&mut *transaction).await?;
        let left = sqlx::query("SELECT COUNT(*) AS number FROM parts WHERE run_key = $1 AND state <> 'done'");
        let left: i64 = left.bind(key).fetch_one(&mut *transaction).await?.try_get("number")?;
        let change = match left {
            0 => Change::to(RunPhase::Done, ""),
            _ => Change::to(Self::under_way(&mut transaction, key).await?, "a part of the members is done"),
        };
        self.tell(&mut transaction, key, change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives the part back: another attempt may begin after the delay.
    pub async fn give_back(&self, lease: &Lease, delay: Duration, reason: &str) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, None, false).await?;
        self.leave(&mut transaction, lease, ("queued", delay), reason).await?;
        let change = Change { reason, ..Change::to(RunPhase::Running, reason) };
        self.tell(&mut transaction, &lease.run.path.run_key, change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives the run up.
    pub async fn fail(&self, lease: &Lease, fault: RunFault, reason: &str) -> Result<(), LedgerError> {
        let mut transaction = self.hold(lease, None, false).await?;
        self.leave(&mut transaction, lease, ("stopped", Duration::ZERO), reason).await?;
        // whoever makes other members loses the lease with the run
        let text = "UPDATE attempts SET ended = {now}, outcome = 'the run failed' WHERE run_key = $1 AND ended = 0";
        sqlx::query(self.sql(text)).bind(&lease.run.path.run_key).execute(&mut *transaction).await?;
        let change = Change { fault: Some(fault), reason, ..Change::to(RunPhase::Failed, reason) };
        self.tell(&mut transaction, &lease.run.path.run_key, change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Stops a run; one that has ended stays as it is.
    pub async fn cancel(&self, run_key: &str, reason: &str) -> Result<RunRecord, LedgerError> {
        let mut transaction = self.pool.begin().await?;
        let text = format!(
            "UPDATE parts SET state = 'stopped', token = token + 1, lease_until = 0 \
             WHERE run_key = $1 AND state IN ('queued', 'leased') \
             AND EXISTS (SELECT 1 FROM runs WHERE runs.run_key = $1 AND runs.state IN {UNDER_WAY})"
        );
        let stopped = sqlx::query(self.sql(&text)).bind(run_key).execute(&mut *transaction).await?;
        if stopped.rows_affected() > 0 {
            let text = "UPDATE attempts SET ended = {now}, outcome = 'cancelled' WHERE run_key = $1 AND ended = 0";
            sqlx::query(self.sql(text)).bind(run_key).execute(&mut *transaction).await?;
            let change = Change { reason, ..Change::to(RunPhase::Cancelled, reason) };
            self.tell(&mut transaction, run_key, change).await?;
        }
        transaction.commit().await?;
        self.run(run_key).await?.ok_or_else(|| LedgerError::NotFound(run_key.to_owned()))
    }

    /// Ends the runs that were not begun in time; how many.
    pub async fn expire(&self) -> Result<usize, LedgerError> {
        let text = "SELECT run_key FROM runs WHERE state = 'queued' AND deadline > 0 AND deadline < {now}";
        let rows = sqlx::query(self.sql(text)).fetch_all(&self.pool).await?;
        let mut expired = 0;
        for row in rows {
            let run_key: String = row.try_get("run_key")?;
            let mut transaction = self.pool.begin().await?;
            // it may have been begun meanwhile
            let text = "UPDATE parts SET state = 'stopped', token = token + 1, lease_until = 0 \
                        WHERE run_key = $1 AND state = 'queued' \
                        AND EXISTS (SELECT 1 FROM runs WHERE runs.run_key = $1 AND runs.state = 'queued')";
            let stopped = sqlx::query(text).bind(&run_key).execute(&mut *transaction).await?;
            if stopped.rows_affected() > 0 {
                let reason = "it was not begun before its deadline";
                let change = Change { reason, ..Change::to(RunPhase::Expired, reason) };
                self.tell(&mut transaction, &run_key, change).await?;
                expired += 1;
            }
            transaction.commit().await?;
        }
        Ok(expired)
    }

    /// Publishing, where somebody else has found every step there already; else running.
    async fn under_way(transaction: &mut Transaction<'_, Any>, key: &str) -> Result<RunPhase, LedgerError> {
        let state = sqlx::query("SELECT state FROM runs WHERE run_key = $1").bind(key);
        let state: String = state.fetch_one(&mut **transaction).await?.try_get("state")?;
        Ok(if state == RunPhase::Publishing.name() { RunPhase::Publishing } else { RunPhase::Running })
    }

    /// A transaction in which the lease is certain: it begins by locking the part's row.
    async fn hold(
        &self,
        lease: &Lease,
        steps_complete: Option<usize>,
        fruitful: bool,
    ) -> Result<Transaction<'static, Any>, LedgerError> {
        let mut transaction = self.pool.begin().await?;
        let text = format!(
            "UPDATE parts SET steps_complete = CASE WHEN $4 >= 0 THEN $4 ELSE steps_complete END, \
             fruitless = CASE WHEN $5 = 1 THEN 0 ELSE fruitless END \
             WHERE run_key = $1 AND part = $2 AND token = $3 AND state = 'leased' AND {RUN_GOES_ON}"
        );
        let held = sqlx::query(self.sql(&text))
            .bind(&lease.run.path.run_key)
            .bind(lease.part)
            .bind(lease.token)
            .bind(steps_complete.map_or(-1, signed))
            .bind(i64::from(fruitful))
            .execute(&mut *transaction)
            .await?;
        if held.rows_affected() == 1 { Ok(transaction) } else { Err(LedgerError::LeaseLost) }
    }

    /// Ends the attempt, and the lease with it.
    async fn leave(
        &self,
        transaction: &mut Transaction<'_, Any>,
        lease: &Lease,
        (state, delay): (&str, Duration),
        outcome: &str,
    ) -> Result<(), LedgerError> {
        let key = &lease.run.path.run_key;
        let text =
            "UPDATE parts SET state = $3, lease_until = 0, not_before = {now} + $4 WHERE run_key = $1 AND part = $2";
        let left = sqlx::query(self.sql(text)).bind(key).bind(lease.part).bind(state).bind(milliseconds(delay));
        left.execute(&mut **transaction).await?;
        let text = "UPDATE attempts SET ended = {now}, outcome = $4 WHERE run_key = $1 AND part = $2 AND token = $3";
        let ended = sqlx::query(self.sql(text)).bind(key).bind(lease.part).bind(lease.token).bind(outcome);
        ended.execute(&mut **transaction).await?;
        Ok(())
    }
}
