//! From a configuration to a listening server, and to its end.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tonic_health::server::HealthReporter;
use tower_layer::Layer;

use super::admission::{Door, admit};
use super::blocks::Blocks;
use super::catalog::Catalog;
use super::config::ServeConfig;
use super::metrics::Metrics;
use super::runs::Records;
use super::state::{Shared, State};
use super::styles::Styles;
use super::{grpc, health, http};

/// For the head of a request to arrive, and for the peer to answer a ping.
const PEER_PATIENCE: Duration = Duration::from_secs(15);
/// For requests at work when the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
const MAX_STREAMS_PER_CONNECTION: u32 = 128;
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// Of answers waiting for a slow peer, per stream.
const MAX_SEND_BUFFER: usize = 256 << 10;
/// After a failure to accept, such as too many open files: the cause is not gone at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "{0} can be reached from other machines, and there is no authentication; listen on 127.0.0.1, or allow it explicitly"
    )]
    Public(SocketAddr),
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("setting up failed: {0}")]
    SetUp(Box<dyn std::error::Error + Send + Sync>),
}

/// Listens until `shutdown` is ready, then finishes what is at work.
pub async fn run(config: ServeConfig, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    Server::bind(config).await?.run(shutdown).await;
    Ok(())
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// A server that listens but does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    state: Shared,
    health: watch::Sender<health::Health>,
    reporter: HealthReporter,
}

impl Server {
    pub async fn bind(config: ServeConfig) -> Result<Self, StartError> {
        let ServeConfig { listen, allow_public, store, models, desk, limits } = config;
        if !listen.ip().is_loopback() && !allow_public {
            return Err(StartError::Public(listen));
        }
        let failed = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Metrics::new().map_err(|error| StartError::SetUp(error.into()))?;
        let (health, health_receiver) = watch::channel(health::unknown());
        let state = Arc::new(State {
            catalog: Catalog::new(store),
            blocks: Blocks::new(limits.cache_bytes, limits.window_values, metrics.clone()),
            styles: Styles::new(),
            models,
            desk,
            records: Records::new(),
            limits,
            metrics,
            health: health_receiver,
        });
        let (reporter, grpc) = grpc::router(state.clone()).await.map_err(|error| StartError::SetUp(error.into()))?;
        let router = http::router(state.clone())
            .merge(grpc)
            .fallback(http::not_found)
            .layer(axum::middleware::from_fn_with_state(Door::new(state.clone()), admit));
        Ok(Self { listener, address, router, state, health, reporter })
    }

    /// Where it listens; with port 0 in the configuration, the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts the steps of workers in this process.
    pub fn step_metrics(&self) -> impl Fn(f64, Option<f64>) + Send + Sync + 'static {
        let (seconds, total) = (self.state.metrics.step_seconds.clone(), self.state.metrics.joules.clone());
        move |step, joules| {
            seconds.observe(step);
            // a counter only grows
            total.inc_by(joules.unwrap_or(0.0).max(0.0));
        }
    }

    /// Keeps whether each device of this process works.
    pub fn device_metrics(&self) -> impl Fn(&str, bool) + Send + Sync + 'static {
        let up = self.state.metrics.device_up.clone();
        move |device, works| up.with_label_values(&[device]).set(i64::from(works))
    }

    /// Keeps how long after their reference times the analyses of each schedule arrived.
    pub fn arrival_metrics(&self) -> impl Fn(&str, f64) + Send + Sync + 'static {
        let delays = self.state.metrics.arrival_seconds.clone();
        move |schedule, delay| delays.with_label_values(&[schedule]).set(delay)
    }

    /// Answers until `shutdown` is ready; then accepts nothing more, tells clients so, and finishes what is at work.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, router, state, health, reporter, .. } = self;
        let mut background = JoinSet::new();
        background.spawn(health::watch_store(state.clone(), health, reporter.clone()));
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(state.limits.connections));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = async {
                // the semaphore is never closed
                let place = places.clone().acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                (place, accepted) = accepted => match accepted {
                    Ok((stream, peer)) => {
                        let connection = serve_connection((stream, peer), router.clone(), stopped.clone());
                        let gauge = state.metrics.connections.clone();
                        gauge.inc();
                        connections.spawn(async move {
                            connection.await;
                            gauge.dec();
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accepting a connection failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        background.abort_all();
        health::report(&reporter, tonic_health::ServingStatus::NotServing).await;
        stop.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(connections = connections.len(), "closing connections that are still open");
        }
    }
}

/// HTTP/1.1 and HTTP/2 (with prior knowledge, as gRPC clients have it) on one port.
async fn serve_connection((stream, peer): (TcpStream, SocketAddr), router: Router, mut stopped: watch::Receiver<bool>) {
    let router = Extension(Peer(peer.ip())).layer(router);
    // small answers must not wait for the next one to fill a packet
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PEER_PATIENCE).max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PEER_PATIENCE)
        .keep_alive_timeout(PEER_PATIENCE)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        result = connection.as_mut() => return log(result),
        // an error means that the server is gone, which is a stop, too
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    log(connection.await);
}

/// Peers that vanish or speak no HTTP are everyday life.
fn log(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}
