//! `forecast.json`: which steps may be read.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStoreExt, UpdateVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{Encoding, ForecastSpec, Output};
use super::{Location, StoreError};
use crate::atmos::{Grid, LeadTime, Level, ReferenceTime, Variable};

/// Name of the manifest, beside the arrays.
pub(super) const MANIFEST_FILE: &str = "forecast.json";
const FORMAT: u32 = 1;
/// A manifest is larger only if it is none.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    Done,
    Failed,
}

/// A step that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    pub lead_seconds: i64,
    /// CRC-32C of the step's float32 values, little-endian, in the order of the outputs, before any packing.
    pub crc32c: u32,
}

/// The manifest as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub run_key: String,
    /// The writer's own name. Two writers never have the same, so each can tell its manifest from the other's.
    #[serde(default)]
    pub attempt: String,
    pub model: String,
    pub title: String,
    pub reference_time: ReferenceTime,
    pub state: RunState,
    /// Why a run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub steps_complete: usize,
    pub steps_total: usize,
    /// The steps that may be read: the first `steps_complete` lead times.
    pub steps: Vec<StepRecord>,
    /// Whether `series/` is there.
    pub series: bool,
    pub lead_seconds: Vec<i64>,
    pub encoding: Encoding,
    pub latitude: Vec<f64>,
    pub longitude: Vec<f64>,
    pub outputs: Vec<OutputRecord>,
    pub restart_states: usize,
    pub provenance: Map<String, Value>,
}

/// An [`Output`] as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    pub name: String,
    pub standard_name: String,
    pub long_name: String,
    pub units: String,
    pub levels: Vec<String>,
    pub precision: f64,
    pub range: (f64, f64),
}

impl Manifest {
    /// The manifest of a run that has not published anything.
    pub(super) fn new(spec: &ForecastSpec) -> Self {
        Self {
            format: FORMAT,
            run_key: spec.run_key.clone(),
            attempt: format!("{:016x}", RandomState::new().build_hasher().finish()),
            model: spec.model.clone(),
            title: spec.title.clone(),
            reference_time: spec.reference_time,
            state: RunState::Running,
            reason: None,
            steps_complete: 0,
            steps_total: spec.lead_times.len(),
            steps: Vec::new(),
            series: false,
            lead_seconds: spec.lead_times.iter().map(|lead| lead.seconds()).collect(),
            encoding: spec.encoding,
            latitude: spec.grid.latitude().to_vec(),
            longitude: spec.grid.longitude().to_vec(),
            outputs: spec
                .outputs
                .iter()
                .map(|output| OutputRecord {
                    name: output.variable.name.to_string(),
                    standard_name: output.variable.standard_name.to_string(),
                    long_name: output.variable.long_name.to_string(),
                    units: output.variable.units.to_string(),
                    levels: output.levels.iter().map(ToString::to_string).collect(),
                    precision: output.precision,
                    range: output.range,
                })
                .collect(),
            restart_states: spec.restart_states,
            provenance: spec.provenance.clone(),
        }
    }

    /// Reads the manifest of the forecast at this place, with what is needed to replace it conditionally.
    pub(super) async fn read(location: &Location) -> Result<(Result<Self, StoreError>, UpdateVersion), StoreError> {
        let object = format!("{location}/{MANIFEST_FILE}");
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => StoreError::NotFound(location.to_string()),
            error => StoreError::storage(format!("reading {object}"), error),
        };
        let found = location.store().get(&Path::from(MANIFEST_FILE)).await.map_err(failed)?;
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        if found.meta.size > MOST_BYTES {
            let reason = format!("{} bytes are no manifest", found.meta.size);
            return Ok((Err(StoreError::Corrupt { object, reason }), version));
        }
        let bytes = found.bytes().await.map_err(failed)?;
        Ok((Self::parse(&object, &bytes), version))
    }

    pub(super) fn parse(object: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = |reason: String| StoreError::Corrupt { object: object.to_owned(), reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(corrupt(format!("format {} where this vejr reads {FORMAT}", manifest.format)));
        }
        let steps = manifest.steps.iter().map(|step| step.lead_seconds);
        if manifest.steps.len() != manifest.steps_complete
            || manifest.steps_total != manifest.lead_seconds.len()
            || manifest.steps_complete > manifest.steps_total
            || !steps.eq(manifest.lead_seconds.iter().copied().take(manifest.steps_complete))
        {
            return Err(corrupt("its lists of steps contradict each other".to_owned()));
        }
        Ok(manifest)
    }

    /// Whether both describe the same arrays, so that one writer can go on where another stopped.
    pub(super) fn same_contents(&self, other: &Self) -> bool {
        self.run_key == other.run_key
            && self.reference_time == other.reference_time
            && self.lead_seconds == other.lead_seconds
            && self.encoding == other.encoding
            && self.latitude == other.latitude
            && self.longitude == other.longitude
            && self.outputs == other.outputs
    }

    /// What the forecast holds.
    pub(super) fn spec(&self, object: &str) -> Result<ForecastSpec, StoreError> {
        let corrupt = |reason: String| StoreError::Corrupt { object: object.to_owned(), reason };
        let grid =
            Grid::new(self.latitude.clone(), self.longitude.clone()).map_err(|error| corrupt(error.to_string()))?;
        let outputs = self.outputs.iter().map(|record| {
            let levels = record.levels.iter().map(|level| level.parse::<Level>()).collect::<Result<Vec<_>, _>>();
            Ok(Output {
                variable: Variable::new(&record.name, &record.standard_name, &record.long_name, &record.units),
                levels: levels.map_err(|error| corrupt(error.to_string()))?,
                precision: record.precision,
                range: record.range,
            })
        });
        let spec = ForecastSpec {
            run_key: self.run_key.clone(),
            model: self.model.clone(),
            title: self.title.clone(),
            reference_time: self.reference_time,
            lead_times: self.lead_seconds.iter().map(|&seconds| LeadTime::from_seconds(seconds)).collect(),
            grid: Arc::new(grid),
            outputs: outputs.collect::<Result<_, StoreError>>()?,
            encoding: self.encoding,
            restart_states: self.restart_states,
            provenance: self.provenance.clone(),
        };
        spec.validate().map_err(|error| corrupt(error.to_string()))?;
        Ok(spec)
    }
}
