//! The second copy: all lead times of a point together.

use futures::{StreamExt, TryStreamExt, stream};

use super::array::VariableArray;
use super::metadata::{Copy, SERIES_BAND};
use super::reader::ForecastReader;
use super::spec::ForecastSpec;
use super::{Location, Manifest, StoreError};

/// Its folder inside the forecast.
pub(super) const FOLDER: &str = "series";

/// Reads every step back, band of rows by band of rows, and writes it with all leads together. Memory is bounded by one
/// band of one field times the number of leads.
pub(super) async fn write(location: &Location, spec: &ForecastSpec, manifest: &Manifest) -> Result<(), StoreError> {
    let target = location.join(FOLDER);
    let reader = ForecastReader::of(location, manifest, spec)?;
    let (h, w) = spec.grid.shape();
    let leads = spec.lead_times.len();
    let jobs =
        spec.fields().flat_map(|(output, level)| (0..h.div_ceil(SERIES_BAND)).map(move |band| (output, level, band)));
    let jobs: Vec<(usize, usize, usize)> = jobs.collect();
    let (reader, target, spec) = (&reader, &target, spec);
    stream::iter(jobs.into_iter().map(|(output, level, band)| async move {
        let rows = band * SERIES_BAND..h.min((band + 1) * SERIES_BAND);
        let mut values = Vec::with_capacity(leads * rows.len() * w);
        for lead in 0..leads {
            values.extend(reader.array(output).read(lead..lead + 1, level, rows.clone(), 0..w).await?);
        }
        let array = VariableArray::open(target, spec, output, Copy::Series)?;
        array.write_object((0, level, band as u64), (leads, rows.len(), w), &values).await
    }))
    .buffer_unordered(2)
    .try_collect::<Vec<()>>()
    .await?;
    Ok(())
}
