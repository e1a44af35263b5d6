//! The training's statistics, as `mllam-data-prep` writes them: `{category}__train__{operation}` along
//! `{category}_feature`.

use std::path::{Path, PathBuf};

use super::datastore::Feature;
use crate::import::ImportError;
use crate::ingest::{Dataset, Isolation};

/// Statistics of one category, in the order of its features.
#[derive(Debug, Default)]
pub struct Statistics {
    pub names: Vec<String>,
    /// Empty where they are not told.
    pub units: Vec<String>,
    pub long_names: Vec<String>,
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
    /// Of the state alone.
    pub diff_mean: Vec<f64>,
    pub diff_std: Vec<f64>,
}

/// Where the statistics lie: the first that exists of what was named, what the artifact holds, and what lies beside the
/// datastore's configuration.
pub fn find(named: Option<&Path>, artifact: Option<&Path>, datastore: &Path) -> Result<PathBuf, ImportError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let stem = datastore.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = datastore.parent().unwrap_or(Path::new("."));
    let mut places: Vec<PathBuf> = artifact.iter().map(|folder| folder.join(format!("{stem}.stats.zarr"))).collect();
    places.extend([format!("{stem}.stats.zarr"), format!("{stem}.zarr")].map(|name| beside.join(name)));
    places.iter().find(|place| place.exists()).cloned().ok_or_else(|| ImportError::Source {
        path: datastore.to_owned(),
        reason: format!(
            "no statistics: there is no {}; give --params with statistics = \"…\"",
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", nor ")
        ),
    })
}

/// An open store of statistics.
pub struct Store(Dataset);

impl Store {
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        // the user's own file, read once
        Dataset::open(path, &Isolation::None).map(Self).map_err(|problem| ImportError::Statistics(Box::new(problem)))
    }

    /// The statistics of `category` (`state`, `forcing`, `static`), which must tell of exactly these features.
    pub fn read(&self, category: &str, features: &[Feature], problems: &mut Vec<String>) -> Statistics {
        if features.is_empty() {
            return Statistics::default();
        }
        let mut texts = |name: String, needed: bool| match self.0.texts(&name) {
            Ok(texts) => texts,
            Err(reason) => {
                if needed {
                    problems.push(format!("statistics: {name}: {reason}"));
                }
                Vec::new()
            }
        };
        let names = texts(format!("{category}_feature"), true);
        let units = texts(format!("{category}_feature_units"), false);
        let long_names = texts(format!("{category}_feature_long_name"), false);
        let mut numbers = |operation: &str| {
            let name = format!("{category}__train__{operation}");
            let numbers = self.0.numbers(&name).and_then(|numbers| match numbers.len() {
                n if n == features.len() => Ok(numbers),
                n => Err(format!("{n} values for {} features of the datastore", features.len())),
            });
            numbers.unwrap_or_else(|reason| {
                problems.push(format!("statistics: {name}: {reason}"));
                vec![1.0; features.len()]
            })
        };
        let (mean, std) = (numbers("mean"), numbers("std"));
        let state = category == "state";
        let diff_mean = if state { numbers("diff_mean") } else { Vec::new() };
        let diff_std = if state { numbers("diff_std") } else { Vec::new() };
        let expected: Vec<&str> = features.iter().map(|feature| feature.names[0].as_str()).collect();
        let same = names.len() == features.len()
            && names.iter().zip(features).all(|(name, feature)| feature.names.contains(name));
        if !names.is_empty() && !same {
            problems.push(format!(
                "statistics: {category}_feature is {}; the datastore makes {}",
                names.join(" "),
                expected.join(" ")
            ));
        }
        let complete = |texts: Vec<String>| if texts.len() == features.len() { texts } else { Vec::new() };
        Statistics {
            names: if same { names } else { expected.into_iter().map(str::to_owned).collect() },
            units: complete(units),
            long_names: complete(long_names),
            mean,
            std,
            diff_mean,
            diff_std,
        }
    }
}
