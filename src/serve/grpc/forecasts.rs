//! ForecastService.

use std::cmp::Reverse;

use tonic::{Request, Response, Status};

use super::{convert, pages};
use crate::serve::catalog::Entry;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted, resource_name};
use crate::serve::select::Violations;
use crate::serve::state::Shared;
use crate::serve::v1;
use crate::store::ForecastPath;

pub struct Forecasts(pub Shared);

/// Order of the list: newest reference time first, then by name.
fn rank(path: &ForecastPath) -> impl Ord {
    (Reverse(path.reference_time), path.model.clone(), path.run_key.clone())
}

fn page_token(token: &str) -> Result<Option<ForecastPath>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Violation::new("page_token", format!("{} is not a token that this list gave", quoted(token)));
    token.parse().map(Some).map_err(|_| wrong())
}

#[tonic::async_trait]
impl v1::forecast_service_server::ForecastService for Forecasts {
    async fn list_forecasts(
        &self,
        request: Request<v1::ListForecastsRequest>,
    ) -> Result<Response<v1::ListForecastsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.take(pages::size(request.page_size));
        let token = violations.take(page_token(&request.page_token));
        let (size, token) = violations.finish(size.zip(token))?;
        let listing = self.0.catalog.list().await?;
        let of_model = |entry: &&Entry| request.model.is_empty() || entry.path.model == request.model;
        let after = |entry: &Entry| token.as_ref().is_none_or(|last| rank(&entry.path) > rank(last));
        let readable = listing.iter().filter(of_model).filter(|entry| entry.manifest.is_ok());
        let (page, next_page_token) = pages::page(readable, after, size, |entry| entry.path.to_string());
        let forecasts = page.into_iter().filter_map(|entry| {
            let manifest = entry.manifest.as_ref().ok()?;
            Some(convert::forecast(&entry.path, manifest))
        });
        let unreachable = listing.iter().filter(of_model).filter(|entry| entry.manifest.is_err());
        Ok(Response::new(v1::ListForecastsResponse {
            forecasts: forecasts.collect(),
            next_page_token,
            unreachable: unreachable.map(|entry| resource_name(&entry.path)).collect(),
        }))
    }

    async fn get_forecast(
        &self,
        request: Request<v1::GetForecastRequest>,
    ) -> Result<Response<v1::GetForecastResponse>, Status> {
        let name = ForecastName::from_resource("name", &request.into_inner().name).map_err(Error::from)?;
        let forecast = self.0.catalog.open(&name).await?;
        let forecast = convert::forecast(&forecast.path, forecast.manifest());
        Ok(Response::new(v1::GetForecastResponse { forecast: Some(forecast) }))
    }
}
