//! Whether the server can do what it is for: asked of the store, not assumed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::grpc::{DataService, ForecastService, ModelService};
use super::state::State;

/// How often the store is asked, and how long it may take.
const PERIOD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);

/// The store's last answer; the error says what is wrong.
pub type Health = Result<(), Arc<str>>;

/// Before the store has been asked.
pub fn unknown() -> Health {
    Err("the store has not answered yet".into())
}

/// Asks the store again and again, and tells the probes and gRPC's health service. Runs until it is dropped.
pub async fn watch_store(state: Arc<State>, sender: watch::Sender<Health>, reporter: HealthReporter) {
    loop {
        let probe = async {
            state.catalog.probe().await?;
            match &state.desk {
                Some(desk) => desk.ledger.probe().await.map_err(|error| error.to_string()),
                None => Ok(()),
            }
        };
        let health: Health = match tokio::time::timeout(PATIENCE, probe).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(format!("the store and the ledger have not answered within {PATIENCE:?}").into()),
        };
        if *sender.borrow() != health {
            match &health {
                Ok(()) => tracing::info!("ready"),
                Err(reason) => tracing::error!(%reason, "not ready"),
            }
        }
        state.metrics.store_up.set(i64::from(health.is_ok()));
        report(&reporter, if health.is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
        drop(sender.send_replace(health));
        tokio::time::sleep(PERIOD).await;
    }
}

/// The whole server, and each service that needs the store. Models are known without it.
pub async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for service in ["", ForecastService::NAME, DataService::NAME] {
        reporter.set_service_status(service, status).await;
    }
    reporter.set_service_status(ModelService::NAME, ServingStatus::Serving).await;
}
