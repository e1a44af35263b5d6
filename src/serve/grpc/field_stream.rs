//! A field or a part of it, piece by piece: what a client that reads slowly holds is one band of rows, not the field.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::convert;
use crate::serve::blocks::spans;
use crate::serve::catalog::Forecast;
use crate::serve::fields;
use crate::serve::places::GridWindow;
use crate::serve::select::Selection;
use crate::serve::units::Shown;
use crate::serve::v1;
use crate::serve::v1::get_area_response::Part as AreaPart;
use crate::serve::v1::get_field_response::Part;

/// Well below what any client accepts by default (4 MiB): of each stream one waits here, and one in the connection.
const PIECE_BYTES: usize = 256 << 10;
/// Rows read at once: the store's chunks, or an even part of them where rows are long, because a band waits for its reader, too.
const BAND_ROWS: usize = 96;
const BAND_BYTES: usize = 640 << 10;

/// Why a stream ends before its end: the client is gone, or reads nothing.
struct Stopped;

/// What is streamed.
pub struct FieldPart {
    pub forecast: Arc<Forecast>,
    pub selection: Selection,
    pub window: GridWindow,
    pub shown: Shown,
}

impl From<Part> for v1::GetFieldResponse {
    fn from(part: Part) -> Self {
        Self { part: Some(part) }
    }
}

impl From<Part> for v1::GetAreaResponse {
    fn from(part: Part) -> Self {
        let part = match part {
            Part::Header(header) => AreaPart::Header(header),
            Part::Piece(piece) => AreaPart::Piece(piece),
        };
        Self { part: Some(part) }
    }
}

/// The header, then the pieces; a reader that takes nothing for `stall` is left.
pub fn start<M: From<Part> + Send + 'static>(part: FieldPart, stall: Duration) -> ReceiverStream<Result<M, Status>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let output = Output { sender, stall };
        // whoever stops reading has nothing to be told
        let _ = send_field(part, &output).await;
    });
    ReceiverStream::new(receiver)
}

struct Output<M> {
    sender: mpsc::Sender<Result<M, Status>>,
    stall: Duration,
}

impl<M: From<Part>> Output<M> {
    async fn send(&self, message: Result<M, Status>) -> Result<(), Stopped> {
        self.sender.send_timeout(message, self.stall).await.map_err(|_| Stopped)
    }

    async fn part(&self, part: Part) -> Result<(), Stopped> {
        self.send(Ok(part.into())).await
    }
}

fn header(forecast: &Forecast, selection: &Selection, window: GridWindow, units: &str) -> v1::FieldHeader {
    let column = &selection.column;
    let (first_row, first_column) = (convert::count(window.rows.start), convert::count(window.columns.start));
    let total_bytes = (window.rows.len() * window.columns.count * size_of::<f32>()) as u64;
    let described = convert::part_of_grid(&forecast.reader.spec().grid, window);
    v1::FieldHeader {
        run: Some(convert::run_of(forecast)),
        variable: column.variable.name.to_string(),
        level: column.level.to_string(),
        units: units.to_owned(),
        lead_time: Some(convert::duration(selection.lead)),
        valid_time: Some(convert::timestamp(selection.valid_time)),
        data_type: v1::DataType::Float32.into(),
        latitudes: described.latitudes,
        longitudes: described.longitudes,
        total_bytes,
        rows: described.rows,
        columns: described.columns,
        y: described.y,
        x: described.x,
        grid_mapping: described.grid_mapping,
        first_row,
        first_column,
    }
}

async fn send_field<M: From<Part>>(part: FieldPart, output: &Output<M>) -> Result<(), Stopped> {
    let FieldPart { forecast, selection, window, shown } = part;
    let (rows, columns) = (window.rows.clone(), window.columns);
    let header = header(&forecast, &selection, window, &shown.units);
    output.part(Part::Header(Box::new(header))).await?;
    let mut offset = 0;
    for band in bands(rows, columns.count) {
        let values = match fields::rows(&forecast, &selection.column, selection.step, band, columns).await {
            Ok(values) => values,
            Err(error) => return output.send(Err(error.into())).await,
        };
        let bytes: Bytes = values.iter().flat_map(|&value| shown.show(value).to_le_bytes()).collect::<Vec<u8>>().into();
        let mut rest = bytes;
        while !rest.is_empty() {
            let data = rest.split_to(rest.len().min(PIECE_BYTES));
            let (length, crc32c) = (data.len() as u64, crc32c::crc32c(&data));
            output.part(Part::Piece(v1::FieldPiece { offset, data, crc32c })).await?;
            offset += length;
        }
    }
    Ok(())
}

/// Each within one row of the store's chunks.
fn bands(rows: Range<usize>, columns: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96].map(|parts| BAND_ROWS / parts);
    let band = parts.into_iter().find(|band| band * columns * size_of::<f32>() <= BAND_BYTES).unwrap_or(1);
    spans(rows, band).map(|(_, rows)| rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_hold_all_rows_and_end_where_chunks_end() {
        assert_eq!(bands(90..300, 10).collect::<Vec<_>>(), [90..96, 96..192, 192..288, 288..300]);
        // a row of 3600 columns has 14 KB
        assert_eq!(bands(30..100, 3600).collect::<Vec<_>>(), [30..32, 32..64, 64..96, 96..100]);
        assert_eq!(bands(7..9, 1 << 20).collect::<Vec<_>>(), [7..8, 8..9]);
    }
}
