//! Where the analyses of a model appear, and which of them are there.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{NaiveDateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::atmos::ReferenceTime;
use crate::location::{Location, LocationError};

/// Stands for the reference time in a pattern, also as `{reference_time:%Y%m%d%H}`.
const PLACEHOLDER: &str = "{reference_time";
/// As in the paths of forecasts.
const USUAL_FORMAT: &str = "%Y-%m-%dT%H%MZ";
/// Newest analyses that are looked at for one that is whole.
const LOOKED_AT: usize = 32;
/// More objects than an analysis has.
const MOST_OBJECTS: usize = 1_000_000;

#[derive(Debug, thiserror::Error)]
pub enum ArrivalsError {
    #[error("{pattern:?} is no pattern of paths: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error("looking for {path} failed: {source}")]
    Storage { path: String, source: object_store::Error },
    #[error("the analysis of {reference_time} has not arrived: there is no {}", .missing.join(", no "))]
    NotYet { reference_time: ReferenceTime, missing: Vec<String> },
    #[error("no analysis has arrived at {0}")]
    NoneYet(String),
    #[error("the paths of this model's analyses do not name their times; ask for a reference time")]
    TimesUnnamed,
}

/// A path or URL in which `{reference_time}` may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

/// Where the analyses of a model appear.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// Name of the model.
    pub model: String,
    /// Files with the initial states.
    pub init: Vec<PathPattern>,
    /// Files with what a limited area is told on its way.
    #[serde(default)]
    pub boundary: Vec<PathPattern>,
    /// As `vejr forecast --regrid`.
    #[serde(default)]
    pub regrid: Vec<String>,
    /// As `vejr forecast --trust-units`.
    #[serde(default)]
    pub trust_units: Vec<String>,
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, ArrivalsError> {
        let wrong = |reason: &str| ArrivalsError::Pattern { pattern: text.to_owned(), reason: reason.to_owned() };
        let pattern = Self(text.to_owned());
        let unknown = "only {reference_time} and {reference_time:FORMAT} can stand in braces";
        let braces = |text: &str| text.contains(['{', '}']);
        if pattern.pieces().iter().any(|(before, format)| braces(before) || format.is_some_and(braces)) {
            return Err(wrong(unknown));
        }
        if pattern.pieces().iter().any(|(_, format)| format.is_some_and(|format| !is_time_format(format))) {
            return Err(wrong("a format has year, month, day and hour, such as %Y%m%d%H"));
        }
        Ok(pattern)
    }

    /// Texts, and the format of the time that follows each; none follows the last.
    fn pieces(&self) -> Vec<(&str, Option<&str>)> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once(PLACEHOLDER) {
            let Some((inside, after)) = after.split_once('}') else { break };
            let format = if inside.is_empty() { USUAL_FORMAT } else { inside.strip_prefix(':').unwrap_or("{") };
            pieces.push((before, Some(format)));
            rest = after;
        }
        pieces.push((rest, None));
        pieces
    }

    pub fn names_times(&self) -> bool {
        self.0.contains(PLACEHOLDER)
    }

    /// The path of an analysis.
    pub fn at(&self, reference_time: ReferenceTime) -> String {
        let piece = |(before, format): (&str, Option<&str>)| match format {
            Some(format) => format!("{before}{}", reference_time.utc().format(format)),
            None => before.to_owned(),
        };
        self.pieces().into_iter().map(piece).collect()
    }

    /// The times for which something lies where the analysis would.
    async fn times(&self) -> Result<BTreeSet<ReferenceTime>, ArrivalsError> {
        let Some(at) = self.0.find(PLACEHOLDER) else { return Ok(BTreeSet::new()) };
        // the first part of the path that the time stands in
        let start = self.0[..at].rfind('/').map_or(0, |slash| slash + 1);
        let part = self.0[start..].split('/').next().unwrap_or_default();
        let pattern = Self(part.to_owned());
        let folder = if start == 0 { "." } else { &self.0[..start] };
        let location = Location::parse(folder)?;
        let failed = |source| ArrivalsError::Storage { path: folder.to_owned(), source };
        let listed = location.store().list_with_delimiter(None).await.map_err(failed)?;
        let objects = listed.objects.into_iter().map(|object| object.location);
        let names = objects.chain(listed.common_prefixes);
        Ok(names.filter_map(|path| pattern.time_in(path.filename()?)).collect())
    }

    /// The time for which a name is what the pattern gives.
    fn time_in(&self, name: &str) -> Option<ReferenceTime> {
        let pieces = self.pieces();
        let (before, format) = pieces.first()?;
        let rest = name.strip_prefix(before)?;
        // chrono reads no time of day without minutes
        let (format, minutes) = match format.as_ref()?.contains("%M") {
            true => ((*format)?.to_owned(), ""),
            false => (format!("%M {}", (*format)?), "00 "),
        };
        let text = format!("{minutes}{rest}");
        let (time, _) = NaiveDateTime::parse_and_remainder(&text, &format).ok()?;
        let time = ReferenceTime::new(time.and_utc());
        (self.at(time) == name).then_some(time)
    }
}

/// Whether two times an hour apart are told apart, and one is read back as it was written.
fn is_time_format(format: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
        return false;
    }
    let at = |seconds: i64| chrono::DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let text = |seconds: i64| at(seconds).format(format).to_string();
    let base = 1_700_000_000;
    let different = [3600, 86_400, 31 * 86_400, 366 * 86_400].iter().all(|&later| text(base) != text(base + later));
    different && !text(base).contains('/')
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Arrivals {
    /// Whether one analysis can be told from another by its paths.
    pub fn names_times(&self) -> bool {
        self.init.iter().any(PathPattern::names_times)
    }

    /// The files of an analysis: initial states, boundary.
    pub fn files(&self, reference_time: ReferenceTime) -> (Vec<String>, Vec<String>) {
        let at = |patterns: &[PathPattern]| patterns.iter().map(|pattern| pattern.at(reference_time)).collect();
        (at(&self.init), at(&self.boundary))
    }

    /// What the files of an analysis are like now: a digest of names, sizes, times and entity tags, which changes when one of
    /// them is replaced. [`ArrivalsError::NotYet`] names all that are missing.
    pub async fn fingerprint(&self, reference_time: ReferenceTime) -> Result<String, ArrivalsError> {
        let (init, boundary) = self.files(reference_time);
        fingerprint(reference_time, (&init, &boundary), (&self.regrid, &self.trust_units)).await
    }

    /// The newest analysis all of whose files are there.
    pub async fn latest(&self) -> Result<ReferenceTime, ArrivalsError> {
        let Some(pattern) = self.init.iter().find(|pattern| pattern.names_times()) else {
            return Err(ArrivalsError::TimesUnnamed);
        };
        for time in pattern.times().await?.into_iter().rev().take(LOOKED_AT) {
            match self.fingerprint(time).await {
                Ok(_) => return Ok(time),
                Err(ArrivalsError::NotYet { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ArrivalsError::NoneYet(pattern.to_string()))
    }
}

/// [`Arrivals::fingerprint`] of files with initial states and for the boundary, and of how they are to be read.
pub async fn fingerprint(
    reference_time: ReferenceTime,
    (init, boundary): (&[String], &[String]),
    (regrid, trust_units): (&[String], &[String]),
) -> Result<String, ArrivalsError> {
    let mut hasher = Sha256::new();
    let mut missing = Vec::new();
    for (role, path) in init.iter().map(|path| ("init", path)).chain(boundary.iter().map(|path| ("boundary", path))) {
        let objects = objects_at(path).await?;
        if objects.is_empty() {
            missing.push(path.clone());
        }
        for ObjectMeta { location, last_modified, size, e_tag, .. } in objects {
            let tag = e_tag.unwrap_or_default();
            hasher.update(format!("{role}\t{path}\t{location}\t{size}\t{last_modified:?}\t{tag}\n"));
        }
    }
    for ways in [regrid, trust_units] {
        hasher.update(format!("{ways:?}\n"));
    }
    match missing.is_empty() {
        true => Ok(hex::encode(hasher.finalize())),
        false => Err(ArrivalsError::NotYet { reference_time, missing }),
    }
}

/// The object of this name, or those below it where it is a store of its own; none where there is nothing.
async fn objects_at(path: &str) -> Result<Vec<ObjectMeta>, ArrivalsError> {
    let failed = |source| ArrivalsError::Storage { path: path.to_owned(), source };
    let bare = path.trim_end_matches('/');
    let (folder, name) = match bare.rfind('/') {
        Some(slash) => (&bare[..=slash], &bare[slash + 1..]),
        None => (".", bare),
    };
    // the bucket or host itself is a folder
    if !folder.ends_with("://") {
        let parent = Location::parse(folder)?;
        match parent.store().head(&Path::from(name)).await {
            Ok(object) => return Ok(vec![object]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(failed(source)),
        }
    }
    let place = Location::parse(bare)?;
    let mut objects = Vec::new();
    if place.can_list() {
        let mut listed = place.store().list(None);
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            objects.push(object);
            if objects.len() > MOST_OBJECTS {
                let reason = format!("more than {MOST_OBJECTS} objects lie there");
                return Err(ArrivalsError::Pattern { pattern: path.to_owned(), reason });
            }
        }
    } else {
        // a web server lists nothing: the store's own documents
        for name in ["zarr.json", ".zmetadata", ".zgroup"] {
            match place.store().head(&Path::from(name)).await {
                Ok(object) => objects.push(object),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(failed(source)),
            }
        }
    }
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> ReferenceTime {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_give_paths_and_read_them_back() {
        for (text, path) in [
            ("/data/{reference_time}.nc", "/data/2026-11-24T0600Z.nc"),
            ("s3://b/an/{reference_time:%Y%m%d%H}/sfc.zarr", "s3://b/an/2026112406/sfc.zarr"),
            ("{reference_time:%Y-%m-%d}/{reference_time:%Y%m%dT%H%M}_an.nc", "2026-11-24/20261124T0600_an.nc"),
            ("fixed.nc", "fixed.nc"),
        ] {
            let parsed = PathPattern::parse(text);
            if text.contains("%Y-%m-%d}") {
                // a folder for each day does not tell the analysis
                assert!(parsed.is_err(), "{text}");
                continue;
            }
            assert_eq!(parsed.unwrap().at(time("2026-11-24T06:00Z")), path);
        }
        let pattern = PathPattern::parse("an_{reference_time:%Y%m%d%H}.nc").unwrap();
        assert_eq!(pattern.time_in("an_2026112406.nc"), Some(time("2026-11-24T06:00Z")));
        for other in ["an_2026112406.nc.part", "an_20261124.nc", "an_2026112425.nc", "x_2026112406.nc", ""] {
            assert_eq!(pattern.time_in(other), None, "{other}");
        }
        for wrong in
            ["{time}.nc", "{reference_time:%Q}", "{reference_time:%Y}", "{reference_time", "{reference_time:{}}"]
        {
            assert!(PathPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_analysis_is_there_when_all_of_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let arrivals = Arrivals {
            model: "m".to_owned(),
            init: vec![
                PathPattern::parse(&at("{reference_time}/sfc.nc")).unwrap(),
                PathPattern::parse(&at("{reference_time}/pl.zarr")).unwrap(),
            ],
            boundary: Vec::new(),
            regrid: Vec::new(),
            trust_units: Vec::new(),
        };
        assert!(matches!(arrivals.latest().await, Err(ArrivalsError::NoneYet(_))));
        write("2026-11-24T0000Z/sfc.nc", "a");
        write("2026-11-24T0000Z/pl.zarr/zarr.json", "b");
        write("2026-11-24T0600Z/sfc.nc", "c");
        write("tomorrow/sfc.nc", "d");
        let (first, second) = (time("2026-11-24T00:00Z"), time("2026-11-24T06:00Z"));
        assert_eq!(arrivals.latest().await.unwrap(), first);
        let error = arrivals.fingerprint(second).await.unwrap_err().to_string();
        assert!(error.contains("pl.zarr") && !error.contains("sfc.nc"), "{error}");
        let before = arrivals.fingerprint(first).await.unwrap();
        assert_eq!(arrivals.fingerprint(first).await.unwrap(), before);
        write("2026-11-24T0000Z/pl.zarr/t/0.0", "more");
        assert_ne!(arrivals.fingerprint(first).await.unwrap(), before);
    }
}
