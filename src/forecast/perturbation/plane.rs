//! Correlated noise on the plane of a map projection: independent numbers on a lattice, smoothed by a Gaussian.
//!
//! Sites of a lattice finer than the smoothing have independent numbers; the field at a point is their sum with weights
//! `exp(-d² / L²)`, taken along one axis after the other. Its correlation at distance `r` is `exp(-r² / 2 L²)`.

use std::ops::Range;

use super::random::Normal;

/// Sites per standard deviation of the smoothing: the variance is the same everywhere to 1e-9.
const SITES: f64 = 1.5;
/// Standard deviations after which the weight is nothing.
const REACH: f64 = 5.0;
/// Finer lattices than any that is meant.
const MOST_SITES: usize = 1 << 26;

/// Makes patterns of one length scale on rows and columns.
#[derive(Debug)]
pub(super) struct Plane {
    y: Axis,
    x: Axis,
}

/// The sites that each point of an axis is made of, and their weights.
#[derive(Debug)]
struct Axis {
    sites: usize,
    taps: Vec<(Range<usize>, Vec<f64>)>,
}

impl Plane {
    /// Positions and the length scale in m.
    pub fn new(y: &[f64], x: &[f64], length_scale: f64) -> Result<Self, String> {
        let (y, x) = (Axis::new(y, length_scale), Axis::new(x, length_scale));
        match y.sites.checked_mul(x.sites) {
            Some(sites) if sites <= MOST_SITES => Ok(Self { y, x }),
            _ => Err(format!(
                "a length scale of {} km is too short for an area of this size; noise that is independent from point to \
                 point is kind = \"gaussian\"",
                length_scale / 1e3
            )),
        }
    }

    /// One pattern, `[H · W]`, of mean 0 and variance 1 over many draws.
    pub fn draw(&self, normal: Normal) -> Vec<f64> {
        let mut normal = normal;
        let along = |taps: &(Range<usize>, Vec<f64>), values: &[f64]| -> f64 {
            values[taps.0.clone()].iter().zip(&taps.1).map(|(value, weight)| value * weight).sum()
        };
        let columns = self.x.taps.len();
        let mut rows = Vec::with_capacity(self.y.sites * columns);
        for _ in 0..self.y.sites {
            let sites: Vec<f64> = normal.by_ref().take(self.x.sites).collect();
            rows.extend(self.x.taps.iter().map(|taps| along(taps, &sites)));
        }
        let mut field = vec![0.0; self.y.taps.len() * columns];
        for ((range, weights), row) in self.y.taps.iter().zip(field.chunks_exact_mut(columns)) {
            for (site, weight) in range.clone().zip(weights) {
                let values = &rows[site * columns..(site + 1) * columns];
                row.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        field
    }
}

impl Axis {
    fn new(positions: &[f64], length_scale: f64) -> Self {
        let std = length_scale / 2f64.sqrt();
        let step = std / SITES;
        let low = positions.iter().copied().fold(f64::INFINITY, f64::min);
        let high = positions.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = ((low - REACH * std) / step).floor();
        let sites = ((high + REACH * std) / step - first).ceil() as usize + 1;
        let taps = |position: &f64| {
            let at = |site: f64| (site * step - position) / std;
            let start = ((position - REACH * std) / step).ceil();
            let count = ((position + REACH * std) / step).floor() - start;
            let weights = (0..=count as usize).map(|n| libm::exp(-0.5 * at(start + n as f64).powi(2)));
            let weights: Vec<f64> = weights.collect();
            let norm = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
            let start = (start - first) as usize;
            (start..start + weights.len(), weights.into_iter().map(|weight| weight / norm).collect())
        };
        Self { sites, taps: positions.iter().map(taps).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_falls_with_the_length_scale() {
        let length = 100e3;
        let (y, x) = (vec![50e3, 0.0, -50e3], vec![-700e3, -600e3, -500e3, 1300e3]);
        let plane = Plane::new(&y, &x, length).unwrap();
        const DRAWS: u64 = 6000;
        let mut sums = [0.0; 12];
        for draw in 0..DRAWS {
            let values = plane.draw(Normal::stream(1, draw, "t"));
            (0..12).for_each(|i| sums[i] += values[0] * values[i] / DRAWS as f64);
        }
        for (i, found) in sums.into_iter().enumerate() {
            let (dy, dx) = (y[0] - y[i / 4], x[0] - x[i % 4]);
            let expected = (-0.5 * (dx * dx + dy * dy) / (length * length)).exp();
            assert!((found - expected).abs() < 0.06, "at {dy} {dx}: {found} where {expected} is due");
        }
        assert!(Plane::new(&[1e6, 0.0], &[0.0, 1e6], 100.0).unwrap_err().contains("gaussian"));
    }
}
