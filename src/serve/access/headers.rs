//! What browsers are told with every answer: what pages elsewhere may do, and what this server's may.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer};
use url::Url;

/// How long browsers keep the answer to a preflight, in seconds.
const PREFLIGHT: u64 = 3600;
/// A year: as browsers want it before they believe it.
const HSTS: &str = "max-age=31536000";
/// Of answers that are no pages: nothing in them is run, and nothing frames them. Pages have policies of their own.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What programs of pages elsewhere may read of an answer's headers.
const EXPOSED: [&str; 7] =
    ["etag", "retry-after", "vejr-forecast", "vejr-reference-time", "vejr-steps", "vejr-units", "vejr-valid-time"];

#[derive(Debug, thiserror::Error)]
#[error("access.origins has {0:?}; expected an origin such as https://maps.example.org, without a path, or *")]
pub struct OriginError(String);

/// The router with what every answer says.
pub fn dressed(router: Router, origins: &[String], tls: bool) -> Result<Router, OriginError> {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let mut router = router;
    if !origins.is_empty() {
        router = router.layer(cors(origins)?);
    }
    router = router
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .layer(set(header::CONTENT_SECURITY_POLICY, POLICY));
    if !tls {
        return Ok(router);
    }
    // what links in answers begin with
    let https = HeaderValue::from_static("https");
    let said = SetRequestHeaderLayer::if_not_present(HeaderName::from_static("x-forwarded-proto"), https);
    Ok(router.layer(set(header::STRICT_TRANSPORT_SECURITY, HSTS)).layer(said))
}

/// Tokens are shown by the page that asks, never by the browser of itself: credentials are not allowed.
fn cors(origins: &[String]) -> Result<CorsLayer, OriginError> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origin = |text: &String| {
            let url = Url::parse(text).ok().filter(|url| url.origin().ascii_serialization() == *text);
            url.and_then(|_| HeaderValue::try_from(text).ok()).ok_or_else(|| OriginError(text.clone()))
        };
        AllowOrigin::list(origins.iter().map(origin).collect::<Result<Vec<_>, _>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, header::IF_NONE_MATCH])
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(std::time::Duration::from_secs(PREFLIGHT)))
}
