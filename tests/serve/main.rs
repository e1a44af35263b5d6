//! The service, whole: a real server on a free port, a made-up forecast in a real store, real clients.

mod access;
mod clients;
mod edr;
mod grpc;
mod http;
mod malformed;
mod maps;
mod members;
mod page;
mod planet;
mod program;
mod provider;
mod stalled;
mod tls;

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vejr::atmos::LeadTime;
use vejr::location::Location;
use vejr::serve::{AccessConfig, Limits, ModelChannel, ModelSummary, ServeConfig, Server, StartError, TlsFiles};
use vejr::store::ForecastPath;

/// A server and its store; both end with it.
pub struct Service {
    pub folder: TempDir,
    pub root: Location,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Service {
    /// An empty store, served.
    pub async fn start(limits: Limits) -> Self {
        Self::start_as(limits, AccessConfig::default(), None).await
    }

    /// The same, for whom it is, and over TLS.
    pub async fn start_as(limits: Limits, access: AccessConfig, tls: Option<TlsFiles>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Location::parse(folder.path().to_str().unwrap()).unwrap();
        let config = ServeConfig { access, tls, ..config("127.0.0.1:0", &root, limits) };
        let server = Server::bind(config).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { folder, root, address, stop: Some(stop), running }
    }

    /// With one whole forecast of eight steps after the analysis.
    pub async fn with_forecast() -> (Self, ForecastPath) {
        let service = Self::start(Limits::default()).await;
        let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
        planet::publish(&service.root, &path, 8).await;
        (service, path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.running.await.unwrap();
    }
}

pub fn config(listen: &str, root: &Location, limits: Limits) -> ServeConfig {
    let channel = ModelChannel {
        variable: "t".to_owned(),
        standard_name: "air_temperature".to_owned(),
        level: "500hPa".to_owned(),
        units: "K".to_owned(),
    };
    let model = |name: &str| ModelSummary {
        name: name.to_owned(),
        title: "A made-up planet".to_owned(),
        version: "1.0.0".to_owned(),
        architecture: "persistence".to_owned(),
        licence: "CC0-1.0".to_owned(),
        time_step: LeadTime::from_hours(6),
        grid: planet::grid().to_string(),
        channels: vec![channel.clone()],
        digest: "sha256:00".to_owned(),
    };
    let models = vec![model(planet::MODEL), model("another-planet")];
    ServeConfig {
        listen: listen.parse().unwrap(),
        insecure: false,
        tls: None,
        access: AccessConfig::default(),
        store: root.clone(),
        models,
        desk: None,
        limits,
    }
}

/// Waits until a condition holds; what is waited for happens in another task or thread.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if condition().await {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn nothing_listens_beyond_this_machine_unless_told_so() {
    let root = Location::parse("memory:").unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = Server::bind(config(address, &root, Limits::default())).await;
        assert!(matches!(refused, Err(StartError::Insecure(_))), "{address}");
    }
    let allowed = ServeConfig { insecure: true, ..config("0.0.0.0:0", &root, Limits::default()) };
    assert!(Server::bind(allowed).await.is_ok());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let root = Location::parse("memory:").unwrap();
    let first = Server::bind(config("127.0.0.1:0", &root, Limits::default())).await.unwrap();
    let second = Server::bind(config(&first.address().to_string(), &root, Limits::default())).await;
    assert!(second.err().unwrap().to_string().contains(&first.address().to_string()));
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops_with_connections_open() {
    let (service, _) = Service::with_forecast().await;
    let client = reqwest::Client::new();
    assert!(client.get(service.url("/healthz")).send().await.unwrap().status().is_success());
    let begin = std::time::Instant::now();
    service.stop().await;
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}
