//! What each member of an ensemble starts from.

use std::cell::{Cell, OnceCell};

use super::perturbation::Perturber;
use super::run::too_few;
use super::{Ensemble, EnsembleKind, ForecastError, Rollout};
use crate::atmos::Grid;
use crate::device::DeviceGroup;
use crate::model::{ModelPackage, State, StepModel, Surroundings};

/// The network of a run, loaded when it is first needed.
pub(super) struct Network<'a> {
    package: &'a ModelPackage,
    devices: &'a DeviceGroup,
    surroundings: Cell<Option<Surroundings>>,
    loaded: OnceCell<Box<dyn StepModel>>,
}

impl<'a> Network<'a> {
    pub fn new(package: &'a ModelPackage, devices: &'a DeviceGroup, surroundings: Surroundings) -> Self {
        Self { package, devices, surroundings: Cell::new(Some(surroundings)), loaded: OnceCell::new() }
    }

    pub fn get(&self) -> Result<&dyn StepModel, ForecastError> {
        if let Some(surroundings) = self.surroundings.take() {
            let loaded = self.package.load(self.devices, surroundings);
            let loaded = loaded.map_err(|error| ForecastError::Configuration(error.to_string()))?;
            return Ok(&**self.loaded.get_or_init(|| loaded));
        }
        let missing = || ForecastError::Configuration("the network could not be loaded before".to_owned());
        self.loaded.get().map(|loaded| &**loaded).ok_or_else(missing)
    }
}

/// The input states of each member.
pub(super) struct Starts<'a> {
    package: &'a ModelPackage,
    /// The analysis.
    states: Vec<State>,
    way: Way,
}

enum Way {
    Single,
    Noise(Perturber),
    /// Input states of each member but the control, from analyses that are so many steps older.
    Lagged(Vec<(usize, Vec<State>)>),
}

impl<'a> Starts<'a> {
    /// The analysis, and the older ones of [`super::InitialStates::earlier`].
    pub fn new(
        package: &'a ModelPackage,
        (states, earlier): (Vec<State>, Vec<Vec<State>>),
        grid: &Grid,
        ensemble: &Ensemble,
    ) -> Result<Self, ForecastError> {
        let way = match (ensemble.kind, package.perturbation()) {
            _ if ensemble.is_single() => Way::Single,
            (EnsembleKind::Noise, Some(perturbation)) => {
                Way::Noise(Perturber::new(perturbation, package.layout(), grid, ensemble)?)
            }
            // checked before
            (EnsembleKind::Noise, None) => return Err(ForecastError::Configuration("no [perturbation]".to_owned())),
            (EnsembleKind::Lagged(lag), _) => {
                let steps = usize::try_from(lag.seconds() / package.time_step().seconds()).unwrap_or(usize::MAX);
                let older = earlier.into_iter().enumerate().map(|(n, states)| ((n + 1) * steps, states));
                Way::Lagged(older.collect())
            }
        };
        Ok(Self { package, states, way })
    }

    /// The member's input states, the last of them valid at the reference time.
    pub fn of(&self, member: usize, network: &Network<'_>) -> Result<Vec<State>, ForecastError> {
        match (&self.way, member.checked_sub(1)) {
            (Way::Single, _) | (_, None) => Ok(self.states.clone()),
            (Way::Noise(perturber), _) => perturber.member(member, self.states.clone()),
            (Way::Lagged(older), Some(place)) => {
                let (steps, states) = older.get(place).ok_or_else(|| too_few(self.package))?;
                let mut history = states.clone();
                let rollout = Rollout::new(network.get()?, states.clone()).ok_or_else(|| too_few(self.package))?;
                for state in rollout.take(*steps) {
                    history.push(state?);
                    history.remove(0);
                }
                Ok(history)
            }
        }
    }
}
