//! Reading a published forecast.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::{Array2, Array3, Axis};

use super::array::{ObjectIndex, VariableArray};
use super::manifest::{MANIFEST_FILE, Manifest};
use super::metadata::Copy;
use super::shard::Part;
use super::spec::ForecastSpec;
use super::{Location, StoreError, series, statistics};
use crate::atmos::{LeadTime, Level};

/// Steps that are read at the same time where the series copy is not there yet.
const CONCURRENT_READS: usize = 8;

/// A forecast as its manifest describes it at the moment of opening. Open again to see newer steps. Of an ensemble it is one
/// member, the control unless another is chosen: [`Self::of_member`].
///
/// What is published under a run key never changes, so a reader stays right however old it is. Only `--overwrite` replaces
/// a forecast: a reader from before then finds objects missing, or those of the new one.
pub struct ForecastReader {
    location: Location,
    /// As the member's.
    manifest: Manifest,
    whole: Arc<Manifest>,
    spec: Arc<ForecastSpec>,
    member: usize,
    arrays: Vec<Arc<VariableArray>>,
    series: Option<Vec<Arc<VariableArray>>>,
}

/// The inner chunks of one field, numbered from the north-west on, row by row.
#[derive(Clone)]
pub struct ChunkSource {
    array: Arc<VariableArray>,
    index: ObjectIndex,
}

impl ChunkSource {
    /// Rows and columns of a chunk.
    pub fn shape(&self) -> (usize, usize) {
        self.array.chunk_shape()
    }

    /// Some chunks, in their order, each `[rows, columns]`; past the edges of the grid values are missing. All are of one
    /// object, which is read once.
    pub async fn read(&self, numbers: Vec<usize>) -> Result<Vec<Array2<f32>>, StoreError> {
        self.array.read_chunks(self.index, numbers).await
    }
}

/// The member that is read where none is chosen.
const CONTROL: usize = 0;

impl ForecastReader {
    /// Reads the manifest, and nothing else.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        let manifest = Manifest::read(location).await?.0?;
        let spec = manifest.spec(&format!("{location}/{MANIFEST_FILE}"))?;
        Self::of(location, &manifest, &spec)
    }

    pub(super) fn of(location: &Location, manifest: &Manifest, spec: &ForecastSpec) -> Result<Self, StoreError> {
        let series = || VariableArray::all(&location.join(series::FOLDER), spec, Copy::Series);
        Ok(Self {
            location: location.clone(),
            arrays: VariableArray::all(location, spec, Copy::Map)?,
            series: manifest.series.then(series).transpose()?,
            manifest: manifest.of_member(CONTROL),
            whole: Arc::new(manifest.clone()),
            member: CONTROL,
            spec: Arc::new(spec.clone()),
        })
    }

    /// The same forecast's other member, at the same moment.
    pub fn of_member(&self, member: usize) -> Result<Self, StoreError> {
        if member >= self.spec.members {
            let reason = match self.spec.members {
                1 => "the forecast is no ensemble".to_owned(),
                members => format!("the ensemble has members 0 to {}", members - 1),
            };
            return Err(StoreError::NotPublished { what: format!("member {member}"), reason });
        }
        Ok(Self {
            location: self.location.clone(),
            manifest: self.whole.of_member(member),
            whole: self.whole.clone(),
            spec: self.spec.clone(),
            member,
            arrays: self.arrays.clone(),
            series: self.series.clone(),
        })
    }

    /// The statistics of the members as a forecast of its own, with the steps that are there; `None` where none are made.
    pub fn statistics(&self) -> Result<Option<Self>, StoreError> {
        let (Some(group), Some(record)) = (statistics::Group::of(&self.spec), &self.whole.statistics) else {
            return Ok(None);
        };
        let mut manifest = Manifest::new(&group.spec);
        let listed = self.whole.steps.iter().zip(&record.lead_seconds);
        let there = listed.take_while(|(step, lead)| step.lead_seconds == **lead);
        manifest.steps = there.map(|(step, _)| step.clone()).collect();
        manifest.steps_complete = manifest.steps.len();
        manifest.state = self.whole.state;
        Self::of(&self.location.join(statistics::FOLDER), &manifest, &group.spec).map(Some)
    }

    /// Which member this reads; `None` where the forecast is no ensemble.
    pub fn member(&self) -> Option<usize> {
        self.spec.is_ensemble().then_some(self.member)
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Of an ensemble as if this member were the forecast: its steps are those that the member has.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The run's own manifest: of an ensemble its steps are those that all members have.
    pub fn whole(&self) -> &Arc<Manifest> {
        &self.whole
    }

    pub fn spec(&self) -> &Arc<ForecastSpec> {
        &self.spec
    }

    /// The lead times that may be read.
    pub fn published_leads(&self) -> &[LeadTime] {
        &self.spec.lead_times[..self.manifest.steps_complete]
    }

    /// Where a variable, level and lead lie, if they are published.
    fn find(&self, variable: &str, level: Level, lead: LeadTime) -> Result<(usize, usize, usize), StoreError> {
        let missing =
            |reason: String| StoreError::NotPublished { what: format!("{variable} {level} at {lead}"), reason };
        let (output, index) = self
            .spec
            .find(variable, level)
            .ok_or_else(|| missing("the forecast has no such variable and level".to_owned()))?;
        let step = self.spec.lead_times.binary_search(&lead);
        let step = step.map_err(|_| missing("the forecast has no such lead time".to_owned()))?;
        if step >= self.manifest.steps_complete {
            let Manifest { steps_complete, steps_total, .. } = self.manifest;
            return Err(missing(format!("{steps_complete} of {steps_total} steps are published so far")));
        }
        Ok((output, index, step))
    }

    fn check_window(&self, rows: &Range<usize>, columns: &Range<usize>) -> Result<(), StoreError> {
        let (h, w) = self.spec.grid.shape();
        if rows.is_empty() || rows.end > h || columns.is_empty() || columns.end > w {
            return Err(StoreError::NotPublished {
                what: format!("rows {rows:?}, columns {columns:?}"),
                reason: format!("the grid has {h} rows and {w} columns"),
            });
        }
        Ok(())
    }

    /// One field, `[H, W]`.
    pub async fn field(&self, variable: &str, level: Level, lead: LeadTime) -> Result<Array2<f32>, StoreError> {
        let (h, w) = self.spec.grid.shape();
        self.window(variable, level, lead, 0..h, 0..w).await
    }

    /// Part of a field, `[rows, columns]`.
    pub async fn window(
        &self,
        variable: &str,
        level: Level,
        lead: LeadTime,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Array2<f32>, StoreError> {
        let (output, index, step) = self.find(variable, level, lead)?;
        self.check_window(&rows, &columns)?;
        self.read_step(output, index, step, rows, columns).await
    }

    async fn read_step(
        &self,
        output: usize,
        level: usize,
        step: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Array2<f32>, StoreError> {
        let values =
            self.arrays[output].read((self.member, level), Part { leads: step..step + 1, rows, columns }).await?;
        Ok(values.index_axis_move(Axis(0), 0))
    }

    /// The inner chunks of a field by the positions of its output, level and step, which are published.
    pub fn chunks(&self, output: usize, level: usize, step: usize) -> ChunkSource {
        let index = ObjectIndex { lead: step, member: self.member, level, band: 0 };
        ChunkSource { array: self.arrays[output].clone(), index }
    }

    /// All published leads of some points, `[leads, rows, columns]` in that order.
    pub async fn series(
        &self,
        variable: &str,
        level: Level,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Vec<f32>, StoreError> {
        let (output, level, _) = self.find(variable, level, LeadTime::ZERO)?;
        self.check_window(&rows, &columns)?;
        let leads = 0..self.manifest.steps_complete;
        if let Some(series) = &self.series {
            let values = series[output].read((self.member, level), Part { leads, rows, columns }).await?;
            return Ok(in_order(values));
        }
        let reads = leads.map(|step| self.read_step(output, level, step, rows.clone(), columns.clone()));
        let steps: Vec<Array2<f32>> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        Ok(steps.into_iter().flatten().collect())
    }

    /// All fields of a published step, in the order of the outputs.
    pub(super) async fn step(&self, step: usize) -> Result<Vec<Array2<f32>>, StoreError> {
        let (h, w) = self.spec.grid.shape();
        let reads = self.spec.fields().map(|(output, level)| self.read_step(output, level, step, 0..h, 0..w));
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await
    }
}

fn in_order(values: Array3<f32>) -> Vec<f32> {
    if values.is_standard_layout() { values.into_raw_vec_and_offset().0 } else { values.into_iter().collect() }
}
