//! The manifest of an ensemble whose members are written by several writers at the same time.
//!
//! Each writer has members of its own, and the manifest says who has which. It is read, changed and put back, under the lock
//! on a local disk, and only if nobody else changed it meanwhile on other stores; then the change is made again. Every change
//! comes to the same end however often it is made.

use std::time::{Duration, Instant};

use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};

use super::manifest::{MANIFEST_FILE, Manifest, RunState};
use super::writer::ForecastWriter;
use super::{StoreError, claim};

/// For others to be done with the manifest.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

impl ForecastWriter {
    /// From now on these members are this writer's: whoever had them writes nothing more.
    pub(super) async fn take_over(&mut self) -> Result<(), StoreError> {
        self.begin().await?;
        let (own, attempt) = (self.own.clone(), self.attempt.clone());
        let take = |manifest: &mut Manifest| {
            manifest.members[own.clone()].iter_mut().for_each(|member| member.attempt.clone_from(&attempt));
            if manifest.state == RunState::Failed {
                manifest.state = RunState::Running;
                manifest.reason = None;
            }
        };
        self.replace(take, false).await
    }

    /// Changes what the manifest says, as long as the members are still this writer's.
    pub(super) async fn change_shared(&mut self, change: impl Fn(&mut Manifest)) -> Result<(), StoreError> {
        self.sync().await?;
        self.replace(change, true).await
    }

    /// Puts the first manifest there, unless somebody else has done so.
    async fn begin(&self) -> Result<(), StoreError> {
        let _lock = self.lock_shared().await?;
        self.check_turn()?;
        match Manifest::read(&self.location).await {
            Err(StoreError::NotFound(_)) => match self.put(&self.manifest, PutMode::Create).await {
                Ok(()) | Err(Conflict::Changed) => Ok(()),
                Err(Conflict::Failed(error)) => Err(error),
            },
            other => other.map(drop),
        }
    }

    async fn replace(&mut self, change: impl Fn(&mut Manifest), owned: bool) -> Result<(), StoreError> {
        let begin = Instant::now();
        loop {
            self.check_turn()?;
            let lock = self.lock_shared().await?;
            self.check_turn()?;
            let (found, version) = Manifest::read(&self.location).await?;
            let mut manifest = found?;
            let same = manifest.same_contents(&self.manifest);
            let mut members = manifest.members.iter().take(self.own.end).skip(self.own.start);
            if !same || (owned && !members.all(|member| member.attempt == self.attempt)) {
                return Err(StoreError::Busy(self.location.to_string()));
            }
            // another who found the last step there has finished it all
            if manifest.state != RunState::Done {
                change(&mut manifest);
                match self.put(&manifest, PutMode::Update(version)).await {
                    Ok(()) => {}
                    Err(Conflict::Changed) if begin.elapsed() < PATIENCE => {
                        drop(lock);
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(Conflict::Changed) => return Err(StoreError::Busy(self.location.to_string())),
                    Err(Conflict::Failed(error)) => return Err(error),
                }
            }
            self.manifest = manifest;
            return Ok(());
        }
    }

    /// The lock under which a manifest is replaced on a local disk, where it is not held anyway.
    async fn lock_shared(&self) -> Result<Option<std::fs::File>, StoreError> {
        match self.lock {
            Some(_) => Ok(None),
            None => claim::lock_soon(&self.location).await,
        }
    }

    async fn put(&self, manifest: &Manifest, mode: PutMode) -> Result<(), Conflict> {
        let object = format!("{}/{MANIFEST_FILE}", self.location);
        let failed = |error| Conflict::Failed(StoreError::storage(format!("writing {object}"), error));
        let text = serde_json::to_vec_pretty(manifest)
            .map_err(|error| Conflict::Failed(StoreError::storage("writing JSON", error)))?;
        // a lock guards it; local disks know no conditional put
        let mode = if self.location.local_folder().is_some() { PutMode::Overwrite } else { mode };
        let options = PutOptions { mode, ..Default::default() };
        let store = self.location.durable_store();
        match store.put_opts(&Path::from(MANIFEST_FILE), PutPayload::from(text), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {
                Err(Conflict::Changed)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// Why a manifest was not replaced.
enum Conflict {
    /// Somebody else was faster.
    Changed,
    Failed(StoreError),
}
