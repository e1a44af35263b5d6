//! `/tiles/{forecast}/{variable}/{level}/{lead}/{z}/{x}/{y}.png|.f32[?member=]`, and the TileJSON that describes them.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::describe::run_headers;
use super::params::{Parameters, PathParts, QueryPairs, path};
use crate::serve::catalog::Forecast;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::select::{self, Selection, Violations, parse_lead};
use crate::serve::state::Shared;
use crate::serve::tiles::{Format, render};
use crate::tile::{MAX_ZOOM, TileError, TileId};

/// A published step never changes; a forecast that is made again has another key or the same values.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// Counted up when the same values come to look otherwise: part of the ETag.
const LOOK: u32 = 1;

type TileParts = (String, String, String, String, String, String, String);

pub async fn tile(
    State(state): State<Shared>,
    headers: HeaderMap,
    parts: PathParts<TileParts>,
    query: QueryPairs,
) -> Result<Response, Error> {
    let (forecast_id, variable, level, lead, z, x, file) = path(parts)?;
    let member = Parameters::read(query, &["member"])?.member()?;
    let name = ForecastName::from_id(&forecast_id)?;
    let forecast = state.catalog.open(&name).await?.of_member(member)?;
    let mut violations = Violations::default();
    let tile = tile_id(&z, &x, &file, &mut violations);
    let selection = select::field(&forecast, &variable, &level, parse_lead(&lead), violations)?;
    let (tile, format) = tile.ok_or_else(|| Error::Internal("a tile without an address".to_owned()))?;
    if let ForecastName::Latest(_) = name {
        // the address of the concrete run is the answer's name, and may be kept
        let column = &selection.column;
        let (level, lead) = (column.level, selection.lead);
        let query = member.map_or(String::new(), |member| format!("?member={member}"));
        let location =
            format!("/tiles/{}/{}/{level}/{lead}/{z}/{x}/{file}{query}", forecast.id(), column.variable.name);
        return Ok(([(header::CACHE_CONTROL, NOT_KEPT)], Redirect::temporary(&location)).into_response());
    }
    let etag = etag(&forecast, &selection, tile, format);
    let mut answer = run_headers(&forecast, &selection);
    answer.insert(header::CACHE_CONTROL, IMMUTABLE);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Ok(value) = HeaderValue::try_from(&etag) {
        answer.insert(header::ETAG, value);
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let bytes = render(&state, &forecast, &selection, tile, format).await?;
    Ok((answer, bytes).into_response())
}

fn tile_id(z: &str, x: &str, file: &str, violations: &mut Violations) -> Option<(TileId, Format)> {
    let (y, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let format = [Format::Png, Format::Raw].into_iter().find(|format| format.extension() == extension);
    let format = violations.take(format.ok_or_else(|| {
        Violation::new("y", format!("{} has no known ending; expected {{y}}.png or {{y}}.f32", quoted(file)))
    }));
    let mut number = |field, text: &str| {
        let wrong = |_| Violation::new(field, format!("{} is no tile number", quoted(text)));
        violations.take(text.parse::<u32>().map_err(wrong))
    };
    let (z, x, y) = (number("z", z), number("x", x), number("y", y));
    let tile = TileId::new(z?, x?, y?).map_err(|error| {
        let field = match error {
            TileError::Zoom(_) => "z",
            TileError::Outside { axis, .. } => axis,
        };
        Violation::new(field, error.to_string())
    });
    violations.take(tile).zip(format)
}

/// From what the bytes depend on; the step's checksum stands for its values.
fn etag(forecast: &Forecast, selection: &Selection, tile: TileId, format: Format) -> String {
    let mut hasher = DefaultHasher::new();
    let column = &selection.column;
    (LOOK, &forecast.path, &column.variable.name, column.level, selection.lead, selection.step_crc32c)
        .hash(&mut hasher);
    if let Some(member) = forecast.reader.member() {
        member.hash(&mut hasher);
    }
    (tile, format.extension()).hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether an If-None-Match list holds the tag (weak comparison, RFC 9110 §13.1.2).
fn matches(tags: &HeaderValue, etag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// TileJSON 3.0 for one field, <https://github.com/mapbox/tilejson-spec>. Addresses are relative to the server.
pub async fn tile_json(
    State(state): State<Shared>,
    parts: PathParts<(String, String, String, String)>,
) -> Result<Response, Error> {
    let (forecast_id, variable, level, lead) = path(parts)?;
    let forecast = state.catalog.open(&ForecastName::from_id(&forecast_id)?).await?;
    let selection = select::field(&forecast, &variable, &level, parse_lead(&lead), Violations::default())?;
    let column = &selection.column;
    let (id, name, level, lead) = (forecast.id(), &column.variable.name, column.level, selection.lead);
    let base = format!("/tiles/{id}/{name}/{level}/{lead}");
    let grid = &forecast.reader.spec().grid;
    let [west, south, east, north] = grid.bounds();
    let (west, east) = if grid.is_global_in_longitude() { (-180.0, 180.0) } else { (west, east) };
    let document = json!({
        "tilejson": "3.0.0",
        "name": format!("{} {level} {lead}", column.variable.long_name),
        "description": format!("{} from {}, valid {}", forecast.path.model, forecast.manifest().reference_time, selection.valid_time),
        "scheme": "xyz",
        "tiles": [format!("{base}/{{z}}/{{x}}/{{y}}.png")],
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        "bounds": [west, south, east, north],
        "legend_url": format!("/legends/{id}/{name}/{level}"),
    });
    Ok((run_headers(&forecast, &selection), Json(document)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_compared_weakly() {
        let is = |tags: &str| matches(&HeaderValue::from_str(tags).unwrap(), "\"ab\"");
        assert!(is("\"ab\"") && is("W/\"ab\"") && is("\"x\", \"ab\"") && is("*"));
        assert!(!is("\"abc\"") && !is("ab") && !is(""));
    }

    #[test]
    fn addresses_that_make_no_tile_are_named() {
        let read = |z, x, file| {
            let mut violations = Violations::default();
            let tile = tile_id(z, x, file, &mut violations);
            violations.finish(tile)
        };
        assert_eq!(read("3", "1", "2.png").unwrap(), (TileId::new(3, 1, 2).unwrap(), Format::Png));
        assert_eq!(read("0", "0", "0.f32").unwrap().1, Format::Raw);
        for (z, x, file) in [
            ("3", "8", "2.png"),
            ("", "0", "0.png"),
            ("0", "0", "0.gif"),
            ("0", "0", ".png"),
            ("-1", "0", "0.png"),
            ("99999999999", "0", "0"),
        ] {
            assert!(matches!(read(z, x, file), Err(Error::Invalid(_))), "{z}/{x}/{file}");
        }
    }
}
