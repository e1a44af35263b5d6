//! OGC API - Tiles 1.0 (20-057): which tiles a field has, and in which tile matrix sets (17-083r4, as 2.0 writes them in JSON).
//!
//! The tiles themselves are at `/tiles/{forecast}/{variable}/{level}/{lead}/{set}/{tileMatrix}/{tileRow}/{tileCol}`: rows come
//! before columns, where XYZ addresses have x before y.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::base::base;
use super::describe::run_headers;
use super::edr::bounds;
use super::params::{PathParts, path};
use crate::serve::catalog::Forecast;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::select::{self, Selection, Violations, parse_lead};
use crate::serve::state::Shared;
use crate::serve::tiles::Format;
use crate::tile::{MAX_ZOOM, MERCATOR_EDGE, TILE_SIZE, TileMatrixSet};

/// Size of a pixel that scales are meant for, m (17-083r4, clause 6.2).
const PIXEL: f64 = 0.28e-3;
/// Length of a degree on WGS 84's equator, m (the same, annex D).
const METRES_PER_DEGREE: f64 = 111_319.490_793_273_57;
/// Levels that are told of: further ones go on in the same way.
const TOLD: u32 = 18;

type FieldParts = (String, String, String, String);

/// The set of a name in a URL.
pub fn set(name: &str) -> Result<TileMatrixSet, Violation> {
    TileMatrixSet::ALL.into_iter().find(|set| set.name() == name).ok_or_else(|| {
        let names = TileMatrixSet::ALL.map(TileMatrixSet::name).join(" or ");
        Violation::new("tileMatrixSetId", format!("{} is not served; expected {names}", quoted(name)))
    })
}

fn crs(set: TileMatrixSet) -> &'static str {
    match set {
        TileMatrixSet::WebMercatorQuad => "http://www.opengis.net/def/crs/EPSG/0/3857",
        TileMatrixSet::WorldCrs84Quad => "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    }
}

fn link(href: String, rel: &str, kind: &str) -> Value {
    json!({ "href": href, "rel": rel, "type": kind })
}

/// `/tileMatrixSets`
pub async fn matrix_sets(uri: Uri, headers: HeaderMap) -> Response {
    let base = base(&uri, &headers);
    let sets = TileMatrixSet::ALL.map(|set| {
        json!({
            "id": set.name(),
            "uri": format!("http://www.opengis.net/def/tilematrixset/OGC/1.0/{}", set.name()),
            "crs": crs(set),
            "links": [link(format!("{base}/tileMatrixSets/{}", set.name()), "self", "application/json")],
        })
    });
    Json(json!({ "tileMatrixSets": sets })).into_response()
}

/// `/tileMatrixSets/{set}`
pub async fn matrix_set(parts: PathParts<String>) -> Result<Response, Error> {
    let set = set(&path(parts)?)?;
    let (origin, first) = match set {
        // metres per pixel at zoom 0
        TileMatrixSet::WebMercatorQuad => ([-MERCATOR_EDGE, MERCATOR_EDGE], 2.0 * MERCATOR_EDGE / TILE_SIZE as f64),
        TileMatrixSet::WorldCrs84Quad => ([-180.0, 90.0], 180.0 / TILE_SIZE as f64),
    };
    let matrices = (0..=TOLD).map(|zoom| {
        let (columns, rows) = set.shape(zoom);
        let cell = first / f64::from(1u32 << zoom);
        let metres = if set == TileMatrixSet::WorldCrs84Quad { cell * METRES_PER_DEGREE } else { cell };
        json!({
            "id": zoom.to_string(),
            "scaleDenominator": metres / PIXEL,
            "cellSize": cell,
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": origin,
            "tileWidth": TILE_SIZE,
            "tileHeight": TILE_SIZE,
            "matrixWidth": columns,
            "matrixHeight": rows,
        })
    });
    Ok(Json(json!({
        "id": set.name(),
        "title": set.name(),
        "uri": format!("http://www.opengis.net/def/tilematrixset/OGC/1.0/{}", set.name()),
        "crs": crs(set),
        "orderedAxes": if set == TileMatrixSet::WebMercatorQuad { ["X", "Y"] } else { ["Lon", "Lat"] },
        "wellKnownScaleSet": match set {
            TileMatrixSet::WebMercatorQuad => "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
            TileMatrixSet::WorldCrs84Quad => "http://www.opengis.net/def/wkss/OGC/1.0/GoogleCRS84Quad",
        },
        "tileMatrices": matrices.collect::<Vec<_>>(),
    }))
    .into_response())
}

/// `/tiles/{forecast}/{variable}/{level}/{lead}`: the tilesets of a field.
pub async fn list(
    State(state): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    parts: PathParts<FieldParts>,
) -> Result<Response, Error> {
    let (forecast, selection) = field(&state, path(parts)?).await?;
    let base = address(&base(&uri, &headers), &forecast, &selection);
    let sets = TileMatrixSet::ALL.map(|set| describe(&base, set, &forecast, &selection));
    Ok(answer(&forecast, &selection, json!({ "links": [link(base, "self", "application/json")], "tilesets": sets })))
}

/// `/tiles/{forecast}/{variable}/{level}/{lead}/{set}`
pub async fn tileset(
    State(state): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    parts: PathParts<(String, String, String, String, String)>,
) -> Result<Response, Error> {
    let (forecast, variable, level, lead, name) = path(parts)?;
    let set = set(&name)?;
    let (forecast, selection) = field(&state, (forecast, variable, level, lead)).await?;
    let base = address(&base(&uri, &headers), &forecast, &selection);
    let described = describe(&base, set, &forecast, &selection);
    Ok(answer(&forecast, &selection, described))
}

async fn field(
    state: &Shared,
    (forecast, variable, level, lead): FieldParts,
) -> Result<(std::sync::Arc<Forecast>, Selection), Error> {
    let forecast = state.catalog.open(&ForecastName::from_id(&forecast)?).await?;
    let selection = select::field(&forecast, &variable, &level, parse_lead(&lead), Violations::default())?;
    Ok((forecast, selection))
}

/// Where the field's tiles are; of `latest` the concrete run.
fn address(base: &str, forecast: &Forecast, selection: &Selection) -> String {
    let column = &selection.column;
    format!("{base}/tiles/{}/{}/{}/{}", forecast.id(), column.variable.name, column.level, selection.lead)
}

fn describe(base: &str, set: TileMatrixSet, forecast: &Forecast, selection: &Selection) -> Value {
    let name = set.name();
    let server = base.split("/tiles/").next().unwrap_or_default();
    let mut links = vec![
        link(format!("{base}/{name}"), "self", "application/json"),
        link(
            format!("{server}/tileMatrixSets/{name}"),
            "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme",
            "application/json",
        ),
    ];
    for format in Format::ALL {
        let href = format!("{base}/{name}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}?f={}", format.extension());
        let mut item = link(href, "item", format.content_type());
        item["templated"] = true.into();
        links.push(item);
    }
    let [west, south, east, north] = bounds(&forecast.reader.spec().grid);
    let column = &selection.column;
    json!({
        "title": format!("{} {} {}", column.variable.long_name, column.level, selection.valid_time),
        "dataType": "map",
        "crs": crs(set),
        "tileMatrixSetURI": format!("http://www.opengis.net/def/tilematrixset/OGC/1.0/{name}"),
        "boundingBox": { "lowerLeft": [west, south], "upperRight": [east, north], "crs": crs(TileMatrixSet::WorldCrs84Quad) },
        "maxTileMatrix": MAX_ZOOM.to_string(),
        "links": links,
    })
}

fn answer(forecast: &Forecast, selection: &Selection, body: Value) -> Response {
    let kept = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    (run_headers(forecast, selection), kept, Json(body)).into_response()
}
