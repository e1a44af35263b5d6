//! What was given: an inference artifact (zip or folder), or a checkpoint with its configuration beside it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipArchive;

use super::{ImportError, Params};

/// Bytes and entries of an artifact that are unpacked at most: a checkpoint of a billion parameters with its optimiser's
/// states is 12 GB.
const MOST_BYTES: u64 = 64 << 30;
const MOST_ENTRIES: usize = 100_000;

/// `artifact.yaml`.
#[derive(serde::Deserialize)]
struct Provenance {
    artifact_name: String,
}

/// The pieces of a source.
#[derive(Debug)]
pub struct Source {
    /// What the user gave.
    pub path: PathBuf,
    /// Its name for people and packages.
    pub name: String,
    pub checkpoint: PathBuf,
    pub config: PathBuf,
    /// The training's command line, where it was kept.
    pub arguments: Option<PathBuf>,
    /// Folder where the datastore's statistics lie, if not beside its configuration.
    pub statistics: Option<PathBuf>,
    /// Holds what was unpacked as long as it is read.
    _unpacked: Option<TempDir>,
}

impl Source {
    pub fn open(path: &Path, params: &Params) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::Source { path: path.to_owned(), reason };
        let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if metadata.is_dir() {
            return Self::artifact(path, path, stem, None);
        }
        let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
        let mut archive = ZipArchive::new(file).map_err(|error| {
            wrong(format!("neither an inference artifact (zip or folder) nor a PyTorch checkpoint ({error})"))
        })?;
        // a PyTorch checkpoint is a zip file, too
        if archive.file_names().flatten().any(|name| name.rsplit('/').next() == Some("data.pkl")) {
            return Self::checkpoint(path, stem, params);
        }
        let folder = tempfile::tempdir().map_err(|error| wrong(format!("no temporary folder: {error}")))?;
        unpack(&mut archive, folder.path()).map_err(wrong)?;
        let unpacked = folder.path().to_owned();
        Self::artifact(path, &unpacked, stem, Some(folder))
    }

    /// `checkpoint.pkl`, `configs/` and `stats/` in the folder, or in the one folder that it holds.
    fn artifact(path: &Path, folder: &Path, name: String, unpacked: Option<TempDir>) -> Result<Self, ImportError> {
        let inside: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
            .unwrap_or_default();
        let root = match inside.as_slice() {
            [only] if only.is_dir() => only.clone(),
            _ => folder.to_owned(),
        };
        let (checkpoint, config) = (root.join("checkpoint.pkl"), root.join("configs/config.yaml"));
        if !checkpoint.is_file() || !config.is_file() {
            let mut found: Vec<String> =
                inside.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
            found.sort();
            return Err(ImportError::Source {
                path: path.to_owned(),
                reason: format!(
                    "holds {}; expected an inference artifact with checkpoint.pkl, configs/config.yaml and stats/",
                    found.join(", ")
                ),
            });
        }
        let told = std::fs::read_to_string(root.join("artifact.yaml")).ok();
        let told = told.and_then(|text| serde_saphyr::from_str::<Provenance>(&text).ok());
        Ok(Self {
            path: path.to_owned(),
            name: told.map_or(name, |told| told.artifact_name),
            checkpoint,
            config,
            arguments: Some(root.join("training_cli_args.yaml")).filter(|path| path.is_file()),
            statistics: Some(root.join("stats")),
            _unpacked: unpacked,
        })
    }

    /// A checkpoint with `config.yaml` beside it, or where the parameters say.
    fn checkpoint(path: &Path, name: String, params: &Params) -> Result<Self, ImportError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let config = params.config.clone().unwrap_or_else(|| folder.join("config.yaml"));
        if !config.is_file() {
            return Err(ImportError::Source {
                path: path.to_owned(),
                reason: format!(
                    "a checkpoint without its configuration: there is no {}; give --params with config = \"…/config.yaml\"",
                    config.display()
                ),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            name,
            checkpoint: path.to_owned(),
            config,
            arguments: None,
            statistics: None,
            _unpacked: None,
        })
    }
}

/// Unpacks ordinary files and folders; everything else is refused before it is written.
fn unpack(archive: &mut ZipArchive<File>, folder: &Path) -> Result<(), String> {
    if archive.len() > MOST_ENTRIES {
        return Err(format!("a zip file of {} entries; an artifact has at most {MOST_ENTRIES}", archive.len()));
    }
    let mut left = MOST_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| format!("a damaged zip file: {error}"))?;
        let name = entry.name().map_err(|error| format!("a damaged zip file: {error}"))?.into_owned();
        let Some(inside) = entry.enclosed_name() else {
            return Err(format!("the entry {name:?} leads out of the zip file"));
        };
        if entry.is_symlink() {
            return Err(format!("the entry {name:?} is a symbolic link; expected files and folders alone"));
        }
        let path = folder.join(inside);
        let failed = |error: std::io::Error| format!("{name}: cannot be unpacked: {error}");
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(failed)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let size = entry.size();
        if size > left {
            return Err(format!("{name}: more than {} GiB to unpack", MOST_BYTES >> 30));
        }
        let mut file = File::create_new(&path).map_err(failed)?;
        // no more than the entry says of itself
        let written = std::io::copy(&mut entry.by_ref().take(size + 1), &mut file).map_err(failed)?;
        if written != size {
            return Err(format!("{name}: another size than the {size} bytes that the zip file tells"));
        }
        file.flush().map_err(failed)?;
        left -= size;
    }
    Ok(())
}
