//! The way in: a request becomes a run, or joins one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Any, Row, Transaction};
use tokio::sync::oneshot;

use super::outlook::Subject;
use super::{Change, Ledger, LedgerError, RunPhase, RunRecord, RunRequest, milliseconds, signed};
use crate::atmos::ReferenceTime;
use crate::store::ForecastPath;

/// A run that is asked for.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub path: ForecastPath,
    pub model_digest: String,
    /// The analysis included.
    pub steps_total: usize,
    pub request: RunRequest,
    /// Who asks.
    pub client: String,
    /// A name of the request's own: the same again gets the same answer.
    pub request_id: Option<String>,
    /// A run that is not begun by then is not begun any more.
    pub start_within: Option<std::time::Duration>,
}

/// Limits on what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Runs that wait to be begun.
    pub queue: u64,
    /// Of these, one client's.
    pub per_client: u64,
}

impl Ledger {
    /// Lets a request for a run of this model from this analysis in, or says that there is no room: before anybody has looked
    /// for its files, and without waiting until those before it are on the disk. The same `name` twice is one run.
    pub async fn enter(
        &self,
        name: &str,
        (model, reference_time): (&str, ReferenceTime),
        client: &str,
        limits: Admission,
    ) -> Result<Entering, LedgerError> {
        let mut entering = Entering::begin(&self.entering, name);
        let subject = Subject::Analysis(model.to_owned(), reference_time);
        let outlook = self.look(&subject, client).await?;
        let room = room((outlook.waiting, outlook.own), client, limits, entering.before());
        if !outlook.there {
            room?;
        } else if room.is_err() {
            // it may be the same
            entering.may_join = true;
        }
        Ok(entering)
    }

    /// Accepts a run that was let in, or joins the one that has the same key: waiting, running or done. One that failed, was
    /// cancelled or expired is begun again, and goes on from its last published step. Whether it was joined stands beside the
    /// run.
    ///
    /// When this returns, the run is on the disk.
    pub async fn take(
        &self,
        run: &NewRun,
        limits: Admission,
        entering: Entering,
    ) -> Result<(RunRecord, bool), LedgerError> {
        if entering.may_join {
            let outlook = self.look(&Subject::Run(run.path.run_key.clone()), &run.client).await?;
            if !outlook.there {
                room((outlook.waiting, outlook.own), &run.client, limits, entering.before())?;
            }
        }
        let applicant = |entering| {
            let (answer, answered) = oneshot::channel();
            (Applicant { run: run.clone(), limits, entering, answer }, answered)
        };
        let (together, answered) = applicant(Some(entering));
        self.applicants.join(self, together, |ledger, applicants| async move { ledger.admit_all(applicants).await });
        if let Ok(admitted) = answered.await {
            return admitted;
        }
        // the ledger failed; its error is for each to have
        let (alone, answered) = applicant(None);
        self.admit_all(vec![alone]).await?;
        answered.await.map_err(|_| LedgerError::NotFound(run.path.to_string()))?
    }

    /// [`Ledger::enter`] and [`Ledger::take`] at once.
    pub async fn request(&self, run: &NewRun, limits: Admission) -> Result<(RunRecord, bool), LedgerError> {
        let ForecastPath { model, reference_time, run_key } = &run.path;
        let entering = self.enter(run_key, (model, *reference_time), &run.client, limits).await?;
        self.take(run, limits, entering).await
    }

    /// One after the other, in one transaction. Where the database fails, nobody gets an answer.
    async fn admit_all(&self, mut applicants: Vec<Applicant>) -> Result<(), LedgerError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE admission SET turn = turn + 1").execute(&mut *transaction).await?;
        let mut outcomes = Vec::with_capacity(applicants.len());
        for Applicant { run, limits, .. } in &applicants {
            outcomes.push(match self.admit(&mut transaction, run, *limits).await {
                Err(error @ LedgerError::Database(_)) => return Err(error),
                // a refusal has written nothing
                outcome => outcome,
            });
        }
        // from here on they count where they are: never in both places
        applicants.iter_mut().for_each(|applicant| applicant.entering = None);
        transaction.commit().await?;
        for (applicant, outcome) in applicants.into_iter().zip(outcomes) {
            let answer = match outcome {
                Ok(joined) => self.run(&applicant.run.path.run_key).await.and_then(|record| {
                    Ok((record.ok_or_else(|| LedgerError::NotFound(applicant.run.path.to_string()))?, joined))
                }),
                Err(refusal) => Err(refusal),
            };
            // whoever does not want to know any more has gone
            let _ = applicant.answer.send(answer);
        }
        Ok(())
    }

    async fn admit(
        &self,
        transaction: &mut Transaction<'_, Any>,
        run: &NewRun,
        limits: Admission,
    ) -> Result<bool, LedgerError> {
        let key = &run.path.run_key;
        if let Some(request_id) = &run.request_id {
            let before = sqlx::query("SELECT run_key FROM requests WHERE request_id = $1").bind(request_id);
            if let Some(row) = before.fetch_optional(&mut **transaction).await? {
                let before: String = row.try_get("run_key")?;
                if before != *key {
                    return Err(LedgerError::RequestIdTaken { request_id: request_id.clone(), run_key: before });
                }
                return Ok(true);
            }
        }
        let found = sqlx::query("SELECT state FROM runs WHERE run_key = $1").bind(key);
        let found = found.fetch_optional(&mut **transaction).await?;
        let phase = found.map(|row| row.try_get::<String, _>("state")).transpose()?;
        let phase = phase.map(|text| text.parse::<RunPhase>()).transpose();
        let phase = phase.map_err(|what| LedgerError::Corrupt { run_key: key.clone(), what })?;
        let joins = phase.is_some_and(|phase| !phase.is_final() || phase == RunPhase::Done);
        match phase {
            Some(_) if joins => {
                let more = sqlx::query("UPDATE runs SET joined = joined + 1 WHERE run_key = $1").bind(key);
                more.execute(&mut **transaction).await?;
            }
            Some(_) => {
                Self::check(transaction, run, limits).await?;
                // where somebody is deleting what there was of it: all of it again, after that
                let deleting = "SELECT MAX(lease_until) FROM parts AS ended WHERE ended.run_key = $1 \
                                AND ended.state IN ('done', 'stopped') AND ended.lease_until > {now}";
                let again = format!(
                    "UPDATE parts SET state = 'queued', fruitless = 0, lease_until = 0, \
                     not_before = COALESCE(({deleting}), 0) \
                     WHERE run_key = $1 AND (state <> 'done' OR ({deleting}) > 0)"
                );
                sqlx::query(self.sql(&again)).bind(key).execute(&mut **transaction).await?;
                self.reopen(transaction, run).await?;
                self.tell(transaction, key, Change::to(RunPhase::Queued, "asked for again")).await?;
            }
            None => {
                Self::check(transaction, run, limits).await?;
                self.insert(transaction, run).await?;
                self.tell(transaction, key, Change::to(RunPhase::Queued, "accepted")).await?;
            }
        }
        if let Some(request_id) = &run.request_id {
            let text = "INSERT INTO requests (request_id, run_key, created) VALUES ($1, $2, {now})";
            sqlx::query(self.sql(text)).bind(request_id).bind(key).execute(&mut **transaction).await?;
        }
        Ok(joins)
    }

    async fn insert(&self, transaction: &mut Transaction<'_, Any>, run: &NewRun) -> Result<(), LedgerError> {
        let ForecastPath { model, reference_time, run_key } = &run.path;
        let text = "INSERT INTO runs (run_key, model, model_digest, reference_time, steps_total, request, client, state, \
                    fault, reason, joined, events, created, changed, deadline) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', '', '', 0, 0, {now}, {now}, \
                    CASE WHEN $8 = 0 THEN 0 ELSE {now} + $8 END)";
        sqlx::query(self.sql(text))
            .bind(run_key)
            .bind(model)
            .bind(&run.model_digest)
            .bind(reference_time.timestamp())
            .bind(signed(run.steps_total))
            .bind(request_text(run))
            .bind(&run.client)
            .bind(run.start_within.map_or(0, milliseconds))
            .execute(&mut **transaction)
            .await?;
        for part in 0..run.request.ensemble.parts() {
            let text = "INSERT INTO parts (run_key, part, state, token, holder, lease_until, not_before, fruitless, \
                        steps_complete) VALUES ($1, $2, 'queued', 0, '', 0, 0, 0, 0)";
            sqlx::query(text).bind(run_key).bind(signed(part)).execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// A run that ended without a result takes the new request's ways and deadline.
    async fn reopen(&self, transaction: &mut Transaction<'_, Any>, run: &NewRun) -> Result<(), LedgerError> {
        let text = "UPDATE runs SET request = $2, client = $3, joined = joined + 1, created = {now}, \
                    deadline = CASE WHEN $4 = 0 THEN 0 ELSE {now} + $4 END WHERE run_key = $1";
        sqlx::query(self.sql(text))
            .bind(&run.path.run_key)
            .bind(request_text(run))
            .bind(&run.client)
            .bind(run.start_within.map_or(0, milliseconds))
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    async fn check(transaction: &mut Transaction<'_, Any>, run: &NewRun, limits: Admission) -> Result<(), LedgerError> {
        let row = sqlx::query(WAITING).bind(&run.client).fetch_one(&mut **transaction).await?;
        let (waiting, own): (i64, i64) = (row.try_get("waiting")?, row.try_get("own")?);
        room((waiting.unsigned_abs(), own.unsigned_abs()), &run.client, limits, 0)
    }
}

/// A request that wants to be written down.
pub(super) struct Applicant {
    run: NewRun,
    limits: Admission,
    /// Its place among those on their way, as long as it has one.
    entering: Option<Entering>,
    answer: oneshot::Sender<Result<(RunRecord, bool), LedgerError>>,
}

/// Names of runs that are on their way into the ledger through this process, and when they came.
pub(super) type EnteringRuns = Arc<Mutex<BTreeMap<String, u64>>>;

/// A request on its way in.
#[derive(Debug)]
pub struct Entering {
    runs: EnteringRuns,
    came: u64,
    /// `None`: another request for the same run is on its way.
    own: Option<String>,
    /// There is no room for it, unless its run is there.
    may_join: bool,
}

impl Entering {
    fn begin(all: &EnteringRuns, name: &str) -> Self {
        let mut runs = all.lock().unwrap_or_else(PoisonError::into_inner);
        let next = runs.values().max().map_or(0, |last| last + 1);
        let came = *runs.entry(name.to_owned()).or_insert(next);
        Self { runs: all.clone(), came, own: (came == next).then(|| name.to_owned()), may_join: false }
    }

    /// Other runs that came before, and are not in the ledger yet.
    fn before(&self) -> u64 {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.values().filter(|came| **came < self.came).count() as u64
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(name) = self.own.take() {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        }
    }
}

/// How many runs wait, and how many of them are a client's.
const WAITING: &str = "SELECT COUNT(*) AS waiting, COUNT(CASE WHEN client = $1 THEN 1 END) AS own FROM runs \
                       WHERE state = 'queued'";

/// `before`: runs that are on their way in.
fn room((waiting, own): (u64, u64), client: &str, limits: Admission, before: u64) -> Result<(), LedgerError> {
    if waiting + before >= limits.queue {
        return Err(LedgerError::QueueFull { limit: limits.queue });
    }
    if own >= limits.per_client {
        return Err(LedgerError::ShareFull { client: client.to_owned(), limit: limits.per_client });
    }
    Ok(())
}

fn request_text(run: &NewRun) -> String {
    // a structure of texts and numbers is always JSON
    serde_json::to_string(&run.request).unwrap_or_default()
}
