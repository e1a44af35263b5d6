//! The map page and its files, which are part of the binary: it needs no other server, and no disk.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::params::{PathParts, path};
use crate::serve::error::Error;
use crate::serve::names::quoted;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset { name: $name, content_type: $content_type, bytes: include_bytes!(concat!("../web/", $name)) }
    };
}

const INDEX: Asset = asset!("index.html", "text/html; charset=utf-8");
const ASSETS: &[Asset] = &[
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("map.js", "text/javascript; charset=utf-8"),
    asset!("tiles.js", "text/javascript; charset=utf-8"),
    asset!("mercator.js", "text/javascript; charset=utf-8"),
    asset!("gestures.js", "text/javascript; charset=utf-8"),
    asset!("legend.js", "text/javascript; charset=utf-8"),
    asset!("meteogram.js", "text/javascript; charset=utf-8"),
    asset!("permalink.js", "text/javascript; charset=utf-8"),
    asset!("timeline.js", "text/javascript; charset=utf-8"),
    asset!("format.js", "text/javascript; charset=utf-8"),
];

/// Nothing is loaded from anywhere else, and no other page may frame this one.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub async fn index(headers: HeaderMap) -> Response {
    answer(&INDEX, &headers)
}

pub async fn asset(headers: HeaderMap, parts: PathParts<String>) -> Result<Response, Error> {
    let name = path(parts)?;
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let missing = || Error::NotFound { kind: "file", name: quoted(&name), hint: "the page asks for none such" };
    Ok(answer(asset.ok_or_else(missing)?, &headers))
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let etag = format!("\"{:08x}-{:x}\"", crc32c::crc32c(asset.bytes), asset.bytes.len());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes().ends_with(etag.as_bytes()));
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // a new binary brings a new page: ask each time, and hear that nothing has changed
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let etag = [(header::ETAG, etag)];
    if known {
        (StatusCode::NOT_MODIFIED, fixed, etag).into_response()
    } else {
        (fixed, etag, asset.bytes).into_response()
    }
}
