//! Decoded parts of fields, kept in memory up to a budget.
//!
//! A window is put together from the chunks that the store has: what it lacks of a field is read at once, and neighbouring
//! tiles share what they read. Concurrent readers of a chunk wait for one reading.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use moka::future::Cache;
use ndarray::{Array2, s};

use super::catalog::Forecast;
use super::error::Error;
use super::fields::StoredField;
use super::metrics::Metrics;
use crate::store::{ChunkSource, ForecastPath};
use crate::tile::Columns;

/// The step's checksum is part of the key: a forecast that is made again is never mixed up with its predecessor.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldKey {
    path: ForecastPath,
    member: Option<usize>,
    field: StoredField,
    step_crc32c: u32,
}

/// A field, and the number of the chunk.
type ChunkKey = (Arc<FieldKey>, usize);
type Chunk = Arc<Array2<f32>>;
/// Chunks on their way from the store, with their numbers.
type Reading = Shared<BoxFuture<'static, Result<Arc<Vec<(usize, Chunk)>>, Error>>>;

pub struct Blocks {
    shelf: Arc<Shelf>,
    window_values: usize,
    metrics: Metrics,
}

/// What is there, and what is coming.
struct Shelf {
    cache: Cache<ChunkKey, Chunk>,
    coming: Mutex<HashMap<ChunkKey, Reading>>,
}

impl Blocks {
    pub fn new(budget_bytes: u64, window_values: usize, metrics: Metrics) -> Self {
        let weigher = |_: &ChunkKey, chunk: &Chunk| {
            u32::try_from(chunk.len() * size_of::<f32>() + size_of::<ChunkKey>()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(budget_bytes).weigher(weigher).build();
        Self { shelf: Arc::new(Shelf { cache, coming: Mutex::default() }), window_values, metrics }
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.shelf.cache.weighted_size()
    }

    /// Part of a field, `[rows, columns]`; columns may run past the last one and on from the first.
    pub async fn window(
        &self,
        forecast: &Forecast,
        field: StoredField,
        rows: Range<usize>,
        columns: Columns,
    ) -> Result<Array2<f32>, Error> {
        let width = forecast.reader.spec().grid.shape().1;
        let step_crc32c = forecast.manifest().steps.get(field.step).map_or(0, |step| step.crc32c);
        let values = rows.len() * columns.count;
        if values > self.window_values {
            return Err(Error::TooLarge { found: values, limit: self.window_values });
        }
        let source = forecast.reader.chunks(field.output, field.level, field.step);
        let (chunk_rows, chunk_columns) = source.shape();
        let along = width.div_ceil(chunk_columns);
        let runs = columns.runs(width);
        let spans = || {
            let row_spans = spans(rows.clone(), chunk_rows);
            row_spans.flat_map(|row| {
                runs.iter().flat_map(move |run| {
                    let row = row.clone();
                    spans(run.columns.clone(), chunk_columns).map(move |column| (row.clone(), run, column))
                })
            })
        };
        let mut numbers: Vec<usize> = spans().map(|(row, _, column)| row.0 * along + column.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let path = forecast.path.clone();
        let key = FieldKey { path, member: forecast.reader.member(), field, step_crc32c };
        let chunks = self.chunks(&Arc::new(key), source, &numbers).await?;
        let mut window = Array2::zeros((rows.len(), columns.count));
        for ((row_chunk, row_span), run, (column_chunk, column_span)) in spans() {
            let number = row_chunk * along + column_chunk;
            let lacking = || Error::Internal(format!("chunk {number} was read, and is not there"));
            let chunk = chunks.get(&number).ok_or_else(lacking)?;
            let (row, column) = (row_chunk * chunk_rows, column_chunk * chunk_columns);
            let from = chunk.slice(s![
                row_span.start - row..row_span.end - row,
                column_span.start - column..column_span.end - column
            ]);
            let (top, left) = (row_span.start - rows.start, run.offset + column_span.start - run.columns.start);
            window.slice_mut(s![top..top + from.nrows(), left..left + from.ncols()]).assign(&from);
        }
        Ok(window)
    }

    async fn chunks(
        &self,
        field: &Arc<FieldKey>,
        source: ChunkSource,
        numbers: &[usize],
    ) -> Result<HashMap<usize, Chunk>, Error> {
        let mut chunks = HashMap::with_capacity(numbers.len());
        let mut lacking = Vec::new();
        for &number in numbers {
            match self.shelf.cache.get(&(field.clone(), number)).await {
                Some(chunk) => {
                    chunks.insert(number, chunk);
                }
                None => lacking.push(number),
            }
        }
        self.metrics.cache_hits.inc_by(chunks.len() as u64);
        self.metrics.cache_misses.inc_by(lacking.len() as u64);
        if lacking.is_empty() {
            return Ok(chunks);
        }
        for reading in self.shelf.readings(field, source, &lacking) {
            for (number, chunk) in reading.await?.iter().filter(|(number, _)| lacking.contains(number)) {
                chunks.insert(*number, chunk.clone());
            }
        }
        Ok(chunks)
    }
}

impl Shelf {
    /// What brings these chunks: readings that are on their way, and one that is begun for what none of them brings.
    fn readings(self: &Arc<Self>, field: &Arc<FieldKey>, source: ChunkSource, lacking: &[usize]) -> Vec<Reading> {
        let mut coming = self.coming();
        let mut readings: Vec<Reading> = Vec::new();
        let mut own = Vec::new();
        for &number in lacking {
            match coming.get(&(field.clone(), number)) {
                Some(reading) if readings.iter().any(|other| other.ptr_eq(reading)) => {}
                Some(reading) => readings.push(reading.clone()),
                None => own.push(number),
            }
        }
        if !own.is_empty() {
            let reading = self.clone().read(field.clone(), source, own.clone()).boxed().shared();
            coming.extend(own.into_iter().map(|number| ((field.clone(), number), reading.clone())));
            // to its end, also where nobody waits for it any more
            tokio::spawn(reading.clone());
            readings.push(reading);
        }
        readings
    }

    async fn read(
        self: Arc<Self>,
        field: Arc<FieldKey>,
        source: ChunkSource,
        numbers: Vec<usize>,
    ) -> Result<Arc<Vec<(usize, Chunk)>>, Error> {
        let read = source.read(numbers.clone()).await.map_err(|error| Error::Store(Arc::new(error)));
        let read = read.map(|chunks| numbers.iter().copied().zip(chunks.into_iter().map(Arc::new)).collect::<Vec<_>>());
        for (number, chunk) in read.iter().flatten() {
            self.cache.insert((field.clone(), *number), chunk.clone()).await;
        }
        let mut coming = self.coming();
        for number in numbers {
            coming.remove(&(field.clone(), number));
        }
        read.map(Arc::new)
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<ChunkKey, Reading>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chunks that a span of rows or columns touches: number of the chunk, and the part of the span in it.
pub fn spans(span: Range<usize>, edge: usize) -> impl Iterator<Item = (usize, Range<usize>)> + Clone {
    (span.start / edge..span.end.div_ceil(edge))
        .map(move |chunk| (chunk, span.start.max(chunk * edge)..span.end.min((chunk + 1) * edge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_at_chunks() {
        assert_eq!(spans(90..200, 96).collect::<Vec<_>>(), [(0, 90..96), (1, 96..192), (2, 192..200)]);
    }
}
