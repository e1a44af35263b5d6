//! The manifest of an ensemble whose members are written by several writers at the same time.
//!
//! Each writer has members of its own, and the manifest says who has which. It is read, changed and put back, if nobody else
//! changed it meanwhile; then the change is made again. Every change comes to the same end however often it is made.

use std::time::{Duration, Instant};

use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::StoreError;
use super::manifest::{MANIFEST_FILE, Manifest, RunState};
use super::writer::{ForecastWriter, Found};

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

    /// Changes what the manifest says, as long as the members are still this writer's. What it tells of is on the disk
    /// before it.
    pub(super) async fn change_shared(&mut self, change: impl Fn(&mut Manifest)) -> Result<(), StoreError> {
        self.replace(change, true).await
    }

    /// Puts the first manifest there, unless somebody else has done so.
    async fn begin(&self) -> Result<(), StoreError> {
        self.check_turn()?;
        match Manifest::read(&self.location).await {
            Err(StoreError::NotFound(_)) => self.put(None, &self.manifest).await.map(drop),
            other => other.map(drop),
        }
    }

    async fn replace(&mut self, change: impl Fn(&mut Manifest), owned: bool) -> Result<(), StoreError> {
        let begin = Instant::now();
        let busy = || StoreError::Busy(self.location.to_string());
        loop {
            self.check_turn()?;
            let (found, version) = Manifest::read(&self.location).await?;
            let found = found?;
            let same = found.same_contents(&self.manifest);
            let mut members = found.members.iter().take(self.own.end).skip(self.own.start);
            if !same || (owned && !members.all(|member| member.attempt == self.attempt)) {
                return Err(busy());
            }
            let mut changed = found.clone();
            // another who found the last step there has finished it all
            if found.state != RunState::Done {
                change(&mut changed);
                if !self.put(Some((&found, version)), &changed).await? {
                    if begin.elapsed() > PATIENCE {
                        return Err(busy());
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            self.manifest = changed;
            return Ok(());
        }
    }

    /// Whether it is there now: not where somebody else was faster.
    async fn put(&self, before: Option<(&Manifest, UpdateVersion)>, manifest: &Manifest) -> Result<bool, StoreError> {
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| StoreError::storage("writing JSON", error))?;
        if let Some(folder) = self.location.local_folder() {
            let is_expected = |found: &Found| match (found, &before) {
                (Found::Manifest(found), Some((before, _))) => **found == **before,
                (Found::Nothing, None) => true,
                _ => false,
            };
            return self.replace_manifest(folder.to_owned(), text, is_expected).await;
        }
        self.check_turn()?;
        let mode = before.map_or(PutMode::Create, |(_, version)| PutMode::Update(version));
        let options = PutOptions { mode, ..Default::default() };
        match self.location.store().put_opts(&Path::from(MANIFEST_FILE), PutPayload::from(text), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(StoreError::storage(format!("writing {}/{MANIFEST_FILE}", self.location), error)),
        }
    }
}
