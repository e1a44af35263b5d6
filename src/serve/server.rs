//! From a configuration to a listening server, and to its end.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tonic_health::server::HealthReporter;

use super::access::{Access, AccessError, dressed, guard};
use super::admission::{Door, admit};
use super::blocks::Blocks;
use super::catalog::Catalog;
use super::config::ServeConfig;
use super::connection::{Connections, Peers, in_pieces};
use super::metrics::Metrics;
use super::runs::Records;
use super::state::{Shared, State};
use super::styles::Styles;
use super::tls::{Certificate, TlsError};
use super::{grpc, health, http};

/// For requests at work when the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Of each connection in the kernel, which takes as much again for its own: what a peer that does not read costs.
const SEND_BUFFER: u32 = 256 << 10;
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// After a failure to accept, such as too many open files: the cause is not gone at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "{0} can be reached from other machines, and without TLS all of them could read along, tokens included; give a \
         certificate ([tls]), listen on 127.0.0.1, or say insecure = true (--insecure)"
    )]
    Insecure(SocketAddr),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Access(#[from] AccessError),
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
    tls: Option<Arc<Certificate>>,
    access: Arc<Access>,
    state: Shared,
    health: watch::Sender<health::Health>,
    reporter: HealthReporter,
}

impl Server {
    pub async fn bind(config: ServeConfig) -> Result<Self, StartError> {
        let ServeConfig { listen, insecure, tls, access, store, models, desk, limits } = config;
        let local = listen.ip().is_loopback();
        if !local && tls.is_none() && !insecure {
            return Err(StartError::Insecure(listen));
        }
        let tls = tls.map(Certificate::read).transpose()?.map(Arc::new);
        let origins = access.origins.clone();
        let access = Arc::new(Access::new(access, local).await?);
        let failed = |source| StartError::Listen { address: listen, source };
        let listener = listening(listen).map_err(failed)?;
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
            .layer(from_fn_with_state(access.clone(), guard))
            .layer(from_fn_with_state(Door::new(state.clone()), admit));
        let router = dressed(router, &origins, tls.is_some()).map_err(AccessError::from)?.layer(from_fn(in_pieces));
        Ok(Self { listener, address, router, tls, access, state, health, reporter })
    }

    /// Whether it speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
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
        let Self { listener, router, tls, access, state, health, reporter, .. } = self;
        let mut background = JoinSet::new();
        background.spawn(access.keep_keys());
        if let Some(certificate) = &tls {
            background.spawn(certificate.clone().keep());
        }
        background.spawn(health::watch_store(state.clone(), health, reporter.clone()));
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(state.limits.connections));
        let peers = Peers::default();
        let (patience, stall) = (state.limits.peer_timeout, state.limits.stall_timeout);
        let shared = Connections { router, tls, patience, stall, metrics: state.metrics.clone() };
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
                        let Some(counted) = peers.count(peer.ip(), state.limits.connections_per_address) else {
                            tracing::debug!(%peer, "a peer has too many connections");
                            continue;
                        };
                        let connection = shared.clone().serve(stream, peer, stopped.clone());
                        let gauge = state.metrics.connections.clone();
                        gauge.inc();
                        connections.spawn(async move {
                            connection.await;
                            gauge.dec();
                            drop((place, counted));
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

fn listening(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // a server that is started again does not wait for the connections of the one before
    socket.set_reuseaddr(true)?;
    // connections inherit it
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
