//! What a server is told before it starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::access::AccessConfig;
use super::tls::TlsFiles;
use crate::atmos::LeadTime;
use crate::forecast::Desk;
use crate::location::Location;

#[derive(Debug)]
pub struct ServeConfig {
    /// Where to listen for gRPC and HTTP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines without TLS: something else there speaks it, or nothing needs it.
    pub insecure: bool,
    pub tls: Option<TlsFiles>,
    pub access: AccessConfig,
    /// The store whose forecasts are served.
    pub store: Location,
    /// The models that ModelService tells of.
    pub models: Vec<ModelSummary>,
    /// Where forecasts can be asked for; `None`: the server only tells of those that there are.
    pub desk: Option<Arc<Desk>>,
    pub limits: Limits,
}

/// Bounds on what clients can make the server do.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Of these, one client's; further ones are closed.
    pub connections_per_address: usize,
    /// Requests at work at once; a further one is refused at once.
    pub requests: usize,
    /// Runs that are watched at once; a further one is refused at once.
    pub watchers: usize,
    /// Answers that are made and wait to be read; a further one is refused at once.
    pub answers: usize,
    /// From the whole request to the first byte of the answer.
    pub request_timeout: Duration,
    /// For a handshake, the head of a request, and the answer to a ping.
    pub peer_timeout: Duration,
    /// A client that reads nothing of a stream for so long is cut off.
    pub stall_timeout: Duration,
    /// Decoded fields kept in memory, in bytes.
    pub cache_bytes: u64,
    /// Values that one tile or point may need in memory.
    pub window_values: usize,
    /// Values in one answer of the EDR interface.
    pub answer_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 2048,
            requests: 256,
            watchers: 2048,
            answers: 4096,
            request_timeout: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            cache_bytes: 128 << 20,
            window_values: 32 << 20,
            answer_values: 4 << 20,
        }
    }
}

/// A model as clients see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSummary {
    pub name: String,
    pub title: String,
    pub version: String,
    pub architecture: String,
    /// SPDX expression of the weights.
    pub licence: String,
    pub time_step: LeadTime,
    /// For people.
    pub grid: String,
    /// In the network's order.
    pub channels: Vec<ModelChannel>,
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelChannel {
    pub variable: String,
    pub standard_name: String,
    /// As requests spell it: `surface`, `500hPa`.
    pub level: String,
    pub units: String,
}
