//! Forecasts as JSON, and as headers of what cannot carry JSON.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::atmos::{Attribute, LeadTime, Projection};
use crate::serve::catalog::Forecast;
use crate::serve::names::{id, resource_name};
use crate::serve::select::Selection;
use crate::store::{ForecastPath, Manifest, RunState};

/// A forecast in a list.
#[derive(Serialize)]
pub struct Summary<'a> {
    id: String,
    name: String,
    model: &'a str,
    title: &'a str,
    run_key: &'a str,
    reference_time: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a str>,
    steps_complete: usize,
    steps_total: usize,
    /// Of an ensemble.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<usize>,
}

impl<'a> Summary<'a> {
    pub fn new(path: &'a ForecastPath, manifest: &'a Manifest) -> Self {
        Self {
            id: id(path),
            name: resource_name(path),
            model: &path.model,
            title: &manifest.title,
            run_key: &path.run_key,
            reference_time: manifest.reference_time.to_string(),
            state: state(manifest.state),
            failure_reason: manifest.reason.as_deref(),
            steps_complete: manifest.steps_complete,
            steps_total: manifest.steps_total,
            members: Some(manifest.members.len()).filter(|&members| members > 0),
        }
    }
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Done => "complete",
        RunState::Failed => "failed",
    }
}

/// Everything about a forecast but its values.
#[derive(Serialize)]
pub struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    variables: Vec<VariableDetail<'a>>,
    leads: Vec<Lead>,
    grid: GridDetail,
    provenance: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct VariableDetail<'a> {
    name: &'a str,
    standard_name: &'a str,
    long_name: &'a str,
    units: &'a str,
    levels: Vec<String>,
    /// It follows from others, and is not stored.
    derived: bool,
    /// What is made of an ensemble's members, as `member` takes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statistics: Vec<String>,
}

#[derive(Serialize)]
struct Lead {
    /// As requests spell it.
    lead: String,
    seconds: i64,
    valid_time: String,
    published: bool,
}

#[derive(Serialize)]
struct GridDetail {
    description: String,
    rows: usize,
    columns: usize,
    /// West, south, east, north, degrees.
    bounds: [f64; 4],
    global_in_longitude: bool,
    /// The CF grid mapping of a projected grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    projection: Option<BTreeMap<&'static str, Attribute>>,
}

fn crs(projection: &Projection) -> BTreeMap<&'static str, Attribute> {
    projection.cf_attributes().into_iter().collect()
}

impl<'a> Detail<'a> {
    pub fn new(forecast: &'a Forecast) -> Self {
        let manifest = forecast.manifest();
        let spec = forecast.reader.spec();
        let leads = spec.lead_times.iter().enumerate().map(|(step, &lead)| Lead {
            lead: lead.to_string(),
            seconds: lead.seconds(),
            valid_time: (manifest.reference_time + lead).to_string(),
            published: step < manifest.steps_complete,
        });
        let made = manifest.statistics.as_ref().map(|record| &record.made);
        let variables = forecast.offers.iter().map(|offer| VariableDetail {
            name: &offer.variable.name,
            standard_name: &offer.variable.standard_name,
            long_name: &offer.variable.long_name,
            units: &offer.variable.units,
            levels: offer.levels.iter().map(ToString::to_string).collect(),
            derived: offer.is_derived(),
            statistics: made
                .filter(|_| !offer.is_derived())
                .map_or_else(Vec::new, |made| made.names(&offer.variable.name)),
        });
        let (rows, columns) = spec.grid.shape();
        Self {
            summary: Summary::new(&forecast.path, manifest),
            variables: variables.collect(),
            leads: leads.collect(),
            grid: GridDetail {
                description: spec.grid.to_string(),
                rows,
                columns,
                bounds: spec.grid.bounds(),
                projection: spec.grid.projection().map(crs),
                global_in_longitude: spec.grid.is_global_in_longitude(),
            },
            provenance: &manifest.provenance,
        }
    }
}

/// One variable at one place.
#[derive(Serialize)]
pub struct SeriesAnswer<'a> {
    pub forecast: Summary<'a>,
    /// Of an ensemble, whose values they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<&'a str>,
    pub variable: &'a str,
    pub level: String,
    pub units: &'a str,
    /// The point that the values are for.
    pub latitude: f64,
    pub longitude: f64,
    pub interpolation: &'static str,
    pub values: Vec<SeriesValue>,
}

#[derive(Serialize)]
pub struct SeriesValue {
    lead: String,
    seconds: i64,
    valid_time: String,
    /// `null` where missing.
    value: Option<f32>,
}

pub fn series_values(forecast: &Forecast, values: Vec<f32>) -> Vec<SeriesValue> {
    let reference = forecast.manifest().reference_time;
    let leads: &[LeadTime] = forecast.reader.published_leads();
    let pairs = leads.iter().zip(values);
    pairs
        .map(|(&lead, value)| SeriesValue {
            lead: lead.to_string(),
            seconds: lead.seconds(),
            valid_time: (reference + lead).to_string(),
            value: Some(value).filter(|value| value.is_finite()),
        })
        .collect()
}

/// Which run an answer without room for words is from.
pub fn run_headers(forecast: &Forecast, selection: &Selection) -> HeaderMap {
    let mut headers = forecast_headers(forecast);
    if let Ok(value) = HeaderValue::try_from(selection.valid_time.to_string()) {
        headers.insert(HeaderName::from_static("vejr-valid-time"), value);
    }
    headers
}

/// The same without a time.
pub fn forecast_headers(forecast: &Forecast) -> HeaderMap {
    let manifest = forecast.manifest();
    let member = forecast.whose().map(|whose| ("vejr-member", whose));
    let fields = [
        ("vejr-forecast", forecast.name()),
        ("vejr-reference-time", manifest.reference_time.to_string()),
        ("vejr-steps", format!("{}/{}", manifest.steps_complete, manifest.steps_total)),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in fields.into_iter().chain(member) {
        // names are checked when a forecast is opened: plain ASCII
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
