//! Forecasts as two know them: the ledger, which runs there are and how they fare; and the store, what of them can be read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::catalog::Entry;
use super::error::{Error, Violation};
use super::names::{ForecastName, resource_name};
use super::state::State;
use crate::atmos::ReferenceTime;
use crate::forecast::{ArrivalsError, Asked, Attempt, Desk, LedgerError, RequestError, RunFilter, RunPhase, RunRecord};
use crate::store::{ForecastPath, Manifest, RunState, StoreError};

/// How old what is told of a run may be; watchers of one run share one look.
const FRESH: Duration = Duration::from_millis(200);
/// Of the ledger, read at once for a list.
const CHUNK: usize = 500;

/// What is known of a forecast.
#[derive(Clone)]
pub struct Known {
    pub path: ForecastPath,
    pub manifest: Option<Arc<Manifest>>,
    pub record: Option<RunRecord>,
}

impl Known {
    /// How far it is. The ledger knows best, except of what was made without it.
    pub fn phase(&self) -> RunPhase {
        match (&self.record, &self.manifest) {
            (Some(record), _) => record.phase,
            (None, Some(manifest)) => match manifest.state {
                RunState::Running => RunPhase::Running,
                RunState::Done => RunPhase::Done,
                RunState::Failed => RunPhase::Failed,
            },
            (None, None) => RunPhase::Queued,
        }
    }

    /// Whether what the store has was read before the run ended: it was published whole before the ledger was told so.
    fn is_behind(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.phase == RunPhase::Done)
            && self.manifest.as_ref().is_some_and(|manifest| manifest.state != RunState::Done)
    }

    /// What a reader can have: never more than the store has.
    pub fn steps_complete(&self) -> usize {
        self.manifest.as_ref().map_or(0, |manifest| manifest.steps_complete)
    }

    pub fn steps_total(&self) -> usize {
        match (&self.manifest, &self.record) {
            (Some(manifest), _) => manifest.steps_total,
            (None, Some(record)) => record.steps_total,
            (None, None) => 0,
        }
    }

    /// 1 for a single forecast.
    pub fn members(&self) -> u32 {
        let members = match (&self.manifest, &self.record) {
            (Some(manifest), _) => manifest.members.len().max(1),
            (None, Some(record)) => record.request.ensemble.members,
            (None, None) => 1,
        };
        u32::try_from(members).unwrap_or(u32::MAX)
    }

    pub fn reason(&self) -> &str {
        match (&self.record, &self.manifest) {
            (Some(record), _) => &record.reason,
            (None, Some(manifest)) => manifest.reason.as_deref().unwrap_or_default(),
            (None, None) => "",
        }
    }
}

/// Records that were looked at a moment ago.
pub struct Records(Cache<String, Option<RunRecord>>);

impl Records {
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(10_000).time_to_live(FRESH).build())
    }
}

impl State {
    /// What the ledger has of a run; `None` also where there is no ledger.
    pub async fn record(&self, path: &ForecastPath) -> Result<Option<RunRecord>, Error> {
        let Some(desk) = &self.desk else { return Ok(None) };
        let found = self.records.0.try_get_with(path.run_key.clone(), desk.ledger.run(&path.run_key)).await;
        let record = found.map_err(|error| Error::Ledger(error.to_string()))?;
        Ok(record.filter(|record| record.path == *path))
    }

    /// The same, asked of the ledger now.
    pub fn forget(&self, path: &ForecastPath) -> impl Future<Output = ()> + '_ {
        let key = path.run_key.clone();
        async move { self.records.0.invalidate(&key).await }
    }

    /// What the store has of the forecast that a request names.
    async fn stored(&self, name: &ForecastName) -> Result<(ForecastPath, Option<Arc<Manifest>>), Error> {
        match (self.catalog.open(name).await, name) {
            (Ok(forecast), _) => Ok((forecast.path.clone(), Some(forecast.shared_manifest()))),
            (Err(error), ForecastName::Exact(path)) if is_not_there(&error) => Ok((path.clone(), None)),
            (Err(error), _) => Err(error),
        }
    }

    /// The forecast that a request names.
    pub async fn known(&self, name: &ForecastName) -> Result<Known, Error> {
        let (path, manifest) = self.stored(name).await?;
        let record = self.record(&path).await?;
        if manifest.is_none() && record.is_none() {
            return Err(Error::NotFound {
                kind: "forecast",
                name: resource_name(&path),
                hint: "ListForecasts (or /api/v1/forecasts) tells which there are",
            });
        }
        self.caught_up(Known { path, manifest, record }).await
    }

    /// Looks at the store again where it was looked at too early.
    async fn caught_up(&self, known: Known) -> Result<Known, Error> {
        if !known.is_behind() {
            return Ok(known);
        }
        self.catalog.forget(&known.path).await;
        let (path, manifest) = self.stored(&ForecastName::Exact(known.path)).await?;
        Ok(Known { path, manifest, record: known.record })
    }

    pub fn desk(&self) -> Result<&Desk, Error> {
        self.desk.as_deref().ok_or_else(|| {
            Error::NoRequests("no forecasts can be asked for here: the server's configuration has no [runs]".to_owned())
        })
    }

    /// Takes a request; and whether the run was there before.
    pub async fn request(&self, asked: &Asked) -> Result<(Known, bool), Error> {
        let (record, joined) = Box::pin(self.desk()?.request(asked)).await?;
        tracing::info!(run = %record.path, client = %asked.client, joined, "asked for");
        Ok((Box::pin(self.with(record)).await?, joined))
    }

    /// Ends a run that was asked for here; what it has published stays.
    pub async fn cancel(&self, field: &'static str, name: ForecastName) -> Result<Known, Error> {
        let desk = self.desk()?;
        let ForecastName::Exact(path) = name else {
            return Err(Violation::new(field, "must name one run: which one is the latest changes").into());
        };
        if self.record(&path).await?.is_none() {
            // what was made by `vejr forecast` is nobody's to cancel
            self.known(&ForecastName::Exact(path)).await?;
            let problem = "this forecast was not asked for here, and cannot be cancelled here";
            return Err(Error::NoRequests(problem.to_owned()));
        }
        self.with(desk.ledger.cancel(&path.run_key, "cancelled by a client").await?).await
    }

    /// What the store has of a run, with what the ledger just said of it.
    async fn with(&self, record: RunRecord) -> Result<Known, Error> {
        self.forget(&record.path).await;
        let (path, manifest) = self.stored(&ForecastName::Exact(record.path.clone())).await?;
        self.caught_up(Known { path, manifest, record: Some(record) }).await
    }

    pub async fn attempts(&self, known: &Known) -> Result<Vec<Attempt>, Error> {
        match (&self.desk, &known.record) {
            (Some(desk), Some(_)) => Ok(desk.ledger.attempts(&known.path.run_key).await?),
            _ => Ok(Vec::new()),
        }
    }

    /// So many forecasts after one, newest reference time first; and whether there are more.
    pub async fn list(
        &self,
        filter: &RunFilter,
        after: Option<&ForecastPath>,
        size: usize,
    ) -> Result<(Vec<Known>, bool), Error> {
        let inside = |path: &ForecastPath| {
            (filter.model.is_empty() || path.model == filter.model)
                && filter.from.is_none_or(|from| path.reference_time >= from)
                && filter.until.is_none_or(|until| path.reference_time <= until)
                && after.is_none_or(|after| rank(path) > rank(after))
        };
        let listing = self.catalog.list().await?;
        let mut known: BTreeMap<Rank, Known> = BTreeMap::new();
        for Entry { path, manifest } in listing.iter().filter(|entry| inside(&entry.path)) {
            if let Ok(manifest) = manifest {
                let manifest = Some(Arc::new(manifest.clone()));
                known.insert(rank(path), Known { path: path.clone(), manifest, record: None });
            }
        }
        if let Some(desk) = &self.desk {
            // in all states: what the ledger says of a published forecast counts, whatever is asked for
            let of_all = RunFilter { phases: Vec::new(), ..filter.clone() };
            let mut last = after.cloned();
            loop {
                let records = desk.ledger.list(&of_all, last.as_ref(), CHUNK).await?;
                let whole = records.len() < CHUNK;
                last = records.last().map(|record| record.path.clone());
                for record in records {
                    let path = record.path.clone();
                    let entry = known.entry(rank(&path));
                    entry.or_insert(Known { path, manifest: None, record: None }).record = Some(record);
                }
                let reached = last.as_ref().map(rank);
                let wanted = |one: &&Known| filter.phases.is_empty() || filter.phases.contains(&one.phase());
                // what lies beyond the last record that was read is not known whole yet
                let certain =
                    |one: &&Known| whole || reached.as_ref().is_some_and(|reached| rank(&one.path) <= *reached);
                if whole || known.values().filter(certain).filter(wanted).count() > size {
                    break;
                }
            }
        }
        let mut found =
            known.into_values().filter(|one| filter.phases.is_empty() || filter.phases.contains(&one.phase()));
        let page: Vec<Known> = found.by_ref().take(size).collect();
        let more = found.next().is_some();
        let mut told = Vec::with_capacity(page.len());
        for one in page {
            let again = if one.is_behind() { self.caught_up(one.clone()).await.ok() } else { None };
            // a store that cannot be asked again has been asked before
            told.push(again.unwrap_or(one));
        }
        Ok((told, more))
    }
}

type Rank = (Reverse<ReferenceTime>, String, String);

/// Order of lists: newest reference time first, then by name.
fn rank(path: &ForecastPath) -> Rank {
    (Reverse(path.reference_time), path.model.clone(), path.run_key.clone())
}

fn is_not_there(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => true,
        Error::Store(error) => matches!(**error, StoreError::NotFound(_)),
        _ => false,
    }
}

impl From<LedgerError> for Error {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::QueueFull { limit } => Self::QueueFull { what: error.to_string(), limit },
            LedgerError::ShareFull { limit, .. } => Self::QueueFull { what: error.to_string(), limit },
            LedgerError::RequestIdTaken { .. } => Self::RequestIdTaken(error.to_string()),
            other => Self::Ledger(other.to_string()),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Invalid { field, problem } => Violation::new(field, problem).into(),
            RequestError::UnknownModel { name, .. } => {
                Self::NotFound { kind: "model", name, hint: "ListModels tells which this server has" }
            }
            RequestError::DiskFull { .. } => Self::DiskFull(error.to_string()),
            RequestError::NoInputs(_) => Self::NoRequests(error.to_string()),
            RequestError::Arrivals(ArrivalsError::TimesUnnamed) => {
                Violation::new("reference_time", format!("is missing: {error}")).into()
            }
            RequestError::Arrivals(ArrivalsError::NotYet { .. } | ArrivalsError::NoneYet(_)) => {
                Self::NotYet(error.to_string())
            }
            RequestError::Arrivals(_) => Self::Arrivals(error.to_string()),
            RequestError::Ledger(error) => error.into(),
        }
    }
}
