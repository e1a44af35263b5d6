//! `forecast.json`: which steps may be read.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use ndarray::Array2;
use object_store::path::Path;
use object_store::{ObjectStoreExt, UpdateVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{Encoding, ForecastSpec, Output};
use super::{Location, Statistics, StoreError};
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

/// Statistics of an ensemble's members, and how far they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatisticsRecord {
    #[serde(flatten)]
    pub made: Statistics,
    /// The lead times that may be read, ascending.
    pub lead_seconds: Vec<i64>,
}

/// How far a member of an ensemble is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// As the manifest's, of whoever writes the member.
    pub attempt: String,
    /// The steps that may be read of it: the first lead times.
    pub steps: Vec<StepRecord>,
}

/// What a writer's steps took, as far as it was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyRecord {
    /// The writer.
    pub attempt: String,
    /// Computed by it, of all its members together.
    pub steps: usize,
    pub joules: f64,
    /// Of these, what would have been used without work, too.
    pub idle_joules: f64,
    /// What was counted, and by whom.
    pub source: String,
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
    /// The steps that may be read: the first `steps_complete` lead times. Of an ensemble those that all members have, with
    /// the checksum of the members' checksums.
    pub steps: Vec<StepRecord>,
    /// Of an ensemble, in the order of the members; empty for a single forecast.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberRecord>,
    /// What `statistics/` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<StatisticsRecord>,
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
    /// Of each writer that had a counter: also of those whose work was lost in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy: Vec<EnergyRecord>,
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
        let attempt = format!("{:016x}", RandomState::new().build_hasher().finish());
        let members = if spec.is_ensemble() { spec.members } else { 0 };
        Self {
            format: FORMAT,
            run_key: spec.run_key.clone(),
            members: vec![MemberRecord { attempt: attempt.clone(), steps: Vec::new() }; members],
            attempt,
            model: spec.model.clone(),
            title: spec.title.clone(),
            reference_time: spec.reference_time,
            state: RunState::Running,
            reason: None,
            steps_complete: 0,
            steps_total: spec.lead_times.len(),
            steps: Vec::new(),
            statistics: spec
                .statistics
                .clone()
                .filter(|_| spec.is_ensemble())
                .map(|made| StatisticsRecord { made, lead_seconds: Vec::new() }),
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
            energy: Vec::new(),
        }
    }

    /// What all writers' steps took together; `None` where nothing was counted.
    pub fn energy_used(&self) -> Option<EnergyRecord> {
        let mut sources: Vec<&str> = self.energy.iter().map(|record| &*record.source).collect();
        sources.sort_unstable();
        sources.dedup();
        (!sources.is_empty()).then(|| EnergyRecord {
            attempt: String::new(),
            steps: self.energy.iter().map(|record| record.steps).sum(),
            joules: self.energy.iter().map(|record| record.joules).sum(),
            idle_joules: self.energy.iter().map(|record| record.idle_joules).sum(),
            source: sources.join("; "),
        })
    }

    /// Replaces what the same writer said before.
    pub(super) fn note_energy(&mut self, record: &EnergyRecord) {
        match self.energy.iter_mut().find(|other| other.attempt == record.attempt) {
            Some(other) => other.clone_from(record),
            None => self.energy.push(record.clone()),
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
        let leads = |steps: &[StepRecord]| {
            steps.len() <= manifest.lead_seconds.len()
                && steps.iter().zip(&manifest.lead_seconds).all(|(step, lead)| step.lead_seconds == *lead)
        };
        if manifest.steps.len() != manifest.steps_complete
            || manifest.steps_total != manifest.lead_seconds.len()
            || !leads(&manifest.steps)
            || !manifest.members.iter().all(|member| leads(&member.steps))
            || (!manifest.members.is_empty() && manifest.steps != manifest.common_steps())
        {
            return Err(corrupt("its lists of steps contradict each other".to_owned()));
        }
        Ok(manifest)
    }

    /// The steps that all members of an ensemble have.
    fn common_steps(&self) -> Vec<StepRecord> {
        let count = self.members.iter().map(|member| member.steps.len()).min().unwrap_or(0);
        let common = |step: usize| {
            let crc = |crc, member: &MemberRecord| crc32c::crc32c_append(crc, &member.steps[step].crc32c.to_le_bytes());
            StepRecord { lead_seconds: self.lead_seconds[step], crc32c: self.members.iter().fold(0, crc) }
        };
        (0..count).map(common).collect()
    }

    /// After a member of an ensemble has got on.
    pub(super) fn settle(&mut self) {
        self.steps = self.common_steps();
        self.steps_complete = self.steps.len();
    }

    /// Steps that all members have, and whose statistics are not there.
    pub(super) fn steps_without_statistics(&self) -> Vec<usize> {
        let Some(statistics) = &self.statistics else { return Vec::new() };
        let there = |step: &usize| statistics.lead_seconds.contains(&self.lead_seconds[*step]);
        (0..self.steps_complete).filter(|step| !there(step)).collect()
    }

    /// The manifest as if a member of an ensemble were the forecast: its steps are those that may be read.
    pub(super) fn of_member(&self, member: usize) -> Self {
        let mut own = self.clone();
        if let Some(record) = self.members.get(member) {
            own.steps.clone_from(&record.steps);
            own.steps_complete = own.steps.len();
        }
        own
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
            && self.members.len() == other.members.len()
            && self.statistics.as_ref().map(|of| &of.made) == other.statistics.as_ref().map(|of| &of.made)
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
            members: self.members.len().max(1),
            statistics: self.statistics.as_ref().map(|of| of.made.clone()),
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
