//! What a request meets: asked before anything is written, for all who come at the same moment at once.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use tokio::sync::oneshot;

use super::{Ledger, LedgerError};
use crate::atmos::ReferenceTime;

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
