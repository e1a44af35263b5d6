//! HTTP: tiles for maps, JSON for the page and for scripts, the page itself, and what operators ask.

mod api;
mod describe;
mod events;
mod legends;
mod ops;
mod page;
mod params;
mod runs;
mod tiles;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::set_header::SetResponseHeaderLayer;

use super::error::Error;
use super::state::Shared;

pub fn router(state: Shared) -> Router {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // float tiles hardly shrink, and cost more to compress than to make
    let worth_compressing = DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    Router::new()
        .route("/", get(page::index))
        .route("/assets/{name}", get(page::asset))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/tile.json", get(tiles::tile_json))
        .route("/tiles/{forecast}/{variable}/{level}/{lead}/{z}/{x}/{file}", get(tiles::tile))
        .route("/legends/{forecast}/{variable}/{level}", get(legends::legend))
        .route("/api/v1/forecasts", get(api::list))
        .route("/api/v1/forecasts/{forecast}", get(api::forecast))
        .route("/api/v1/forecasts/{forecast}/series", get(api::series))
        .route("/api/v1/models", get(runs::models))
        .route("/api/v1/runs", get(runs::list).merge(runs::request_route()))
        .route("/api/v1/runs/{forecast}", get(runs::run).delete(runs::cancel))
        .route("/api/v1/runs/{forecast}/events", get(events::events))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().compress_when(worth_compressing))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .with_state(state)
}

pub async fn not_found(request: Request) -> Response {
    let name = super::names::quoted(request.uri().path());
    let hint = "there are / (the map), /api/v1/forecasts, /api/v1/runs, /api/v1/models, /tiles/…, /legends/…, /healthz, /readyz and /metrics";
    Error::NotFound { kind: "page", name, hint }.into_response()
}

async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "this method is not understood here; most addresses take GET and HEAD\n")
        .into_response()
}
