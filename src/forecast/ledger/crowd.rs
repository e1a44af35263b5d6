//! Many who come at the same moment: the database is asked once for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Row;
use tokio::sync::oneshot;

use super::{Ledger, LedgerError};
use crate::atmos::ReferenceTime;

/// Served together at most.
const MOST_AT_ONCE: usize = 256;

/// What a request may be for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The run with this key.
    Run(String),
    /// Some run of this model from this analysis.
    Analysis(String, ReferenceTime),
}

/// What a request meets, as it looks without its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Whether there is such a run already: waiting, running or done.
    pub there: bool,
    /// Runs that wait to be begun.
    pub waiting: u64,
    /// Of these, its client's.
    pub own: u64,
}

/// Those who come at the same moment are served together: whoever comes while nobody is being served begins to serve, and goes on
/// until nobody is left.
pub(super) struct Crowd<T>(Arc<Mutex<Coming<T>>>);

struct Coming<T> {
    waiting: Vec<T>,
    /// Somebody serves whoever comes.
    served: bool,
}

impl<T: Send + 'static> Crowd<T> {
    /// `serve` gets so many at a time. Those whom it gives no answer, since it failed, must ask for themselves.
    pub fn join<F>(&self, ledger: &Ledger, one: T, serve: impl Fn(Ledger, Vec<T>) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), LedgerError>> + Send + 'static,
    {
        let first = self.coming(|coming| {
            coming.waiting.push(one);
            !std::mem::replace(&mut coming.served, true)
        });
        if !first {
            return;
        }
        let (crowd, ledger) = (self.clone(), ledger.clone());
        tokio::spawn(async move {
            loop {
                // let those come who come at the same moment
                tokio::task::yield_now().await;
                let together = crowd.coming(|coming| {
                    let number = coming.waiting.len().min(MOST_AT_ONCE);
                    coming.served = number > 0;
                    coming.waiting.drain(..number).collect::<Vec<_>>()
                });
                if together.is_empty() {
                    return;
                }
                // by itself: what goes wrong there must not keep the next ones waiting
                if let Ok(Err(error)) = tokio::spawn(serve(ledger.clone(), together)).await {
                    tracing::debug!(%error, "each asks for itself");
                }
            }
        });
    }

    fn coming<R>(&self, with: impl FnOnce(&mut Coming<T>) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Crowd<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Coming { waiting: Vec::new(), served: false })))
    }
}

impl<T> std::fmt::Debug for Crowd<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crowd")
    }
}

/// Somebody who wants to know what a request would meet.
pub(super) struct Question {
    subject: Subject,
    client: String,
    answer: oneshot::Sender<Outlook>,
}

impl Ledger {
    /// The outlook of a request; asked of the database for all who want to know at this moment.
    pub(super) async fn look(&self, subject: &Subject, client: &str) -> Result<Outlook, LedgerError> {
        let question = || {
            let (answer, answered) = oneshot::channel();
            (Question { subject: subject.clone(), client: client.to_owned(), answer }, answered)
        };
        let (together, answered) = question();
        self.questions.join(self, together, |ledger, questions| async move { ledger.answer(questions).await });
        if let Ok(outlook) = answered.await {
            return Ok(outlook);
        }
        // the ledger failed; its error is for each to have
        let (alone, answered) = question();
        self.answer(vec![alone]).await?;
        answered.await.map_err(|_| LedgerError::NotFound(format!("{subject:?}")))
    }

    async fn answer(&self, questions: Vec<Question>) -> Result<(), LedgerError> {
        let waiting = "SELECT client, COUNT(*) AS number FROM runs WHERE state = 'queued' GROUP BY client";
        let mut by_client: HashMap<String, u64> = HashMap::new();
        for row in sqlx::query(waiting).fetch_all(&self.pool).await? {
            let number: i64 = row.try_get("number")?;
            by_client.insert(row.try_get("client")?, number.unsigned_abs());
        }
        let there = self.there(questions.iter().map(|question| &question.subject).collect()).await?;
        let waiting = by_client.values().sum();
        for Question { subject, client, answer } in questions {
            let own = by_client.get(&client).copied().unwrap_or(0);
            // whoever does not want to know any more has gone
            let _ = answer.send(Outlook { there: there.contains(&subject), waiting, own });
        }
        Ok(())
    }

    /// Those of which there is a run that can be joined.
    async fn there(&self, subjects: HashSet<&Subject>) -> Result<HashSet<Subject>, LedgerError> {
        let mut wanted = Vec::new();
        let mut parameters = 1;
        for subject in &subjects {
            wanted.push(match subject {
                Subject::Run(_) => format!("run_key = ${parameters}"),
                Subject::Analysis(..) => format!("(model = ${parameters} AND reference_time = ${})", parameters + 1),
            });
            parameters += if matches!(subject, Subject::Run(_)) { 1 } else { 2 };
        }
        let text = format!(
            "SELECT run_key, model, reference_time FROM runs \
             WHERE ({}) AND state IN ('queued', 'running', 'publishing', 'done')",
            wanted.join(" OR ")
        );
        // another text for each number: not one to keep
        let mut query = sqlx::query(self.sql(&text)).persistent(false);
        for subject in &subjects {
            query = match subject {
                Subject::Run(key) => query.bind(key),
                Subject::Analysis(model, time) => query.bind(model).bind(time.timestamp()),
            };
        }
        let mut there = HashSet::new();
        for row in query.fetch_all(&self.pool).await? {
            there.insert(Subject::Run(row.try_get("run_key")?));
            if let Some(time) = ReferenceTime::from_timestamp(row.try_get("reference_time")?) {
                there.insert(Subject::Analysis(row.try_get("model")?, time));
            }
        }
        Ok(there)
    }
}
