//! What can go wrong with a request, and the status code that says so: gRPC's and HTTP's, here and nowhere else.
//!
//! gRPC errors carry `google.rpc` details; HTTP errors are problem documents (RFC 9457) with the same content.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::store::StoreError;

/// One field of a request that cannot be: which, and what was found and expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: &'static str,
    pub description: String,
}

impl Violation {
    pub fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self { field, description: description.into() }
    }

    /// A field that is not there.
    pub fn missing(field: &'static str, expected: impl std::fmt::Display) -> Self {
        Self::new(field, format!("is missing; expected {expected}"))
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{}", sentence(.0))]
    Invalid(Vec<Violation>),
    #[error("there is no {kind} {name}; {hint}")]
    NotFound { kind: &'static str, name: String, hint: &'static str },
    /// The run will have the step, or would have had it.
    #[error("{forecast} has not published {lead} yet: {complete} of {total} steps are there{}", if *.running { "" } else { ", and the run has stopped" })]
    NotPublished { forecast: String, lead: String, complete: usize, total: usize, running: bool },
    #[error(
        "this would take {found} values at once, the limit is {limit}; ask for a smaller area, such as a deeper zoom"
    )]
    TooLarge { found: usize, limit: usize },
    /// An answer that would be too long.
    #[error(
        "the answer would hold {found} values, the limit is {limit}; ask for a smaller area, fewer times, levels or parameters"
    )]
    AnswerTooLarge { found: usize, limit: usize },
    #[error("the server is at its limit of {limit} requests at once; try again in a moment")]
    Busy { limit: usize },
    #[error("the request was not answered within {0:?}")]
    Timeout(Duration),
    /// Too many runs wait.
    #[error("{what}")]
    QueueFull { what: String, limit: u64 },
    /// The disk of the store has too little left.
    #[error("{0}")]
    DiskFull(String),
    #[error("{0}")]
    RequestIdTaken(String),
    /// The analysis that was asked for is not there yet.
    #[error("{0}")]
    NotYet(String),
    /// No forecasts can be asked for here.
    #[error("{0}")]
    NoRequests(String),
    /// The ledger fails.
    #[error("{0}")]
    Ledger(String),
    /// Where analyses appear cannot be looked at.
    #[error("{0}")]
    Arrivals(String),
    /// No token, or one that is not taken.
    #[error("{0}")]
    Unauthenticated(String),
    /// A token that is known, and not enough.
    #[error("{0}")]
    Forbidden(String),
    /// After so long the client may ask again.
    #[error("this client asks too often; try again in {0:.1?}")]
    TooOften(Duration),
    /// Tokens cannot be checked.
    #[error("tokens of the identity provider cannot be checked now; the server's log says why")]
    NoKeys,
    #[error("the address is longer than {limit} bytes")]
    UriTooLong { limit: usize },
    #[error("the body is longer than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("this method is not understood here; expected {allowed}")]
    OtherMethod { allowed: String },
    #[error("the service has no such method")]
    NoSuchCall,
    #[error("{0}")]
    Store(Arc<StoreError>),
    #[error("internal error: {0}")]
    Internal(String),
}

/// When a client may come back.
const RETRY_BUSY: Duration = Duration::from_secs(1);
const RETRY_STEP: Duration = Duration::from_secs(5);
const RETRY_QUEUE: Duration = Duration::from_secs(10);
const RETRY_ANALYSIS: Duration = Duration::from_secs(60);

fn sentence(violations: &[Violation]) -> String {
    violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect::<Vec<_>>().join("; ")
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(vec![violation])
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Error {
    /// The pair of codes for this error.
    fn codes(&self) -> (Code, StatusCode) {
        match self {
            Self::Invalid(_) => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Self::NotFound { .. } => (Code::NotFound, StatusCode::NOT_FOUND),
            Self::NotPublished { .. } => (Code::FailedPrecondition, StatusCode::NOT_FOUND),
            Self::TooLarge { .. } => (Code::OutOfRange, StatusCode::UNPROCESSABLE_ENTITY),
            Self::AnswerTooLarge { .. } => (Code::OutOfRange, StatusCode::PAYLOAD_TOO_LARGE),
            Self::Busy { .. } => (Code::ResourceExhausted, StatusCode::SERVICE_UNAVAILABLE),
            Self::QueueFull { .. } => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
            Self::DiskFull(_) => (Code::ResourceExhausted, StatusCode::INSUFFICIENT_STORAGE),
            Self::RequestIdTaken(_) => (Code::AlreadyExists, StatusCode::CONFLICT),
            Self::NotYet(_) | Self::NoRequests(_) => (Code::FailedPrecondition, StatusCode::CONFLICT),
            Self::Ledger(_) | Self::Arrivals(_) => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::Timeout(_) => (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
            Self::Unauthenticated(_) => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Self::Forbidden(_) => (Code::PermissionDenied, StatusCode::FORBIDDEN),
            Self::TooOften(_) => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
            Self::NoKeys => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::UriTooLong { .. } => (Code::InvalidArgument, StatusCode::URI_TOO_LONG),
            Self::BodyTooLarge { .. } => (Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE),
            Self::OtherMethod { .. } => (Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED),
            Self::NoSuchCall => (Code::Unimplemented, StatusCode::NOT_FOUND),
            Self::Store(error) => match **error {
                StoreError::NotFound(_) => (Code::NotFound, StatusCode::NOT_FOUND),
                StoreError::NotPublished { .. } => (Code::FailedPrecondition, StatusCode::NOT_FOUND),
                StoreError::Corrupt { .. } => (Code::DataLoss, StatusCode::INTERNAL_SERVER_ERROR),
                _ => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            },
            Self::Internal(_) => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// What the client is told. Where things lie and how storage failed is for the log, not for every client.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Store(error) => match **error {
                StoreError::NotFound(_) => "the forecast is not there any more".to_owned(),
                StoreError::NotPublished { .. } => error.to_string(),
                StoreError::Corrupt { .. } => "the stored forecast is damaged; the server's log says where".to_owned(),
                _ => "the store cannot be read now; the server's log says why".to_owned(),
            },
            Self::Internal(_) => "internal error; the server's log says more".to_owned(),
            Self::Ledger(_) => "the ledger of runs does not answer; the server's log says why".to_owned(),
            Self::Arrivals(_) => "the analyses cannot be looked for now; the server's log says why".to_owned(),
            other => other.to_string(),
        }
    }

    /// The same for an answer that has begun and has no status any more.
    pub fn told(&self) -> String {
        self.log();
        self.message()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { .. } | Self::NoKeys => Some(RETRY_BUSY),
            Self::TooOften(wait) => Some(*wait),
            Self::QueueFull { .. } | Self::DiskFull(_) => Some(RETRY_QUEUE),
            Self::NotYet(_) => Some(RETRY_ANALYSIS),
            Self::NotPublished { running: true, .. } => Some(RETRY_STEP),
            _ => None,
        }
    }

    fn log(&self) {
        match self {
            Self::Store(error) => tracing::error!(%error, "reading the store failed"),
            Self::Ledger(error) => tracing::error!(%error, "the ledger failed"),
            Self::Arrivals(error) => tracing::error!(%error, "looking for analyses failed"),
            Self::Internal(error) => tracing::error!(%error, "internal error"),
            _ => {}
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let mut details = ErrorDetails::new();
        details.set_retry_info(error.retry_after());
        match &error {
            Error::Invalid(violations) => {
                let violations = violations.iter().map(|v| FieldViolation::new(v.field, v.description.as_str()));
                details.set_bad_request(violations.collect::<Vec<_>>());
            }
            Error::NotFound { kind, name, hint } => {
                details.set_resource_info(*kind, name.as_str(), "", *hint);
            }
            Error::NotPublished { forecast, .. } => {
                details.add_precondition_failure_violation("STEP_NOT_PUBLISHED", forecast.as_str(), error.to_string());
            }
            Error::QueueFull { limit, .. } => {
                details.add_quota_failure_violation("queue", format!("{limit} runs that wait"));
            }
            Error::DiskFull(reason) => {
                details.add_quota_failure_violation("disk", reason.as_str());
            }
            Error::NotYet(reason) => {
                details.add_precondition_failure_violation("ANALYSIS_NOT_ARRIVED", "reference_time", reason.as_str());
            }
            Error::NoRequests(reason) => {
                details.add_precondition_failure_violation("NO_REQUESTS_HERE", "server", reason.as_str());
            }
            Error::TooOften(_) => {
                details.add_quota_failure_violation("client", "requests in a while");
            }
            Error::Busy { limit } => {
                details.add_quota_failure_violation("server", format!("{limit} requests at once"));
            }
            _ => {}
        }
        Status::with_error_details(error.codes().0, error.message(), details)
    }
}

impl Error {
    /// The error as a problem document, to which `more` adds what a standard asks for.
    pub(super) fn response(self, more: impl FnOnce(&mut serde_json::Value)) -> Response {
        self.log();
        let status = self.codes().1;
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": self.message(),
        });
        if let Self::Invalid(violations) = &self {
            problem["violations"] =
                violations.iter().map(|v| json!({ "field": v.field, "description": v.description })).collect();
        }
        more(&mut problem);
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.answer_headers(headers);
        response
    }

    /// The error in another form than JSON: its status, and what `body` makes of the message.
    pub(super) fn response_as(self, content_type: &'static str, body: impl FnOnce(&str) -> String) -> Response {
        self.log();
        let mut response = (self.codes().1, body(&self.message())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.answer_headers(headers);
        response
    }

    /// In a picture, for those who can only show one: its status says that all is well.
    pub(super) fn picture(self, content_type: &'static str, bytes: Vec<u8>) -> Response {
        self.log();
        let mut response = bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.answer_headers(headers);
        response
    }

    fn answer_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(delay) = self.retry_after() {
            // in whole seconds, and not before it is worth it
            headers.insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs_f64().ceil() as u64));
        }
        match self {
            Self::Unauthenticated(_) => {
                // browsers ask for a password, which is the token
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vejr\""));
                headers.append(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"vejr: a token as password\""),
                );
            }
            Self::OtherMethod { allowed } => {
                headers.extend(HeaderValue::try_from(allowed.as_str()).map(|allowed| (header::ALLOW, allowed)));
            }
            _ => {}
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.response(|_| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_name_the_field_and_what_there_is() {
        let error = Error::Invalid(vec![
            Violation::new("variable", "\"t9\" is not in this forecast; available: t, u"),
            Violation::missing("level", "500hPa"),
        ]);
        let status = Status::from(error);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, "variable");
        assert!(details.field_violations[0].description.contains("available: t, u"));
        assert_eq!(details.field_violations[1].description, "is missing; expected 500hPa");
    }

    #[test]
    fn storage_details_stay_in_the_log() {
        let error =
            || Error::from(StoreError::Storage { doing: "reading s3://secret".to_owned(), source: "denied".into() });
        let status = Status::from(error());
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.message().contains("secret"));
        assert_eq!(error().into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
