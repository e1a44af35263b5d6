//! The rollout: one `next()`, one step.

use std::collections::VecDeque;

use crate::model::{State, StepModel};

/// Steps a model from its initial states onward, as long as it is asked. Knows nothing of when to stop.
pub struct Rollout<'m> {
    model: &'m dyn StepModel,
    history: VecDeque<State>,
}

impl<'m> Rollout<'m> {
    /// `history`: the model's input states, oldest first. `None` where there are too few of them.
    pub fn new(model: &'m dyn StepModel, history: Vec<State>) -> Option<Self> {
        let surplus = history.len().checked_sub(model.input_states())?;
        Some(Self { model, history: history.into_iter().skip(surplus).collect() })
    }
}

impl Iterator for Rollout<'_> {
    type Item = candle_core::Result<State>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.model.step(self.history.make_contiguous());
        if let Ok(state) = &next {
            self.history.pop_front();
            self.history.push_back(state.clone());
        }
        Some(next)
    }
}
