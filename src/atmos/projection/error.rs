/// A description that makes no projection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    #[error("{mapping} has no {attribute}; expected {expected}")]
    Missing { mapping: String, attribute: &'static str, expected: &'static str },
    #[error("{attribute} is {found}; expected {expected}")]
    Invalid { attribute: String, found: String, expected: String },
    #[error("{what} {found:?} is not supported; expected {expected}")]
    Unsupported { what: &'static str, found: String, expected: &'static str },
    #[error("{what} cannot be read: {reason}")]
    Unreadable { what: &'static str, reason: String },
    #[error("{definition:?} is no projection: {reason}")]
    Refused { definition: String, reason: String },
}
