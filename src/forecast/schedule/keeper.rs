//! Looks for the analyses that schedules wait for, asks for their forecasts, and deletes what is kept no longer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::Schedule;
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::arrivals::ArrivalsError;
use crate::forecast::desk::{Asked, Desk, RequestError};
use crate::forecast::ledger::{Awaited, AwaitedState, LedgerError};
use crate::location::Location;
use crate::store::{self, Fence, Moment};

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at an analysis that has a run, which may be replaced.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks for forecasts that are kept no longer, and how long deleting one may take.
const SWEEP: Duration = Duration::from_secs(30);
const DELETING: Duration = Duration::from_secs(60);

/// What a keeper tells whoever started it.
#[derive(Clone, Default)]
pub struct ScheduleEvents {
    /// An analysis arrived so many seconds after its reference time: name of the schedule, delay.
    pub arrived: Option<Arc<Arrived>>,
}

type Arrived = dyn Fn(&str, f64) + Send + Sync;

/// One for all schedules of a server. Servers with one ledger may each have one: whatever they ask for twice is one run.
pub struct ScheduleKeeper {
    desk: Arc<Desk>,
    store: Location,
    schedules: Vec<Schedule>,
    events: ScheduleEvents,
    seen: HashMap<(String, ReferenceTime), Seen>,
}

/// What the files of an analysis were like when they were looked at.
struct Seen {
    fingerprint: String,
    /// First seen so.
    since: Instant,
    /// `None`: to be looked at as soon as possible.
    looked: Option<Instant>,
}

impl ScheduleKeeper {
    /// The error names every schedule that cannot be kept.
    pub fn new(
        desk: Arc<Desk>,
        store: Location,
        schedules: Vec<Schedule>,
        events: ScheduleEvents,
    ) -> Result<Self, String> {
        let mut problems: Vec<String> = schedules.iter().flat_map(Schedule::problems).collect();
        for (n, schedule) in schedules.iter().enumerate() {
            let name = schedule.name();
            if schedules[..n].iter().any(|other| other.name() == name) {
                problems.push(format!("[[schedule]] {name:?} is there twice; give each a name"));
            }
            // as it will be asked, so that nobody finds out at night
            if let Err(error) = desk.would_take(&asked(schedule, None)) {
                problems.push(format!("[[schedule]] {name:?}: {error}"));
            } else if !desk.arrivals(&schedule.model).is_some_and(|arrivals| arrivals.names_times()) {
                problems.push(format!(
                    "[[schedule]] {name:?}: init in the [[inputs]] for {:?} names no {{reference_time}}, so that one analysis \
                     cannot be told from another",
                    schedule.model
                ));
            }
        }
        match problems.is_empty() {
            true => Ok(Self { desk, store, schedules, events, seen: HashMap::new() }),
            false => Err(problems.join("\n")),
        }
    }

    /// Runs until it is dropped.
    pub async fn keep(mut self) {
        let mut swept: Option<Instant> = None;
        loop {
            let now = Utc::now();
            for schedule in self.schedules.clone() {
                if let Err(error) = self.look(&schedule, now).await {
                    tracing::warn!(schedule = schedule.name(), %error, "the schedule could not be looked at");
                }
            }
            if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                for schedule in &self.schedules {
                    if let Err(error) = self.sweep(schedule, now).await {
                        tracing::warn!(schedule = schedule.name(), %error, "old forecasts could not be deleted");
                    }
                }
                swept = Some(Instant::now());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Once over everything that a schedule waits for.
    async fn look(&mut self, schedule: &Schedule, now: DateTime<Utc>) -> Result<(), LedgerError> {
        let name = schedule.name();
        let ledger = &self.desk.ledger;
        let opens = now - span(schedule.wait);
        // times that passed while no server ran are missing, not forgotten
        let last = ledger.last_awaited(name).await?.map_or(opens, |last| last.utc().min(now));
        for time in schedule.cron.between(last, now) {
            ledger.await_analysis(name, &schedule.model, time).await?;
        }
        for gone in ledger.give_up_awaiting(name, ReferenceTime::new(opens)).await? {
            tracing::error!(schedule = name, reference_time = %gone, wait = %schedule.wait, "the analysis is missing");
        }
        self.seen.retain(|(of, time), _| of != name || time.utc() > opens);
        for awaited in self.desk.ledger.awaited(name, ReferenceTime::new(opens)).await? {
            self.look_at(schedule, awaited, now).await?;
        }
        Ok(())
    }

    /// Looks whether an analysis is there, and asks for its forecast.
    async fn look_at(
        &mut self,
        schedule: &Schedule,
        mut awaited: Awaited,
        now: DateTime<Utc>,
    ) -> Result<(), LedgerError> {
        let name = schedule.name();
        let time = awaited.reference_time;
        let key = (name.to_owned(), time);
        let asked_for = matches!(awaited.state, AwaitedState::Requested | AwaitedState::Refused);
        if asked_for
            && self.seen.get(&key).and_then(|seen| seen.looked).is_some_and(|looked| looked.elapsed() < LOOK_AGAIN)
        {
            return Ok(());
        }
        let Some(arrivals) = self.desk.arrivals(&schedule.model) else { return Ok(()) };
        let before = awaited.clone();
        match arrivals.fingerprint(time).await {
            Ok(found) => {
                let begin = Seen { fingerprint: found.clone(), since: Instant::now(), looked: None };
                let seen = self.seen.entry(key).or_insert(begin);
                if seen.fingerprint != found {
                    (seen.fingerprint, seen.since) = (found.clone(), Instant::now());
                }
                let settled = seen.since.elapsed() >= Duration::from_secs(schedule.settle.seconds().unsigned_abs());
                let known = asked_for && awaited.fingerprint == found;
                seen.looked = (known || settled).then(Instant::now);
                if known {
                    return Ok(());
                }
                if settled {
                    self.ask(schedule, &mut awaited, found).await;
                } else if !asked_for {
                    awaited.detail =
                        format!("it is there, and may still be being written: settle is {}", schedule.settle);
                }
            }
            // a run goes on with what it has read
            Err(_) if asked_for => return Ok(()),
            Err(ArrivalsError::NotYet { missing, .. }) => {
                self.seen.remove(&key);
                awaited.detail = format!("there is no {}", missing.join(", no "));
            }
            Err(error) => {
                awaited.detail = error.to_string();
                tracing::warn!(schedule = name, reference_time = %time, %error, "the analysis cannot be looked for");
            }
        }
        let late = schedule.late_after.is_some_and(|late| now > time.utc() + span(late));
        if awaited.state == AwaitedState::Waiting && late {
            awaited.state = AwaitedState::Late;
            tracing::warn!(schedule = name, reference_time = %time, detail = awaited.detail, "the analysis is late");
        }
        if awaited != before {
            self.desk.ledger.set_awaited(&before, &awaited).await?;
        }
        Ok(())
    }

    /// Asks for the forecast of an analysis that is there.
    async fn ask(&self, schedule: &Schedule, awaited: &mut Awaited, fingerprint: String) {
        let name = schedule.name();
        let time = awaited.reference_time;
        match self.desk.request(&asked(schedule, Some(time))).await {
            Ok((run, joined)) => {
                let replaced = awaited.run_key.as_ref().is_some_and(|before| *before != run.path.run_key);
                let delay = (Utc::now() - time.utc()).as_seconds_f64();
                if replaced {
                    awaited.replaced += 1;
                    tracing::warn!(schedule = name, run = %run.path, "the analysis was replaced; asked for a new forecast");
                } else {
                    tracing::info!(schedule = name, run = %run.path, joined, delay, "the analysis is there");
                    if let Some(arrived) = &self.events.arrived {
                        arrived(name, delay);
                    }
                }
                awaited.state = AwaitedState::Requested;
                awaited.run_key = Some(run.path.run_key);
                awaited.fingerprint = fingerprint;
                awaited.detail = String::new();
            }
            Err(RequestError::Ledger(error)) => {
                tracing::warn!(schedule = name, reference_time = %time, %error, "not taken; will be asked for again");
                awaited.detail = error.to_string();
            }
            Err(error) => {
                tracing::error!(schedule = name, reference_time = %time, %error, "refused");
                awaited.state = AwaitedState::Refused;
                awaited.fingerprint = fingerprint;
                awaited.detail = error.to_string();
            }
        }
    }

    /// Deletes the forecasts of a schedule that are kept no longer.
    async fn sweep(&self, schedule: &Schedule, now: DateTime<Utc>) -> Result<(), LedgerError> {
        let Some(retention) = schedule.retention else { return Ok(()) };
        let before = ReferenceTime::new(now - span(retention));
        for path in self.desk.ledger.kept_too_long(&schedule.client(), &schedule.model, before).await? {
            let begun = Moment::now();
            let Some(token) = self.desk.ledger.begin_deleting(&path.run_key, DELETING).await? else { continue };
            let fence = Fence::default();
            fence.open(begun, DELETING);
            match store::delete_forecast(&self.store, &path, &fence).await {
                Ok(()) => {
                    let reason = format!("deleted: forecasts of this schedule are kept for {retention}");
                    self.desk.ledger.deleted(&path.run_key, token, &reason).await?;
                    tracing::info!(schedule = schedule.name(), run = %path, %retention, "deleted");
                }
                Err(error) => tracing::warn!(run = %path, %error, "could not be deleted; will be tried again"),
            }
        }
        Ok(())
    }
}

fn asked(schedule: &Schedule, reference_time: Option<ReferenceTime>) -> Asked {
    Asked {
        model: schedule.model.clone(),
        reference_time,
        lead_time: schedule.lead_time,
        members: schedule.members,
        seed: schedule.seed,
        perturbation: schedule.perturbation,
        encoding: schedule.encoding,
        true_winds: schedule.true_winds,
        request_id: None,
        client: schedule.client(),
        start_within: None,
    }
}

fn span(time: LeadTime) -> TimeDelta {
    TimeDelta::seconds(time.seconds())
}
