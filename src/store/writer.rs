//! Publishing a forecast, step by step.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use ndarray::Array2;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde_json::{Map, Value};

use super::array::VariableArray;
use super::manifest::{MANIFEST_FILE, Manifest, RunState, StepRecord};
use super::metadata::{self, Copy};
use super::reader::ForecastReader;
use super::spec::{Encoding, ForecastSpec};
use super::{Location, StoreError, series};
use crate::atmos::Field;

/// Objects that are written at the same time.
pub(super) const CONCURRENT_WRITES: usize = 8;
const LOCK_FILE: &str = ".lock";

/// The one process that writes a forecast.
pub struct ForecastWriter {
    location: Location,
    spec: Arc<ForecastSpec>,
    arrays: Vec<Arc<VariableArray>>,
    manifest: Manifest,
    /// What the stored manifest must still be when it is replaced, on stores that can tell.
    version: Option<UpdateVersion>,
    /// Held as long as this writer lives, on a local disk; the system releases it when the process dies.
    _lock: Option<File>,
}

impl ForecastWriter {
    /// Starts a forecast, or goes on with the one that has the same run key. Another forecast at this place is an error,
    /// unless `overwrite`; anything that is not a forecast is never touched.
    pub async fn create_or_resume(
        location: &Location,
        spec: ForecastSpec,
        overwrite: bool,
    ) -> Result<Self, StoreError> {
        let lock = lock(location)?;
        let store = location.store();
        let path = Path::from(MANIFEST_FILE);
        let mut found = match store.get(&path).await {
            Ok(result) => {
                let version = UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
                let bytes = result
                    .bytes()
                    .await
                    .map_err(|error| StoreError::storage(format!("reading {location}/{path}"), error))?;
                Some((bytes, version))
            }
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(StoreError::storage(format!("reading {location}/{path}"), error)),
        };
        if let Some((bytes, _)) = &found {
            let other = Manifest::parse(&format!("{location}/{path}"), bytes);
            let same = other.as_ref().is_ok_and(|manifest| manifest.run_key == spec.run_key);
            if !same && !overwrite {
                let found = match other {
                    Ok(manifest) => {
                        format!("a forecast of {} from {} (another run key)", manifest.model, manifest.reference_time)
                    }
                    Err(error) => error.to_string(),
                };
                return Err(StoreError::AlreadyExists { location: location.to_string(), found });
            }
            if overwrite {
                clear(location).await?;
                found = None;
            }
        } else if let Some(other) = first_object(location).await? {
            return Err(StoreError::AlreadyExists {
                location: location.to_string(),
                found: format!("{other} and no forecast.json"),
            });
        }

        let spec = Arc::new(spec);
        let arrays = (0..spec.outputs.len())
            .map(|output| VariableArray::open(location, &spec, output, Copy::Map).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut writer = Self {
            location: location.clone(),
            manifest: Manifest::new(&spec),
            spec,
            arrays,
            version: None,
            _lock: lock,
        };
        match found {
            Some((bytes, version)) => {
                writer.manifest = Manifest::parse(&format!("{location}/{path}"), &bytes)?;
                writer.version = Some(version);
                if writer.manifest.state == RunState::Failed {
                    writer.manifest.state = RunState::Running;
                    writer.manifest.reason = None;
                }
            }
            // first of all: from now on this place is a forecast, and another attempt knows whose
            None => writer.write_manifest().await?,
        }
        if writer.manifest.state != RunState::Done {
            let provenance = writer.manifest.provenance.clone();
            writer.write_documents(Copy::Map, &provenance).await?;
        }
        Ok(writer)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Number of steps that are published, the analysis included.
    pub fn steps_complete(&self) -> usize {
        self.manifest.steps_complete
    }

    /// The fields of a published step, bit for bit as they were given to [`Self::write_step`], in the order of the outputs.
    pub async fn restart_fields(&self, step: usize) -> Result<Vec<Array2<f32>>, StoreError> {
        let fields = if self.spec.encoding == Encoding::Packed {
            self.read_restart(step).await?
        } else {
            ForecastReader::of(&self.location, &self.manifest, &self.spec)?.step(step).await?
        };
        let expected = self.manifest.steps[step].crc32c;
        let found = checksum(fields.iter());
        if found != expected {
            let object = format!("step {step} of {}", self.location);
            return Err(StoreError::Corrupt {
                object,
                reason: format!("checksum {found:08x} where the manifest says {expected:08x}"),
            });
        }
        Ok(fields)
    }

    /// Publishes the next step. `fields` are all variables on all levels, in the order of the outputs.
    pub async fn write_step(&mut self, fields: &[Field]) -> Result<(), StoreError> {
        let step = self.manifest.steps_complete;
        let positions: Vec<(usize, usize)> = self.spec.fields().collect();
        let wrong = |reason: String| StoreError::NotPublished { what: format!("step {step}"), reason };
        if step >= self.spec.lead_times.len() || fields.len() != positions.len() {
            return Err(wrong(format!(
                "{} fields given, {} expected, {} steps in all",
                fields.len(),
                positions.len(),
                self.spec.lead_times.len()
            )));
        }
        for (field, &(output, level)) in fields.iter().zip(&positions) {
            let output = &self.spec.outputs[output];
            if field.variable().name != output.variable.name || field.level() != output.levels[level] {
                return Err(wrong(format!(
                    "{} {} given where {} {} is due",
                    field.variable().name,
                    field.level(),
                    output.variable.name,
                    output.levels[level]
                )));
            }
        }
        let (h, w) = self.spec.grid.shape();
        let writes = fields.iter().zip(positions).map(|(field, (output, level))| {
            let array = self.arrays[output].clone();
            let values: Vec<f32> = field.values().iter().copied().collect();
            // encoding is work for the processor: spread over the runtime's threads
            async move {
                tokio::spawn(async move { array.write_object((step as u64, level, 0), (1, h, w), &values).await })
                    .await
                    .map_err(|error| StoreError::storage("writing a step", error))?
            }
        });
        stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).try_collect::<Vec<()>>().await?;
        if self.spec.encoding == Encoding::Packed {
            self.write_restart(step, fields).await?;
        }
        let crc32c = checksum(fields.iter().map(Field::values));
        self.manifest.steps.push(StepRecord { lead_seconds: self.spec.lead_times[step].seconds(), crc32c });
        self.manifest.steps_complete += 1;
        self.write_manifest().await?;
        if self.spec.encoding == Encoding::Packed
            && let Some(old) = step.checked_sub(self.spec.restart_states)
        {
            self.delete(&restart_path(old)).await?;
        }
        Ok(())
    }

    /// After the last step: the series copy, what is only known at the end, and the manifest that says done.
    pub async fn finish(&mut self, provenance: Map<String, Value>) -> Result<(), StoreError> {
        if self.manifest.state == RunState::Done {
            return Ok(());
        }
        series::write(&self.location, &self.spec, &self.manifest).await?;
        self.manifest.provenance.extend(provenance);
        let provenance = self.manifest.provenance.clone();
        self.write_documents(Copy::Series, &provenance).await?;
        self.write_documents(Copy::Map, &provenance).await?;
        self.manifest.series = true;
        self.manifest.state = RunState::Done;
        self.write_manifest().await?;
        if self.spec.encoding == Encoding::Packed {
            for step in self.manifest.steps_total.saturating_sub(self.spec.restart_states)..self.manifest.steps_total {
                self.delete(&restart_path(step)).await?;
            }
        }
        Ok(())
    }

    /// Says why the run stopped. What was published stays readable.
    pub async fn fail(&mut self, reason: String) -> Result<(), StoreError> {
        self.manifest.state = RunState::Failed;
        self.manifest.reason = Some(reason);
        self.write_manifest().await
    }

    async fn write_documents(&self, copy: Copy, provenance: &Map<String, Value>) -> Result<(), StoreError> {
        let location = match copy {
            Copy::Map => self.location.clone(),
            Copy::Series => self.location.join(series::FOLDER),
        };
        let documents = metadata::documents(&self.spec, copy, provenance);
        let text = |value: &Value| serde_json::to_vec_pretty(value).unwrap_or_default();
        let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, bytes) in documents.coordinates {
            let dimensions = documents.arrays.iter().find(|(other, _)| *other == name);
            let rank = dimensions.and_then(|(_, document)| document["shape"].as_array()).map_or(0, Vec::len);
            objects.push((format!("{name}/c{}", "/0".repeat(rank)), bytes));
        }
        objects.extend(documents.arrays.iter().map(|(name, document)| (format!("{name}/zarr.json"), text(document))));
        stream::iter(objects.into_iter().map(|(path, bytes)| put(&location, path, bytes)))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<Vec<()>>()
            .await?;
        // last: what has a group document is complete
        put(&location, "zarr.json".to_owned(), text(&documents.group)).await
    }

    /// Replaces the manifest as one, and only if nobody else did meanwhile.
    async fn write_manifest(&mut self) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(&self.manifest).unwrap_or_default();
        let path = Path::from(MANIFEST_FILE);
        let mode = match (&self.version, &self._lock) {
            (None, _) => PutMode::Create,
            (Some(_), Some(_)) => PutMode::Overwrite, // the lock guards it; local disks know no conditional put
            (Some(version), None) => PutMode::Update(version.clone()),
        };
        let options = PutOptions { mode, ..Default::default() };
        match self.location.store().put_opts(&path, PutPayload::from(text), options).await {
            Ok(result) => {
                self.version = Some(UpdateVersion { e_tag: result.e_tag, version: result.version });
                Ok(())
            }
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {
                Err(StoreError::Busy(self.location.to_string()))
            }
            Err(error) => Err(StoreError::storage(format!("writing {}/{path}", self.location), error)),
        }
    }

    async fn write_restart(&self, step: usize, fields: &[Field]) -> Result<(), StoreError> {
        let bytes =
            fields.iter().flat_map(|field| field.values().iter().flat_map(|value| value.to_le_bytes())).collect();
        put(&self.location, restart_path(step), bytes).await
    }

    async fn read_restart(&self, step: usize) -> Result<Vec<Array2<f32>>, StoreError> {
        let path = restart_path(step);
        let object = format!("{}/{path}", self.location);
        let corrupt = |reason: String| StoreError::Corrupt { object: object.clone(), reason };
        let result = self.location.store().get(&Path::from(path)).await.map_err(|error| corrupt(error.to_string()))?;
        let bytes: Bytes =
            result.bytes().await.map_err(|error| StoreError::storage(format!("reading {object}"), error))?;
        let (h, w) = self.spec.grid.shape();
        let count = self.spec.fields().count();
        if bytes.len() != count * h * w * 4 {
            return Err(corrupt(format!("{} bytes where {} are due", bytes.len(), count * h * w * 4)));
        }
        let field = |bytes: &[u8]| {
            let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            Array2::from_shape_vec((h, w), values).map_err(|error| corrupt(error.to_string()))
        };
        bytes.chunks_exact(h * w * 4).map(field).collect()
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.location.store().delete(&Path::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::storage(format!("deleting {}/{path}", self.location), error)),
        }
    }
}

fn restart_path(step: usize) -> String {
    format!("restart/{step}")
}

/// CRC-32C of the values, little-endian, one field after the other.
fn checksum<'a>(fields: impl Iterator<Item = &'a Array2<f32>>) -> u32 {
    let mut crc = 0;
    let mut bytes = Vec::new();
    for field in fields {
        bytes.clear();
        bytes.extend(field.iter().flat_map(|value| value.to_le_bytes()));
        crc = crc32c::crc32c_append(crc, &bytes);
    }
    crc
}

async fn put(location: &Location, path: String, bytes: Vec<u8>) -> Result<(), StoreError> {
    let result = location.store().put(&Path::from(path.as_str()), PutPayload::from(bytes)).await;
    result.map(drop).map_err(|error| StoreError::storage(format!("writing {location}/{path}"), error))
}

/// Makes the folder and takes its lock; nothing on other stores, where the conditional put of the manifest guards.
fn lock(location: &Location) -> Result<Option<File>, StoreError> {
    let Some(folder) = location.local_folder() else { return Ok(None) };
    let failed = |error: std::io::Error| StoreError::storage(format!("making the folder {}", folder.display()), error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = File::create(folder.join(LOCK_FILE)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Busy(location.to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Something that lies at this place and is not ours.
async fn first_object(location: &Location) -> Result<Option<Path>, StoreError> {
    let failed = |error| StoreError::storage(format!("listing {location}"), error);
    let mut listed = location.store().list(None);
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        if object.location.as_ref() != LOCK_FILE {
            return Ok(Some(object.location));
        }
    }
    Ok(None)
}

/// Deletes a forecast: its manifest last, so that an interrupted deletion can be taken up again.
async fn clear(location: &Location) -> Result<(), StoreError> {
    let failed = |error| StoreError::storage(format!("deleting the forecast at {location}"), error);
    let objects: Vec<Path> =
        location.store().list(None).map_ok(|object| object.location).try_collect().await.map_err(failed)?;
    let (last, rest): (Vec<Path>, Vec<Path>) =
        objects.into_iter().filter(|path| path.as_ref() != LOCK_FILE).partition(|path| path.as_ref() == MANIFEST_FILE);
    for paths in [rest, last] {
        let deletions = location.store().delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        deletions.try_collect::<Vec<Path>>().await.map_err(failed)?;
    }
    Ok(())
}
