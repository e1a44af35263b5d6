//! `/api/v1`: what the page shows, and what scripts ask with curl.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::describe::{Detail, SeriesAnswer, Summary, series_values};
use super::params::{Parameters, PathParts, QueryPairs, path};
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, id, quoted};
use crate::serve::select::{self, Violations};
use crate::serve::series::{Interpolation, Place};
use crate::serve::state::Shared;

/// Most forecasts in one answer.
const LIST_LIMIT: usize = 200;

/// Runs go on: an answer is true when it is given.
pub(super) fn now(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))], Json(body)).into_response()
}

/// `?model=`: only that model's. The newest [`LIST_LIMIT`]; `total` says how many there are.
pub async fn list(State(state): State<Shared>, query: QueryPairs) -> Result<Response, Error> {
    let parameters = Parameters::read(query, &["model"])?;
    let model = parameters.text("model");
    let listing = state.catalog.list().await?;
    let of_model = || listing.iter().filter(|entry| model.is_empty() || entry.path.model == model);
    let readable = || of_model().filter_map(|entry| Some(Summary::new(&entry.path, entry.manifest.as_ref().ok()?)));
    let unreachable = of_model().filter(|entry| entry.manifest.is_err()).map(|entry| id(&entry.path));
    Ok(now(json!({
        "forecasts": readable().take(LIST_LIMIT).collect::<Vec<_>>(),
        "total": readable().count(),
        "unreachable": unreachable.collect::<Vec<_>>(),
    })))
}

pub async fn forecast(State(state): State<Shared>, parts: PathParts<String>) -> Result<Response, Error> {
    let forecast = state.catalog.open(&ForecastName::from_id(&path(parts)?)?).await?;
    Ok(now(Detail::new(&forecast)))
}

/// `?variable=&level=&lat=&lon=[&interpolation=nearest|bilinear][&units=][&member=]`: nearest where it is not said, and of an
/// ensemble the control; the answer names both. `member` may be what is made of all members, too: `mean`, `spread`, `q90`.
pub async fn series(
    State(state): State<Shared>,
    parts: PathParts<String>,
    query: QueryPairs,
) -> Result<Response, Error> {
    let known = ["variable", "level", "lat", "lon", "interpolation", "units", "member"];
    let parameters = Parameters::read(query, &known)?;
    let forecast = state.catalog.open(&ForecastName::from_id(&path(parts)?)?).await?.of(parameters.whose())?;
    let mut violations = Violations::default();
    let column = select::column(&forecast, parameters.text("variable"), parameters.text("level"), &mut violations);
    let latitude = violations.take(parameters.number("lat", "degrees north").and_then(Place::latitude));
    let longitude = violations.take(parameters.number("lon", "degrees east").and_then(Place::longitude));
    let interpolation = violations.take(interpolation(parameters.text("interpolation")));
    let shown = column
        .as_ref()
        .and_then(|column| violations.take(forecast.one_unit(&column.variable, parameters.text("units"))));
    let (column, ((latitude, longitude), (interpolation, shown))) =
        violations.finish(column.zip(latitude.zip(longitude).zip(interpolation.zip(shown))))?;
    let place = Place { latitude, longitude };
    let series = crate::serve::series::series(&forecast, &column, place, interpolation).await?;
    Ok(now(SeriesAnswer {
        forecast: Summary::new(&forecast.path, forecast.manifest()),
        member: forecast.reader.member(),
        statistic: forecast.statistic.as_ref().map(|(name, _)| &**name),
        variable: &column.variable.name,
        level: column.level.to_string(),
        units: &shown.units,
        latitude: series.place.latitude,
        longitude: series.place.longitude,
        interpolation: match interpolation {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
        },
        values: series_values(&forecast, series.values.into_iter().map(|value| shown.show(value)).collect()),
    }))
}

fn interpolation(text: &str) -> Result<Interpolation, Violation> {
    match text {
        "" | "nearest" => Ok(Interpolation::Nearest),
        "bilinear" => Ok(Interpolation::Bilinear),
        other => Err(Violation::new(
            "interpolation",
            format!("{} is not known; expected nearest or bilinear", quoted(other)),
        )),
    }
}
