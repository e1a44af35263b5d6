//! gRPC and HTTP, on one port.
//!
//! ```text
//!  TCP ─► connection ─► admission ─► access ─┬─► grpc/   ForecastService, DataService, ModelService, health, reflection
//!  TLS    (slow peers)  (one bound)  (who may └─► http/   tiles, TileJSON, legends, JSON for the page, the page, probes, metrics
//!                                    do what)       │
//!                                    ▼
//!                     select (names → field) ─► tiles, series ─► fields (stored, derived) ─► blocks (decoded, cached) ─► store
//! ```
//!
//! Both faces ask the same few functions and get the same errors; [`Error`] is the only place that knows status codes.
//!
//! # Absent on purpose
//! - No default for a dimension: a variable, level or lead time that is left out is an error that says what there is.
//! - No sessions, no state per client: any number of servers may share a store.
//! - Nothing of a request is trusted to be a path: forecasts are looked up by parsed names.

mod access;
mod admission;
mod blocks;
mod catalog;
mod config;
mod connection;
mod derived;
mod error;
mod fields;
mod grpc;
mod health;
mod http;
mod metrics;
mod names;
mod places;
mod runs;
mod select;
mod series;
mod server;
mod state;
mod styles;
mod tiles;
mod tls;
mod trace;
mod units;
mod watch;

/// The messages and services of `proto/vejr/v1`.
pub mod v1 {
    tonic::include_proto!("vejr.v1");

    /// All of `proto/`, compiled: what server reflection hands out.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vejr_descriptor.bin"));
}

pub use access::{
    AccessConfig, AccessError, Anonymous, GRPC, GrpcRule, HTTP, HttpRule, JwtConfig, MetricsFor, Need, Rate, Role,
    RoleNames, Token, generate as generate_token,
};
pub use config::{Limits, ModelChannel, ModelSummary, ServeConfig};
pub use error::{Error, Violation};
pub use server::{Server, StartError, run};
pub use tls::{TlsError, TlsFiles};
