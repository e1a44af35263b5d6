//! Watching a run: what has happened, then what happens.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::convert;
use crate::atmos::LeadTime;
use crate::forecast::{EventKind, RunEvent, RunPhase};
use crate::serve::error::Error;
use crate::serve::names::ForecastName;
use crate::serve::runs::Known;
use crate::serve::state::Shared;
use crate::serve::v1;
use crate::serve::v1::watch_forecast_response::Kind;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// So that both sides know that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Events read at once.
const CHUNK: i64 = 256;
/// Answers that wait for a slow reader.
const QUEUE: usize = 16;

/// Tells of a run from the event after `after` on, until the one that ends it.
pub fn start(state: Shared, known: Known, after: i64) -> ReceiverStream<Result<v1::WatchForecastResponse, Status>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut watch = Watch { known, after, state, sender };
        if let Err(Some(error)) = watch.tell_all().await {
            // whoever stopped reading has nothing to be told
            let _ = watch.sender.send_timeout(Err(error.into()), watch.state.limits.stall_timeout).await;
        }
    });
    ReceiverStream::new(receiver)
}

struct Watch {
    state: Shared,
    known: Known,
    /// Number of the last event that was told.
    after: i64,
    sender: mpsc::Sender<Result<v1::WatchForecastResponse, Status>>,
}

/// `None`: nobody reads any more.
type Ended = Option<Error>;

impl Watch {
    async fn tell_all(&mut self) -> Result<(), Ended> {
        let mut last_told = tokio::time::Instant::now();
        loop {
            let events = self.news().await.map_err(Some)?;
            let more = !events.is_empty();
            for event in events {
                let ends = event.phase.is_final() && self.is_last(&event);
                self.tell(&event).await?;
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
                self.send(Kind::Heartbeat, None).await?;
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

    async fn tell(&mut self, event: &RunEvent) -> Result<(), Ended> {
        self.after = event.number;
        let kind = match event.kind {
            EventKind::Step => Kind::Step,
            EventKind::State => Kind::State,
        };
        self.send(kind, Some(event)).await
    }

    async fn send(&self, kind: Kind, event: Option<&RunEvent>) -> Result<(), Ended> {
        let mut run = convert::run(&self.known);
        let mut steps = self.known.steps_complete();
        if let Some(event) = event {
            steps = event.steps_complete;
            run.state = convert::state(event.phase).into();
            run.steps_complete = convert::count(steps);
            if !event.phase.is_final() {
                run.failure_reason.clear();
            }
        }
        let leads = self.known.manifest.as_ref().map(|manifest| &manifest.lead_seconds);
        let lead = leads.and_then(|leads| leads.get(steps.checked_sub(1)?).copied());
        let message = v1::WatchForecastResponse {
            kind: kind.into(),
            run: Some(run),
            lead_time: lead.map(|seconds| convert::duration(LeadTime::from_seconds(seconds))),
            event_time: Some(convert::moment(event.map_or_else(chrono::Utc::now, |event| event.time))),
            detail: event.map_or_else(String::new, |event| event.detail.clone()),
            resume_token: self.after.to_string(),
        };
        let sent = self.sender.send_timeout(Ok(message), self.state.limits.stall_timeout).await;
        sent.map_err(|_| None)
    }
}
