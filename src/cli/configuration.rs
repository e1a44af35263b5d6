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
use crate::device::{DeviceRequest, HealthCheck};
use crate::forecast::{
    Admission, Arrivals, Desk, DeskLimits, Ledger, LedgerError, MOST_MEMBERS, Schedule, ScheduleEvents, ScheduleKeeper,
    SlurmPlacement, SlurmSettings, WorkerEvents, WorkerSettings,
};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::serve::{AccessConfig, Limits, TlsFiles};
use crate::store::{Exceedance, Statistics};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Folder or URL of the store.
    pub store: String,
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Listen also where other machines can reach it, without TLS.
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    #[serde(default)]
    pub access: AccessConfig,
    #[serde(default)]
    limits: ServeLimits,
    /// Folders whose sub-folders are model packages.
    #[serde(default)]
    models: Vec<PathBuf>,
    /// Left out: forecasts cannot be asked for.
    #[serde(default)]
    runs: Option<Runs>,
    /// Where the analyses of each model appear.
    #[serde(default)]
    inputs: Vec<Arrivals>,
    /// Forecasts that are made again and again.
    #[serde(default)]
    schedule: Vec<Schedule>,
}

/// `[limits]`: what clients can make the server do; see [`Limits`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServeLimits {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    requests: Option<usize>,
    watchers: Option<usize>,
    answers: Option<usize>,
    /// Decoded fields kept in memory; 0: none.
    cache_mib: Option<u64>,
    #[serde(deserialize_with = "some_duration")]
    request_timeout: Option<LeadTime>,
    #[serde(deserialize_with = "some_duration")]
    peer_timeout: Option<LeadTime>,
    #[serde(deserialize_with = "some_duration")]
    stall_timeout: Option<LeadTime>,
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
    /// A device that does not finish a small product within this time gets no runs: longer than any step takes.
    #[serde(default = "default_device_deadline", deserialize_with = "duration")]
    device_deadline: LeadTime,
    /// Kept free on the disk of a store that is a folder: with less, nothing is taken any more.
    #[serde(default = "default_min_free_mib")]
    min_free_mib: u64,
    /// Workers are jobs of Slurm.
    #[serde(default)]
    slurm: Option<SlurmSettings>,
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

fn default_device_deadline() -> LeadTime {
    LeadTime::from_seconds(120)
}

fn default_min_free_mib() -> u64 {
    1024
}

/// As on the command line: `15s`, `10d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeadTime, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeadTime>, D::Error> {
    duration(deserializer).map(Some)
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

    /// The usual limits, and what the configuration says instead.
    pub fn limits(&self) -> Result<Limits, Failure> {
        let usual = Limits::default();
        let ServeLimits { connections, connections_per_address, requests, watchers, answers, cache_mib, .. } =
            self.limits;
        let time = |name: &str, given: Option<LeadTime>, usual| match given {
            None => Ok(usual),
            Some(time) if time.seconds() > 0 => Ok(Duration::from_secs(time.seconds().unsigned_abs())),
            Some(time) => Err(Failure::configuration(format!("limits.{name} is {time}; expected 1s or more"))),
        };
        Ok(Limits {
            connections: connections.unwrap_or(usual.connections),
            connections_per_address: connections_per_address.unwrap_or(usual.connections_per_address),
            requests: requests.unwrap_or(usual.requests),
            watchers: watchers.unwrap_or(usual.watchers),
            answers: answers.unwrap_or(usual.answers),
            cache_bytes: cache_mib.map_or(usual.cache_bytes, |mib| mib.saturating_mul(1 << 20)),
            request_timeout: time("request_timeout", self.limits.request_timeout, usual.request_timeout)?,
            peer_timeout: time("peer_timeout", self.limits.peer_timeout, usual.peer_timeout)?,
            stall_timeout: time("stall_timeout", self.limits.stall_timeout, usual.stall_timeout)?,
            ..usual
        })
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
    pub async fn desk(&self, packages: &[Arc<ModelPackage>]) -> Result<Option<Arc<Desk>>, Failure> {
        let Some(runs) = &self.runs else { return Ok(None) };
        let admission = Admission { queue: runs.queue, per_client: runs.per_client.unwrap_or(runs.queue) };
        let limits = DeskLimits {
            admission,
            lead_time: runs.max_lead_time,
            members: runs.max_members,
            member_batch: runs.member_batch,
            statistics: Statistics { quantiles: runs.quantiles.clone(), exceed: runs.exceed.clone() },
            store: Location::parse(&self.store)?,
            least_free_mib: runs.min_free_mib,
        };
        let ledger = Ledger::open(&runs.ledger).await?;
        let desk = Desk::new(ledger, packages, self.inputs.clone(), limits);
        desk.map(|desk| Some(Arc::new(desk))).map_err(Failure::configuration)
    }

    /// What makes the forecasts of `[[schedule]]`; `None` where there are none.
    pub fn schedule_keeper(
        &self,
        desk: Option<&Arc<Desk>>,
        events: ScheduleEvents,
    ) -> Result<Option<ScheduleKeeper>, Failure> {
        if self.schedule.is_empty() {
            return Ok(None);
        }
        let Some(desk) = desk else {
            return Err(Failure::configuration(
                "there is [[schedule]] and no [runs]: where shall its forecasts be computed?",
            ));
        };
        let keeper = ScheduleKeeper::new(desk.clone(), Location::parse(&self.store)?, self.schedule.clone(), events);
        keeper.map(Some).map_err(Failure::configuration)
    }

    /// What brings workers to the nodes of a Slurm cluster; `None` where none is configured.
    pub fn slurm_placement(&self, desk: Option<&Arc<Desk>>, config: &Path) -> Result<Option<SlurmPlacement>, Failure> {
        let Some((settings, desk)) = self.runs.as_ref().and_then(|runs| runs.slurm.as_ref()).zip(desk) else {
            return Ok(None);
        };
        if settings.jobs == 0 || settings.members_per_job == 0 {
            return Err(Failure::configuration("runs.slurm: jobs and members_per_job are at least 1"));
        }
        let absolute = |path: &Path| {
            let failed = |error| Failure::configuration(format!("{}: {error}", path.display()));
            std::path::absolute(path).map_err(failed)
        };
        let program =
            std::env::current_exe().map_err(|error| Failure::configuration(format!("this program: {error}")))?;
        let settings = SlurmSettings { logs: absolute(&settings.logs)?, ..settings.clone() };
        Ok(Some(SlurmPlacement::new(desk.ledger.clone(), settings, program, absolute(config)?)))
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
            only_run: None,
            until_idle: false,
            health: HealthCheck {
                deadline: Duration::from_secs(runs.device_deadline.seconds().unsigned_abs()),
                ..HealthCheck::default()
            },
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
