//! `config.yaml`: the datastores of a training, and how its output is clamped.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::datastore::DatastoreConfig;
use crate::import::{ImportError, Params};

#[derive(Debug, Deserialize)]
pub struct Config {
    #[serde(default)]
    datastore: Option<Selection>,
    /// Of the research branch.
    #[serde(default)]
    datastore_boundary: Option<Selection>,
    /// What DMI's artifacts may have in their place.
    #[serde(default)]
    datastores: Option<IndexMap<String, Selection>>,
    #[serde(default)]
    training: Option<Training>,
}

#[derive(Debug, Deserialize)]
struct Selection {
    kind: String,
    config_path: String,
    /// Configuration of another datastore, whose statistics were taken.
    #[serde(default)]
    overload_stats_path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Training {
    #[serde(default)]
    output_clamping: Option<OutputClamping>,
}

#[derive(Debug, Default, Deserialize)]
pub struct OutputClamping {
    #[serde(default)]
    pub lower: IndexMap<String, f64>,
    #[serde(default)]
    pub upper: IndexMap<String, f64>,
}

/// A datastore's configuration, and where it lies.
#[derive(Debug)]
pub struct Datastore {
    pub path: PathBuf,
    pub config: DatastoreConfig,
    /// Configuration of the datastore whose statistics count.
    pub statistics_of: PathBuf,
}

/// The datastores of a training.
#[derive(Debug)]
pub struct Datastores {
    pub interior: Datastore,
    /// What drives the interior, where that is another dataset.
    pub boundary: Option<Datastore>,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        read_yaml(path)
    }

    /// Reads the configurations of the datastores; what is missing or of another kind is added to `problems`.
    pub fn datastores(
        &self,
        path: &Path,
        params: &Params,
        problems: &mut Vec<String>,
    ) -> Result<Option<Datastores>, ImportError> {
        let mut all = Vec::new();
        let several = self.datastores.iter().flat_map(|several| several.values());
        for selection in self.datastore.iter().chain(several) {
            all.extend(selection.read(path, problems)?);
        }
        // DMI's builder leaves the boundary's configuration out of an artifact
        let carried = |selection: &&Selection| params.boundary_datastore.is_none() && selection.path(path).exists();
        if let Some(selection) = self.datastore_boundary.as_ref().filter(carried) {
            all.extend(selection.read(path, problems)?);
        }
        if let Some(path) = &params.boundary_datastore {
            all.push(Datastore { path: path.clone(), config: read_yaml(path)?, statistics_of: path.clone() });
        }
        let (mut interior, mut boundary): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|datastore| datastore.config.has_state());
        match (interior.pop(), boundary.pop()) {
            (Some(interior_one), boundary_one) if interior.is_empty() && boundary.is_empty() => {
                Ok(Some(Datastores { interior: interior_one, boundary: boundary_one }))
            }
            (found, other) => {
                let (with, without) =
                    (interior.len() + usize::from(found.is_some()), boundary.len() + usize::from(other.is_some()));
                if problems.is_empty() {
                    problems.push(format!(
                        "config.yaml: {with} datastores with a state and {without} without; expected one of kind mdp with a \
                         state, and at most one without, for the boundary"
                    ));
                }
                Ok(None)
            }
        }
    }

    pub fn clamping(self) -> OutputClamping {
        self.training.and_then(|training| training.output_clamping).unwrap_or_default()
    }
}

impl Selection {
    fn path(&self, config: &Path) -> PathBuf {
        config.parent().unwrap_or(Path::new(".")).join(&self.config_path)
    }

    fn read(&self, config: &Path, problems: &mut Vec<String>) -> Result<Option<Datastore>, ImportError> {
        if self.kind != "mdp" {
            problems.push(format!("config.yaml: datastore of kind {:?}; expected mdp (mllam-data-prep)", self.kind));
            return Ok(None);
        }
        let folder = config.parent().unwrap_or(Path::new("."));
        let path = self.path(config);
        let statistics_of = self.overload_stats_path.as_ref().map_or(path.clone(), |other| folder.join(other));
        Ok(Some(Datastore { config: read_yaml(&path)?, statistics_of, path }))
    }
}

pub fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ImportError> {
    let wrong = |reason: String| ImportError::Source { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))
}
