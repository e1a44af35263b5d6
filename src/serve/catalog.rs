//! The forecasts that there are, as fresh as a client can tell.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use tokio::sync::Mutex;

use super::derived::{Offer, offers, offers_of_statistic};
use super::error::{Error, Violation};
use super::names::{ForecastName, id, quoted, resource_name};
use super::units::{Shown, one_unit};
use crate::atmos::{ReferenceTime, Variable};
use crate::location::Location;
use crate::store::{ForecastPath, ForecastReader, Manifest, RunState, SPREAD, StoreError, list_forecasts};

/// How old what is told of a running forecast may be: well below the time of a step.
const FRESH: Duration = Duration::from_millis(500);
/// Finished forecasts change only when someone deletes or replaces them.
const FRESH_WHEN_DONE: Duration = Duration::from_secs(15);
/// Opened forecasts kept; opening one again costs one small read.
const KEPT_OPEN: u64 = 256;

/// Whose values of an ensemble are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    Member(usize),
    /// Made of all members: `mean`, `spread`, `q90`.
    Statistic(String),
}

impl Whose {
    /// As requests say it; `None` where they do not.
    pub fn parse(text: &str) -> Option<Self> {
        let whose = || text.parse().map_or_else(|_| Self::Statistic(text.to_owned()), Self::Member);
        (!text.is_empty()).then(whose)
    }
}

/// A forecast that is open for reading.
pub struct Forecast {
    pub path: ForecastPath,
    pub reader: ForecastReader,
    /// What can be asked for: stored, then derived.
    pub offers: Arc<[Offer]>,
    /// Where this is made of an ensemble's members: how, and the forecast of the members.
    pub statistic: Option<(Arc<str>, Arc<Forecast>)>,
    manifest: Arc<Manifest>,
    /// Reads all that is made of the members.
    statistics: Option<Arc<ForecastReader>>,
}

impl Forecast {
    pub fn name(&self) -> String {
        resource_name(&self.path)
    }

    pub fn id(&self) -> String {
        id(&self.path)
    }

    pub fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    /// The same forecast's data of a member; without one of the control, which a forecast that is opened has anyway.
    pub fn of_member(self: Arc<Self>, member: Option<usize>) -> Result<Arc<Self>, Error> {
        let Some(member) = member else { return Ok(self) };
        let of_member = self.member(member).map_err(|error| {
            let what = match error {
                StoreError::NotPublished { reason, .. } => format!("{member} is not there: {reason}"),
                other => other.to_string(),
            };
            Violation::new("member", what)
        })?;
        Ok(Arc::new(of_member))
    }

    /// The same of a member, or made of all of them.
    pub fn of(self: Arc<Self>, whose: Option<Whose>) -> Result<Arc<Self>, Error> {
        match whose {
            None => Ok(self),
            Some(Whose::Member(member)) => self.of_member(Some(member)),
            Some(Whose::Statistic(name)) => Ok(Arc::new(self.of_statistic(&name)?)),
        }
    }

    fn of_statistic(self: Arc<Self>, name: &str) -> Result<Self, Error> {
        let unknown = || {
            let what = format!("{} is neither the number of a member nor a statistic of this forecast", quoted(name));
            Violation::new("member", what)
        };
        // a clone of the reader: it has one member
        let reader = self.statistics.as_ref().ok_or_else(unknown)?.of_member(0)?;
        let offers = offers_of_statistic(&self.offers, &reader.spec().outputs, name);
        if offers.is_empty() {
            return Err(unknown().into());
        }
        Ok(Self {
            path: self.path.clone(),
            reader,
            offers: offers.into(),
            manifest: self.manifest.clone(),
            statistics: None,
            statistic: Some((name.into(), self)),
        })
    }

    /// Whose values these are, of an ensemble, as requests say it.
    pub fn whose(&self) -> Option<String> {
        match &self.statistic {
            Some((name, _)) => Some(name.to_string()),
            None => self.reader.member().map(|member| member.to_string()),
        }
    }

    /// How a variable of it is shown: [`one_unit`].
    pub fn one_unit(&self, variable: &Variable, units: &str) -> Result<Shown, Violation> {
        one_unit(variable, units).map(|shown| self.without_zero(shown))
    }

    /// A standard deviation has no other zero in other units.
    pub fn without_zero(&self, shown: Shown) -> Shown {
        let is_spread = self.statistic.as_ref().is_some_and(|(name, _)| **name == *SPREAD);
        if is_spread { Shown { offset: 0.0, ..shown } } else { shown }
    }

    /// The same forecast's data of a member; of one that is no ensemble member 0 is the forecast itself.
    pub fn member(&self, member: usize) -> Result<Self, StoreError> {
        Ok(Self {
            path: self.path.clone(),
            reader: self.reader.of_member(member)?,
            offers: self.offers.clone(),
            statistic: self.statistic.clone(),
            manifest: self.manifest.clone(),
            statistics: self.statistics.clone(),
        })
    }

    /// The run's own manifest: of an ensemble its steps are those that all members have.
    pub fn shared_manifest(&self) -> Arc<Manifest> {
        self.manifest.clone()
    }
}

/// A forecast in a list.
pub struct Entry {
    pub path: ForecastPath,
    /// The error where the manifest cannot be read: told, not hidden.
    pub manifest: Result<Manifest, StoreError>,
}

type Listing = Arc<Vec<Entry>>;

pub struct Catalog {
    root: Location,
    open: Cache<ForecastPath, (Instant, Arc<Forecast>)>,
    /// The lock also makes concurrent requests share one listing.
    listing: Mutex<Option<(Instant, Listing)>>,
}

impl Catalog {
    pub fn new(root: Location) -> Self {
        Self { root, open: Cache::new(KEPT_OPEN), listing: Mutex::new(None) }
    }

    /// Whether the store answers now. One small listing, whatever the number of forecasts.
    pub async fn probe(&self) -> Result<(), String> {
        if let Some(folder) = self.root.local_folder()
            && !tokio::fs::metadata(folder).await.is_ok_and(|metadata| metadata.is_dir())
        {
            // listing a folder that is gone gives an empty list, as object stores do
            return Err(format!("the store {} is not a folder", self.root));
        }
        match self.root.store().list_with_delimiter(None).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the store {} cannot be listed: {error}", self.root)),
        }
    }

    /// All forecasts, newest reference time first.
    pub async fn list(&self) -> Result<Listing, Error> {
        let mut listing = self.listing.lock().await;
        if let Some((since, entries)) = &*listing
            && since.elapsed() < FRESH
        {
            return Ok(entries.clone());
        }
        let found = list_forecasts(&self.root).await?;
        let entries: Listing = Arc::new(found.into_iter().map(|(path, manifest)| Entry { path, manifest }).collect());
        for Entry { path, manifest } in &*entries {
            if let Err(error) = manifest {
                tracing::warn!(forecast = %path, %error, "a forecast in the store cannot be read");
            }
        }
        *listing = Some((Instant::now(), entries.clone()));
        Ok(entries)
    }

    /// The forecast that a request names.
    pub async fn open(&self, name: &ForecastName) -> Result<Arc<Forecast>, Error> {
        let path = match name {
            ForecastName::Exact(path) => path.clone(),
            ForecastName::Latest(model) => self.best(model, None).await?,
            ForecastName::From(model, reference_time) => self.best(model, Some(*reference_time)).await?,
        };
        if let Some((since, forecast)) = self.open.get(&path).await {
            let done = forecast.manifest().state == RunState::Done;
            if since.elapsed() < if done { FRESH_WHEN_DONE } else { FRESH } {
                return Ok(forecast);
            }
            self.open.invalidate(&path).await;
        }
        // concurrent requests wait for the one that opens
        let opened = self.open.try_get_with(path.clone(), async {
            let reader = ForecastReader::open(&path.location(&self.root)).await?;
            let manifest = reader.whole().clone();
            let offers = offers(&reader.spec().outputs).into();
            let statistics = reader.statistics()?.map(Arc::new);
            let path = path.clone();
            Ok((Instant::now(), Arc::new(Forecast { path, reader, offers, statistic: None, manifest, statistics })))
        });
        match opened.await {
            Ok((_, forecast)) => Ok(forecast),
            Err(error) => Err(match &*error {
                StoreError::NotFound(_) => Error::NotFound {
                    kind: "forecast",
                    name: resource_name(&path),
                    hint: "ListForecasts (or /api/v1/forecasts) tells which there are",
                },
                _ => Error::Store(error),
            }),
        }
    }

    /// What was read of a forecast is read anew when it is asked for again.
    pub async fn forget(&self, path: &ForecastPath) {
        self.open.invalidate(path).await;
    }

    /// The newest reference time, or that of `from`, that has a published step. Of several runs from the same analysis: the one that is
    /// furthest, a finished one before a running one.
    async fn best(&self, model: &str, from: Option<ReferenceTime>) -> Result<ForecastPath, Error> {
        let listing = self.list().await?;
        let published = listing.iter().filter_map(|entry| {
            let manifest = entry.manifest.as_ref().ok()?;
            let wanted = entry.path.model == model && from.is_none_or(|from| entry.path.reference_time == from);
            (wanted && manifest.steps_complete > 0).then_some((&entry.path, manifest))
        });
        let newest = published.max_by_key(|(path, manifest)| {
            let done = manifest.state == RunState::Done;
            (path.reference_time, done, manifest.steps_complete, Reverse(path.run_key.clone()))
        });
        let of = from.map_or_else(String::new, |from| format!(" from {from}"));
        newest.map(|(path, _)| path.clone()).ok_or_else(|| Error::NotFound {
            kind: "forecast",
            name: format!("of model {}{of}", quoted(model)),
            hint: "no run of this model has published a step",
        })
    }
}
