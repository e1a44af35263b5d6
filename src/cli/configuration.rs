//! `vejr.toml`: what `vejr serve` and `vejr worker` are told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use serde::{Deserialize, Deserializer};

use super::models::packages_in;
use super::{Failure, Fault, isolation};
use crate::atmos::LeadTime;
use crate::device::DeviceRequest;
use crate::forecast::{
    Admission, Arrivals, Desk, DeskLimits, Ledger, LedgerError, MOST_MEMBERS, WorkerEvents, WorkerSettings,
};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::store::{Exceedance, Statistics};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Folder or URL of the store.
    pub store: String,
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Listen also where other machines can reach it: there is no authentication yet.
    #[serde(default)]
    pub allow_public: bool,
    /// Folders whose sub-folders are model packages.
    #[serde(default)]
    models: Vec<PathBuf>,
    /// Left out: forecasts cannot be asked for.
    #[serde(default)]
    runs: Option<Runs>,
    /// Where the analyses of each model appear.
    #[serde(default)]
    inputs: Vec<Arrivals>,
}

/// `[runs]`: forecasts can be asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    /// `sqlite:FILE`, or `postgres://USER@HOST/DATABASE`.
    ledger: String,
    /// Of the workers in this process; empty: only other machines compute.
    #[serde(default = "default_devices")]
    devices: Vec<String>,
    /// Runs that wait at most.
    #[serde(default = "default_queue")]
    queue: u64,
    /// Of these, one client's.
    #[serde(default)]
    per_client: Option<u64>,
    #[serde(default = "default_max_lead_time", deserialize_with = "duration")]
    max_lead_time: LeadTime,
    /// Members of an ensemble.
    #[serde(default = "default_max_members")]
    max_members: usize,
    /// Members that a worker takes at once, and advances side by side.
    #[serde(default = "default_member_batch")]
    member_batch: usize,
    /// Published of the members of ensembles, beside mean and spread.
    #[serde(default = "default_quantiles")]
    quantiles: Vec<f64>,
    /// Thresholds such as `t2m>273.15`: the fraction of the members that are above, for models that have the variable.
    #[serde(default)]
    exceed: Vec<Exceedance>,
    /// How long a worker that is not heard of keeps its run.
    #[serde(default = "default_lease", deserialize_with = "duration")]
    lease: LeadTime,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_devices() -> Vec<String> {
    vec!["auto".to_owned()]
}

fn default_queue() -> u64 {
    100
}

fn default_max_lead_time() -> LeadTime {
    LeadTime::from_hours(15 * 24)
}

fn default_max_members() -> usize {
    100
}

fn default_quantiles() -> Vec<f64> {
    Statistics::default().quantiles
}

fn default_member_batch() -> usize {
    1
}

fn default_lease() -> LeadTime {
    LeadTime::from_seconds(15)
}

/// As on the command line: `15s`, `10d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeadTime, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Shorter, and a busy disk would cost workers their runs.
const SHORTEST_LEASE: i64 = 2;
const LONGEST_LEASE: i64 = 3600;

impl Configuration {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Failure::configuration(format!("{path}: {error}; expected a configuration file, see deploy/vejr.toml"))
        })?;
        let configuration: Self =
            toml::from_str(&text).map_err(|error| Failure::configuration(format!("{}: {error}", path.display())))?;
        if let Some(Runs { lease, queue, max_members, member_batch, .. }) = &configuration.runs {
            if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease.seconds()) {
                let message = format!("runs.lease is {lease}; expected {SHORTEST_LEASE}s to {LONGEST_LEASE}s");
                return Err(Failure::configuration(message));
            }
            if !(1..=MOST_MEMBERS).contains(max_members) {
                let message = format!("runs.max_members is {max_members}; expected 1 to {MOST_MEMBERS}");
                return Err(Failure::configuration(message));
            }
            if *member_batch == 0 {
                return Err(Failure::configuration("runs.member_batch is 0; no member could be made"));
            }
            if *queue == 0 {
                return Err(Failure::configuration("runs.queue is 0; nothing could be asked for"));
            }
        }
        Ok(configuration)
    }

    pub fn takes_requests(&self) -> bool {
        self.runs.is_some()
    }

    /// The packages of all folders; one that cannot be used is an error, because clients would miss it.
    pub fn packages(&self) -> Result<Vec<Arc<ModelPackage>>, Failure> {
        let mut all: Vec<Arc<ModelPackage>> = Vec::new();
        for folder in &self.models {
            let packages = packages_in(folder)
                .map_err(|error| Failure::configuration(format!("{}: {error}", folder.display())))?;
            for (path, package) in packages {
                let package = package?;
                if let Some(other) = all.iter().find(|other| other.name() == package.name()) {
                    let (name, here, there) = (package.name(), path.display(), other.path().display());
                    let message = format!("there are two models {name:?}: {there} and {here}; leave one of them out");
                    return Err(Failure::configuration(message));
                }
                all.push(Arc::new(package));
            }
        }
        Ok(all)
    }

    /// The ledger and the desk before it; `None` where no forecasts can be asked for.
    pub async fn desk(&self, packages: &[Arc<ModelPackage>]) -> Result<Option<Desk>, Failure> {
        let Some(runs) = &self.runs else { return Ok(None) };
        let admission = Admission { queue: runs.queue, per_client: runs.per_client.unwrap_or(runs.queue) };
        let Runs { max_lead_time: lead_time, max_members: members, member_batch, .. } = *runs;
        let statistics = Statistics { quantiles: runs.quantiles.clone(), exceed: runs.exceed.clone() };
        let limits = DeskLimits { admission, lead_time, members, member_batch, statistics };
        let ledger = Ledger::open(&runs.ledger).await?;
        Desk::new(ledger, packages, self.inputs.clone(), limits).map(Some).map_err(Failure::configuration)
    }

    /// The devices of `[runs]`, or those that are given instead.
    pub fn devices(&self, instead: &[String]) -> Result<Vec<Device>, Failure> {
        let configured = self.runs.as_ref().map(|runs| runs.devices.as_slice()).unwrap_or_default();
        let names = if instead.is_empty() { configured } else { instead };
        names.iter().map(|name| Ok(name.parse::<DeviceRequest>()?.open()?)).collect()
    }

    /// What workers work with; the error says what is missing.
    pub async fn worker(
        &self,
        packages: Vec<Arc<ModelPackage>>,
        events: WorkerEvents,
    ) -> Result<WorkerSettings, Failure> {
        let Some(runs) = &self.runs else {
            return Err(Failure::configuration("there is no [runs] in the configuration: nothing to work on"));
        };
        Ok(WorkerSettings {
            ledger: Ledger::open(&runs.ledger).await?,
            store: Location::parse(&self.store)?,
            packages,
            isolation: isolation()?,
            lease: Duration::from_secs(runs.lease.seconds().unsigned_abs()),
            name: process_name(),
            events,
        })
    }
}

/// Host and process: unique among all that share a ledger at any time.
fn process_name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}/{}", std::process::id())
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let fault = match error {
            LedgerError::Url { .. } => Fault::Configuration,
            _ => Fault::Storage,
        };
        Self::new(fault, error)
    }
}
