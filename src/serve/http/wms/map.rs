//! GetMap and GetLegendGraphic.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::exception::{Code, Exception};
use super::request::{Field, Keys, Version};
use crate::serve::error::Error;
use crate::serve::http::describe::run_headers;
use crate::serve::names::quoted;
use crate::serve::state::Shared;
use crate::serve::tiles::sample;
use crate::tile::{Legend, Picture, PictureFormat, legend_png};

/// Layers of one map.
const MOST_LAYERS: usize = 8;
pub const STYLE: &str = "default";
/// A forecast goes on, and a default may change.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache");

fn format_of(keys: &Keys) -> Result<PictureFormat, Exception> {
    match keys.text("format") {
        "image/png" | "image/png; mode=8bit" => Ok(PictureFormat::Png),
        "image/webp" => Ok(PictureFormat::WebP),
        other => {
            let what = format!("{} is not known; expected image/png or image/webp", quoted(other));
            Err(Exception::invalid(Code::InvalidFormat, "format", what))
        }
    }
}

/// What is behind the layers; `None`: nothing.
fn background_of(keys: &Keys) -> Result<Option<[u8; 3]>, Exception> {
    let transparent = keys.text("transparent").eq_ignore_ascii_case("true");
    if transparent { Ok(None) } else { color(keys.text("bgcolor")).map(Some) }
}

/// An empty picture as a map would be that went wrong; `None` where its size is not told.
pub fn blank(keys: &Keys) -> Option<(Picture, PictureFormat, Option<[u8; 3]>)> {
    let (width, height) = keys.size().ok()?;
    let format = format_of(keys).unwrap_or(PictureFormat::Png);
    Some((Picture::new(width, height), format, background_of(keys).unwrap_or(Some([255; 3]))))
}

pub async fn answer(state: &Shared, version: Version, keys: &Keys) -> Result<Response, Exception> {
    let format = format_of(keys)?;
    let raster = keys.raster(version)?;
    let layers: Vec<&str> = keys.text("layers").split(',').filter(|layer| !layer.is_empty()).collect();
    if layers.is_empty() || layers.len() > MOST_LAYERS {
        let what = format!("names {} layers; expected 1 to {MOST_LAYERS}", layers.len());
        return Err(Exception::invalid(Code::LayerNotDefined, "layers", what));
    }
    styles(keys)?;
    let background = background_of(keys)?;
    let mut picture = Picture::new(raster.width(), raster.height());
    let mut headers = HeaderMap::new();
    for layer in layers {
        let field = keys.field(state, layer).await?;
        let sampled = sample(state, &field.forecast, &field.selection, &raster).await?;
        let style = state.styles.of(&field.forecast, field.column()).await?;
        let painted = tokio::task::spawn_blocking(move || {
            if let Some(values) = sampled.values() {
                picture.paint(&values, &style);
            }
            picture
        });
        picture = painted.await.map_err(|error| Error::Internal(error.to_string()))?;
        named(&mut headers, &field);
    }
    let encoded = tokio::task::spawn_blocking(move || picture.encode(format, background)).await;
    let encoded = encoded.map_err(|error| Error::Internal(error.to_string()))?;
    let bytes = encoded.map_err(|error| Error::Internal(error.to_string()))?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, NOT_KEPT);
    Ok((headers, bytes).into_response())
}

/// What was shown: the run, and which dimensions were taken by default (06-042, clause C.4.3).
pub fn named(headers: &mut HeaderMap, field: &Field) {
    headers.extend(run_headers(&field.forecast, &field.selection));
    let level = field.column().level.to_string();
    if let Ok(value) = HeaderValue::try_from(level) {
        headers.insert(HeaderName::from_static("vejr-level"), value);
    }
    for default in &field.defaults {
        if let Ok(value) = HeaderValue::try_from(format!("99 Default value used: {default}")) {
            headers.append(header::WARNING, value);
        }
    }
}

/// Each layer has one style.
fn styles(keys: &Keys) -> Result<(), Exception> {
    match keys.text("styles").split(',').find(|style| !style.is_empty() && *style != STYLE) {
        None => Ok(()),
        Some(other) => {
            let what = format!("{} is no style; expected {STYLE} or nothing", quoted(other));
            Err(Exception::invalid(Code::StyleNotDefined, "styles", what))
        }
    }
}

/// `0xRRGGBB`, white where it is not given.
fn color(text: &str) -> Result<[u8; 3], Exception> {
    if text.is_empty() {
        return Ok([255; 3]);
    }
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text);
    let number =
        Some(digits).filter(|digits| digits.len() == 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let [_, r, g, b] = number
        .ok_or_else(|| Exception::invalid(Code::None, "bgcolor", format!("{} is no 0xRRGGBB", quoted(text))))?
        .to_be_bytes();
    Ok([r, g, b])
}

/// A legend as a picture, or with `FORMAT=application/json` as numbers.
pub async fn legend(state: &Shared, keys: &Keys) -> Result<Response, Exception> {
    let layer = match keys.text("layer") {
        "" => keys.text("layers"),
        layer => layer,
    };
    let field = keys.field(state, layer).await?;
    let style = state.styles.of(&field.forecast, field.column()).await?;
    let mut headers = HeaderMap::new();
    named(&mut headers, &field);
    headers.insert(header::CACHE_CONTROL, NOT_KEPT);
    match keys.text("format") {
        "application/json" => Ok((headers, Json(Legend::new(&style))).into_response()),
        "" | "image/png" => {
            let bytes = legend_png(&style).map_err(|error| Error::Internal(error.to_string()))?;
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
            Ok((headers, bytes).into_response())
        }
        other => {
            let what = format!("{} is not known; expected image/png or application/json", quoted(other));
            Err(Exception::invalid(Code::InvalidFormat, "format", what))
        }
    }
}
