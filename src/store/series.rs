//! The second copy: all lead times of a point together.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::{Array3, s};

use super::array::{ObjectIndex, VariableArray};
use super::metadata::Copy;
use super::shard::{Part, Shape};
use super::spec::ForecastSpec;
use super::{Location, StoreError};

/// Its folder inside the forecast.
pub(super) const FOLDER: &str = "series";
/// Objects that are made at the same time: each takes as much memory as [`Shape::of`] bounds.
const CONCURRENT_OBJECTS: usize = 2;
/// Steps that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// Reads every step back, band of rows by band of rows, and writes it with all leads together.
pub(super) async fn write(
    location: &Location,
    spec: &ForecastSpec,
    steps: &[Arc<VariableArray>],
) -> Result<(), StoreError> {
    let series = VariableArray::all(&location.join(FOLDER), spec, Copy::Series)?;
    let shape = Shape::of(spec, Copy::Series);
    let (h, w) = spec.grid.shape();
    let leads = spec.lead_times.len();
    let objects = spec.fields().flat_map(|(output, level)| {
        let bands = move |(member, lead)| {
            (0..h.div_ceil(shape.rows)).map(move |band| (output, ObjectIndex { lead, member, level, band }))
        };
        let leads = leads.div_ceil(shape.leads);
        (0..spec.members).flat_map(move |member| (0..leads).map(move |lead| (member, lead))).flat_map(bands)
    });
    let objects: Vec<(usize, ObjectIndex)> = objects.collect();
    let writes = objects.into_iter().map(|(output, index)| {
        let (from, to) = (steps[output].clone(), series[output].clone());
        let first = index.lead * shape.leads;
        let leads = first..leads.min(first + shape.leads);
        let rows = index.band * shape.rows..h.min((index.band + 1) * shape.rows);
        async move {
            let mut values = Array3::from_elem((leads.len(), rows.len(), w), f32::NAN);
            let reads = leads.map(|lead| {
                let part = Part { leads: lead..lead + 1, rows: rows.clone(), columns: 0..w };
                let from = &from;
                async move { from.read((index.member, index.level), part).await.map(|step| (lead, step)) }
            });
            let mut reads = stream::iter(reads).buffer_unordered(CONCURRENT_READS);
            while let Some((lead, step)) = reads.try_next().await? {
                values.slice_mut(s![lead - first..=lead - first, .., ..]).assign(&step);
            }
            drop(reads);
            to.write(index, values).await
        }
    });
    stream::iter(writes).buffer_unordered(CONCURRENT_OBJECTS).try_collect().await
}
