//! Sums over forecasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array2;

use super::ensemble::{EnsembleScore, EnsembleSums};
use crate::atmos::{Grid, LeadTime, Level};

/// What is scored together: one variable on one level at one lead time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub variable: Arc<str>,
    pub level: Level,
    pub lead: LeadTime,
}

/// Fields that are compared, all on one grid and in the same units, `[H, W]`.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub forecast: &'a Array2<f32>,
    pub truth: &'a Array2<f32>,
    /// The analysis that the forecast started from.
    pub initial: &'a Array2<f32>,
    /// What anomalies are measured from.
    pub climatology: Option<&'a Array2<f32>>,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    forecasts: usize,
    bias: f64,
    square: f64,
    persistence_square: f64,
    climatology_square: Option<f64>,
    acc: Option<f64>,
    ensemble: EnsembleSums,
}

/// The scores of one [`Cell`], in the variable's units.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub cell: Cell,
    /// Number of forecasts.
    pub forecasts: usize,
    pub bias: f64,
    pub rmse: f64,
    /// RMSE of the initial analysis as the forecast.
    pub persistence_rmse: f64,
    /// RMSE of the climatology as the forecast.
    pub climatology_rmse: Option<f64>,
    /// Centred anomaly correlation; `None` without a climatology, and where there is no anomaly to correlate with.
    pub acc: Option<f64>,
    /// `None` of single forecasts.
    pub ensemble: Option<EnsembleScore>,
}

/// Collects comparisons, and tells their scores.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Weight of each point, `[H, W]`; they sum to 1.
    weights: Array2<f64>,
    cells: BTreeMap<Cell, Sums>,
}

impl Verification {
    pub fn new(grid: &Grid) -> Self {
        Self { weights: grid.cell_weights(), cells: BTreeMap::new() }
    }

    /// Adds one comparison. Points where any of the fields is missing (NaN) are left out, with their weight.
    pub fn add(&mut self, cell: Cell, pair: Pair<'_>) {
        let mut weights = 0.0;
        // means of: error, error², persistence error², anomalies f and a, their squares and product
        let [mut e, mut e2, mut p2, mut f, mut a, mut ff, mut aa, mut fa] = [0.0; 8];
        for (at, &weight) in self.weights.indexed_iter() {
            let (forecast, truth) = (f64::from(pair.forecast[at]), f64::from(pair.truth[at]));
            let initial = f64::from(pair.initial[at]);
            let climate = pair.climatology.map_or(0.0, |field| f64::from(field[at]));
            if !(forecast + truth + initial + climate).is_finite() {
                continue;
            }
            weights += weight;
            e += weight * (forecast - truth);
            e2 += weight * (forecast - truth).powi(2);
            p2 += weight * (initial - truth).powi(2);
            let (anomaly_f, anomaly_a) = (forecast - climate, truth - climate);
            f += weight * anomaly_f;
            a += weight * anomaly_a;
            ff += weight * anomaly_f * anomaly_f;
            aa += weight * anomaly_a * anomaly_a;
            fa += weight * anomaly_f * anomaly_a;
        }
        if weights <= 0.0 {
            return;
        }
        let sums = self.cells.entry(cell).or_default();
        sums.forecasts += 1;
        sums.bias += e / weights;
        sums.square += e2 / weights;
        sums.persistence_square += p2 / weights;
        if pair.climatology.is_some() {
            let covariance = fa / weights - f * a / weights.powi(2);
            let variances = (ff / weights - (f / weights).powi(2)) * (aa / weights - (a / weights).powi(2));
            *sums.climatology_square.get_or_insert(0.0) += aa / weights;
            if variances > 0.0 {
                *sums.acc.get_or_insert(0.0) += covariance / variances.sqrt();
            }
        }
    }

    /// Adds the members of an ensemble, the control among them, after its comparison was added ([`Self::add`]).
    pub fn add_ensemble(&mut self, cell: Cell, members: &[Array2<f32>], truth: &Array2<f32>) {
        if let Some(sums) = self.cells.get_mut(&cell) {
            sums.ensemble.add(members, truth, &self.weights);
        }
    }

    /// In order of variable, level, lead.
    pub fn scores(&self) -> Vec<Score> {
        self.cells
            .iter()
            .map(|(cell, sums)| {
                let n = sums.forecasts as f64;
                Score {
                    cell: cell.clone(),
                    forecasts: sums.forecasts,
                    bias: sums.bias / n,
                    rmse: (sums.square / n).sqrt(),
                    persistence_rmse: (sums.persistence_square / n).sqrt(),
                    climatology_rmse: sums.climatology_square.map(|square| (square / n).sqrt()),
                    acc: sums.acc.map(|acc| acc / n),
                    ensemble: sums.ensemble.score(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        Cell { variable: "t".into(), level: Level::Surface, lead: LeadTime::from_hours(6) }
    }

    #[test]
    fn by_hand_on_two_latitudes() {
        // rows at 45° and -45°: equal areas
        let grid = Grid::new(vec![45.0, -45.0], vec![0.0, 180.0]).unwrap();
        let field = |values: [f32; 4]| Array2::from_shape_vec((2, 2), values.to_vec()).unwrap();
        let mut verification = Verification::new(&grid);
        let (forecast, truth) = (field([2.0, 2.0, 4.0, 4.0]), field([1.0, 3.0, 4.0, 2.0]));
        let (initial, climatology) = (field([0.0; 4]), field([1.0; 4]));
        let pair = Pair { forecast: &forecast, truth: &truth, initial: &initial, climatology: Some(&climatology) };
        verification.add(cell(), pair);
        let score = &verification.scores()[0];
        assert!((score.bias - 0.5).abs() < 1e-9);
        assert!((score.rmse - (6.0f64 / 4.0).sqrt()).abs() < 1e-9);
        assert!((score.persistence_rmse - (30.0f64 / 4.0).sqrt()).abs() < 1e-9);
        assert!((score.climatology_rmse.unwrap() - (14.0f64 / 4.0).sqrt()).abs() < 1e-9);
        // anomalies 1 1 3 3 and 0 2 3 1: covariance 0.5, variances 1 and 1.25
        assert!((score.acc.unwrap() - 0.5 / 1.25f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn squared_errors_are_averaged_over_forecasts_and_missing_points_left_out() {
        let grid = Grid::new(vec![10.0, -10.0], vec![0.0]).unwrap();
        let field = |a: f32, b: f32| Array2::from_shape_vec((2, 1), vec![a, b]).unwrap();
        let mut verification = Verification::new(&grid);
        let (zero, three, four) = (field(0.0, 0.0), field(3.0, 3.0), field(4.0, f32::NAN));
        for forecast in [&three, &four] {
            verification.add(cell(), Pair { forecast, truth: &zero, initial: &zero, climatology: None });
        }
        let score = &verification.scores()[0];
        assert_eq!(score.forecasts, 2);
        assert!((score.rmse - (12.5f64).sqrt()).abs() < 1e-9);
        assert_eq!((score.acc, score.climatology_rmse), (None, None));
    }
}
