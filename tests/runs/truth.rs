//! What a forecast is when nobody disturbs its making.

use std::path::Path;

use vejr::location::Location;
use vejr::store::{ForecastReader, RunState, list_forecasts};

use crate::site;

pub const MOST_STEPS: usize = 24;

/// All values of the first steps of an undisturbed forecast, by lead time and field.
pub struct Truth(Vec<ForecastReader>);

impl Truth {
    pub async fn make(folder: &Path) -> Self {
        let mut readers = Vec::new();
        for place in site::undisturbed(folder, MOST_STEPS) {
            readers.push(ForecastReader::open(&place).await.unwrap());
        }
        Self(readers)
    }

    /// Compares one published step, all fields of it or the first.
    pub async fn check(&self, reader: &ForecastReader, step: usize, fields: usize) {
        let truth = self.0.iter().find(|truth| truth.manifest().reference_time == reader.manifest().reference_time);
        let (truth, lead) = (truth.unwrap(), reader.spec().lead_times[step]);
        for (output, level) in reader.spec().fields().take(fields) {
            let output = &reader.spec().outputs[output];
            let (name, level) = (&output.variable.name, output.levels[level]);
            let found = reader.field(name, level, lead).await.unwrap();
            let expected = truth.field(name, level, lead).await.unwrap();
            let same = found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{name} {level} at {lead} of {}", reader.location());
        }
    }

    /// Every run of a store is there once and complete, every bit of it as undisturbed.
    pub async fn check_all(&self, store: &Location, runs: usize) {
        let stored = list_forecasts(store).await.unwrap();
        assert_eq!(stored.len(), runs, "each run once");
        for (path, manifest) in &stored {
            assert_eq!(manifest.as_ref().unwrap().state, RunState::Done);
            let reader = ForecastReader::open(&path.location(store)).await.unwrap();
            for step in 0..reader.manifest().steps_complete {
                self.check(&reader, step, usize::MAX).await;
            }
        }
    }
}
