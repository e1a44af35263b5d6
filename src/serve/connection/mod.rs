//! One connection: HTTP/1.1 and HTTP/2 (over TLS by agreement, else with prior knowledge, as gRPC clients have it) on one port,
//! and what its peer may cost.
//!
//! A peer that does not read costs its place in kernel buffers, what HTTP/2 keeps of it, and the piece at work; and is cut off
//! after a while: its connection where nothing goes out ([`stall`]), its stream where HTTP/2's windows stay shut ([`reader`]).

mod peers;
mod reader;
mod stall;
mod turns;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower_layer::Layer;

use super::metrics::Metrics;
use super::server::Peer;
use super::tls::Certificate;
pub use peers::Peers;
use reader::Streams;
pub use reader::in_pieces;
use stall::Watched;
use turns::InTurn;

const MAX_STREAMS: u32 = 128;
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// Of answers waiting for a slow peer, per stream.
const MAX_SEND_BUFFER: usize = 256 << 10;
/// Of requests that nobody has read yet, per stream and per connection: they are a few names.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// What all connections share.
#[derive(Clone)]
pub struct Connections {
    pub router: Router,
    pub tls: Option<Arc<Certificate>>,
    /// For a handshake, the head of a request, and the answer to a ping.
    pub patience: Duration,
    /// For a peer to read something.
    pub stall: Duration,
    pub metrics: Metrics,
}

impl Connections {
    /// Serves until the peer goes, or `stopped` is true.
    pub async fn serve(self, stream: TcpStream, peer: SocketAddr, stopped: watch::Receiver<bool>) {
        // small answers must not wait for the next one to fill a packet
        let _ = stream.set_nodelay(true);
        let Some(certificate) = &self.tls else { return self.speak(stream, peer, stopped).await };
        match tokio::time::timeout(self.patience, certificate.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, peer, stopped).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a handshake failed"),
            Err(_) => tracing::debug!(%peer, "a handshake was not finished"),
        }
    }

    async fn speak<S>(self, stream: S, peer: SocketAddr, mut stopped: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = Extension(Peer(peer.ip())).layer(self.router);
        let (cut, patience) = (self.metrics.readers_cut, self.patience);
        let stream = Watched::new(stream, patience, self.stall, cut.clone());
        let mut builder = Builder::new(Streams { patience: self.stall, cut });
        let head = MAX_HEADER_BYTES as usize;
        builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(patience)
            .keep_alive_timeout(patience)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let service = InTurn::new(TowerToHyperService::new(router));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            result = connection.as_mut() => return log(result),
            // an error means that the server is gone, which is a stop, too
            _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        log(connection.await);
    }
}

/// Peers that vanish or speak no HTTP are everyday life.
fn log(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}
