//! Limits that a predicted channel keeps: the change is added behind a function whose values lie within the limits.

use candle_core::{Result, Tensor};

use crate::model::ChannelLayout;

/// What Neural-LAM calls output clamping: with both limits a sigmoid, with one a softplus.
#[derive(Debug)]
pub struct Clamping {
    /// By channel, standardised; those without limits are `None`.
    limits: Vec<Option<Limits>>,
}

#[derive(Debug, Clone, Copy)]
enum Limits {
    Both(f32, f32),
    Lower(f32),
    Upper(f32),
}

/// Farther than this from a limit, softplus is the identity (PyTorch's threshold).
const LINEAR: f64 = 20.0;
/// Inverse functions do not come nearer to a limit than this.
const NEAREST: f64 = 1e-6;

impl Clamping {
    pub fn new(layout: &ChannelLayout) -> Self {
        let limits = layout.iter().map(|channel| {
            let standardise = |limit: f64| (limit as f32 - channel.mean as f32) / channel.std as f32;
            match (channel.clamp.lower.map(standardise), channel.clamp.upper.map(standardise)) {
                (Some(lower), Some(upper)) => Some(Limits::Both(lower, upper)),
                (Some(lower), None) => Some(Limits::Lower(lower)),
                (None, Some(upper)) => Some(Limits::Upper(upper)),
                (None, None) => None,
            }
        });
        Self { limits: limits.collect() }
    }

    /// `state + change` within the limits; `[F, N]`, standardised.
    pub fn add(&self, state: &Tensor, change: &Tensor) -> Result<Tensor> {
        let sum = (state + change)?;
        if self.limits.iter().all(Option::is_none) {
            return Ok(sum);
        }
        let rows = self.limits.iter().enumerate().map(|(f, limits)| match limits {
            Some(limits) => limits.add(&state.narrow(0, f, 1)?, &change.narrow(0, f, 1)?),
            None => sum.narrow(0, f, 1),
        });
        Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)
    }
}

impl Limits {
    fn add(self, state: &Tensor, change: &Tensor) -> Result<Tensor> {
        match self {
            Self::Both(lower, upper) => {
                let (lower, range) = (f64::from(lower), f64::from(upper - lower));
                let share = state.affine(1.0, -lower)?.affine(1.0 / range, 0.0)?.clamp(NEAREST, 1.0 - NEAREST)?;
                let logit = (&share / share.affine(-1.0, 1.0)?)?.log()?;
                candle_nn::ops::sigmoid(&(logit + change)?)?.affine(range, lower)
            }
            Self::Lower(lower) => {
                let lower = f64::from(lower);
                softplus(&(inverse_softplus(&state.affine(1.0, -lower)?)? + change)?)?.affine(1.0, lower)
            }
            Self::Upper(upper) => {
                let upper = f64::from(upper);
                let distance = (inverse_softplus(&state.affine(-1.0, upper)?)? - change)?;
                softplus(&distance)?.affine(-1.0, upper)
            }
        }
    }
}

/// Numbers below are small: a series keeps what logarithm and exponential of a sum with 1 would lose.
const SMALL: f64 = 0.1;

/// `x · (c₀ + c₁ x + c₂ x² + …)`.
fn series<const N: usize>(x: &Tensor, coefficients: [f64; N]) -> Result<Tensor> {
    let mut sum = x.affine(0.0, 0.0)?;
    for c in coefficients.into_iter().rev() {
        sum = (sum * x)?.affine(1.0, c)?;
    }
    sum * x
}

/// `log(1 + e^x)`.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let e = x.abs()?.neg()?.exp()?;
    let small = series(&e, [1.0, -1.0 / 2.0, 1.0 / 3.0, -1.0 / 4.0, 1.0 / 5.0, -1.0 / 6.0])?;
    let log = e.lt(SMALL)?.where_cond(&small, &e.affine(1.0, 1.0)?.log()?)?;
    x.gt(LINEAR)?.where_cond(x, &(x.relu()? + log)?)
}

/// `log(e^x - 1)`, of `x` no smaller than where softplus is [`NEAREST`].
fn inverse_softplus(x: &Tensor) -> Result<Tensor> {
    let inside = x.clamp((1.0 + NEAREST).ln(), LINEAR)?;
    let small = series(&inside, [1.0, -1.0 / 2.0, 1.0 / 6.0, -1.0 / 24.0, 1.0 / 120.0])?;
    // 1 - e^-x
    let share = inside.lt(SMALL)?.where_cond(&small, &inside.neg()?.exp()?.affine(-1.0, 1.0)?)?;
    x.gt(LINEAR)?.where_cond(x, &(share.log()? + inside)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn softplus_and_its_inverse_keep_small_numbers() {
        let values = [-20.0f32, -6.0, -4.6, -1.0, 0.0, 1.0, 4.7, 19.0, 21.0];
        let x = Tensor::from_slice(&values, (1, values.len()), &Device::Cpu).unwrap();
        let soft = softplus(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (x, found) in values.iter().zip(&soft) {
            let expected = f64::from(*x).exp().ln_1p();
            assert!((f64::from(*found) - expected).abs() <= 5e-7 * expected, "softplus({x}) = {found}, {expected}");
        }
        let values = [-1.0f32, 0.0, 2e-6, 1e-3, 0.009, 0.011, 0.5, 5.0, 19.9, 30.0];
        let x = Tensor::from_slice(&values, (1, values.len()), &Device::Cpu).unwrap();
        let inverse = inverse_softplus(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (x, found) in values.iter().zip(&inverse) {
            let inside = f64::from(*x).max(NEAREST.ln_1p());
            let expected = if inside > LINEAR { inside } else { inside.exp_m1().ln() };
            assert!((f64::from(*found) - expected).abs() <= 2e-6 * expected.abs().max(0.1), "{x}: {found}, {expected}");
        }
    }
}
