//! ModelService.

use tonic::{Request, Response, Status};

use super::{convert, pages};
use crate::serve::config::ModelSummary;
use crate::serve::error::{Error, Violation};
use crate::serve::names::quoted;
use crate::serve::select::Violations;
use crate::serve::state::Shared;
use crate::serve::v1;

pub struct Models(pub Shared);

const COLLECTION: &str = "models/";

fn model(summary: &ModelSummary) -> v1::Model {
    let channels = summary.channels.iter().map(|channel| v1::ModelChannel {
        variable: channel.variable.clone(),
        standard_name: channel.standard_name.clone(),
        level: channel.level.clone(),
        units: channel.units.clone(),
    });
    v1::Model {
        name: format!("{COLLECTION}{}", summary.name),
        title: summary.title.clone(),
        version: summary.version.clone(),
        architecture: summary.architecture.clone(),
        licence: summary.licence.clone(),
        time_step: Some(convert::duration(summary.time_step)),
        grid: summary.grid.clone(),
        channels: channels.collect(),
        digest: summary.digest.clone(),
    }
}

#[tonic::async_trait]
impl v1::model_service_server::ModelService for Models {
    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.take(pages::size(request.page_size));
        let size = violations.finish(size)?;
        let after = |model: &ModelSummary| request.page_token.is_empty() || model.name > request.page_token;
        let mut models: Vec<&ModelSummary> = self.0.models.iter().collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        let (page, next_page_token) = pages::page(models.into_iter(), after, size, |model| model.name.clone());
        Ok(Response::new(v1::ListModelsResponse { models: page.into_iter().map(model).collect(), next_page_token }))
    }

    async fn get_model(&self, request: Request<v1::GetModelRequest>) -> Result<Response<v1::GetModelResponse>, Status> {
        let name = request.into_inner().name;
        let expected = "models/{model}";
        if name.is_empty() {
            return Err(Error::from(Violation::missing("name", expected)).into());
        }
        let Some(short) = name.strip_prefix(COLLECTION) else {
            let description = format!("{} is no model; expected {expected}", quoted(&name));
            return Err(Error::from(Violation::new("name", description)).into());
        };
        let found = self.0.models.iter().find(|model| model.name == short);
        let found = found.ok_or_else(|| Error::NotFound {
            kind: "model",
            name: quoted(&name),
            hint: "ListModels tells which this server has",
        })?;
        Ok(Response::new(v1::GetModelResponse { model: Some(model(found)) }))
    }
}
