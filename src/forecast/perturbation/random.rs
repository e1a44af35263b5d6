//! Random numbers that any machine can make alone, in any order: a stream is named by what it is for.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// Counted up when the same seed comes to give other numbers.
const VERSION: &str = "vejr perturbation 1";

/// Independent numbers of the standard normal distribution. Arithmetic and functions are the same on all machines, to the
/// last bit.
pub(super) struct Normal {
    random: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    /// The stream of a draw for a channel, by its label.
    pub fn stream(seed: u64, draw: u64, channel: &str) -> Self {
        let name = Sha256::new_with_prefix(format!("{VERSION}\n{seed}\n{draw}\n{channel}")).finalize();
        Self { random: ChaCha8Rng::from_seed(name.into()), spare: None }
    }

    /// Between 0 and 1, without the ends.
    fn uniform(&mut self) -> f64 {
        ((self.random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

impl Iterator for Normal {
    type Item = f64;

    /// Box and Muller (1958), <https://doi.org/10.1214/aoms/1177706645>. Never ends.
    fn next(&mut self) -> Option<f64> {
        if let Some(spare) = self.spare.take() {
            return Some(spare);
        }
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        let (sine, cosine) = libm::sincos(TAU * self.uniform());
        self.spare = Some(radius * sine);
        Some(radius * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_normal_and_independent() {
        const N: usize = 100_000;
        let stream = |seed, draw, channel| -> Vec<f64> { Normal::stream(seed, draw, channel).take(N).collect() };
        let one = stream(7, 0, "t 500hPa");
        let moment = |power: i32| one.iter().map(|value| value.powi(power)).sum::<f64>() / N as f64;
        for (power, expected) in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)] {
            assert!((moment(power) - expected).abs() < 0.06, "moment {power}: {}", moment(power));
        }
        for other in [stream(8, 0, "t 500hPa"), stream(7, 1, "t 500hPa"), stream(7, 0, "t 850hPa")] {
            let correlation = one.iter().zip(&other).map(|(a, b)| a * b).sum::<f64>() / N as f64;
            assert!(correlation.abs() < 0.02, "{correlation}");
        }
        assert_eq!(one, stream(7, 0, "t 500hPa"));
    }
}
