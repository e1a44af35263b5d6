//! The door: how many requests are at work, for how long, and how they went.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State as Extract};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};
use tracing::Instrument;

use super::error::Error;
use super::metrics::Metrics;
use super::state::Shared;
use super::trace;

#[derive(Clone)]
pub struct Door {
    state: Shared,
    places: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Door {
    pub fn new(state: Shared) -> Self {
        let places = Arc::new(Semaphore::new(state.limits.requests));
        let watchers = Arc::new(Semaphore::new(state.limits.watchers));
        let answers = Arc::new(Semaphore::new(state.limits.answers));
        Self { state, places, watchers, answers }
    }
}

/// Lets a request in if there is room, refuses it at once if not, and counts it. Probes and metrics always come in: they
/// must work most of all when the server is full.
pub async fn admit(Extract(door): Extract<Door>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let grpc = is_grpc(request.headers());
    let span = trace::request(&request, route, grpc);
    let response = admit_one(&door, request, next, (route, grpc)).instrument(span.clone()).await;
    trace::answered(&span, &response, grpc);
    response
}

async fn admit_one(door: &Door, request: Request, next: Next, (route, grpc): (&'static str, bool)) -> Response {
    let begin = Instant::now();
    let metrics = &door.state.metrics;
    let limits = &door.state.limits;
    // who watches does so for hours, and must keep nobody else out
    let watching = matches!(route, "WatchForecast" | "events");
    let room = match route {
        "probe" | "grpc.health" => None,
        _ if watching => Some((&door.watchers, limits.watchers)),
        _ => Some((&door.places, limits.requests)),
    };
    let place = match room.map(|(places, limit)| (places.clone().try_acquire_owned(), limit)) {
        None => None,
        Some((Ok(permit), _)) => Some(Place::taken(permit, metrics.requests_in_flight.clone())),
        Some((Err(_), limit)) => {
            metrics.requests_refused.inc();
            return counted(refusal(Error::Busy { limit }, grpc), metrics, route, grpc, begin);
        }
    };
    // gRPC's health Watch has an answer that begins at once; its stream may last.
    let answer = tokio::time::timeout(limits.request_timeout, next.run(request)).await;
    let response = answer.unwrap_or_else(|_| refusal(Error::Timeout(limits.request_timeout), grpc));
    if response.body().is_end_stream() || room.is_none() {
        return counted(response, metrics, route, grpc, begin);
    }
    // Who reads slowly keeps none from being answered, but there is an end to the answers that wait to be read.
    let kept = match (watching, place) {
        (true, place) => place,
        (false, _) => match door.answers.clone().try_acquire_owned() {
            Ok(permit) => Some(Place::taken(permit, metrics.answers_waiting.clone())),
            Err(_) => {
                metrics.requests_refused.inc();
                return counted(refusal(Error::Busy { limit: limits.answers }, grpc), metrics, route, grpc, begin);
            }
        },
    };
    let response = counted(response, metrics, route, grpc, begin);
    response.map(|body| Body::new(Occupied { body, _place: kept }))
}

pub fn refusal(error: Error, grpc: bool) -> Response {
    if grpc { Status::from(error).into_http() } else { error.into_response() }
}

pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"))
}

fn counted(response: Response, metrics: &Metrics, route: &'static str, grpc: bool, begin: Instant) -> Response {
    let status = if grpc { format!("{:?}", grpc_code(&response)) } else { response.status().as_u16().to_string() };
    metrics.requests.with_label_values(&[route, status.as_str()]).inc();
    metrics.request_seconds.with_label_values(&[route]).observe(begin.elapsed().as_secs_f64());
    response
}

/// A status in the headers is an error's; a successful answer has it behind its messages.
pub fn grpc_code(response: &Response) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// The label of what is none of ours.
pub const OTHER: &str = "other";

/// A label from a fixed set: paths are the client's, and must not become any number of time series.
fn route(path: &str) -> &'static str {
    const METHODS: [(&str, &str); 12] = [
        ("/vejr.v1.ForecastService/ListForecasts", "ListForecasts"),
        ("/vejr.v1.ForecastService/GetForecast", "GetForecast"),
        ("/vejr.v1.ForecastService/RequestForecast", "RequestForecast"),
        ("/vejr.v1.ForecastService/WatchForecast", "WatchForecast"),
        ("/vejr.v1.ForecastService/CancelForecast", "CancelForecast"),
        ("/vejr.v1.ForecastService/ListAwaitedAnalyses", "ListAwaitedAnalyses"),
        ("/vejr.v1.DataService/GetTile", "GetTile"),
        ("/vejr.v1.DataService/GetField", "GetField"),
        ("/vejr.v1.DataService/GetArea", "GetArea"),
        ("/vejr.v1.DataService/GetSeries", "GetSeries"),
        ("/vejr.v1.ModelService/ListModels", "ListModels"),
        ("/vejr.v1.ModelService/GetModel", "GetModel"),
    ];
    if let Some((_, name)) = METHODS.iter().find(|(method, _)| *method == path) {
        return name;
    }
    match path {
        "/" => "page",
        "/healthz" | "/readyz" | "/metrics" => "probe",
        _ if path.starts_with("/grpc.health.") => "grpc.health",
        _ if path.starts_with("/grpc.reflection.") => "grpc.reflection",
        _ if path.starts_with("/assets/") => "page",
        _ if path.starts_with("/tiles/") => "tiles",
        _ if path.starts_with("/legends/") => "legends",
        _ if path.starts_with("/api/") && path.ends_with("/series") => "series",
        _ if path.starts_with("/api/") && path.ends_with("/events") => "events",
        _ if path.starts_with("/api/") => "api",
        "/api" | "/conformance" | "/collections" => "edr",
        "/wms" => "wms",
        _ if path.starts_with("/contours/") || path.starts_with("/winds/") => "shapes",
        _ if path.starts_with("/tileMatrixSets") => "tiles",
        _ if path.starts_with("/collections/") => "edr",
        _ => OTHER,
    }
}

/// A request at work, or an answer that waits to be read.
struct Place {
    _permit: OwnedSemaphorePermit,
    taken: IntGauge,
}

impl Place {
    fn taken(permit: OwnedSemaphorePermit, taken: IntGauge) -> Self {
        taken.inc();
        Self { _permit: permit, taken }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.dec();
    }
}

/// A body that keeps its place until it is sent or dropped.
struct Occupied {
    body: Body,
    _place: Option<Place>,
}

impl HttpBody for Occupied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
