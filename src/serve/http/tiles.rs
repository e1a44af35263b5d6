//! `/tiles/{forecast}/{variable}/{level}/{lead}/{z}/{x}/{y}.png|.webp|.f32|.i16`, the same tiles at the paths of OGC API - Tiles,
//! and the TileJSON that describes them.
//!
//! `@2x` before the ending, or `size=512`, makes 512 pixels per edge; `interpolation=nearest` shows grid points; `units` are
//! those of numbers; `member` chooses one of an ensemble, or what is made of all (`mean`, `spread`, `q90`), where the control is
//! shown else.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::describe::run_headers;
use super::params::{Parameters, PathParts, QueryPairs, path};
use super::tilesets;
use crate::serve::catalog::Forecast;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::select::{self, Selection, Violations, parse_lead};
use crate::serve::state::Shared;
use crate::serve::tiles::{Drawing, Format, render};
use crate::tile::{MAX_ZOOM, TILE_SIZE, TileError, TileId, TileMatrixSet};

/// A published step never changes; a forecast that is made again has another key or the same values.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// Counted up when the same values come to look otherwise: part of the ETag.
const LOOK: u32 = 1;

type TileParts = (String, String, String, String, String, String, String);
type OgcTileParts = (String, String, String, String, String, String, String, String);

/// XYZ: `{z}/{x}/{y}[@2x].{png|webp|f32|i16}`.
pub async fn tile(
    State(state): State<Shared>,
    headers: HeaderMap,
    parts: PathParts<TileParts>,
    query: QueryPairs,
) -> Result<Response, Error> {
    let (forecast, variable, level, lead, z, x, file) = path(parts)?;
    let query = Parameters::read(query, &["interpolation", "units", "size", "member"])?;
    let (y, ending) = file.rsplit_once('.').unwrap_or((&file, ""));
    let address = Address { set: TileMatrixSet::WebMercatorQuad, z: &z, x: &x, y, ending };
    let path = format!("{z}/{x}/{file}");
    answer(&state, &headers, [&forecast, &variable, &level, &lead], address, &query, &path).await
}

/// OGC API - Tiles: `{set}/{tileMatrix}/{tileRow}/{tileCol}[.{ending}]`, or the ending as `f`; PNG where there is none.
pub async fn ogc_tile(
    State(state): State<Shared>,
    headers: HeaderMap,
    parts: PathParts<OgcTileParts>,
    query: QueryPairs,
) -> Result<Response, Error> {
    let (forecast, variable, level, lead, name, z, row, file) = path(parts)?;
    let query = Parameters::read(query, &["interpolation", "units", "size", "member", "f"])?;
    let set = tilesets::set(&name)?;
    let (column, ending) = file.rsplit_once('.').unwrap_or((&file, ""));
    let ending = match (ending, query.text("f")) {
        ("", "") => "png",
        ("", form) => form,
        (ending, _) => ending,
    };
    let address = Address { set, z: &z, x: column, y: &row, ending };
    let path = format!("{name}/{z}/{row}/{column}.{ending}");
    answer(&state, &headers, [&forecast, &variable, &level, &lead], address, &query, &path).await
}

/// The parts of a tile's address, as texts.
struct Address<'a> {
    set: TileMatrixSet,
    z: &'a str,
    x: &'a str,
    y: &'a str,
    ending: &'a str,
}

async fn answer(
    state: &Shared,
    headers: &HeaderMap,
    [forecast, variable, level, lead]: [&str; 4],
    address: Address<'_>,
    query: &Parameters,
    path: &str,
) -> Result<Response, Error> {
    let name = ForecastName::from_id(forecast)?;
    let forecast = state.catalog.open(&name).await?.of(query.whose())?;
    let mut violations = Violations::default();
    let drawn = address.read(query.text("size"), &mut violations);
    let nearest = violations.take(interpolation(query.text("interpolation")));
    let selection = select::field(&forecast, variable, level, parse_lead(lead), violations)?;
    let shown = forecast.one_unit(&selection.column.variable, query.text("units"))?;
    let ((tile, format, size), nearest) =
        drawn.zip(nearest).ok_or_else(|| Error::Internal("a tile without an address".to_owned()))?;
    let drawing = Drawing { tile, format, size, nearest, shown };
    if let ForecastName::Latest(_) = name {
        // the address of the concrete run is the answer's name, and may be kept
        let column = &selection.column;
        let (level, lead) = (column.level, selection.lead);
        let query = query.encoded();
        let location = format!("/tiles/{}/{}/{level}/{lead}/{path}{query}", forecast.id(), column.variable.name);
        return Ok(([(header::CACHE_CONTROL, NOT_KEPT)], Redirect::temporary(&location)).into_response());
    }
    let etag = etag(&forecast, &selection, &drawing);
    let mut answer = run_headers(&forecast, &selection);
    answer.insert(header::CACHE_CONTROL, IMMUTABLE);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Ok(value) = HeaderValue::try_from(&etag) {
        answer.insert(header::ETAG, value);
    }
    if let Ok(value) = HeaderValue::try_from(&drawing.shown.units) {
        answer.insert(HeaderName::from_static("vejr-units"), value);
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let bytes = render(state, &forecast, &selection, drawing).await?;
    Ok((answer, bytes).into_response())
}

impl Address<'_> {
    /// Tile, format and pixels per edge.
    fn read(&self, size: &str, violations: &mut Violations) -> Option<(TileId, Format, usize)> {
        let (y, twice) = self.y.strip_suffix("@2x").map_or((self.y, false), |y| (y, true));
        let (x, also) = self.x.strip_suffix("@2x").map_or((self.x, false), |x| (x, true));
        let size = match (size, twice || also) {
            ("256", false) | ("", false) => Ok(TILE_SIZE),
            ("512", _) | ("", true) => Ok(2 * TILE_SIZE),
            _ => Err(Violation::new("size", format!("{} is not made; expected 256 or 512", quoted(size)))),
        };
        let size = violations.take(size);
        let format = Format::ALL.into_iter().find(|format| format.extension() == self.ending);
        let format = violations.take(format.ok_or_else(|| {
            let endings = Format::ALL.map(Format::extension).join(", ");
            Violation::new("y", format!("{} is no known ending; expected one of {endings}", quoted(self.ending)))
        }));
        let mut number = |field, text: &str| {
            let wrong = |_| Violation::new(field, format!("{} is no tile number", quoted(text)));
            violations.take(text.parse::<u32>().map_err(wrong))
        };
        let (z, x, y) = (number("z", self.z), number("x", x), number("y", y));
        let tile = TileId::of(self.set, z?, x?, y?).map_err(|error| {
            let field = match error {
                TileError::Zoom(_) => "z",
                TileError::Outside { axis, .. } => axis,
            };
            Violation::new(field, error.to_string())
        });
        let tile = violations.take(tile);
        Some((tile?, format?, size?))
    }
}

/// Whether the nearest grid point's value is taken; bilinear where it is not said.
fn interpolation(text: &str) -> Result<bool, Violation> {
    match text {
        "" | "bilinear" => Ok(false),
        "nearest" => Ok(true),
        other => {
            let what = format!("{} is not known; expected nearest or bilinear", quoted(other));
            Err(Violation::new("interpolation", what))
        }
    }
}

/// From what the bytes depend on; the step's checksum stands for its values.
fn etag(forecast: &Forecast, selection: &Selection, drawing: &Drawing) -> String {
    let mut hasher = DefaultHasher::new();
    let column = &selection.column;
    (LOOK, &forecast.path, &column.variable.name, column.level, selection.lead, selection.step_crc32c)
        .hash(&mut hasher);
    (drawing.tile, drawing.format, drawing.size, drawing.nearest, &drawing.shown.units).hash(&mut hasher);
    forecast.whose().hash(&mut hasher);
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
        let read = |z, x, file: &str, size| {
            let mut violations = Violations::default();
            let (y, ending) = file.rsplit_once('.').unwrap_or((file, ""));
            let address = Address { set: TileMatrixSet::WebMercatorQuad, z, x, y, ending };
            let tile = address.read(size, &mut violations);
            violations.finish(tile)
        };
        assert_eq!(read("3", "1", "2.png", "").unwrap(), (TileId::new(3, 1, 2).unwrap(), Format::Png, 256));
        assert_eq!(read("0", "0", "0.f32", "512").unwrap().2, 512);
        assert_eq!(read("0", "0", "0@2x.webp", "").unwrap(), (TileId::new(0, 0, 0).unwrap(), Format::WebP, 512));
        for (z, x, file, size) in [
            ("3", "8", "2.png", ""),
            ("", "0", "0.png", ""),
            ("0", "0", "0.gif", ""),
            ("0", "0", ".png", ""),
            ("-1", "0", "0.png", ""),
            ("99999999999", "0", "0", ""),
            ("0", "0", "0.png", "1024"),
            ("0", "0", "0@2x.png", "256"),
        ] {
            assert!(matches!(read(z, x, file, size), Err(Error::Invalid(_))), "{z}/{x}/{file}");
        }
    }
}
