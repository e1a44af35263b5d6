//! OGC Web Map Service 1.3.0 (06-042) and 1.1.1 (01-068r3), for the desktop tools: GetCapabilities, GetMap, GetFeatureInfo and
//! GetLegendGraphic at `/wms`.
//!
//! A layer is a variable of a model, `{model}:{variable}`. Its dimensions are TIME, ELEVATION (in the level's units) and
//! DIM_REFERENCE_TIME. One that a request leaves out takes the default that the capabilities declare: the latest run, its
//! analysis, 500 hPa or the first level. The answer says which in `Warning` headers, as the standard asks for, and in
//! `vejr-…` headers.

mod capabilities;
mod exception;
mod feature;
mod map;
mod request;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::base::base;
use super::params::QueryPairs;
use crate::serve::error::Error;
use crate::serve::names::quoted;
use crate::serve::state::Shared;
use exception::{Code, Exception};
use request::{Keys, Version};

pub async fn wms(State(state): State<Shared>, uri: Uri, headers: HeaderMap, query: QueryPairs) -> Response {
    let pairs = query.map_or_else(|_| Vec::new(), |Query(pairs)| pairs);
    let keys = Keys::new(pairs);
    let version = keys.version();
    match answer(&state, &base(&uri, &headers), version, &keys).await {
        Ok(answer) => answer,
        Err(exception) => exception.response(version, &keys).await,
    }
}

async fn answer(state: &Shared, base: &str, version: Version, keys: &Keys) -> Result<Response, Exception> {
    let service = keys.text("service");
    if !service.is_empty() && !service.eq_ignore_ascii_case("WMS") {
        return Err(Exception::invalid(Code::None, "service", format!("{} is not WMS", quoted(service))));
    }
    match &*keys.text("request").to_ascii_lowercase() {
        "getcapabilities" | "capabilities" => capabilities::answer(state, base, version).await,
        "getmap" | "map" => map::answer(state, version, keys).await,
        "getfeatureinfo" | "feature_info" => feature::answer(state, version, keys).await,
        "getlegendgraphic" => map::legend(state, keys).await,
        other => {
            let what = format!(
                "{} is not done here; expected GetCapabilities, GetMap, GetFeatureInfo or GetLegendGraphic",
                quoted(other)
            );
            Err(Exception::invalid(Code::OperationNotSupported, "request", what))
        }
    }
}

/// Whatever has no code of its own.
impl From<Error> for Exception {
    fn from(error: Error) -> Self {
        Self::new(Code::None, error)
    }
}
