//! Publishing a forecast, step by step.

use std::fs::File;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::{Array2, Axis};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::array::{ObjectIndex, VariableArray};
use super::manifest::{EnergyRecord, MANIFEST_FILE, Manifest, RunState, StepRecord};
use super::metadata::Copy;
use super::reader::ForecastReader;
use super::shard::bytes_of;
use super::spec::ForecastSpec;
use super::{Fence, Location, StoreError, claim, restart};
use crate::atmos::Field;

/// Objects that are written at the same time.
pub(super) const CONCURRENT_WRITES: usize = 8;

/// By what right a writer writes.
#[derive(Debug)]
enum Turn {
    /// Nobody else's turn is known of: on a local disk the folder is locked as long as the writer lives.
    Alone,
    /// Somebody gives out turns, and this one can be lost. The folder is locked only while the manifest is replaced, so that
    /// whoever comes next need not wait for a process that was stopped.
    Leased(Fence),
}

/// The one process that writes a forecast, or some members of an ensemble, of which others write others at the same time.
///
/// The manifest is only ever replaced if it is still this writer's own: whoever goes on with a forecast makes the manifest
/// its own first, and an older writer that still lives gets [`StoreError::Busy`] when it publishes. On a local disk, where
/// nothing can be replaced conditionally, a lock makes it so.
pub struct ForecastWriter {
    pub(super) location: Location,
    pub(super) spec: Arc<ForecastSpec>,
    pub(super) arrays: Vec<Arc<VariableArray>>,
    pub(super) manifest: Manifest,
    /// This writer's own name, as the manifest has it.
    pub(super) attempt: String,
    /// The members that are this writer's to write: all, unless others write others at the same time.
    pub(super) own: Range<usize>,
    /// Whether others may write other members at the same time.
    pub(super) shared: bool,
    /// What the stored manifest must still be when it is replaced, on stores that can tell.
    version: Option<UpdateVersion>,
    /// The attempt whose manifest is there; `None` where none is.
    stored: Option<String>,
    turn: Turn,
    /// What this writer's steps took until now.
    energy: Option<EnergyRecord>,
    /// Held as long as this writer lives.
    pub(super) lock: Option<File>,
}

impl ForecastWriter {
    /// Starts a forecast, or goes on with the one that has the same run key. Another forecast at this place is an error,
    /// unless `overwrite`; anything that is not a forecast is never touched.
    pub async fn create_or_resume(
        location: &Location,
        spec: ForecastSpec,
        overwrite: bool,
    ) -> Result<Self, StoreError> {
        let all = 0..spec.members;
        Self::open(location, spec, all, overwrite, Turn::Alone).await
    }

    /// The same for one of many processes that take turns, as a lease gives them out: as long as the fence is open. A writer
    /// that another one has followed writes nothing more.
    pub async fn under_lease(location: &Location, spec: ForecastSpec, fence: Fence) -> Result<Self, StoreError> {
        let all = 0..spec.members;
        Self::open(location, spec, all, false, Turn::Leased(fence)).await
    }

    /// The same for some members of an ensemble. Others may write the other members at the same time.
    pub async fn of_members(
        location: &Location,
        spec: ForecastSpec,
        own: Range<usize>,
        fence: Fence,
    ) -> Result<Self, StoreError> {
        Self::open(location, spec, own, false, Turn::Leased(fence)).await
    }

    async fn open(
        location: &Location,
        spec: ForecastSpec,
        own: Range<usize>,
        overwrite: bool,
        turn: Turn,
    ) -> Result<Self, StoreError> {
        spec.validate()?;
        if own.is_empty() || own.end > spec.members {
            let reason = format!("the forecast has members 0 to {}", spec.members - 1);
            return Err(StoreError::Invalid { what: format!("members {own:?}"), reason });
        }
        // before the lock file, which would be the first thing of ours there
        claim::refuse_foreign(location).await?;
        let lock = match &turn {
            Turn::Alone => claim::lock(location)?,
            Turn::Leased(_) => {
                // makes the folder, and finds whoever has locked it for good
                drop(claim::lock_soon(location).await?);
                None
            }
        };
        let mut stored = None;
        let mut manifest = Manifest::new(&spec);
        let version = match Manifest::read(location).await {
            Ok((found, version)) => {
                stored = Some(found.as_ref().map_or_else(|_| String::new(), |found| found.attempt.clone()));
                let resumed = found.as_ref().is_ok_and(|found| found.same_contents(&manifest));
                if !overwrite && !resumed {
                    let found = match found {
                        Ok(found) if found.run_key == manifest.run_key => "the same run with other contents".to_owned(),
                        Ok(found) => {
                            format!("a forecast of {} from {} (another run)", found.model, found.reference_time)
                        }
                        Err(error) => error.to_string(),
                    };
                    return Err(StoreError::AlreadyExists { location: location.to_string(), found });
                }
                match found {
                    Ok(found) if !overwrite => {
                        let attempt = manifest.attempt;
                        manifest = Manifest { attempt, ..found };
                    }
                    Err(error) if !claim::is_group(location).await? => return Err(error),
                    _ => {}
                }
                Some(version)
            }
            Err(StoreError::NotFound(_)) => {
                claim::refuse_foreign(location).await?;
                None
            }
            Err(error) => return Err(error),
        };
        let arrays = VariableArray::all(location, &spec, Copy::Map)?;
        let spec = Arc::new(spec);
        let shared = spec.is_ensemble() && matches!(turn, Turn::Leased(_));
        let (location, attempt) = (location.clone(), manifest.attempt.clone());
        let mut writer =
            Self { location, spec, arrays, manifest, attempt, own, shared, version, stored, turn, energy: None, lock };
        if writer.manifest.state == RunState::Done {
            writer.check_turn()?;
            claim::clear(&writer.location, Some(restart::FOLDER)).await?;
            return Ok(writer);
        }
        // first of all: from now on this place is this writer's, and readers trust nothing that lay here before
        if writer.shared {
            // what others are writing lies here, too: nothing is cleared
            writer.take_over().await?;
        } else {
            writer.manifest.state = RunState::Running;
            writer.manifest.reason = None;
            writer.manifest.members.iter_mut().for_each(|member| member.attempt.clone_from(&writer.attempt));
            writer.write_manifest().await?;
            if (0..writer.spec.members).all(|member| writer.steps_complete_of(member) == 0) {
                claim::clear(&writer.location, None).await?;
            }
            claim::sweep(&writer.location)?;
        }
        let provenance = writer.manifest.provenance.clone();
        writer.write_documents(Copy::Map, &provenance).await?;
        Ok(writer)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Number of steps that are published, the analysis included; of an ensemble by all members.
    pub fn steps_complete(&self) -> usize {
        self.manifest.steps_complete
    }

    /// Number of steps that are published of a member; of a single forecast that is member 0.
    pub fn steps_complete_of(&self, member: usize) -> usize {
        self.steps(member).len()
    }

    fn steps(&self, member: usize) -> &[StepRecord] {
        self.manifest.members.get(member).map_or(&self.manifest.steps, |member| &member.steps)
    }

    /// The members that are this writer's to write.
    pub fn own(&self) -> Range<usize> {
        self.own.clone()
    }

    /// The fields that a run goes on from after a published step, bit for bit as they were given to [`Self::write_step`], in
    /// the order of the outputs. A forecast that keeps them apart (packed, or [`ForecastSpec::restart_apart`]) has them for the last [`ForecastSpec::restart_states`] steps only, and none once it is done.
    pub async fn restart_fields(&self, member: usize, step: usize) -> Result<Vec<Array2<f32>>, StoreError> {
        let steps = self.steps(member);
        let Some(record) = steps.get(step) else {
            let (complete, total) = (steps.len(), self.manifest.steps_total);
            let reason = format!("{complete} of {total} steps are published so far");
            return Err(StoreError::NotPublished { what: format!("step {step}"), reason });
        };
        let fields = match self.spec.keeps_restart() {
            true => restart::read(&self.location, &self.spec, &restart::path(&self.spec, member, step)).await?,
            false => {
                let reader = ForecastReader::of(&self.location, &self.manifest, &self.spec)?;
                reader.of_member(member)?.step(step).await?
            }
        };
        let (expected, found) = (record.crc32c, checksum(fields.iter()));
        if found != expected {
            let object = format!("step {step} of {}", self.location);
            let reason = format!("checksum {found:08x} where the manifest says {expected:08x}");
            return Err(StoreError::Corrupt { object, reason });
        }
        Ok(fields)
    }

    /// What this writer's steps took until now; told with the next thing that is published.
    pub fn note_energy(&mut self, steps: usize, (joules, idle_joules): (f64, f64), source: &str) {
        let (attempt, source) = (self.attempt.clone(), source.to_owned());
        self.energy = Some(EnergyRecord { attempt, steps, joules, idle_joules, source });
    }

    /// Publishes the next step of a single forecast. `fields` are all variables on all levels, in the order of the outputs.
    pub async fn write_step(&mut self, fields: &[Field]) -> Result<(), StoreError> {
        self.write_step_of(0, fields, fields).await
    }

    /// The same of a member, and where a resumed run goes on from other fields than those that are published
    /// ([`ForecastSpec::restart_apart`]).
    pub async fn write_step_of(
        &mut self,
        member: usize,
        fields: &[Field],
        restart: &[Field],
    ) -> Result<(), StoreError> {
        if !self.own.contains(&member) {
            let reason = format!("members {:?} are this writer's", self.own);
            return Err(StoreError::Invalid { what: format!("a step of member {member}"), reason });
        }
        let step = self.steps_complete_of(member);
        let positions = self.positions_of(step, fields)?;
        let writes = fields.iter().zip(positions).map(|(field, (output, level))| {
            let array = self.arrays[output].clone();
            let index = ObjectIndex { lead: step, member, level, band: 0 };
            let turn = self.check_turn();
            // copied when its turn comes, not all at once
            async move {
                turn?;
                array.write(index, field.values().clone().insert_axis(Axis(0))).await
            }
        });
        stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).try_collect::<()>().await?;
        let kept = self.spec.keeps_restart();
        if kept {
            restart::write(&self.location, &restart::path(&self.spec, member, step), restart).await?;
        }
        let crc32c = checksum(restart.iter().map(Field::values));
        let record = StepRecord { lead_seconds: self.spec.lead_times[step].seconds(), crc32c };
        self.change_manifest(|manifest| {
            match manifest.members.get_mut(member) {
                Some(of_member) => {
                    // to the same end however often it is done
                    of_member.steps.truncate(step);
                    of_member.steps.push(record.clone());
                    manifest.settle();
                }
                None => {
                    manifest.steps.push(record.clone());
                    manifest.steps_complete += 1;
                }
            }
        })
        .await?;
        self.check_turn()?;
        // whoever makes a step whole also makes what is made of all members
        if self.manifest.steps_complete == step + 1 {
            self.write_statistics(&[step]).await?;
        }
        if kept && let Some(old) = step.checked_sub(self.spec.restart_states.max(1)) {
            self.delete(&restart::path(&self.spec, member, old)).await?;
        }
        Ok(())
    }

    /// Output and level of each field, if they are what is due.
    fn positions_of(&self, step: usize, fields: &[Field]) -> Result<Vec<(usize, usize)>, StoreError> {
        let invalid = |reason: String| StoreError::Invalid { what: format!("step {step}"), reason };
        let Some(&lead) = self.spec.lead_times.get(step) else {
            return Err(invalid("all steps are published".to_owned()));
        };
        let valid_time = self.spec.reference_time + lead;
        let positions: Vec<(usize, usize)> = self.spec.fields().collect();
        if fields.len() != positions.len() {
            return Err(invalid(format!("{} fields given where {} are due", fields.len(), positions.len())));
        }
        for (field, &(output, level)) in fields.iter().zip(&positions) {
            let output = &self.spec.outputs[output];
            let (name, found) = (&field.variable().name, field.level());
            let (due_name, due) = (&output.variable.name, output.levels[level]);
            if name != due_name || found != due {
                return Err(invalid(format!("{name} {found} given where {due_name} {due} is due")));
            }
            if field.valid_time() != valid_time {
                return Err(invalid(format!("{name} {found} is for {}, not {valid_time}", field.valid_time())));
            }
            if !Arc::ptr_eq(field.grid(), &self.spec.grid) && !field.grid().same_points(&self.spec.grid) {
                return Err(invalid(format!("{name} {found} is on {}, not {}", field.grid(), self.spec.grid)));
            }
        }
        Ok(positions)
    }

    /// Says why the run stopped. What was published stays readable.
    pub async fn fail(&mut self, reason: String) -> Result<(), StoreError> {
        self.change_manifest(|manifest| {
            manifest.state = RunState::Failed;
            manifest.reason = Some(reason.clone());
        })
        .await
    }

    /// Changes the manifest that readers see.
    pub(super) async fn change_manifest(&mut self, change: impl Fn(&mut Manifest)) -> Result<(), StoreError> {
        let energy = self.energy.clone();
        let change = |manifest: &mut Manifest| {
            change(manifest);
            if let Some(energy) = &energy {
                manifest.note_energy(energy);
            }
        };
        if self.shared {
            return self.change_shared(change).await;
        }
        change(&mut self.manifest);
        self.write_manifest().await
    }

    /// Fails where somebody else may write by now.
    pub(super) fn check_turn(&self) -> Result<(), StoreError> {
        match &self.turn {
            Turn::Alone => Ok(()),
            Turn::Leased(fence) => fence.check(&self.location),
        }
    }

    /// Replaces the manifest as one, and only if nobody else did meanwhile. What it tells of is on the disk before it.
    async fn write_manifest(&mut self) -> Result<(), StoreError> {
        let text =
            serde_json::to_vec_pretty(&self.manifest).map_err(|error| StoreError::storage("writing JSON", error))?;
        match self.location.local_folder().map(FilePath::to_path_buf) {
            Some(folder) => {
                let is_ours = |found: &Found| self.lock.is_some() || found.attempt() == self.stored.as_deref();
                if !self.replace_manifest(folder, text, is_ours).await? {
                    return Err(StoreError::Busy(self.location.to_string()));
                }
            }
            None => {
                self.check_turn()?;
                self.version = Some(self.put_manifest(text).await?);
            }
        }
        self.stored = Some(self.manifest.attempt.clone());
        Ok(())
    }

    /// On stores that replace an object only if it is what it was.
    async fn put_manifest(&self, text: Vec<u8>) -> Result<UpdateVersion, StoreError> {
        let mode = self.version.clone().map_or(PutMode::Create, PutMode::Update);
        let options = PutOptions { mode, ..Default::default() };
        match self.location.store().put_opts(&Path::from(MANIFEST_FILE), PutPayload::from(text), options).await {
            Ok(result) => Ok(UpdateVersion { e_tag: result.e_tag, version: result.version }),
            // it may be this very manifest: the store did what was asked, its answer was lost, and the request was repeated
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {
                match Manifest::read(&self.location).await? {
                    (Ok(stored), version) if stored == self.manifest => Ok(version),
                    _ => Err(StoreError::Busy(self.location.to_string())),
                }
            }
            Err(error) => Err(StoreError::storage(format!("writing {}/{MANIFEST_FILE}", self.location), error)),
        }
    }

    /// On a local disk, which knows no conditional put: a lock guards it. It is held for a look and a renaming only, because
    /// a process that is stopped with the lock in its hand stops whoever would go on with its run. Whether it was replaced:
    /// not where what is there is not what is expected.
    pub(super) async fn replace_manifest(
        &self,
        folder: PathBuf,
        text: Vec<u8>,
        is_expected: impl Fn(&Found) -> bool,
    ) -> Result<bool, StoreError> {
        let failed = |error: std::io::Error| {
            StoreError::storage(format!("bringing {}/{MANIFEST_FILE} to the disk", self.location), error)
        };
        // a name that the object store shows to nobody, and that is swept away where its writer was killed
        let number = u64::from_str_radix(&self.attempt, 16).unwrap_or_default();
        let staged = folder.join(format!("{MANIFEST_FILE}#{number}"));
        let (location, writing) = (self.location.clone(), staged.clone());
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::write(&writing, text)?;
            if cfg!(not(target_os = "linux")) {
                File::open(writing)?.sync_all()?;
            }
            location.sync()
        });
        synced.await.map_err(std::io::Error::other).flatten().map_err(failed)?;
        self.check_turn()?;
        let lock = match self.lock {
            Some(_) => None,
            None => claim::lock_soon(&self.location).await?,
        };
        self.check_turn()?;
        let found = match Manifest::read(&self.location).await {
            Ok((found, _)) => found.map_or(Found::Unreadable, |found| Found::Manifest(Box::new(found))),
            Err(StoreError::NotFound(_)) => Found::Nothing,
            Err(error) => return Err(error),
        };
        if !is_expected(&found) {
            return Ok(false);
        }
        std::fs::rename(staged, folder.join(MANIFEST_FILE)).map_err(failed)?;
        drop(lock);
        let synced = tokio::task::spawn_blocking(move || File::open(folder)?.sync_all()).await;
        synced.map_err(std::io::Error::other).flatten().map_err(failed)?;
        Ok(true)
    }

    async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        match self.location.store().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::storage(format!("deleting {}/{path}", self.location), error)),
        }
    }
}

/// What is there when a manifest is to be replaced.
pub(super) enum Found {
    Nothing,
    Unreadable,
    Manifest(Box<Manifest>),
}

impl Found {
    /// Whose it is; nobody's that is known, where it is unreadable.
    fn attempt(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Unreadable => Some(""),
            Self::Manifest(found) => Some(&found.attempt),
        }
    }
}

/// CRC-32C of the values, little-endian, one field after the other.
fn checksum<'a>(fields: impl Iterator<Item = &'a Array2<f32>>) -> u32 {
    fields.fold(0, |crc, field| crc32c::crc32c_append(crc, &bytes_of(field.iter().map(|value| value.to_le_bytes()))))
}
