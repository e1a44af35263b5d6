//! Watching a run: what has happened, then what happens. gRPC and HTTP tell the same, each in its own words.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::error::{Error, Violation};
use super::names::{ForecastName, quoted};
use super::runs::Known;
use super::state::Shared;
use crate::forecast::{EventKind, RunEvent, RunPhase};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// So that both sides know that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Events read at once.
const CHUNK: i64 = 256;
/// Answers that wait for a slow reader.
const QUEUE: usize = 16;

/// What is told to who watches.
pub struct News {
    pub known: Known,
    /// `None`: nothing happened, and both sides know that the other is there.
    pub event: Option<RunEvent>,
    /// Number of the last event that was told: what a watch goes on from.
    pub token: i64,
}

impl News {
    /// The run's phase and steps when this happened.
    pub fn phase(&self) -> RunPhase {
        self.event.as_ref().map_or_else(|| self.known.phase(), |event| event.phase)
    }

    pub fn steps_complete(&self) -> usize {
        self.event.as_ref().map_or_else(|| self.known.steps_complete(), |event| event.steps_complete)
    }

    /// Why it failed; empty where it goes on.
    pub fn reason(&self) -> &str {
        if self.event.is_some() && !self.phase().is_final() { "" } else { self.known.reason() }
    }
}

/// The number that a token from an earlier watch stands for; an empty one begins at the beginning.
pub fn resumed(field: &'static str, token: &str) -> Result<i64, Violation> {
    match token {
        "" => Ok(0),
        token => token
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| Violation::new(field, format!("{} is not a token that a watch gave", quoted(token)))),
    }
}

/// Tells of a run from the event after `after` on, until the one that ends it. `words` puts it as the reader has it.
pub fn start<T: Send + 'static>(
    state: Shared,
    known: Known,
    after: i64,
    words: fn(Result<News, Error>) -> T,
) -> ReceiverStream<T> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut watch = Watch { known, after, state, sender, words };
        if let Err(Some(error)) = watch.tell_all().await {
            // whoever stopped reading has nothing to be told
            let _ = watch.sender.send_timeout(words(Err(error)), watch.state.limits.stall_timeout).await;
        }
    });
    ReceiverStream::new(receiver)
}

struct Watch<T> {
    state: Shared,
    known: Known,
    /// Number of the last event that was told.
    after: i64,
    sender: mpsc::Sender<T>,
    words: fn(Result<News, Error>) -> T,
}

/// `None`: nobody reads any more.
type Ended = Option<Error>;

impl<T: Send> Watch<T> {
    async fn tell_all(&mut self) -> Result<(), Ended> {
        let mut last_told = tokio::time::Instant::now();
        loop {
            let events = self.news().await.map_err(Some)?;
            let more = !events.is_empty();
            for event in events {
                let ends = event.phase.is_final() && self.is_last(&event);
                self.after = event.number;
                self.tell(Some(event)).await?;
                last_told = tokio::time::Instant::now();
                if ends {
                    return Ok(());
                }
            }
            if more {
                continue;
            }
            if self.known.phase().is_final() {
                // told before, to whoever has the token
                return Ok(());
            }
            if last_told.elapsed() >= HEARTBEAT {
                self.tell(None).await?;
                last_told = tokio::time::Instant::now();
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.sender.closed() => return Err(None),
            }
        }
    }

    /// A run that ended can be begun again: its end was not the last that happened to it.
    fn is_last(&self, event: &RunEvent) -> bool {
        self.known.record.as_ref().is_none_or(|record| record.events == event.number)
    }

    /// Events that were not told yet, of what is known now.
    async fn news(&mut self) -> Result<Vec<RunEvent>, Error> {
        self.known = self.state.known(&ForecastName::Exact(self.known.path.clone())).await?;
        match (&self.state.desk, &self.known.record) {
            (Some(_), Some(record)) if record.events <= self.after => Ok(Vec::new()),
            (Some(desk), Some(record)) => Ok(desk.ledger.events(&record.path.run_key, self.after, CHUNK).await?),
            _ => Ok(self.of_manifest()),
        }
    }

    /// Of a forecast that is in no ledger: each step is an event, and its end is one.
    fn of_manifest(&self) -> Vec<RunEvent> {
        let complete = self.known.steps_complete();
        let phase = self.known.phase();
        let event = |number: usize, kind, phase, detail: &str| RunEvent {
            number: i64::try_from(number).unwrap_or(i64::MAX),
            time: chrono::Utc::now(),
            kind,
            phase,
            steps_complete: number.min(complete),
            detail: detail.to_owned(),
        };
        let steps = (1..=complete).map(|number| event(number, EventKind::Step, RunPhase::Running, ""));
        let end = phase.is_final().then(|| event(complete + 1, EventKind::State, phase, self.known.reason()));
        steps.chain(end).filter(|event| event.number > self.after).collect()
    }

    async fn tell(&mut self, event: Option<RunEvent>) -> Result<(), Ended> {
        let news = News { known: self.known.clone(), event, token: self.after };
        let sent = self.sender.send_timeout((self.words)(Ok(news)), self.state.limits.stall_timeout).await;
        sent.map_err(|_| None)
    }
}
