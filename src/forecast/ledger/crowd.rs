//! Many who ask at the same moment: the ledger is asked once for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Row;
use tokio::sync::oneshot;

use super::{Ledger, LedgerError, NewRun};

/// Questions that one statement asks at most.
const MOST_AT_ONCE: usize = 256;

/// What a request meets, as it looks without its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Whether its run is there already: waiting, running or done.
    pub joins: bool,
    /// Runs that wait to be begun.
    pub waiting: u64,
    /// Of these, its client's.
    pub own: u64,
}

struct Question {
    run_key: String,
    client: String,
    answer: oneshot::Sender<Outlook>,
}

/// Those who ask. The first who comes while nobody is asking the ledger has all asked for who come until none is left.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<Asking>>);

#[derive(Default)]
struct Asking {
    questions: Vec<Question>,
    /// Somebody asks for whoever comes.
    led: bool,
}

impl Crowd {
    pub async fn look(&self, ledger: &Ledger, run: &NewRun) -> Result<Outlook, LedgerError> {
        let question = || {
            let (answer, answered) = oneshot::channel();
            (Question { run_key: run.path.run_key.clone(), client: run.client.clone(), answer }, answered)
        };
        let (together, answered) = question();
        let first = self.asking(|asking| {
            asking.questions.push(together);
            !std::mem::replace(&mut asking.led, true)
        });
        if first {
            tokio::spawn(self.clone().lead(ledger.clone()));
        }
        if let Ok(outlook) = answered.await {
            return Ok(outlook);
        }
        // the ledger failed; its error is for each to have
        let (alone, answered) = question();
        ledger.answer(vec![alone]).await?;
        answered.await.map_err(|_| LedgerError::NotFound(run.path.to_string()))
    }

    async fn lead(self, ledger: Ledger) {
        loop {
            // let those come who come at the same moment
            tokio::task::yield_now().await;
            let questions = self.asking(|asking| {
                let number = asking.questions.len().min(MOST_AT_ONCE);
                asking.led = number > 0;
                asking.questions.drain(..number).collect::<Vec<_>>()
            });
            if questions.is_empty() {
                return;
            }
            if let Err(error) = ledger.answer(questions).await {
                tracing::debug!(%error, "each asks for itself");
            }
        }
    }

    fn asking<T>(&self, with: impl FnOnce(&mut Asking) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crowd")
    }
}

impl Ledger {
    async fn answer(&self, questions: Vec<Question>) -> Result<(), LedgerError> {
        let waiting = "SELECT client, COUNT(*) AS number FROM runs WHERE state = 'queued' GROUP BY client";
        let mut by_client: HashMap<String, u64> = HashMap::new();
        for row in sqlx::query(waiting).fetch_all(&self.pool).await? {
            let number: i64 = row.try_get("number")?;
            by_client.insert(row.try_get("client")?, number.unsigned_abs());
        }
        let places: Vec<String> = (1..=questions.len()).map(|n| format!("${n}")).collect();
        let there = format!(
            "SELECT run_key FROM runs WHERE run_key IN ({}) AND state IN ('queued', 'running', 'publishing', 'done')",
            places.join(", ")
        );
        let mut query = sqlx::query(self.sql(&there));
        for question in &questions {
            query = query.bind(&question.run_key);
        }
        let mut keys: HashSet<String> = HashSet::new();
        for row in query.fetch_all(&self.pool).await? {
            keys.insert(row.try_get("run_key")?);
        }
        let waiting = by_client.values().sum();
        for Question { run_key, client, answer } in questions {
            let own = by_client.get(&client).copied().unwrap_or(0);
            // whoever does not want to know any more has gone
            let _ = answer.send(Outlook { joins: keys.contains(&run_key), waiting, own });
        }
        Ok(())
    }
}
