//! Decoded parts of fields, kept in memory up to a budget.
//!
//! A window is put together from square blocks on a pyramid: 96 values along an edge (the stored chunks), doubled until
//! the window touches at most two blocks each way. A deep zoom so decodes a chunk or four, the whole world decodes the
//! field once, and neighbouring tiles share what they read. Concurrent readers of a block wait for one decoding.

use std::ops::Range;
use std::sync::Arc;

use moka::future::Cache;
use ndarray::{Array2, s};

use super::catalog::Forecast;
use super::error::Error;
use super::metrics::Metrics;
use super::select::Selection;
use crate::store::{ForecastPath, StoreError};
use crate::tile::Columns;

/// Values along the edge of the smallest block: an inner chunk of the store.
const EDGE: usize = 96;

/// The step's checksum is part of the key: a forecast that is made again is never mixed up with its predecessor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BlockKey {
    path: ForecastPath,
    member: Option<usize>,
    output: usize,
    level: usize,
    lead_seconds: i64,
    step_crc32c: u32,
    doublings: u32,
    row: usize,
    column: usize,
}

pub struct Blocks {
    cache: Cache<BlockKey, Arc<Array2<f32>>>,
    window_values: usize,
    metrics: Metrics,
}

impl Blocks {
    pub fn new(budget_bytes: u64, window_values: usize, metrics: Metrics) -> Self {
        let weigher = |_: &BlockKey, block: &Arc<Array2<f32>>| {
            u32::try_from(block.len() * size_of::<f32>() + size_of::<BlockKey>()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(budget_bytes).weigher(weigher).build();
        Self { cache, window_values, metrics }
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.cache.weighted_size()
    }

    /// Part of a field, `[rows, columns]`; columns may run past the last one and on from the first.
    pub async fn window(
        &self,
        forecast: &Forecast,
        selection: &Selection,
        rows: Range<usize>,
        columns: Columns,
    ) -> Result<Array2<f32>, Error> {
        let (height, width) = forecast.reader.spec().grid.shape();
        let values = rows.len() * columns.count;
        if values > self.window_values {
            return Err(Error::TooLarge { found: values, limit: self.window_values });
        }
        let doublings = doublings(&rows, columns, height, width);
        let edge = EDGE << doublings;
        let mut window = Array2::zeros((rows.len(), columns.count));
        for run in runs(columns, width) {
            let spans = block_spans(run.columns.clone(), edge);
            for (row_block, row_span) in block_spans(rows.clone(), edge) {
                for (column_block, column_span) in spans.clone() {
                    let key = BlockKey {
                        path: forecast.path.clone(),
                        member: forecast.reader.member(),
                        output: selection.column.output,
                        level: selection.column.level_index,
                        lead_seconds: selection.lead.seconds(),
                        step_crc32c: selection.step_crc32c,
                        doublings,
                        row: row_block,
                        column: column_block,
                    };
                    let block = self.block(forecast, selection, key, edge).await?;
                    let (row, column) = (row_block * edge, column_block * edge);
                    let from = block.slice(s![
                        row_span.start - row..row_span.end - row,
                        column_span.start - column..column_span.end - column
                    ]);
                    let (top, left) = (row_span.start - rows.start, run.offset + column_span.start - run.columns.start);
                    window.slice_mut(s![top..top + from.nrows(), left..left + from.ncols()]).assign(&from);
                }
            }
        }
        Ok(window)
    }

    async fn block(
        &self,
        forecast: &Forecast,
        selection: &Selection,
        key: BlockKey,
        edge: usize,
    ) -> Result<Arc<Array2<f32>>, Error> {
        if let Some(block) = self.cache.get(&key).await {
            self.metrics.cache_hits.inc();
            return Ok(block);
        }
        self.metrics.cache_misses.inc();
        let (height, width) = forecast.reader.spec().grid.shape();
        let rows = key.row * edge..height.min((key.row + 1) * edge);
        let columns = key.column * edge..width.min((key.column + 1) * edge);
        let (variable, level) = (&selection.column.variable.name, selection.column.level);
        let read = async {
            let block = forecast.reader.window(variable, level, selection.lead, rows, columns).await?;
            Ok::<_, StoreError>(Arc::new(block))
        };
        self.cache.try_get_with(key, read).await.map_err(Error::Store)
    }
}

/// Consecutive columns of the grid, and where they go in the window.
struct ColumnRun {
    columns: Range<usize>,
    offset: usize,
}

/// The window's columns, cut where they pass the last one.
fn runs(columns: Columns, width: usize) -> Vec<ColumnRun> {
    let mut runs = Vec::with_capacity(2);
    let (mut start, mut offset) = (columns.start % width, 0);
    while offset < columns.count {
        let end = width.min(start + columns.count - offset);
        runs.push(ColumnRun { columns: start..end, offset });
        offset += end - start;
        start = 0;
    }
    runs
}

/// The smallest blocks of which two each way hold the window, and no larger ones than the field needs.
fn doublings(rows: &Range<usize>, columns: Columns, height: usize, width: usize) -> u32 {
    let needed = rows.len().max(columns.count.min(width));
    let mut doublings = 0;
    while EDGE << doublings < needed && EDGE << doublings < height.max(width) {
        doublings += 1;
    }
    doublings
}

/// The blocks that a span of rows or columns touches: number of the block, and the part of the span in it.
fn block_spans(span: Range<usize>, edge: usize) -> impl Iterator<Item = (usize, Range<usize>)> + Clone {
    (span.start / edge..span.end.div_ceil(edge))
        .map(move |block| (block, span.start.max(block * edge)..span.end.min((block + 1) * edge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_at_the_last_column_and_at_blocks() {
        let cut = |start, count| {
            runs(Columns { start, count }, 10).into_iter().map(|r| (r.columns, r.offset)).collect::<Vec<_>>()
        };
        assert_eq!(cut(2, 3), [(2..5, 0)]);
        assert_eq!(cut(8, 4), [(8..10, 0), (0..2, 2)]);
        assert_eq!(cut(0, 11), [(0..10, 0), (0..1, 10)]);
        assert_eq!(block_spans(90..200, 96).collect::<Vec<_>>(), [(0, 90..96), (1, 96..192), (2, 192..200)]);
    }

    #[test]
    fn the_pyramid_holds_a_window_in_few_blocks() {
        for (rows, count) in [(0..1, 1), (700..721, 30), (100..290, 180), (0..721, 1441)] {
            let doublings = doublings(&rows, Columns { start: 1300, count }, 721, 1440);
            let edge = EDGE << doublings;
            let blocks: usize = runs(Columns { start: 1300, count }, 1440)
                .into_iter()
                .map(|run| block_spans(run.columns, edge).count() * block_spans(rows.clone(), edge).count())
                .sum();
            assert!(blocks <= 6, "{rows:?} {count}: {blocks}");
            assert!(doublings == 0 || edge / 2 < rows.len().max(count));
        }
    }
}
