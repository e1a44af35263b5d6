//! A store of many forecasts.

use std::fmt;
use std::str::FromStr;

use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

use super::manifest::MANIFEST_FILE;
use super::spec::is_path_part;
use super::{Location, Manifest, StoreError};
use crate::atmos::ReferenceTime;

/// Where a forecast lies in a store: `<model>/<reference time>/<run key>/forecast.zarr`. Also its identifier in APIs,
/// without the last part: `<model>/<reference time>/<run key>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForecastPath {
    pub model: String,
    pub reference_time: ReferenceTime,
    pub run_key: String,
}

/// Manifests that are read at the same time.
const CONCURRENT_READS: usize = 16;
const GROUP: &str = "forecast.zarr";

impl ForecastPath {
    /// The place of this forecast in the store at `root`.
    pub fn location(&self, root: &Location) -> Location {
        root.join(&format!("{self}/{GROUP}"))
    }
}

impl fmt::Display for ForecastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.model, self.reference_time.compact(), self.run_key)
    }
}

impl FromStr for ForecastPath {
    type Err = String;

    /// Letters, digits, `.`, `_` and `-` only: what comes from outside becomes an object path.
    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is no forecast; expected model/2026-11-23T0600Z/run-key");
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [model, time, run_key] if is_path_part(model) && is_path_part(run_key) => Ok(Self {
                model: model.to_owned(),
                reference_time: time.parse().map_err(|_| error())?,
                run_key: run_key.to_owned(),
            }),
            _ => Err(error()),
        }
    }
}

/// The forecasts in a store with their manifests, newest reference time first. What is no forecast is passed over; a
/// manifest that is damaged is its own error.
pub async fn list_forecasts(root: &Location) -> Result<Vec<(ForecastPath, Result<Manifest, StoreError>)>, StoreError> {
    let failed = |error| StoreError::storage(format!("listing {root}"), error);
    let mut found = Vec::new();
    // folder by folder: listing everything would walk over every shard
    let models = root.store().list_with_delimiter(None).await.map_err(failed)?;
    for model in models.common_prefixes {
        let times = root.store().list_with_delimiter(Some(&model)).await.map_err(failed)?;
        for time in times.common_prefixes {
            let keys = root.store().list_with_delimiter(Some(&time)).await.map_err(failed)?;
            found.extend(keys.common_prefixes.iter().filter_map(|path| path.as_ref().parse::<ForecastPath>().ok()));
        }
    }
    found.sort_by(|a, b| (b.reference_time, &a.model, &a.run_key).cmp(&(a.reference_time, &b.model, &b.run_key)));
    let reads = found.into_iter().map(|path| async move {
        let manifest = Manifest::read(&path.location(root)).await.and_then(|(manifest, _)| manifest);
        (path, manifest)
    });
    let forecasts = stream::iter(reads).buffered(CONCURRENT_READS);
    // deleted meanwhile, or not begun
    let there = forecasts.filter(|(_, manifest)| ready(!matches!(manifest, Err(StoreError::NotFound(_)))));
    Ok(there.collect().await)
}

/// The forecasts anywhere below a place, or the one that lies there.
pub async fn find_forecasts(place: &Location) -> Result<Vec<Location>, StoreError> {
    match Manifest::read(place).await {
        Ok(_) => return Ok(vec![place.clone()]),
        Err(StoreError::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let failed = |error| StoreError::storage(format!("listing {place}"), error);
    let objects = place.store().list(None).map_ok(|object| object.location);
    let manifests: Vec<_> =
        objects.try_filter(|path| ready(path.filename() == Some(MANIFEST_FILE))).try_collect().await.map_err(failed)?;
    let mut folders: Vec<String> = manifests
        .iter()
        .filter_map(|path| path.as_ref().strip_suffix(MANIFEST_FILE))
        .map(|folder| folder.trim_end_matches('/').to_owned())
        .collect();
    folders.sort();
    if folders.is_empty() {
        return Err(StoreError::NotFound(place.to_string()));
    }
    Ok(folders.iter().map(|folder| place.join(folder)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_from_outside_cannot_leave_the_store() {
        let good: ForecastPath = "held-suarez/2001-01-01T0600Z/ab12".parse().unwrap();
        assert_eq!(good.to_string(), "held-suarez/2001-01-01T0600Z/ab12");
        for text in [
            "",
            "a/b",
            "../2001-01-01T0600Z/k",
            "m/2001-01-01T0600Z/..",
            "m/yesterday/k",
            "m/2001-01-01T0600Z/k/x",
            "a b/2001-01-01T0600Z/k",
        ] {
            assert!(text.parse::<ForecastPath>().is_err(), "{text:?}");
        }
    }
}
