//! Errors as OGC API - EDR 1.1 shapes them: `code` and `description`, beside the members of a problem document.

use axum::response::{IntoResponse, Response};

use crate::serve::error::{Error, Violation};

pub struct Exception(Error);

impl From<Error> for Exception {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Violation> for Exception {
    fn from(violation: Violation) -> Self {
        Self(violation.into())
    }
}

impl IntoResponse for Exception {
    fn into_response(self) -> Response {
        self.0.response(|problem| {
            problem["code"] = problem["status"].to_string().into();
            problem["description"] = problem["detail"].clone();
        })
    }
}
