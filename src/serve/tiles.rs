//! One picture of one field: a tile, or a window of a map.

use std::time::Instant;

use bytes::Bytes;
use ndarray::Array2;

use super::catalog::Forecast;
use super::derived::Quantity;
use super::error::Error;
use super::fields;
use super::select::Selection;
use super::state::State;
use super::units::Shown;
use crate::tile::{
    Footprint, Picture, PictureFormat, Raster, Style, TileId, encode_png, encode_quantised, encode_raw, transparent_png,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Png,
    WebP,
    Raw,
    Quantised,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Png, Self::WebP, Self::Raw, Self::Quantised];

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Raw | Self::Quantised => "application/octet-stream",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Raw => "f32",
            Self::Quantised => "i16",
        }
    }

    /// Whether it holds colours, and not numbers.
    fn is_picture(self) -> bool {
        matches!(self, Self::Png | Self::WebP)
    }
}

/// How a tile is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    pub tile: TileId,
    pub format: Format,
    /// Pixels per edge.
    pub size: usize,
    /// Each pixel has the value of the nearest grid point, where it is bilinear otherwise.
    pub nearest: bool,
    /// Units of numbers; colours have none.
    pub shown: Shown,
}

/// Values at a picture's pixels, row-major from the north-west, NaN where there are none.
pub struct Sampled {
    footprint: Option<Footprint>,
    windows: Vec<Array2<f32>>,
    quantity: Quantity,
}

impl Sampled {
    /// `None` where the picture lies outside the grid. Takes a while: for threads that compute.
    pub fn values(self) -> Option<Vec<f32>> {
        Some(self.quantity.combine(self.inputs()?))
    }

    /// The same of what the values follow from: one list per input.
    pub fn inputs(&self) -> Option<Vec<Vec<f32>>> {
        let footprint = self.footprint.as_ref()?;
        Some(self.windows.iter().map(|window| footprint.sample(window)).collect())
    }
}

/// Reads what a picture needs. Reading waits for the store; projecting runs on a thread for computations where it is long.
pub async fn sample(
    state: &State,
    forecast: &Forecast,
    selection: &Selection,
    raster: &Raster,
) -> Result<Sampled, Error> {
    let grid = forecast.reader.spec().grid.clone();
    let footprint = match grid.rectilinear() {
        Some(_) => Footprint::of_raster(&grid, raster),
        // one projection per pixel
        None => {
            let raster = raster.clone();
            tokio::task::spawn_blocking(move || Footprint::of_raster(&grid, &raster))
                .await
                .map_err(|error| Error::Internal(error.to_string()))?
        }
    };
    let windows = match &footprint {
        Some(footprint) => {
            let (rows, columns) = (footprint.rows(), footprint.columns());
            fields::windows(&state.blocks, forecast, &selection.column, selection.step, rows, columns).await?
        }
        None => Vec::new(),
    };
    Ok(Sampled { footprint, windows, quantity: selection.column.recipe.quantity })
}

/// The tile's bytes. Projecting and encoding run on a thread for computations.
pub async fn render(
    state: &State,
    forecast: &Forecast,
    selection: &Selection,
    drawing: Drawing,
) -> Result<Bytes, Error> {
    let format = drawing.format;
    let mut sampled = sample(state, forecast, selection, &drawing.tile.raster(drawing.size)).await?;
    if drawing.nearest {
        sampled.footprint = sampled.footprint.map(Footprint::nearest);
    }
    let style = match format.is_picture() {
        true => Some(state.styles.of(forecast, &selection.column).await?),
        false => None,
    };
    let precision = selection.column.variable.known().map_or(0.0, |known| known.precision);
    let begin = Instant::now();
    let encoded = tokio::task::spawn_blocking(move || encode(sampled, &drawing, precision, style.as_deref())).await;
    let bytes = encoded.map_err(|error| Error::Internal(error.to_string()))??;
    state.metrics.tiles.with_label_values(&[format.extension()]).inc();
    state.metrics.tile_seconds.observe(begin.elapsed().as_secs_f64());
    Ok(bytes)
}

/// With a style a picture, without one numbers.
fn encode(sampled: Sampled, drawing: &Drawing, precision: f64, style: Option<&Style>) -> Result<Bytes, Error> {
    let Drawing { tile, format, size, shown, .. } = drawing;
    let samples = sampled.values();
    let Some(style) = style else {
        let mut samples = samples.unwrap_or_else(|| vec![f32::NAN; size * size]);
        samples.iter_mut().for_each(|value| *value = shown.show(*value));
        return Ok(match format {
            Format::Quantised => encode_quantised(&samples, *tile, *size, precision * shown.scale.abs()),
            _ => encode_raw(&samples, *tile, *size),
        }
        .into());
    };
    let picture = match (samples, format) {
        (samples, Format::WebP) => {
            let mut picture = Picture::new(*size, *size);
            picture.paint(&samples.unwrap_or_default(), style);
            picture.encode(PictureFormat::WebP, None)
        }
        (Some(samples), _) => encode_png(&samples, *size, style),
        (None, _) => transparent_png(*size, *size, style),
    };
    picture.map(Bytes::from).map_err(|error| Error::Internal(error.to_string()))
}
