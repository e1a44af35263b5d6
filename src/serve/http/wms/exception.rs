//! Errors as both versions shape them: a ServiceExceptionReport.

use axum::response::Response;

use super::request::Version;
use crate::serve::error::{Error, Violation};
use crate::serve::http::edr::escape;

/// Codes of 06-042, table E.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    None,
    InvalidFormat,
    InvalidCrs,
    LayerNotDefined,
    StyleNotDefined,
    InvalidPoint,
    InvalidDimensionValue,
    OperationNotSupported,
}

impl Code {
    fn name(self, version: Version) -> &'static str {
        match self {
            Self::None => "",
            Self::InvalidFormat => "InvalidFormat",
            Self::InvalidCrs if version == Version::V111 => "InvalidSRS",
            Self::InvalidCrs => "InvalidCRS",
            Self::LayerNotDefined => "LayerNotDefined",
            Self::StyleNotDefined => "StyleNotDefined",
            Self::InvalidPoint => "InvalidPoint",
            Self::InvalidDimensionValue => "InvalidDimensionValue",
            Self::OperationNotSupported => "OperationNotSupported",
        }
    }
}

pub struct Exception {
    code: Code,
    error: Error,
}

impl Exception {
    pub fn new(code: Code, error: Error) -> Self {
        Self { code, error }
    }

    pub fn invalid(code: Code, field: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Violation::new(field, what).into())
    }

    pub fn response(self, version: Version) -> Response {
        let code = self.code.name(version);
        let attribute = if code.is_empty() { String::new() } else { format!(" code=\"{code}\"") };
        let (kind, root) = match version {
            Version::V130 => ("text/xml; charset=utf-8", "version=\"1.3.0\" xmlns=\"http://www.opengis.net/ogc\""),
            Version::V111 => ("application/vnd.ogc.se_xml; charset=utf-8", "version=\"1.1.1\""),
        };
        self.error.response_as(kind, |message| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ServiceExceptionReport {root}>\n  \
                 <ServiceException{attribute}>{}</ServiceException>\n</ServiceExceptionReport>\n",
                escape(message)
            )
        })
    }
}
