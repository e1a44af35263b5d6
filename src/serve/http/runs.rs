//! `/api/v1/models` and `/api/v1/runs`: asking for forecasts, and how those that were asked for fare.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::now;
use super::params::{PathParts, path};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::{Asked, EnsembleKind, RunFilter, RunPhase};
use crate::serve::access::Caller;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, id, quoted};
use crate::serve::runs::Known;
use crate::serve::select::Violations;
use crate::serve::state::Shared;
use crate::store::{Encoding, ForecastPath};

/// Most runs in one answer.
const LIST_LIMIT: usize = 200;
/// Requests are a few names.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// A run as the ledger and the store together know it.
#[derive(Serialize)]
pub struct RunSummary {
    id: String,
    model: String,
    title: String,
    run_key: String,
    reference_time: String,
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    failure_reason: String,
    steps_complete: usize,
    steps_total: usize,
    /// It was asked for here, and goes on.
    cancellable: bool,
}

impl RunSummary {
    fn new(known: &Known) -> Self {
        let ForecastPath { model, reference_time, run_key } = &known.path;
        Self {
            id: id(&known.path),
            model: model.clone(),
            title: known.manifest.as_ref().map_or_else(|| model.clone(), |manifest| manifest.title.clone()),
            run_key: run_key.clone(),
            reference_time: reference_time.to_string(),
            state: state(known.phase()),
            failure_reason: known.reason().to_owned(),
            steps_complete: known.steps_complete(),
            steps_total: known.steps_total(),
            cancellable: known.record.as_ref().is_some_and(|record| !record.phase.is_final()),
        }
    }
}

/// As forecasts in lists have it.
pub fn state(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Done => "complete",
        other => other.name(),
    }
}

/// The models that this server knows, and why none can be asked for where that is so.
pub async fn models(State(state): State<Shared>) -> Response {
    let refusal = |model: &str| match &state.desk {
        None => Some("no forecasts can be asked for here: the server's configuration has no [runs]".to_owned()),
        Some(desk) => desk.refuses(model).map(|error| error.to_string()),
    };
    let models = state.models.iter().map(|model| {
        let mut told = json!({
            "name": model.name,
            "title": model.title,
            "version": model.version,
            "licence": model.licence,
            "grid": model.grid,
            "time_step_seconds": model.time_step.seconds(),
        });
        if let Some(reason) = refusal(&model.name) {
            told["no_requests"] = reason.into();
        }
        told
    });
    let mut answer = json!({ "models": models.collect::<Vec<_>>() });
    if let Some(desk) = &state.desk {
        answer["max_lead_time"] = desk.max_lead_time().to_string().into();
    }
    now(answer)
}

/// The newest [`LIST_LIMIT`] runs, those that wait included.
pub async fn list(State(state): State<Shared>) -> Result<Response, Error> {
    let (page, more) = state.list(&RunFilter::default(), None, LIST_LIMIT).await?;
    Ok(now(json!({ "runs": page.iter().map(RunSummary::new).collect::<Vec<_>>(), "more": more })))
}

pub async fn run(State(state): State<Shared>, parts: PathParts<String>) -> Result<Response, Error> {
    let known = state.known(&ForecastName::from_id(&path(parts)?)?).await?;
    Ok(now(json!({ "run": RunSummary::new(&known) })))
}

/// What is asked for. Times and durations as everywhere: `2001-01-01T00:00Z`, `10d`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    model: Option<String>,
    /// Without it, the newest analysis that is there.
    reference_time: Option<String>,
    lead_time: Option<String>,
    /// `float32` where it is not said, or `packed`.
    encoding: Option<String>,
    /// Of an ensemble; 1 where it is not said.
    members: Option<usize>,
    #[serde(default)]
    seed: u64,
    /// `noise` where it is not said, or `lagged:6h`.
    perturbation: Option<String>,
    #[serde(default)]
    true_winds: bool,
    request_id: Option<String>,
}

impl RunRequest {
    fn asked(self, client: String) -> Result<Asked, Error> {
        let mut violations = Violations::default();
        let model = self.model.ok_or_else(|| Violation::missing("model", "a model's name, as /api/v1/models has it"));
        let model = violations.take(model);
        let reference_time = self.reference_time.map(|text| {
            let wrong =
                |_| Violation::new("reference_time", format!("{} is no time such as 2001-01-01T00:00Z", quoted(&text)));
            text.parse::<ReferenceTime>().map_err(wrong)
        });
        let reference_time = violations.take(reference_time.transpose());
        let expected = "a duration such as 36h or 10d";
        let lead_time = self.lead_time.ok_or_else(|| Violation::missing("lead_time", expected)).and_then(|text| {
            let wrong = |_| Violation::new("lead_time", format!("{} is not {expected}", quoted(&text)));
            text.parse::<LeadTime>().map_err(wrong)
        });
        let lead_time = violations.take(lead_time);
        let encoding = match self.encoding.as_deref() {
            None | Some("float32") => Ok(Encoding::Float32),
            Some("packed") => Ok(Encoding::Packed),
            Some(other) => {
                Err(Violation::new("encoding", format!("{} is not known; expected float32 or packed", quoted(other))))
            }
        };
        let encoding = violations.take(encoding);
        let perturbation = self.perturbation.map_or(Ok(EnsembleKind::Noise), |text| {
            text.parse().map_err(|problem: String| Violation::new("perturbation", problem))
        });
        let perturbation = violations.take(perturbation);
        let asked = model.zip(reference_time).zip(lead_time.zip(encoding)).zip(perturbation);
        let (((model, reference_time), (lead_time, encoding)), perturbation) = violations.finish(asked)?;
        Ok(Asked {
            model,
            reference_time,
            lead_time,
            members: self.members.unwrap_or(1),
            seed: self.seed,
            perturbation,
            encoding,
            true_winds: self.true_winds,
            request_id: self.request_id.filter(|name| !name.is_empty()),
            client,
            start_within: None,
        })
    }
}

/// A body of JSON and nothing else: pages of other sites can send forms to this address, but not that.
pub fn request_route() -> MethodRouter<Shared> {
    post(request).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
}

async fn request(
    State(state): State<Shared>,
    caller: Option<Extension<Caller>>,
    body: Result<Json<RunRequest>, JsonRejection>,
) -> Result<Response, Error> {
    let Json(wanted) = body.map_err(|rejection| Violation::new("body", rejection.body_text()))?;
    let client = caller.map_or_else(|| "unknown".to_owned(), |Extension(caller)| caller.name);
    let (known, joined) = state.request(&wanted.asked(client)?).await?;
    let status = if joined { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, now(json!({ "run": RunSummary::new(&known), "joined": joined }))).into_response())
}

/// Cancels a run. What it has published stays.
pub async fn cancel(State(state): State<Shared>, parts: PathParts<String>) -> Result<Response, Error> {
    let known = state.cancel("forecast", ForecastName::from_id(&path(parts)?)?).await?;
    Ok(now(json!({ "run": RunSummary::new(&known) })))
}
