//! `forecast.json`: which steps may be read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use super::spec::{Encoding, ForecastSpec, Output};
use crate::atmos::{Grid, LeadTime, Level, ReferenceTime, Variable};

/// Name of the manifest, beside the arrays.
pub(super) const MANIFEST_FILE: &str = "forecast.json";
const FORMAT: u32 = 1;

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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub run_key: String,
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

#[derive(Debug, Clone, Serialize, Deserialize)]
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
        Ok(ForecastSpec {
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
        })
    }
}
