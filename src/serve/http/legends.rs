//! `/legends/{forecast}/{variable}/{level}`: what the colours of its tiles mean.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::params::{PathParts, path};
use crate::serve::error::Error;
use crate::serve::names::ForecastName;
use crate::serve::select::{self, Violations};
use crate::serve::state::Shared;
use crate::tile::Legend;

pub async fn legend(
    State(state): State<Shared>,
    parts: PathParts<(String, String, String)>,
) -> Result<Response, Error> {
    let (forecast_id, variable, level) = path(parts)?;
    let forecast = state.catalog.open(&ForecastName::from_id(&forecast_id)?).await?;
    let mut violations = Violations::default();
    let column = select::column(&forecast, &variable, &level, &mut violations);
    let column = violations.finish(column)?;
    let style = state.styles.of(&forecast, &column).await?;
    let kept = HeaderValue::from_static("no-cache");
    Ok(([(header::CACHE_CONTROL, kept)], Json(Legend::new(&style))).into_response())
}
