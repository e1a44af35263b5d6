//! OGC API - Environmental Data Retrieval 1.1 (<https://docs.ogc.org/is/19-086r6/19-086r6.html>), on the paths of DMI's open data,
//! so that their clients only change the base URL.
//!
//! ```text
//!  /collections/{model}[/instances/{run}]/position|area|cube|trajectory
//!        query ─► request (checked) ─► places (which grid points) ─► answer (values) ─► CoverageJSON, GeoJSON, NetCDF, CSV
//! ```
//!
//! An instance is called by its reference time (`2026-01-31T060000Z`: of several runs from one analysis, the one that is
//! furthest) or exactly (`2026-01-31T060000Z~RUNKEY`). Without an instance it is the latest run. The answer names the run in
//! its headers and in its contents.

mod answer;
mod collections;
mod covjson;
mod dimensions;
mod dmi_names;
mod exception;
mod netcdf;
mod openapi;
mod request;
mod table;
mod wkt;

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::base::base;
use super::describe::forecast_headers;
use super::page;
use super::params::{Parameters, PathParts, QueryPairs, path};
use crate::atmos::ReferenceTime;
use crate::serve::catalog::Entry;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::state::Shared;
use crate::store::{ForecastPath, RunState};
use answer::Answer;
pub use collections::bounds;
use collections::{CONFORMANCE, describe, link};
use exception::Exception;
pub use openapi::escape;
use request::{Format, Kind, Request};

/// Runs told of in one answer: the newest.
const INSTANCES: usize = 100;

/// Runs go on: an answer is true when it is given.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache");

type Answered = Result<Response, Exception>;

fn document(value: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, NOT_KEPT)], Json(value)).into_response()
}

/// Metadata take no parameters but these: the form is JSON, and a key is not asked for.
fn metadata(query: QueryPairs) -> Result<Parameters, Error> {
    let parameters = Parameters::read(query, &["f", "api-key"])?;
    match parameters.text("f") {
        "" | "json" | "html" => Ok(parameters),
        other => Err(Violation::new("f", format!("{} is no form of this; expected json", quoted(other))).into()),
    }
}

fn wants_html(headers: &HeaderMap, parameters: &Parameters) -> bool {
    let accepts = |kind: &str| {
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains(kind))
    };
    match parameters.text("f") {
        "" => accepts("text/html"),
        form => form == "html",
    }
}

/// `/`: the map for people, the landing page for programs that ask for JSON.
pub async fn landing(uri: Uri, headers: HeaderMap, query: QueryPairs) -> Response {
    let asked = query.as_ref().is_ok_and(|Query(pairs)| pairs.iter().any(|(name, form)| name == "f" && form == "json"));
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    if asked || (accept.contains("json") && !accept.contains("text/html")) {
        return document(collections::landing(&base(&uri, &headers)));
    }
    page::index(headers).await.into_response()
}

pub async fn conformance(query: QueryPairs) -> Answered {
    metadata(query)?;
    Ok(document(json!({ "conformsTo": CONFORMANCE })))
}

/// `/api`: OpenAPI for programs, a page for people.
pub async fn api(uri: Uri, headers: HeaderMap, query: QueryPairs) -> Answered {
    let parameters = metadata(query)?;
    let base = base(&uri, &headers);
    if wants_html(&headers, &parameters) {
        let page = Html(openapi::page(&openapi::document(&base)));
        return Ok(([(header::CONTENT_SECURITY_POLICY, openapi::policy())], page).into_response());
    }
    let mut response = document(openapi::document(&base));
    let kind = HeaderValue::from_static("application/vnd.oai.openapi+json;version=3.0");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

pub async fn collections(State(state): State<Shared>, uri: Uri, headers: HeaderMap, query: QueryPairs) -> Answered {
    metadata(query)?;
    let base = base(&uri, &headers);
    let listing = state.catalog.list().await?;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for entry in listing.iter().filter(|entry| has_step(entry)) {
        if seen.insert(&entry.path.model) {
            let forecast = state.catalog.open(&ForecastName::Latest(entry.path.model.clone())).await?;
            found.push(describe(&base, &forecast, None));
        }
    }
    Ok(document(json!({
        "links": [link(format!("{base}/collections"), "self", "This document")],
        "collections": found,
    })))
}

fn has_step(entry: &Entry) -> bool {
    entry.manifest.as_ref().is_ok_and(|manifest| manifest.steps_complete > 0)
}

pub async fn collection(
    State(state): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    parts: PathParts<String>,
    query: QueryPairs,
) -> Answered {
    metadata(query)?;
    let forecast = state.catalog.open(&name(&path(parts)?, None)?).await?;
    Ok((forecast_headers(&forecast), document(describe(&base(&uri, &headers), &forecast, None))).into_response())
}

pub async fn instances(
    State(state): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    parts: PathParts<String>,
    query: QueryPairs,
) -> Answered {
    metadata(query)?;
    let base = base(&uri, &headers);
    let model = path(parts)?;
    // also says that there is no such model
    state.catalog.open(&name(&model, None)?).await?;
    let listing = state.catalog.list().await?;
    let of_model: Vec<&Entry> = listing.iter().filter(|entry| entry.path.model == model && has_step(entry)).collect();
    let mut found = Vec::new();
    for entry in of_model.iter().take(INSTANCES) {
        let forecast = state.catalog.open(&ForecastName::Exact(entry.path.clone())).await?;
        found.push(describe(&base, &forecast, Some(&instance_id(&entry.path, &of_model))));
    }
    // the standard has no member for it
    let title = format!("The {} newest of {} runs", found.len(), of_model.len());
    Ok(document(json!({
        "links": [link(format!("{base}/collections/{model}/instances"), "self", &title)],
        "instances": found,
    })))
}

pub async fn instance(
    State(state): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    parts: PathParts<(String, String)>,
    query: QueryPairs,
) -> Answered {
    metadata(query)?;
    let (model, id) = path(parts)?;
    let forecast = state.catalog.open(&name(&model, Some(&id))?).await?;
    let described = describe(&base(&uri, &headers), &forecast, Some(&id));
    Ok((forecast_headers(&forecast), document(described)).into_response())
}

pub async fn of_collection(
    State(state): State<Shared>,
    parts: PathParts<(String, String)>,
    query: QueryPairs,
) -> Answered {
    let (model, kind) = path(parts)?;
    data(&state, &name(&model, None)?, &kind, query).await
}

pub async fn of_instance(
    State(state): State<Shared>,
    parts: PathParts<(String, String, String)>,
    query: QueryPairs,
) -> Answered {
    let (model, id, kind) = path(parts)?;
    data(&state, &name(&model, Some(&id))?, &kind, query).await
}

async fn data(state: &Shared, name: &ForecastName, kind: &str, query: QueryPairs) -> Answered {
    let found = Kind::ALL.into_iter().find(|other| other.name() == kind);
    let hint = "there are position, area, cube and trajectory";
    let kind = found.ok_or_else(|| Error::NotFound { kind: "query", name: quoted(kind), hint })?;
    let forecast = state.catalog.open(name).await?;
    let (request, forecast) = Request::read(kind, forecast, query)?;
    let format = request.format;
    let mut headers = forecast_headers(&forecast);
    let answer = Answer::read(state, forecast, request).await?;
    let encode = move || match format {
        Format::CoverageJson => covjson::encode(&answer),
        Format::GeoJson => table::geojson(&answer),
        Format::NetCdf => netcdf::encode(&answer),
        Format::Csv => Ok(table::csv(&answer)),
    };
    let encoded = tokio::task::spawn_blocking(encode).await;
    let bytes = encoded.map_err(|error| Error::Internal(error.to_string()))??;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, NOT_KEPT);
    Ok((headers, bytes).into_response())
}

/// The forecast of a model and, where there is one, the identifier of an instance.
fn name(model: &str, instance: Option<&str>) -> Result<ForecastName, Violation> {
    // the store's own rule for names
    let latest = ForecastName::from_id(&format!("{model}~latest"))
        .map_err(|_| Violation::new("collection", format!("{} is no model", quoted(model))))?;
    let Some(id) = instance else { return Ok(latest) };
    let wrong = || {
        let expected = "a reference time such as 2026-01-31T060000Z, or one with the key of a run behind ~";
        Violation::new("instance", format!("{} is no run; expected {expected}", quoted(id)))
    };
    let (time, key) = id.split_once('~').map_or((id, None), |(time, key)| (time, Some(key)));
    let time = reference_time(time).ok_or_else(wrong)?;
    match key {
        None => Ok(ForecastName::From(model.to_owned(), time)),
        Some(key) => ForecastName::from_id(&format!("{model}~{}~{key}", time.compact())).map_err(|_| wrong()),
    }
}

/// As the instances' identifiers spell it, which is DMI's way, or in any other.
fn reference_time(text: &str) -> Option<ReferenceTime> {
    if let Ok(time) = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H%M%SZ") {
        return Some(ReferenceTime::new(time.and_utc()));
    }
    text.parse().ok()
}

/// The reference time alone where that means this run.
fn instance_id(run: &ForecastPath, of_model: &[&Entry]) -> String {
    let time = run.reference_time.utc().format("%Y-%m-%dT%H%M%SZ").to_string();
    let rank = |entry: &&&Entry| {
        let manifest = entry.manifest.as_ref().ok()?;
        Some((manifest.state == RunState::Done, manifest.steps_complete, std::cmp::Reverse(entry.path.run_key.clone())))
    };
    let same = of_model.iter().filter(|entry| entry.path.reference_time == run.reference_time);
    let best = same.max_by_key(rank).is_some_and(|best| best.path == *run);
    if best { time } else { format!("{time}~{}", run.run_key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_named_as_dmi_names_them_or_exactly() {
        let time: ReferenceTime = "2026-01-31T06:00Z".parse().unwrap();
        for id in ["2026-01-31T060000Z", "2026-01-31T0600Z", "2026-01-31T06:00:00Z"] {
            assert_eq!(name("m", Some(id)), Ok(ForecastName::From("m".to_owned(), time)), "{id}");
        }
        assert!(
            matches!(name("m", Some("2026-01-31T060000Z~ab")), Ok(ForecastName::Exact(run)) if run.run_key == "ab")
        );
        assert_eq!(name("m", None), Ok(ForecastName::Latest("m".to_owned())));
        for (model, id) in [("..", None), ("m", Some("latest")), ("m", Some("")), ("m", Some("2026-01-31T060000Z~.."))]
        {
            assert!(name(model, id).is_err(), "{model} {id:?}");
        }
    }
}
