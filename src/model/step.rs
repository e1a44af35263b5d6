//! One step forward.

use candle_core::{Result, Tensor};

use super::arch::Sfno;
use super::{Normalizer, Predicts, State};
use crate::atmos::LeadTime;

/// Something that makes the next state from the present one (and earlier ones). It knows nothing of files, of leads or
/// of who reads the result.
pub trait StepModel: Send + Sync {
    /// Time between two states.
    fn time_step(&self) -> LeadTime;

    /// Number of states that [`Self::step`] is given, one time step apart.
    fn input_states(&self) -> usize;

    /// `history` is oldest first and has [`Self::input_states`] states. The result is one time step after the last.
    fn step(&self, history: &[State]) -> Result<State>;
}

/// The forecast that says: as now. The weight-free model, and the first thing that a forecast has to beat.
#[derive(Debug)]
pub struct Persistence {
    time_step: LeadTime,
}

impl Persistence {
    pub fn new(time_step: LeadTime) -> Self {
        Self { time_step }
    }
}

impl StepModel for Persistence {
    fn time_step(&self) -> LeadTime {
        self.time_step
    }

    fn input_states(&self) -> usize {
        1
    }

    fn step(&self, history: &[State]) -> Result<State> {
        let now = last(history)?;
        Ok(State { tensor: now.tensor.clone(), valid_time: now.valid_time + self.time_step })
    }
}

/// A network that works on standardised states, and what surrounds it: states in, standardised, network,
/// back to physical units.
#[derive(Debug)]
pub struct NetworkStep {
    network: Sfno,
    normalizer: Normalizer,
    predicts: Predicts,
    input_states: usize,
    time_step: LeadTime,
}

impl NetworkStep {
    pub fn new(
        network: Sfno,
        normalizer: Normalizer,
        predicts: Predicts,
        input_states: usize,
        time_step: LeadTime,
    ) -> Self {
        Self { network, normalizer, predicts, input_states, time_step }
    }
}

impl StepModel for NetworkStep {
    fn time_step(&self) -> LeadTime {
        self.time_step
    }

    fn input_states(&self) -> usize {
        self.input_states
    }

    fn step(&self, history: &[State]) -> Result<State> {
        let now = last(history)?;
        let inputs =
            history.iter().map(|state| self.normalizer.normalize(&state.tensor)).collect::<Result<Vec<_>>>()?;
        let x = if inputs.len() == 1 { inputs[0].clone() } else { Tensor::cat(&inputs, 1)? }; // [1, T·C, H, W]
        let y = self.network.forward(&x)?; // [1, C, H, W]
        let tensor = match self.predicts {
            Predicts::State => self.normalizer.denormalize(&y)?,
            Predicts::Tendency => (&now.tensor + self.normalizer.denormalize_difference(&y)?)?,
        };
        Ok(State { tensor, valid_time: now.valid_time + self.time_step })
    }
}

fn last(history: &[State]) -> Result<&State> {
    history.last().ok_or_else(|| candle_core::Error::Msg("a step needs at least one state".to_owned()))
}
