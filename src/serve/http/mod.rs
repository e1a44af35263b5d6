//! HTTP: tiles for maps, OGC API - EDR and WMS for programs, JSON for the page and for scripts, the page itself, and what operators ask.

mod api;
mod base;
mod describe;
mod edr;
mod events;
mod legends;
mod ops;
mod page;
mod params;
mod runs;
mod shapes;
mod spill;
mod tiles;
mod tilesets;
mod wms;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use super::error::Error;
use super::state::Shared;

pub fn router(state: Shared) -> Router {
    // float tiles hardly shrink, and cost more to compress than to make
    let worth_compressing = DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    Router::new()
        .route("/", get(edr::landing))
        .route("/assets/{name}", get(page::asset))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/tile.json", get(tiles::tile_json))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/{z}/{x}/{file}", get(tiles::tile))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}", get(tilesets::list))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/{set}", get(tilesets::tileset))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/{set}/{z}/{row}/{file}", get(tiles::ogc_tile))
        .route("/tileMatrixSets", get(tilesets::matrix_sets))
        .route("/tileMatrixSets/{set}", get(tilesets::matrix_set))
        .route("/contours/{forecast}/{variable}/{level}/{lead}", get(shapes::contour_lines))
        .route("/winds/{forecast}/{variable}/{level}/{lead}", get(shapes::winds))
        .route("/wms", get(wms::wms))
        .route("/legends/{forecast}/{variable}/{level}", get(legends::legend))
        .route("/api/v1/forecasts", get(api::list))
        .route("/api/v1/forecasts/{forecast}", get(api::forecast))
        .route("/api/v1/forecasts/{forecast}/series", get(api::series))
        .merge(edr())
        .route("/api/v1/models", get(runs::models))
        .route("/api/v1/runs", get(runs::list).merge(runs::request_route()))
        .route("/api/v1/runs/{forecast}", get(runs::run).delete(runs::cancel))
        .route("/api/v1/runs/{forecast}/events", get(events::events))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .layer(axum::middleware::from_fn(spill::spill))
        .layer(CompressionLayer::new().compress_when(worth_compressing))
        .with_state(state)
}

/// OGC API - Environmental Data Retrieval.
fn edr() -> Router<Shared> {
    Router::new()
        .route("/api", get(edr::api))
        .route("/conformance", get(edr::conformance))
        .route("/collections", get(edr::collections))
        .route("/collections/{collection}", get(edr::collection))
        .route("/collections/{collection}/instances", get(edr::instances))
        .route("/collections/{collection}/instances/{instance}", get(edr::instance))
        .route("/collections/{collection}/{query}", get(edr::of_collection))
        .route("/collections/{collection}/instances/{instance}/{query}", get(edr::of_instance))
}

pub async fn not_found(request: Request) -> Response {
    let name = super::names::quoted(request.uri().path());
    let hint = "there are / (the map), /collections, /wms, /api/v1/forecasts, /api/v1/runs, /api/v1/models, /tiles/…, /legends/…, \
                /healthz, /readyz and /metrics";
    Error::NotFound { kind: "page", name, hint }.into_response()
}
