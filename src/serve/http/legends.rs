//! `/legends/{forecast}/{variable}/{level}[.png|.json][?units=&member=]`: what the colours of its tiles mean, as numbers or as a picture.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::params::{Parameters, PathParts, QueryPairs, path};
use crate::serve::error::Error;
use crate::serve::names::ForecastName;
use crate::serve::select::{self, Violations};
use crate::serve::state::Shared;
use crate::serve::units::Shown;
use crate::tile::{Display, Legend, Style, legend_png};

pub async fn legend(
    State(state): State<Shared>,
    parts: PathParts<(String, String, String)>,
    query: QueryPairs,
) -> Result<Response, Error> {
    let (forecast_id, variable, level) = path(parts)?;
    let query = Parameters::read(query, &["units", "member"])?;
    let (level, picture) = match level.strip_suffix(".png") {
        Some(level) => (level, true),
        None => (level.strip_suffix(".json").unwrap_or(&level), false),
    };
    let forecast = state.catalog.open(&ForecastName::from_id(&forecast_id)?).await?.of(query.whose())?;
    let mut violations = Violations::default();
    let column = select::column(&forecast, &variable, level, &mut violations);
    let column = violations.finish(column)?;
    let mut style = (*state.styles.of(&forecast, &column).await?).clone();
    if !query.text("units").is_empty() {
        let Shown { units, scale, offset } = forecast.one_unit(&column.variable, query.text("units"))?;
        style = Style { units, display: Display { scale, offset }, ..style };
    }
    let kept = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if picture {
        let bytes = legend_png(&style).map_err(|error| Error::Internal(error.to_string()))?;
        return Ok((kept, [(header::CONTENT_TYPE, HeaderValue::from_static("image/png"))], bytes).into_response());
    }
    Ok((kept, Json(Legend::new(&style))).into_response())
}
