//! A whole field, piece by piece: what a client that reads slowly holds is one band of rows, not the field.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::convert;
use crate::serve::catalog::Forecast;
use crate::serve::fields;
use crate::serve::select::Selection;
use crate::serve::v1;
use crate::serve::v1::get_field_response::Part;

/// Well below what any client accepts by default (4 MiB): of each stream one waits here, and one in the connection.
const PIECE_BYTES: usize = 256 << 10;
/// Rows read at once: the store's chunks, or an even part of them where rows are long, because a band waits for its reader, too.
const BAND_ROWS: usize = 96;
const BAND_BYTES: usize = 640 << 10;

type Sender = mpsc::Sender<Result<v1::GetFieldResponse, Status>>;

/// Why a stream ends before its end: the client is gone, or reads nothing.
struct Stopped;

pub fn start(
    forecast: Arc<Forecast>,
    selection: Selection,
    stall: Duration,
) -> ReceiverStream<Result<v1::GetFieldResponse, Status>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let output = Output { sender, stall };
        // whoever stops reading has nothing to be told
        let _ = send_field(&forecast, &selection, &output).await;
    });
    ReceiverStream::new(receiver)
}

struct Output {
    sender: Sender,
    stall: Duration,
}

impl Output {
    async fn send(&self, message: Result<v1::GetFieldResponse, Status>) -> Result<(), Stopped> {
        self.sender.send_timeout(message, self.stall).await.map_err(|_| Stopped)
    }

    async fn part(&self, part: Part) -> Result<(), Stopped> {
        self.send(Ok(v1::GetFieldResponse { part: Some(part) })).await
    }
}

async fn send_field(forecast: &Forecast, selection: &Selection, output: &Output) -> Result<(), Stopped> {
    let grid = forecast.reader.spec().grid.clone();
    let (rows, columns) = grid.shape();
    let total_bytes = (rows * columns * size_of::<f32>()) as u64;
    let column = &selection.column;
    let described = convert::grid(&grid);
    output
        .part(Part::Header(Box::new(v1::FieldHeader {
            run: Some(convert::run_of(forecast)),
            variable: column.variable.name.to_string(),
            level: column.level.to_string(),
            units: column.variable.units.to_string(),
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
        })))
        .await?;
    let mut offset = 0;
    for band in bands(rows, columns) {
        let values = match fields::rows(forecast, column, selection.step, band).await {
            Ok(values) => values,
            Err(error) => return output.send(Err(error.into())).await,
        };
        let bytes: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into();
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

fn bands(rows: usize, columns: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96].map(|parts| BAND_ROWS / parts);
    let band = parts.into_iter().find(|band| band * columns * size_of::<f32>() <= BAND_BYTES).unwrap_or(1);
    (0..rows).step_by(band).map(move |start| start..rows.min(start + band))
}
