//! The gRPC services: conversion to and from proto, and nothing else.

mod convert;
mod data;
mod field_stream;
mod forecasts;
mod models;
mod pages;

use axum::Router;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::health;
use super::state::Shared;
use super::v1;
use super::v1::data_service_server::DataServiceServer;
use super::v1::forecast_service_server::ForecastServiceServer;
use super::v1::model_service_server::ModelServiceServer;

pub type ForecastService = ForecastServiceServer<forecasts::Forecasts>;
pub type DataService = DataServiceServer<data::Data>;
pub type ModelService = ModelServiceServer<models::Models>;

/// Requests are a few names and numbers.
const MAX_REQUEST_BYTES: usize = 64 << 10;

/// All services, and the handle that tells the health service how they are.
pub async fn router(state: Shared) -> Result<(HealthReporter, Router), tonic_reflection::server::Error> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::report(&reporter, ServingStatus::NotServing).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let forecasts = ForecastServiceServer::new(forecasts::Forecasts(state.clone()));
    let data = DataServiceServer::new(data::Data(state.clone()));
    let models = ModelServiceServer::new(models::Models(state));
    let routes = Routes::new(forecasts.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(data.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(models.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(health_service.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_REQUEST_BYTES))
        // what grpcurl and other tools of before 2024 ask
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok((reporter, routes.into_axum_router()))
}
