//! The map page and its files, which are part of the binary: it needs no other server, and no disk. `web/` has its sources.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::params::{PathParts, path};
use crate::serve::error::Error;
use crate::serve::names::quoted;

/// A file in the forms that a browser may take.
struct Asset {
    name: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

// `ASSETS`, as build.rs has found them
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const INDEX: &str = "index.html";

/// Nothing is loaded from anywhere else, and no other page may frame this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
                      img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub async fn index(headers: HeaderMap) -> Result<Response, Error> {
    answer(INDEX, &headers)
}

pub async fn asset(headers: HeaderMap, parts: PathParts<String>) -> Result<Response, Error> {
    answer(&path(parts)?, &headers)
}

fn answer(name: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let missing = || Error::NotFound { kind: "file", name: quoted(name), hint: "the page asks for none such" };
    let asset = asset.ok_or_else(missing)?;
    let (bytes, encoding) = encoded(asset, headers);
    let etag = format!("\"{:08x}-{:x}\"", crc32c::crc32c(bytes), bytes.len());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes().ends_with(etag.as_bytes()));
    let mut answer = HeaderMap::new();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(name)));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.extend(HeaderValue::try_from(etag).map(|etag| (header::ETAG, etag)));
    if known {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    answer.extend(encoding.map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name))));
    Ok((answer, bytes).into_response())
}

/// The smallest form that the client takes.
fn encoded(asset: &Asset, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |name: &str| {
        accepted.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            parts.next() == Some(name) && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    match asset {
        Asset { brotli: Some(bytes), .. } if takes("br") => (bytes, Some("br")),
        Asset { gzip: Some(bytes), .. } if takes("gzip") => (bytes, Some("gzip")),
        Asset { bytes, .. } => (bytes, None),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A name with a digest in it is never another file; of the others a new binary brings new ones, so that browsers ask.
fn cache_control(name: &str) -> &'static str {
    if name.contains('-') { "public, max-age=31536000, immutable" } else { "no-cache" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_in_the_smallest_form_that_is_taken() {
        let asset = Asset { name: "a.js", bytes: b"long", gzip: Some(b"gz"), brotli: Some(b"b") };
        let form = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
            encoded(&asset, &headers).1
        };
        assert_eq!(form("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(form("gzip;q=0.5, br;q=0"), Some("gzip"));
        assert_eq!(form("gzip;q=0"), None);
        assert_eq!(encoded(&asset, &HeaderMap::new()), (&b"long"[..], None));
    }

    #[test]
    fn the_page_is_there_and_names_files_that_are_there() {
        let page = ASSETS.iter().find(|asset| asset.name == INDEX).unwrap();
        let text = std::str::from_utf8(page.bytes).unwrap();
        let named: Vec<&str> =
            text.split("\"/assets/").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert!(named.len() >= 4, "{named:?}");
        for name in named {
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
        }
    }
}
