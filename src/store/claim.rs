//! Whose a place is: nobody's, a forecast's, or something else's that is never touched.

use std::fs::File;
use std::path::Path as FilePath;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::manifest::MANIFEST_FILE;
use super::{Location, StoreError};

const LOCK_FILE: &str = ".lock";
/// A manifest is written in milliseconds; a disk that is full of other work may take its time.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Makes the folder and takes its lock, on a local disk. The system releases it when the process ends, however it ends.
/// On other stores there is nothing to lock: the conditional put of the manifest guards.
pub(super) fn lock(location: &Location) -> Result<Option<File>, StoreError> {
    location.local_folder().map(|folder| lock_folder(location, folder)).transpose()
}

/// The same, waiting for whoever has it only for as long as writing a manifest takes.
pub(super) async fn lock_soon(location: &Location) -> Result<Option<File>, StoreError> {
    let begin = std::time::Instant::now();
    loop {
        match lock(location) {
            Err(StoreError::Busy(_)) if begin.elapsed() < LOCK_PATIENCE => tokio::time::sleep(LOCK_PAUSE).await,
            other => return other,
        }
    }
}

fn lock_folder(location: &Location, folder: &FilePath) -> Result<File, StoreError> {
    let failed =
        |doing: &str, error: std::io::Error| StoreError::storage(format!("{doing} {}", folder.display()), error);
    std::fs::create_dir_all(folder).map_err(|error| failed("making the folder", error))?;
    let options = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE));
    let file = options.map_err(|error| failed("making the lock file in", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Busy(location.to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed("locking the folder", error)),
    }
}

/// Fails where there are objects and no manifest among them.
pub(super) async fn refuse_foreign(location: &Location) -> Result<(), StoreError> {
    let failed = |error| StoreError::storage(format!("listing {location}"), error);
    let mut listed = location.store().list(None);
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        if object.location.as_ref() == LOCK_FILE {
            continue;
        }
        // looked for after the object was seen: a writer that is just beginning puts its manifest first
        return match location.store().head(&Path::from(MANIFEST_FILE)).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => {
                let found = format!("{} and no {MANIFEST_FILE}", object.location);
                Err(StoreError::AlreadyExists { location: location.to_string(), found })
            }
            Err(error) => Err(failed(error)),
        };
    }
    Ok(())
}

/// Whether a Zarr group is there: what has an unreadable manifest and a group was a forecast.
pub(super) async fn is_group(location: &Location) -> Result<bool, StoreError> {
    match location.store().head(&Path::from("zarr.json")).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(StoreError::storage(format!("looking for {location}/zarr.json"), error)),
    }
}

/// Deletes everything below `prefix`, or everything but the manifest.
pub(super) async fn clear(location: &Location, prefix: Option<&str>) -> Result<(), StoreError> {
    let failed = |error| StoreError::storage(format!("deleting in {location}"), error);
    let prefix = prefix.map(Path::from);
    let objects = location.store().list(prefix.as_ref()).map_ok(|object| object.location);
    let ours = |path: &Path| futures::future::ready(path.as_ref() != LOCK_FILE && path.as_ref() != MANIFEST_FILE);
    let objects: Vec<Path> = objects.try_filter(ours).try_collect().await.map_err(failed)?;
    if objects.is_empty() {
        return Ok(());
    }
    let mut deletions = location.store().delete_stream(stream::iter(objects.into_iter().map(Ok)).boxed());
    while let Some(deleted) = deletions.next().await {
        match deleted {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Deletes what a killed process left of files that it had not finished, on a local disk: the object store writes to
/// `name#1` and renames, and shows such files to nobody.
pub(super) fn sweep(location: &Location) -> Result<(), StoreError> {
    fn sweep_folder(folder: &FilePath) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let staged = name.to_str().and_then(|name| name.rsplit_once('#'));
            if entry.file_type()?.is_dir() {
                sweep_folder(&entry.path())?;
            } else if staged.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit())) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
    let Some(folder) = location.local_folder() else { return Ok(()) };
    sweep_folder(folder).map_err(|error| StoreError::storage(format!("cleaning {}", folder.display()), error))
}
