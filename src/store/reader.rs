//! Reading a published forecast.

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::array::VariableArray;
use super::manifest::{MANIFEST_FILE, Manifest};
use super::metadata::Copy;
use super::spec::ForecastSpec;
use super::{Location, StoreError, series};
use crate::atmos::{LeadTime, Level};

/// A forecast as its manifest describes it at the moment of opening. Open again to see newer steps.
pub struct ForecastReader {
    location: Location,
    manifest: Manifest,
    spec: Arc<ForecastSpec>,
    arrays: Vec<VariableArray>,
    series: Option<Vec<VariableArray>>,
}

impl ForecastReader {
    /// Reads the manifest, and nothing else.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        let manifest = read_manifest(location).await?;
        let spec = manifest.spec(&format!("{location}/{MANIFEST_FILE}"))?;
        Self::of(location, &manifest, &spec)
    }

    pub(super) fn of(location: &Location, manifest: &Manifest, spec: &ForecastSpec) -> Result<Self, StoreError> {
        let open = |location: &Location, copy| {
            (0..spec.outputs.len())
                .map(|output| VariableArray::open(location, spec, output, copy))
                .collect::<Result<Vec<_>, _>>()
        };
        let series = manifest.series.then(|| open(&location.join(series::FOLDER), Copy::Series)).transpose()?;
        Ok(Self {
            location: location.clone(),
            arrays: open(location, Copy::Map)?,
            series,
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

    pub(super) fn array(&self, output: usize) -> &VariableArray {
        &self.arrays[output]
    }

    /// Where a variable, level and lead lie, if they are published.
    fn find(&self, variable: &str, level: Level, lead: LeadTime) -> Result<(usize, usize, usize), StoreError> {
        let what = || format!("{variable} {level} at {lead}");
        let missing = |reason: String| StoreError::NotPublished { what: what(), reason };
        let (output, index) = self
            .spec
            .find(variable, level)
            .ok_or_else(|| missing("the forecast has no such variable and level".to_owned()))?;
        let step = self
            .spec
            .lead_times
            .iter()
            .position(|&other| other == lead)
            .ok_or_else(|| missing("the forecast has no such lead time".to_owned()))?;
        if step >= self.manifest.steps_complete {
            let Manifest { steps_complete, steps_total, .. } = self.manifest;
            return Err(missing(format!("{steps_complete} of {steps_total} steps are published so far")));
        }
        Ok((output, index, step))
    }

    /// One field, `[H, W]`.
    pub async fn field(&self, variable: &str, level: Level, lead: LeadTime) -> Result<Array2<f32>, StoreError> {
        let (output, level, step) = self.find(variable, level, lead)?;
        self.arrays[output].read_field(step, level, self.spec.grid.shape()).await
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
        let (h, w) = self.spec.grid.shape();
        if rows.start >= rows.end || rows.end > h || columns.start >= columns.end || columns.end > w {
            return Err(StoreError::NotPublished {
                what: format!("rows {rows:?}, columns {columns:?} of {variable} {level}"),
                reason: format!("the grid has {h} rows and {w} columns"),
            });
        }
        self.arrays[output].read_window(step, index, rows, columns).await
    }

    /// All published leads of some points, `[leads][rows × columns]` in row order.
    pub async fn series(
        &self,
        variable: &str,
        level: Level,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Vec<f32>, StoreError> {
        let first = self.spec.lead_times.first().copied().unwrap_or_default();
        let (output, level, _) = self.find(variable, level, first)?;
        let leads = self.manifest.steps_complete;
        if let Some(series) = &self.series {
            return series[output].read(0..leads, level, rows, columns).await;
        }
        let mut values = Vec::new();
        for lead in 0..leads {
            values.extend(self.arrays[output].read(lead..lead + 1, level, rows.clone(), columns.clone()).await?);
        }
        Ok(values)
    }

    /// All fields of a published step, in the order of the outputs.
    pub(super) async fn step(&self, step: usize) -> Result<Vec<Array2<f32>>, StoreError> {
        let mut fields = Vec::new();
        for (output, level) in self.spec.fields() {
            fields.push(self.arrays[output].read_field(step, level, self.spec.grid.shape()).await?);
        }
        Ok(fields)
    }
}

/// The manifest of the forecast at this place.
pub(super) async fn read_manifest(location: &Location) -> Result<Manifest, StoreError> {
    let object = format!("{location}/{MANIFEST_FILE}");
    match location.store().get(&Path::from(MANIFEST_FILE)).await {
        Ok(result) => {
            let bytes =
                result.bytes().await.map_err(|error| StoreError::storage(format!("reading {object}"), error))?;
            Manifest::parse(&object, &bytes)
        }
        Err(object_store::Error::NotFound { .. }) => Err(StoreError::NotFound(location.to_string())),
        Err(error) => Err(StoreError::storage(format!("reading {object}"), error)),
    }
}
