//! What operators and their machines ask.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::forecast::RunPhase;
use crate::serve::error::Error;
use crate::serve::state::Shared;

/// The process answers. Whether it can do its work is [`readyz`]'s question: restarting it would not mend the store.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the store could be listed a moment ago.
pub async fn readyz(State(state): State<Shared>) -> Response {
    let health = state.health.borrow().clone();
    match health {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// Prometheus' text format.
pub async fn metrics(State(state): State<Shared>) -> Result<Response, Error> {
    state.metrics.cache_bytes.set(i64::try_from(state.blocks.bytes()).unwrap_or(i64::MAX));
    if let Some(desk) = &state.desk {
        match desk.ledger.depth().await {
            Ok(depth) => {
                for phase in RunPhase::ALL {
                    let number = depth.runs.iter().find(|(other, _)| *other == phase).map_or(0, |(_, number)| *number);
                    let number = i64::try_from(number).unwrap_or(i64::MAX);
                    state.metrics.runs.with_label_values(&[phase.name()]).set(number);
                }
                state.metrics.queue_seconds.set(depth.oldest.as_secs_f64());
            }
            // the other metrics are wanted most of all when something fails
            Err(error) => tracing::error!(%error, "the ledger failed"),
        }
        match desk.ledger.count_awaited().await {
            Ok(counts) => {
                state.metrics.awaited.reset();
                for (schedule, awaited, number) in counts {
                    let gauge = state.metrics.awaited.with_label_values(&[schedule.as_str(), awaited.name()]);
                    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
                }
            }
            Err(error) => tracing::error!(%error, "the ledger failed"),
        }
    }
    let (content_type, text) = state.metrics.text().map_err(|error| Error::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
