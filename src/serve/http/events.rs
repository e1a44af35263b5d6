//! `/api/v1/runs/{forecast}/events`: what happens to a run, as server-sent events.
//!
//! `event: step` and `event: state`, each with `id`, from which `Last-Event-ID` goes on; nothing else for a while is a
//! comment every few seconds. The stream ends with the run.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::params::{PathParts, path};
use super::runs::state;
use crate::atmos::LeadTime;
use crate::forecast::EventKind;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, id};
use crate::serve::state::Shared;
use crate::serve::watch::{self, News};

/// What browsers send when they connect again.
const LAST_EVENT_ID: &str = "last-event-id";

pub async fn events(
    State(state): State<Shared>,
    headers: HeaderMap,
    parts: PathParts<String>,
) -> Result<Response, Error> {
    let name = ForecastName::from_id(&path(parts)?)?;
    let token = headers.get(LAST_EVENT_ID).map_or(Ok(""), |value| value.to_str());
    let token = token.map_err(|_| Violation::new("Last-Event-ID", "is no text"))?;
    let after = watch::resumed("Last-Event-ID", token)?;
    let known = state.known(&name).await?;
    let stream = watch::start(state, known, after, event);
    let kept = HeaderValue::from_static("no-store");
    Ok(([(header::CACHE_CONTROL, kept)], Sse::new(stream)).into_response())
}

fn event(news: Result<News, Error>) -> Result<Event, Infallible> {
    Ok(match news {
        Ok(news) => told(&news),
        // the browser connects again, and asks from where it was
        Err(error) => Event::default().event("problem").data(error.told()),
    })
}

fn told(news: &News) -> Event {
    let Some(event) = &news.event else { return Event::default().comment("") };
    let kind = match event.kind {
        EventKind::Step => "step",
        EventKind::State => "state",
    };
    let leads = news.known.manifest.as_ref().map(|manifest| &manifest.lead_seconds);
    let lead = leads.and_then(|leads| leads.get(event.steps_complete.checked_sub(1)?).copied());
    let data = json!({
        "id": id(&news.known.path),
        "state": state(news.phase()),
        "steps_complete": news.steps_complete(),
        "steps_total": news.known.steps_total(),
        "lead": lead.map(|seconds| LeadTime::from_seconds(seconds).to_string()),
        "failure_reason": news.reason(),
        "detail": event.detail,
        "time": event.time.to_rfc3339(),
    });
    Event::default().event(kind).id(news.token.to_string()).data(data.to_string())
}
