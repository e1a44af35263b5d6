//! The end of a forecast.

use std::io::ErrorKind;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::manifest::MANIFEST_FILE;
use super::{Fence, ForecastPath, Location, StoreError};

/// Deletes a forecast and everything of it, as long as the fence is open. The manifest goes first: from then on nobody reads
/// what goes after it. What is gone already is no error.
pub async fn delete_forecast(root: &Location, path: &ForecastPath, fence: &Fence) -> Result<(), StoreError> {
    let location = path.location(root);
    let failed = |error| StoreError::storage(format!("deleting {location}"), error);
    fence.check(&location)?;
    match location.store().delete(&Path::from(MANIFEST_FILE)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let run = Path::from(path.to_string());
    if let Some(root) = root.local_folder() {
        // with the folders, which are no objects
        let folder = run.parts().fold(root.to_path_buf(), |folder, part| folder.join(part.as_ref()));
        let removed = tokio::task::spawn_blocking(move || {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // that of the reference time, where this was its last forecast
            if let Some(time) = folder.parent() {
                let _ = std::fs::remove_dir(time);
            }
            Ok(())
        });
        let removed = removed.await.map_err(std::io::Error::other).flatten();
        return removed.map_err(|error| StoreError::storage(format!("deleting {location}"), error));
    }
    let (fence, place) = (fence.clone(), location.clone());
    let objects = root.store().list(Some(&run)).map_ok(|object| object.location);
    let allowed =
        objects.map(move |object| object.and_then(|object| fence.check(&place).map(|()| object).map_err(generic)));
    let mut deletions = root.store().delete_stream(allowed.boxed());
    while let Some(deleted) = deletions.next().await {
        match deleted {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn generic(error: StoreError) -> object_store::Error {
    object_store::Error::Generic { store: "fence", source: Box::new(error) }
}
