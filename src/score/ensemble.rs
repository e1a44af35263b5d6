//! Scores of an ensemble.
//!
//! - **CRPS**, the continuous ranked probability score of the members as a distribution: `E|X - y| - ½ E|X - X'|`
//!   (Gneiting and Raftery 2007, eq. 21, <https://doi.org/10.1198/016214506000001437>); *fair* where it is the one that an
//!   ensemble of any number of members from the same distribution is expected to have (Ferro 2014, <https://doi.org/10.1002/qj.2270>).
//! - **Spread**, the standard deviation of the members around their mean, and its ratio to the RMSE of the mean, which is 1
//!   where the truth is one more member (Fortin et al. 2014, <https://doi.org/10.1175/JHM-D-14-0008.1>).
//! - **Ranks** of the truth among the members: how often so many members are less; equal everywhere where the ensemble is
//!   reliable. A truth that equals members counts for all of the ranks that it could have, in equal parts.

use ndarray::Array2;

/// Means over the area and over forecasts, in the variable's units.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsembleScore {
    pub members: usize,
    pub crps: f64,
    pub crps_fair: f64,
    /// RMSE of the members' mean.
    pub mean_rmse: f64,
    pub spread: f64,
    /// Of spread to RMSE, with the factor that makes it independent of the number of members; `None` of an error that is 0.
    pub spread_skill: Option<f64>,
    /// Fractions, of `members + 1` ranks.
    pub ranks: Vec<f64>,
}

/// Sums over forecasts.
#[derive(Debug, Clone, Default)]
pub(super) struct EnsembleSums {
    forecasts: usize,
    crps: f64,
    crps_fair: f64,
    mean_square: f64,
    variance: f64,
    ranks: Vec<f64>,
}

impl EnsembleSums {
    /// Adds one forecast: its members' fields and the truth, with the weight of each point. Points where a value is missing
    /// are left out; ensembles of another number of members than those before are not added.
    pub fn add(&mut self, members: &[Array2<f32>], truth: &Array2<f32>, weights: &Array2<f64>) {
        let count = members.len();
        if count < 2 || (!self.ranks.is_empty() && self.ranks.len() != count + 1) {
            return;
        }
        let n = count as f64;
        let mut area = 0.0;
        let [mut error, mut apart, mut square, mut variance] = [0.0; 4];
        let mut ranks = vec![0.0; count + 1];
        let mut values = vec![0.0; count];
        for (at, &weight) in weights.indexed_iter() {
            let truth = f64::from(truth[at]);
            members.iter().zip(&mut values).for_each(|(member, value)| *value = f64::from(member[at]));
            if !truth.is_finite() || !values.iter().all(|value| value.is_finite()) {
                continue;
            }
            values.sort_by(f64::total_cmp);
            area += weight;
            let mean = values.iter().sum::<f64>() / n;
            error += weight * values.iter().map(|value| (value - truth).abs()).sum::<f64>() / n;
            // sum of the differences of all pairs
            let pairs: f64 = (0..).zip(&values).map(|(i, value)| f64::from(2 * i + 1) * value - n * value).sum();
            apart += weight * pairs;
            square += weight * (mean - truth).powi(2);
            variance += weight * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let below = values.iter().filter(|value| **value < truth).count();
            let equal = values.iter().filter(|value| **value == truth).count();
            ranks[below..=below + equal].iter_mut().for_each(|rank| *rank += weight / (equal + 1) as f64);
        }
        if area <= 0.0 {
            return;
        }
        self.forecasts += 1;
        self.crps += (error - apart / (n * n)) / area;
        self.crps_fair += (error - apart / (n * (n - 1.0))) / area;
        self.mean_square += square / area;
        self.variance += variance / area;
        self.ranks.resize(count + 1, 0.0);
        self.ranks.iter_mut().zip(ranks).for_each(|(sum, rank)| *sum += rank / area);
    }

    /// `None` where nothing was added.
    pub fn score(&self) -> Option<EnsembleScore> {
        let members = self.ranks.len().checked_sub(1)?;
        let n = self.forecasts as f64;
        let (mean_rmse, spread) = ((self.mean_square / n).sqrt(), (self.variance / n).sqrt());
        let factor = ((members as f64 + 1.0) / members as f64).sqrt();
        Some(EnsembleScore {
            members,
            crps: self.crps / n,
            crps_fair: self.crps_fair / n,
            mean_rmse,
            spread,
            spread_skill: (mean_rmse > 0.0).then(|| factor * spread / mean_rmse),
            ranks: self.ranks.iter().map(|rank| rank / n).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random.
    fn values(seed: u64, n: usize) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        // twelve together are nearly normal
        (0..n).map(|_| (0..12).map(|_| next()).sum::<f64>() - 6.0).collect()
    }

    fn field(values: &[f64]) -> Array2<f32> {
        Array2::from_shape_vec((values.len(), 1), values.iter().map(|&value| value as f32).collect()).unwrap()
    }

    #[test]
    fn the_definition_by_all_pairs() {
        for members in [2, 3, 7] {
            let fields: Vec<Array2<f32>> = (0..members).map(|m| field(&values(m as u64 + 1, 20))).collect();
            let truth = field(&values(99, 20));
            let weights = field(&values(5, 20)).mapv(|w| f64::from(w).abs() + 0.1);
            let weights = &weights / weights.sum();
            let mut sums = EnsembleSums::default();
            sums.add(&fields, &truth, &weights);
            let score = sums.score().unwrap();
            let (mut plain, mut fair, mut square, mut variance) = (0.0, 0.0, 0.0, 0.0);
            for (at, w) in weights.indexed_iter() {
                let x: Vec<f64> = fields.iter().map(|field| f64::from(field[at])).collect();
                let (y, m) = (f64::from(truth[at]), members as f64);
                let error = x.iter().map(|x| (x - y).abs()).sum::<f64>() / m;
                let pairs: f64 = x.iter().flat_map(|a| x.iter().map(move |b| (a - b).abs())).sum();
                plain += w * (error - 0.5 * pairs / (m * m));
                fair += w * (error - 0.5 * pairs / (m * (m - 1.0)));
                let mean = x.iter().sum::<f64>() / m;
                square += w * (mean - y).powi(2);
                variance += w * x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (m - 1.0);
            }
            for (found, expected) in [
                (score.crps, plain),
                (score.crps_fair, fair),
                (score.mean_rmse, square.sqrt()),
                (score.spread, variance.sqrt()),
                (score.spread_skill.unwrap(), ((members as f64 + 1.0) / members as f64 * variance / square).sqrt()),
                (score.ranks.iter().sum(), 1.0),
            ] {
                assert!((found - expected).abs() < 1e-12, "{members}: {found} where {expected} is due");
            }
        }
    }

    #[test]
    fn a_truth_that_is_one_more_member_has_ratio_one_and_even_ranks() {
        const N: usize = 40_000;
        let fields: Vec<Array2<f32>> = (0..4).map(|m| field(&values(m + 1, N))).collect();
        let mut sums = EnsembleSums::default();
        sums.add(&fields, &field(&values(77, N)), &Array2::from_elem((N, 1), 1.0 / N as f64));
        let score = sums.score().unwrap();
        assert!((score.spread_skill.unwrap() - 1.0).abs() < 0.02, "{score:?}");
        assert!(score.ranks.iter().all(|rank| (rank - 0.2).abs() < 0.01), "{score:?}");
        // of the standard normal distribution: 1/√π
        assert!((score.crps_fair - 1.0 / std::f64::consts::PI.sqrt()).abs() < 0.01, "{score:?}");
    }

    #[test]
    fn equal_values_share_ranks_and_missing_ones_are_left_out() {
        let members = [field(&[1.0, 2.0, f64::NAN]), field(&[3.0, 2.0, 1.0])];
        let mut sums = EnsembleSums::default();
        sums.add(&members, &field(&[0.0, 2.0, 1.0]), &Array2::from_elem((3, 1), 1.0));
        let score = sums.score().unwrap();
        assert_eq!(score.ranks, [0.5 + 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]);
        sums.add(&members[..1], &field(&[0.0; 3]), &Array2::from_elem((3, 1), 1.0));
        assert_eq!(sums.score().unwrap(), score, "one member is no ensemble");
    }
}
