//! Errors as both versions shape them: a ServiceExceptionReport.

use axum::response::Response;

use super::map;
use super::request::{Keys, Version};
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

    /// In the form that the request names for exceptions: XML, or of a map a picture of its size, blank or with the message in
    /// it.
    pub async fn response(self, version: Version, keys: &Keys) -> Response {
        let asked = keys.text("exceptions").to_ascii_lowercase();
        let with_text = match asked.strip_prefix("application/vnd.ogc.se_").unwrap_or(&asked) {
            "inimage" => true,
            "blank" => false,
            _ => return self.xml(version),
        };
        let is_map = ["getmap", "map"].contains(&&*keys.text("request").to_ascii_lowercase());
        let Some((mut picture, format, background)) = map::blank(keys).filter(|_| is_map) else {
            return self.xml(version);
        };
        let text = with_text.then(|| self.error.message());
        let drawn = tokio::task::spawn_blocking(move || {
            text.iter().for_each(|text| picture.write(text));
            picture.encode(format, background)
        });
        match drawn.await {
            Ok(Ok(bytes)) => self.error.picture(format.content_type(), bytes),
            _ => self.xml(version),
        }
    }

    fn xml(self, version: Version) -> Response {
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
