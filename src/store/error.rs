//! What a caller can act on.

use crate::location::LocationError;

/// Storage that does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error("there is no forecast at {0}: no forecast.json; is the path right, and does it end at the .zarr folder?")]
    NotFound(String),
    #[error("{location} holds something else: {found}; choose another --output, or --overwrite to replace a forecast")]
    AlreadyExists { location: String, found: String },
    #[error("another process is writing {0}; wait for it, or stop it first")]
    Busy(String),
    /// Its lease ran out; somebody else may write there now.
    #[error("the right to write {0} has run out")]
    Fenced(String),
    #[error("{what} is not published: {reason}")]
    NotPublished { what: String, reason: String },
    #[error("{object} is damaged: {reason}; make the forecast again with --overwrite")]
    Corrupt { object: String, reason: String },
    #[error("{what} cannot be published: {reason}")]
    Invalid { what: String, reason: String },
    #[error("{what} cannot be packed: {reason}; use the float32 encoding")]
    Unpackable { what: String, reason: String },
    #[error("storage failed while {doing}: {source}; is there space left, and may this user write there?")]
    Storage { doing: String, source: Box<dyn std::error::Error + Send + Sync> },
}

impl StoreError {
    pub(super) fn storage(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Storage { doing: doing.into(), source: source.into() }
    }
}
