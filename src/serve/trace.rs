//! Requests as spans of traces, named as OpenTelemetry's semantic conventions name them
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>, <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>).

use axum::extract::Request;
use axum::response::Response;
use opentelemetry::{global, trace::TraceContextExt};
use opentelemetry_http::HeaderExtractor;
use tonic::Code;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::admission::{OTHER, grpc_code};

/// The span of a request, in its client's trace where it names one (`traceparent`). Disabled where nobody collects traces.
pub fn request(request: &Request, route: &'static str, grpc: bool) -> Span {
    let method = request.method().as_str();
    // what no route knows is the client's, and names no span
    let call = request.uri().path().trim_start_matches('/').split_once('/').filter(|_| grpc && route != OTHER);
    let span = tracing::info_span!(
        "request",
        "otel.name" = field::Empty,
        "otel.kind" = "server",
        "otel.status_code" = field::Empty,
        "http.request.method" = method,
        "http.route" = field::Empty,
        "http.response.status_code" = field::Empty,
        "rpc.system" = field::Empty,
        "rpc.service" = field::Empty,
        "rpc.method" = field::Empty,
        "rpc.grpc.status_code" = field::Empty,
    );
    if span.is_disabled() {
        return span;
    }
    if let Some((service, method)) = call {
        span.record("otel.name", format!("{service}/{method}"));
        span.record("rpc.system", "grpc").record("rpc.service", service).record("rpc.method", method);
    } else {
        span.record("otel.name", format!("{method} {route}")).record("http.route", route);
    }
    let caller = global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(request.headers())));
    if caller.has_active_span() {
        // fails only where there is no such layer
        let _ = span.set_parent(caller);
    }
    span
}

/// How it was answered. What a client did wrong is no error of the server's.
pub fn answered(span: &Span, response: &Response, grpc: bool) {
    if span.is_disabled() {
        return;
    }
    let failed = if grpc {
        let code = grpc_code(response);
        span.record("rpc.grpc.status_code", code as i64);
        matches!(code, Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::Unavailable | Code::DataLoss)
    } else {
        span.record("http.response.status_code", response.status().as_u16());
        response.status().is_server_error()
    };
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}
