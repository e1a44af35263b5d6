//! One tile of one field.

use std::time::Instant;

use bytes::Bytes;
use ndarray::Array2;

use super::catalog::Forecast;
use super::error::Error;
use super::select::Selection;
use super::state::State;
use crate::tile::{Footprint, Style, TILE_SIZE, TileId, encode_png, encode_raw, transparent_png};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Png,
    Raw,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Raw => "application/octet-stream",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Raw => "f32",
        }
    }
}

/// The tile's bytes. Reading waits for the store; projecting and encoding run on a thread for computations.
pub async fn render(
    state: &State,
    forecast: &Forecast,
    selection: &Selection,
    tile: TileId,
    format: Format,
) -> Result<Bytes, Error> {
    let grid = forecast.reader.spec().grid.clone();
    let footprint = match grid.rectilinear() {
        Some(_) => Footprint::of_tile(&grid, tile),
        // one projection per pixel
        None => tokio::task::spawn_blocking(move || Footprint::of_tile(&grid, tile))
            .await
            .map_err(|error| Error::Internal(error.to_string()))?,
    };
    let window = match &footprint {
        Some(footprint) => state.blocks.window(forecast, selection, footprint.rows(), footprint.columns()).await?,
        None => Array2::zeros((0, 0)),
    };
    let style = match format {
        Format::Png => Some(state.styles.of(forecast, &selection.column).await?),
        Format::Raw => None,
    };
    let begin = Instant::now();
    let encoded = tokio::task::spawn_blocking(move || encode(footprint, &window, tile, style.as_deref())).await;
    let bytes = encoded.map_err(|error| Error::Internal(error.to_string()))??;
    state.metrics.tiles.with_label_values(&[format.extension()]).inc();
    state.metrics.tile_seconds.observe(begin.elapsed().as_secs_f64());
    Ok(bytes)
}

/// With a style a picture, without one numbers.
fn encode(
    footprint: Option<Footprint>,
    window: &Array2<f32>,
    tile: TileId,
    style: Option<&Style>,
) -> Result<Bytes, Error> {
    let samples = footprint.map(|footprint| footprint.sample(window));
    let png = match (samples, style) {
        (Some(samples), None) => return Ok(encode_raw(&samples, tile).into()),
        (None, None) => return Ok(encode_raw(&[f32::NAN; TILE_SIZE * TILE_SIZE], tile).into()),
        (Some(samples), Some(style)) => encode_png(&samples, style),
        (None, Some(style)) => transparent_png(style),
    };
    png.map(Bytes::from).map_err(|error| Error::Internal(error.to_string()))
}
