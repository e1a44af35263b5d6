//! Rollout and the run: where all floors below meet.
