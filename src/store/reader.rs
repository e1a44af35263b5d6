//! Reading a published forecast.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::{Array2, Array3, Axis};

use super::array::VariableArray;
use super::manifest::{MANIFEST_FILE, Manifest};
use super::metadata::Copy;
use super::shard::Part;
use super::spec::ForecastSpec;
use super::{Location, StoreError, series};
use crate::atmos::{LeadTime, Level};

/// Steps that are read at the same time where the series copy is not there yet.
const CONCURRENT_READS: usize = 8;

/// A forecast as its manifest describes it at the moment of opening. Open again to see newer steps.
///
/// What is published under a run key never changes, so a reader stays right however old it is. Only `--overwrite` replaces
/// a forecast: a reader from before then finds objects missing, or those of the new one.
pub struct ForecastReader {
    location: Location,
    manifest: Manifest,
    spec: Arc<ForecastSpec>,
    arrays: Vec<Arc<VariableArray>>,
    series: Option<Vec<Arc<VariableArray>>>,
}

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
            manifest: manifest.clone(),
            spec: Arc::new(spec.clone()),
        })
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
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
        let values = self.arrays[output].read(level, Part { leads: step..step + 1, rows, columns }).await?;
        Ok(values.index_axis_move(Axis(0), 0))
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
            let values = series[output].read(level, Part { leads, rows, columns }).await?;
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
