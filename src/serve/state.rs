//! What all requests share.

use std::sync::Arc;

use tokio::sync::watch;

use super::blocks::Blocks;
use super::catalog::Catalog;
use super::config::{Limits, ModelSummary};
use super::health::Health;
use super::metrics::Metrics;
use super::runs::Records;
use super::styles::Styles;
use crate::forecast::Desk;

pub struct State {
    pub catalog: Catalog,
    pub blocks: Blocks,
    pub styles: Styles,
    /// Where forecasts are asked for; `None`: they are not.
    pub desk: Option<Arc<Desk>>,
    pub records: Records,
    pub models: Vec<ModelSummary>,
    pub limits: Limits,
    pub metrics: Metrics,
    pub health: watch::Receiver<Health>,
}

pub type Shared = Arc<State>;
