//! What a writer puts beside the steps: documents, the statistics of an ensemble, and at the end the series copy.

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Map, Value};

use super::manifest::{Manifest, RunState};
use super::metadata::{self, Copy, Documents};
use super::writer::{CONCURRENT_WRITES, ForecastWriter};
use super::{Location, StoreError, claim, restart, series, statistics};

impl ForecastWriter {
    /// After the last step: the series copy, what is only known at the end, and the manifest that says done.
    pub async fn finish(&mut self, provenance: Map<String, Value>) -> Result<(), StoreError> {
        let Manifest { state, steps_complete, steps_total, .. } = self.manifest;
        if state == RunState::Done {
            return Ok(());
        }
        if steps_complete < steps_total {
            let reason = format!("{steps_complete} of {steps_total} steps are published so far");
            return Err(StoreError::Invalid { what: "the end of the forecast".to_owned(), reason });
        }
        self.write_statistics(&self.manifest.steps_without_statistics()).await?;
        self.check_turn()?;
        series::write(&self.location, &self.spec, &self.arrays).await?;
        self.check_turn()?;
        let mut provenance = provenance;
        for (key, value) in &self.manifest.provenance {
            provenance.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self.write_documents(Copy::Series, &provenance).await?;
        self.write_documents(Copy::Map, &provenance).await?;
        self.change_manifest(|manifest| {
            manifest.provenance.clone_from(&provenance);
            manifest.series = true;
            manifest.state = RunState::Done;
        })
        .await?;
        if self.shared {
            claim::sweep(&self.location)?;
        }
        claim::clear(&self.location, Some(restart::FOLDER)).await
    }

    /// Of steps that all members have.
    pub(super) async fn write_statistics(&mut self, steps: &[usize]) -> Result<(), StoreError> {
        let Some(group) = statistics::Group::of(&self.spec) else { return Ok(()) };
        for &step in steps {
            self.check_turn()?;
            group.write(&self.location, (&self.spec, &self.arrays), step).await?;
            let lead = self.spec.lead_times[step].seconds();
            self.change_manifest(|manifest| {
                if let Some(record) = manifest.statistics.as_mut().filter(|record| !record.lead_seconds.contains(&lead))
                {
                    record.lead_seconds.push(lead);
                    record.lead_seconds.sort_unstable();
                }
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn write_documents(&self, copy: Copy, provenance: &Map<String, Value>) -> Result<(), StoreError> {
        let location = match copy {
            Copy::Map => self.location.clone(),
            Copy::Series => self.location.join(series::FOLDER),
        };
        Self::put_documents(&location, metadata::documents(&self.spec, copy, provenance)).await?;
        match statistics::Group::of(&self.spec).filter(|_| copy == Copy::Map) {
            Some(group) => {
                Self::put_documents(&self.location.join(statistics::FOLDER), group.documents(provenance)).await
            }
            None => Ok(()),
        }
    }

    async fn put_documents(location: &Location, documents: Documents) -> Result<(), StoreError> {
        let text = |value: &Value| format!("{value:#}").into_bytes();
        let mut objects = documents.coordinates;
        objects.extend(documents.arrays.iter().map(|(name, document)| (format!("{name}/zarr.json"), text(document))));
        stream::iter(objects.into_iter().map(|(path, bytes)| put(location, path, bytes)))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<Vec<()>>()
            .await?;
        // last: what has a group document is complete
        put(location, "zarr.json".to_owned(), text(&documents.group)).await
    }
}

async fn put(location: &Location, path: String, bytes: Vec<u8>) -> Result<(), StoreError> {
    let result = location.store().put(&Path::from(path.as_str()), PutPayload::from(bytes)).await;
    result.map(drop).map_err(|error| StoreError::storage(format!("writing {location}/{path}"), error))
}
