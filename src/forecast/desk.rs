//! Where forecasts are asked for: a request is checked, its analysis looked for, and the ledger takes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Arrivals, ArrivalsError, fingerprint};
use super::ledger::{Admission, Ledger, LedgerError, NewRun, RunRecord, RunRequest};
use super::perturbation::{Ensemble, EnsembleKind};
use super::run::{MOST_STEPS, RunOptions, identify, path_in_store};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::location::Location;
use crate::model::ModelPackage;
use crate::store::{Encoding, Exceedance, Statistics};

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub model: String,
    /// `None`: the newest analysis that is there.
    pub reference_time: Option<ReferenceTime>,
    pub lead_time: LeadTime,
    pub members: usize,
    pub seed: u64,
    pub perturbation: EnsembleKind,
    pub encoding: Encoding,
    pub true_winds: bool,
    /// The same name again gets the same answer.
    pub request_id: Option<String>,
    /// Who asks.
    pub client: String,
    pub start_within: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct DeskLimits {
    pub admission: Admission,
    pub lead_time: LeadTime,
    /// Where forecasts are published, and what is kept free there, in MiB, where that is known.
    pub store: Location,
    pub least_free_mib: u64,
    /// Of an ensemble.
    pub members: usize,
    /// Members that a worker takes at once.
    pub member_batch: usize,
    /// Of ensembles: thresholds are for the models that have the variable.
    pub statistics: Statistics,
}

/// A request that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A field of the request, and what is wrong with it.
    #[error("{field} {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("there is no model {name:?} here; there are: {known}")]
    UnknownModel { name: String, known: String },
    #[error("nobody has said where analyses for {0} appear: the configuration has no [[inputs]] for it")]
    NoInputs(String),
    #[error(
        "the disk of {store} has {free_mib} MiB left, less than the {least_mib} MiB that are kept free; delete old forecasts, or \
         try again later"
    )]
    DiskFull { store: String, free_mib: u64, least_mib: u64 },
    #[error(transparent)]
    Arrivals(#[from] ArrivalsError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The models that can be asked for, where their analyses appear, and the ledger.
#[derive(Debug)]
pub struct Desk {
    pub ledger: Ledger,
    packages: BTreeMap<String, Arc<ModelPackage>>,
    arrivals: BTreeMap<String, Arrivals>,
    limits: DeskLimits,
}

impl Desk {
    /// The error names an `[[inputs]]` that cannot be meant.
    pub fn new(
        ledger: Ledger,
        packages: &[Arc<ModelPackage>],
        arrivals: Vec<Arrivals>,
        limits: DeskLimits,
    ) -> Result<Self, String> {
        let packages: BTreeMap<String, Arc<ModelPackage>> =
            packages.iter().map(|package| (package.name().to_owned(), package.clone())).collect();
        let mut known = BTreeMap::new();
        for one in arrivals {
            let Some(package) = packages.get(&one.model) else {
                let names: Vec<&str> = packages.keys().map(String::as_str).collect();
                return Err(format!("[[inputs]] for {:?}: no such model; there are: {}", one.model, names.join(", ")));
            };
            if one.init.is_empty() {
                return Err(format!("[[inputs]] for {:?}: init is empty", one.model));
            }
            match (package.needs_boundary(), one.boundary.is_empty()) {
                (true, true) => {
                    return Err(format!(
                        "[[inputs]] for {:?}: the model covers a limited area; give boundary",
                        one.model
                    ));
                }
                (false, false) => {
                    return Err(format!("[[inputs]] for {:?}: the model takes no boundary; leave it out", one.model));
                }
                _ => {}
            }
            super::Regridding::parse(&one.regrid, package)
                .map_err(|error| format!("[[inputs]] for {:?}: {error}", one.model))?;
            let model = one.model.clone();
            if known.insert(model.clone(), one).is_some() {
                return Err(format!("[[inputs]] for {model:?} are there twice"));
            }
        }
        let Statistics { quantiles, exceed } = &limits.statistics;
        let none = Statistics { quantiles: quantiles.clone(), exceed: Vec::new() };
        none.check(&[]).map_err(|reason| format!("[runs]: {reason}"))?;
        for one in exceed {
            let alone = Statistics { quantiles: Vec::new(), exceed: vec![one.clone()] };
            if !packages.values().any(|package| alone.check(&package.layout().variables()).is_ok()) {
                return Err(format!("[runs] exceed: no model here has what {one} is about"));
            }
        }
        Ok(Self { ledger, packages, arrivals: known, limits })
    }

    /// Where the analyses of a model appear.
    pub fn arrivals(&self, model: &str) -> Option<&Arrivals> {
        self.arrivals.get(model)
    }

    /// Whether a request would be taken if its analysis were there.
    pub fn would_take(&self, asked: &Asked) -> Result<(), RequestError> {
        let package = self.package(asked)?;
        self.check(package, asked)?;
        self.ensemble(package, asked)?;
        self.arrivals.get(&asked.model).map(drop).ok_or_else(|| RequestError::NoInputs(asked.model.clone()))
    }

    /// Why no forecast of a model can be asked for, if none can.
    pub fn refuses(&self, model: &str) -> Option<RequestError> {
        let known = self.packages.contains_key(model) && self.arrivals.contains_key(model);
        (!known).then(|| RequestError::NoInputs(model.to_owned()))
    }

    /// How far a forecast may go.
    pub fn max_lead_time(&self) -> LeadTime {
        self.limits.lead_time
    }

    /// Takes a request, or says why not. When this returns, the run is on the disk. Whether it was there before stands
    /// beside it.
    pub async fn request(&self, asked: &Asked) -> Result<(RunRecord, bool), RequestError> {
        let package = self.package(asked)?;
        let steps = self.check(package, asked)?;
        self.check_disk()?;
        let ensemble = self.ensemble(package, asked)?;
        let arrivals = self.arrivals.get(&asked.model).ok_or_else(|| RequestError::NoInputs(asked.model.clone()))?;
        let reference_time = match asked.reference_time {
            Some(time) => time,
            None => Box::pin(arrivals.latest()).await?,
        };
        let mut options = RunOptions {
            lead_time: asked.lead_time,
            ensemble,
            statistics: self.statistics(package),
            encoding: asked.encoding,
            overwrite: false,
            true_winds: asked.true_winds,
            fingerprint: None,
        };
        // until the files are looked at, the run is called by all else that makes it
        let (limits, name) = (self.limits.admission, identify(package, "", reference_time, &options).key());
        let entering = self.ledger.enter(name.as_str(), (&asked.model, reference_time), &asked.client, limits).await?;
        // members of a lagged ensemble start from older analyses, too
        let (mut init, boundary) = arrivals.files(reference_time);
        for earlier in ensemble.earlier_times(reference_time) {
            let files = arrivals.files(earlier).0.into_iter().filter(|file| !init.contains(file));
            init.extend(files.collect::<Vec<_>>());
        }
        let ways = (arrivals.regrid.as_slice(), arrivals.trust_units.as_slice());
        // boxed, as what else a refusal does not come to: a crowd of them holds little
        let fingerprint = Box::pin(fingerprint(reference_time, (&init, &boundary), ways)).await?;
        options.fingerprint = Some(fingerprint.clone());
        let identity = identify(package, "", reference_time, &options);
        let run = NewRun {
            path: path_in_store(package, &identity),
            model_digest: package.digest().to_owned(),
            steps_total: steps + 1,
            request: RunRequest {
                lead_time: asked.lead_time,
                ensemble,
                statistics: options.statistics.clone(),
                encoding: asked.encoding,
                true_winds: asked.true_winds,
                init,
                boundary,
                regrid: arrivals.regrid.clone(),
                trust_units: arrivals.trust_units.clone(),
                fingerprint,
            },
            client: asked.client.clone(),
            request_id: asked.request_id.clone(),
            start_within: asked.start_within,
        };
        Ok(Box::pin(self.ledger.take(&run, limits, entering)).await?)
    }

    fn package(&self, asked: &Asked) -> Result<&Arc<ModelPackage>, RequestError> {
        self.packages.get(&asked.model).ok_or_else(|| RequestError::UnknownModel {
            name: asked.model.chars().take(64).collect(),
            known: self.packages.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// Nothing is begun that would fill the disk under what is being made already.
    fn check_disk(&self) -> Result<(), RequestError> {
        let DeskLimits { store, least_free_mib, .. } = &self.limits;
        match store.free_bytes().map(|bytes| bytes >> 20) {
            Some(free_mib) if free_mib < *least_free_mib => {
                Err(RequestError::DiskFull { store: store.to_string(), free_mib, least_mib: *least_free_mib })
            }
            _ => Ok(()),
        }
    }

    /// What can be made of this model's ensembles.
    fn statistics(&self, package: &ModelPackage) -> Statistics {
        let Statistics { quantiles, exceed } = &self.limits.statistics;
        let has = |one: &&Exceedance| {
            let alone = Statistics { quantiles: Vec::new(), exceed: vec![(*one).clone()] };
            alone.check(&package.layout().variables()).is_ok()
        };
        Statistics { quantiles: quantiles.clone(), exceed: exceed.iter().filter(has).cloned().collect() }
    }

    fn ensemble(&self, package: &ModelPackage, asked: &Asked) -> Result<Ensemble, RequestError> {
        let Asked { members, seed, perturbation: kind, .. } = *asked;
        let invalid = |problem: String| RequestError::Invalid { field: "members", problem };
        if members > self.limits.members {
            return Err(invalid(format!(
                "{members} are more than the {} that this server makes at most (max_members in its [runs])",
                self.limits.members
            )));
        }
        let ensemble = Ensemble { members, seed, kind, side_by_side: self.limits.member_batch };
        ensemble.check(package).map_err(|problem| invalid(format!("cannot be {members}: {problem}")))?;
        Ok(ensemble)
    }

    /// How many steps are asked for.
    fn check(&self, package: &ModelPackage, asked: &Asked) -> Result<usize, RequestError> {
        let invalid = |field, problem: String| Err(RequestError::Invalid { field, problem });
        let step = package.time_step();
        let steps = asked.lead_time.seconds() / step.seconds();
        if asked.lead_time.seconds() % step.seconds() != 0 || !(1..=MOST_STEPS).contains(&steps) {
            let problem = format!("{} is no multiple of the model's time step, {step}", asked.lead_time);
            return invalid("lead_time", problem);
        }
        if asked.lead_time > self.limits.lead_time {
            return invalid("lead_time", format!("{} is more than {} here", asked.lead_time, self.limits.lead_time));
        }
        let letters = |text: &str| {
            (1..=128).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte))
        };
        if asked.request_id.as_deref().is_some_and(|id| !letters(id)) {
            let problem = "may have 1 to 128 letters, digits, '.', '_', ':' and '-' only";
            return invalid("request_id", problem.to_owned());
        }
        Ok(usize::try_from(steps).unwrap_or(usize::MAX - 1))
    }
}
