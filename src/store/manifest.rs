//! `forecast.json`: which steps may be read.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use ndarray::Array2;
use object_store::path::Path;
use object_store::{ObjectStoreExt, UpdateVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{Encoding, ForecastSpec, Output};
use super::{Location, StoreError};
use crate::atmos::{Attributes, Axes, Grid, GridKind, LeadTime, Level, Projection, ReferenceTime, Variable};

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
    /// Of grids whose rows are parallels; empty for others.
    #[serde(default)]
    pub latitude: Vec<f64>,
    #[serde(default)]
    pub longitude: Vec<f64>,
    /// Of all other grids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridRecord>,
    pub outputs: Vec<OutputRecord>,
    pub restart_states: usize,
    /// As in the specification.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_apart: bool,
    pub provenance: Map<String, Value>,
}

/// A grid other than of parallels and meridians, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum GridRecord {
    Projected {
        /// Attributes of the CF grid mapping.
        projection: Attributes,
        y: Vec<f64>,
        x: Vec<f64>,
    },
    Curvilinear {
        /// `[H, W]`, row-major.
        rows: usize,
        latitude: Vec<f64>,
        longitude: Vec<f64>,
    },
    Points {
        latitude: Vec<f64>,
        longitude: Vec<f64>,
    },
}

impl GridRecord {
    /// `None` for parallels and meridians.
    fn of(grid: &Grid) -> Option<Self> {
        let places = || {
            let places = grid.coordinates();
            (places.latitude.iter().copied().collect(), places.longitude.iter().copied().collect())
        };
        match grid.axes() {
            Axes::Rectilinear { .. } => None,
            Axes::Projected { projection, y, x } => {
                let projection = projection.cf_attributes().into_iter().map(|(name, value)| (name.to_owned(), value));
                Some(Self::Projected { projection: projection.collect(), y: y.to_vec(), x: x.to_vec() })
            }
            Axes::None => {
                let (latitude, longitude) = places();
                Some(match grid.kind() {
                    GridKind::Points => Self::Points { latitude, longitude },
                    _ => Self::Curvilinear { rows: grid.shape().0, latitude, longitude },
                })
            }
        }
    }

    fn grid(&self) -> Result<Grid, String> {
        let grid = match self {
            Self::Projected { projection, y, x } => {
                let projection = Projection::from_cf(projection).map_err(|error| error.to_string())?;
                Grid::projected(projection, y.clone(), x.clone())
            }
            Self::Curvilinear { rows, latitude, longitude } => {
                let shape = (*rows, latitude.len() / (*rows).max(1));
                let field = |values: &[f64]| Array2::from_shape_vec(shape, values.to_vec());
                let latitude = field(latitude).map_err(|error| error.to_string())?;
                Grid::curvilinear(latitude, field(longitude).map_err(|error| error.to_string())?)
            }
            Self::Points { latitude, longitude } => Grid::points(latitude.clone(), longitude.clone()),
        };
        grid.map_err(|error| error.to_string())
    }
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
            latitude: spec.grid.rectilinear().map_or_else(Vec::new, |(latitude, _)| latitude.to_vec()),
            longitude: spec.grid.rectilinear().map_or_else(Vec::new, |(_, longitude)| longitude.to_vec()),
            grid: GridRecord::of(&spec.grid),
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
            restart_apart: spec.restart_apart,
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
            && self.grid == other.grid
            && self.outputs == other.outputs
    }

    /// Where the points of its fields are; the error says why the manifest describes no grid.
    pub fn grid(&self) -> Result<Grid, String> {
        match &self.grid {
            Some(record) => record.grid(),
            None => Grid::new(self.latitude.clone(), self.longitude.clone()).map_err(|error| error.to_string()),
        }
    }

    /// What the forecast holds.
    pub(super) fn spec(&self, object: &str) -> Result<ForecastSpec, StoreError> {
        let corrupt = |reason: String| StoreError::Corrupt { object: object.to_owned(), reason };
        let grid = self.grid().map_err(corrupt)?;
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
            restart_apart: self.restart_apart,
            provenance: self.provenance.clone(),
        };
        spec.validate().map_err(|error| corrupt(error.to_string()))?;
        Ok(spec)
    }
}
