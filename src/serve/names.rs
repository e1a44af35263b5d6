//! How forecasts are named: as gRPC resources (`forecasts/model/2001-01-01T0000Z/key`), and in URLs, where a slash would
//! start the next part (`model~2001-01-01T0000Z~key`). `latest` stands for the newest run of a model.

use super::error::Violation;
use crate::atmos::ReferenceTime;
use crate::store::ForecastPath;

const COLLECTION: &str = "forecasts/";
const LATEST: &str = "latest";
const SEPARATOR: char = '~';
/// Names are at most 64 + 1 + 16 + 1 + 64 characters; what is longer is not worth parsing or repeating.
const MAX_LENGTH: usize = 200;

/// What a request calls a forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForecastName {
    Exact(ForecastPath),
    /// Of this model, the newest reference time that has a published step.
    Latest(String),
    /// Of this model, the run from the analysis of this time that is furthest.
    From(String, ReferenceTime),
}

impl ForecastName {
    /// From a resource name, as gRPC has it.
    pub fn from_resource(field: &'static str, text: &str) -> Result<Self, Violation> {
        let expected = "forecasts/{model}/{reference_time}/{run_key} or forecasts/{model}/latest";
        Self::parse(field, text, text.strip_prefix(COLLECTION), expected)
    }

    /// From the one part of a URL.
    pub fn from_id(text: &str) -> Result<Self, Violation> {
        let expected = "{model}~{reference_time}~{run_key} or {model}~latest";
        // a slash can only have come percent-encoded
        let path = (!text.contains('/')).then(|| text.replace(SEPARATOR, "/"));
        Self::parse("forecast", text, path.as_deref(), expected)
    }

    fn parse(field: &'static str, text: &str, path: Option<&str>, expected: &str) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::missing(field, expected));
        }
        let wrong = || Violation::new(field, format!("{} is no forecast; expected {expected}", quoted(text)));
        let path = path.filter(|path| path.len() <= MAX_LENGTH).ok_or_else(wrong)?;
        if let Some(model) = path.strip_suffix(LATEST).and_then(|rest| rest.strip_suffix('/')) {
            // the store's own rule for names, tried with an arbitrary run
            let named: ForecastPath = format!("{model}/2000-01-01T0000Z/0").parse().map_err(|_| wrong())?;
            return Ok(Self::Latest(named.model));
        }
        path.parse().map(Self::Exact).map_err(|_| wrong())
    }
}

/// `forecasts/{model}/{reference_time}/{run_key}`.
pub fn resource_name(path: &ForecastPath) -> String {
    format!("{COLLECTION}{path}")
}

/// `{model}~{reference_time}~{run_key}`.
pub fn id(path: &ForecastPath) -> String {
    path.to_string().replace('/', &SEPARATOR.to_string())
}

/// Text from outside, for an error message: escaped, and not longer than a message should be.
pub fn quoted(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_forecast() {
        let name = ForecastName::from_resource("name", "forecasts/m-1.2/2001-01-01T0600Z/ab").unwrap();
        assert_eq!(name, ForecastName::from_id("m-1.2~2001-01-01T0600Z~ab").unwrap());
        let ForecastName::Exact(path) = name else { panic!("{name:?}") };
        assert_eq!(resource_name(&path), "forecasts/m-1.2/2001-01-01T0600Z/ab");
        assert_eq!(id(&path), "m-1.2~2001-01-01T0600Z~ab");
        assert_eq!(ForecastName::from_id("m~latest").unwrap(), ForecastName::Latest("m".to_owned()));
        assert_eq!(ForecastName::from_resource("name", "forecasts/m/latest"), ForecastName::from_id("m~latest"));
    }

    #[test]
    fn hostile_names_are_refused_with_a_short_message() {
        let long = "a".repeat(100_000);
        for text in [
            "",
            "m",
            "m/2001-01-01T0600Z/ab",
            "~latest",
            "..~latest",
            "m~2001-01-01T0600Z~..",
            "a/b~latest",
            "m~~",
            "é~latest",
            &long,
        ] {
            let violation = ForecastName::from_id(text).unwrap_err();
            assert!(violation.description.len() < 300, "{text:?}");
        }
        for text in
            ["", "forecasts/", "forecasts/m", "m/2001-01-01T0600Z/ab", "forecasts/../latest", "forecasts//latest"]
        {
            assert!(ForecastName::from_resource("name", text).is_err(), "{text:?}");
        }
    }
}
