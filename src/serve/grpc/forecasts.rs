//! ForecastService.

use std::time::Duration;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{convert, pages};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::{Asked, EnsembleKind, RunFilter};
use crate::serve::access::Caller;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted, resource_name};
use crate::serve::select::Violations;
use crate::serve::state::Shared;
use crate::serve::v1;
use crate::serve::watch;
use crate::store::{Encoding, ForecastPath};

pub struct Forecasts(pub Shared);

fn page_token(token: &str) -> Result<Option<ForecastPath>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Violation::new("page_token", format!("{} is not a token that this list gave", quoted(token)));
    token.parse().map(Some).map_err(|_| wrong())
}

/// A reference time and a schedule.
fn awaited_token(token: &str) -> Result<Option<(ReferenceTime, String)>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Violation::new("page_token", format!("{} is not a token that this list gave", quoted(token)));
    let (time, schedule) = token.split_once('/').ok_or_else(wrong)?;
    Ok(Some((time.parse().map_err(|_| wrong())?, schedule.to_owned())))
}

fn filter(request: &v1::ListForecastsRequest) -> Result<RunFilter, Error> {
    let mut violations = Violations::default();
    let known = request.states.iter().map(|&state| {
        let state = v1::RunState::try_from(state).ok();
        state.and_then(convert::phase).ok_or_else(|| Violation::new("states", "has a state that is not known here"))
    });
    let phases = violations.take(known.collect::<Result<Vec<_>, _>>());
    let from = violations.take(convert::reference_time("reference_time_from", request.reference_time_from));
    let until = violations.take(convert::reference_time("reference_time_until", request.reference_time_until));
    let (phases, (from, until)) = violations.finish(phases.zip(from.zip(until)))?;
    Ok(RunFilter { model: request.model.clone(), phases, from, until })
}

/// What a client asks for.
fn asked(request: v1::RequestForecastRequest, client: String) -> Result<Asked, Error> {
    let mut violations = Violations::default();
    let model = match request.model.strip_prefix("models/") {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ if request.model.is_empty() => Err(Violation::missing("model", "models/{model}")),
        _ => Err(Violation::new("model", format!("{} is no model; expected models/{{model}}", quoted(&request.model)))),
    };
    let model = violations.take(model);
    let reference_time = violations.take(convert::reference_time("reference_time", request.reference_time));
    let lead_time = violations.take(convert::lead_time(request.lead_time));
    let encoding = match v1::Encoding::try_from(request.encoding) {
        Ok(v1::Encoding::Unspecified | v1::Encoding::Float32) => Ok(Encoding::Float32),
        Ok(v1::Encoding::Packed) => Ok(Encoding::Packed),
        Err(_) => Err(Violation::new("encoding", "is not known here")),
    };
    let encoding = violations.take(encoding);
    let start_within = match request.start_within {
        None => Ok(None),
        Some(within) => match Duration::try_from(within) {
            Ok(within) if !within.is_zero() => Ok(Some(within)),
            _ => Err(Violation::new("start_within", "is not more than nothing")),
        },
    };
    let start_within = violations.take(start_within);
    let perturbation = match request.lag {
        None => Ok(EnsembleKind::Noise),
        Some(prost_types::Duration { seconds, nanos: 0 }) if seconds > 0 => {
            Ok(EnsembleKind::Lagged(LeadTime::from_seconds(seconds)))
        }
        Some(_) => Err(Violation::new("lag", "is not more than nothing in whole seconds")),
    };
    let perturbation = violations.take(perturbation);
    let asked = model.zip(reference_time).zip(lead_time.zip(encoding)).zip(start_within.zip(perturbation));
    let (((model, reference_time), (lead_time, encoding)), (start_within, perturbation)) = violations.finish(asked)?;
    Ok(Asked {
        model,
        reference_time,
        lead_time,
        members: usize::try_from(request.members.max(1)).unwrap_or(usize::MAX),
        seed: request.seed,
        perturbation,
        encoding,
        true_winds: request.true_winds,
        request_id: (!request.request_id.is_empty()).then_some(request.request_id),
        client,
        start_within,
    })
}

#[tonic::async_trait]
impl v1::forecast_service_server::ForecastService for Forecasts {
    type WatchForecastStream = ReceiverStream<Result<v1::WatchForecastResponse, Status>>;

    async fn request_forecast(
        &self,
        request: Request<v1::RequestForecastRequest>,
    ) -> Result<Response<v1::RequestForecastResponse>, Status> {
        // where nothing can be asked for, nothing is said of how to ask
        self.0.desk()?;
        let client = request.extensions().get::<Caller>().map_or("unknown".to_owned(), |caller| caller.name.clone());
        let (known, joined) = self.0.request(&asked(request.into_inner(), client)?).await?;
        Ok(Response::new(v1::RequestForecastResponse { forecast: Some(convert::forecast(&known, &[])), joined }))
    }

    async fn watch_forecast(
        &self,
        request: Request<v1::WatchForecastRequest>,
    ) -> Result<Response<Self::WatchForecastStream>, Status> {
        let v1::WatchForecastRequest { name, resume_token } = request.into_inner();
        let mut violations = Violations::default();
        let name = violations.take(ForecastName::from_resource("name", &name));
        let after = violations.take(watch::resumed("resume_token", &resume_token));
        let (name, after) = violations.finish(name.zip(after))?;
        let known = self.0.known(&name).await?;
        Ok(Response::new(watch::start(self.0.clone(), known, after, |news| {
            news.map(|news| convert::news(&news)).map_err(Status::from)
        })))
    }

    async fn cancel_forecast(
        &self,
        request: Request<v1::CancelForecastRequest>,
    ) -> Result<Response<v1::CancelForecastResponse>, Status> {
        let name = ForecastName::from_resource("name", &request.into_inner().name).map_err(Error::from)?;
        let known = self.0.cancel("name", name).await?;
        Ok(Response::new(v1::CancelForecastResponse { forecast: Some(convert::forecast(&known, &[])) }))
    }

    async fn list_forecasts(
        &self,
        request: Request<v1::ListForecastsRequest>,
    ) -> Result<Response<v1::ListForecastsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.take(pages::size(request.page_size));
        let token = violations.take(page_token(&request.page_token));
        let (size, token) = violations.finish(size.zip(token))?;
        let filter = filter(&request)?;
        let (page, more) = self.0.list(&filter, token.as_ref(), size).await?;
        let next_page_token = page.last().filter(|_| more).map_or_else(String::new, |last| last.path.to_string());
        let listing = self.0.catalog.list().await?;
        let of_model = listing.iter().filter(|entry| filter.model.is_empty() || entry.path.model == filter.model);
        let unreachable = of_model.filter(|entry| entry.manifest.is_err());
        Ok(Response::new(v1::ListForecastsResponse {
            forecasts: page.iter().map(|known| convert::forecast(known, &[])).collect(),
            next_page_token,
            unreachable: unreachable.map(|entry| resource_name(&entry.path)).collect(),
        }))
    }

    async fn list_awaited_analyses(
        &self,
        request: Request<v1::ListAwaitedAnalysesRequest>,
    ) -> Result<Response<v1::ListAwaitedAnalysesResponse>, Status> {
        let desk = self.0.desk()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.take(pages::size(request.page_size));
        let token = violations.take(awaited_token(&request.page_token));
        let (size, token) = violations.finish(size.zip(token))?;
        let after = token.as_ref().map(|(time, schedule)| (*time, schedule.as_str()));
        let found = desk.ledger.list_awaited(&request.schedule, after, size + 1).await.map_err(Error::from)?;
        let last = found.get(size.saturating_sub(1)).filter(|_| found.len() > size);
        let next_page_token =
            last.map_or_else(String::new, |last| format!("{}/{}", last.reference_time, last.schedule));
        let analyses = found.iter().take(size).map(convert::awaited).collect();
        Ok(Response::new(v1::ListAwaitedAnalysesResponse { analyses, next_page_token }))
    }

    async fn get_forecast(
        &self,
        request: Request<v1::GetForecastRequest>,
    ) -> Result<Response<v1::GetForecastResponse>, Status> {
        let name = ForecastName::from_resource("name", &request.into_inner().name).map_err(Error::from)?;
        let known = self.0.known(&name).await?;
        let attempts = self.0.attempts(&known).await?;
        Ok(Response::new(v1::GetForecastResponse { forecast: Some(convert::forecast(&known, &attempts)) }))
    }
}
