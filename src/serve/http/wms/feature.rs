//! GetFeatureInfo: the values under a pixel.

use std::fmt::Write;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::exception::{Code, Exception};
use super::map::named;
use super::request::{Keys, Version, iso};
use crate::serve::names::quoted;
use crate::serve::state::Shared;
use crate::serve::tiles::sample;
use crate::tile::Raster;

/// Formats, the first of them where none is asked for.
pub const FORMATS: [&str; 3] = ["text/plain", "application/json", "application/geo+json"];

pub async fn answer(state: &Shared, version: Version, keys: &Keys) -> Result<Response, Exception> {
    let format = match keys.text("info_format") {
        "" => FORMATS[0],
        text => *FORMATS.iter().find(|format| **format == text).ok_or_else(|| {
            let what = format!("{} is not known; expected one of {}", quoted(text), FORMATS.join(", "));
            Exception::invalid(Code::InvalidFormat, "info_format", what)
        })?,
    };
    let raster = keys.raster(version)?;
    let names = if version == Version::V130 { ["i", "j"] } else { ["x", "y"] };
    let (column, row): (usize, usize) =
        (keys.number(Code::InvalidPoint, names[0])?, keys.number(Code::InvalidPoint, names[1])?);
    let (Some(&latitude), Some(&longitude)) = (raster.latitudes.get(row), raster.longitudes.get(column)) else {
        let what = format!("pixel {column}, {row} is outside the map of {} × {}", raster.width(), raster.height());
        return Err(Exception::invalid(Code::InvalidPoint, names[0], what));
    };
    let pixel = Raster { latitudes: vec![latitude], longitudes: vec![longitude] };
    let mut headers = HeaderMap::new();
    let mut features = Vec::new();
    let mut text = String::new();
    for layer in keys.text("query_layers").split(',').filter(|layer| !layer.is_empty()) {
        let field = keys.field(state, layer).await?;
        let style = state.styles.of(&field.forecast, field.column()).await?;
        // one point: no thread of its own
        let value =
            sample(state, &field.forecast, &field.selection, &pixel).await?.values().and_then(|v| v.first().copied());
        let value = value.filter(|value| value.is_finite());
        let shown = value.map(|value| style.display.show(f64::from(value)));
        let (variable, time) = (&field.column().variable, iso(field.selection.valid_time));
        let level = field.column().level.to_string();
        // writing to a string does not fail
        let _ = match shown {
            Some(shown) => writeln!(text, "{layer} {level} {time}: {shown:.2} {}", style.units),
            None => writeln!(text, "{layer} {level} {time}: no value here"),
        };
        features.push(json!({
            "type": "Feature",
            "geometry": { "type": "Point", "coordinates": [longitude, latitude] },
            "properties": {
                "layer": layer,
                "variable": variable.name,
                "long_name": variable.long_name,
                "level": level,
                "time": time,
                "reference_time": iso(field.forecast.manifest().reference_time.valid()),
                "forecast": field.forecast.name(),
                "value": value,
                "units": variable.units,
                "shown": shown,
                "shown_units": style.units,
            },
        }));
        named(&mut headers, &field);
    }
    if features.is_empty() {
        return Err(Exception::invalid(Code::LayerNotDefined, "query_layers", "names no layer"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if format == "text/plain" {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        return Ok((headers, text).into_response());
    }
    let mut response = Json(json!({ "type": "FeatureCollection", "features": features })).into_response();
    response.headers_mut().extend(headers);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format));
    Ok(response)
}
