//! Activations, computed in place on slices.

use serde::Deserialize;

/// The activations of the architectures that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    Relu,
    /// The exact form, `x/2 · (1 + erf(x/√2))`.
    Gelu,
    Identity,
}

impl Activation {
    /// `x = activation(x + bias)`, row by row; `bias` is as long as a row.
    pub fn add_bias_and_apply(self, x: &mut [f32], bias: &[f32]) {
        match self {
            // not `max`, which would make a number of NaN
            Self::Relu => rows(x, bias, |v| if v < 0.0 { 0.0 } else { v }),
            Self::Gelu => wide_gelu(x, bias),
            Self::Identity => rows(x, bias, |v| v),
        }
    }

    /// The same with Candle's operations, for devices that have no kernel of ours.
    pub(super) fn apply(self, x: &candle_core::Tensor) -> candle_core::Result<candle_core::Tensor> {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu_erf(),
            Self::Identity => Ok(x.clone()),
        }
    }
}

#[inline(always)]
fn rows(x: &mut [f32], bias: &[f32], f: impl Fn(f32) -> f32) {
    for row in x.chunks_exact_mut(bias.len().max(1)) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value = f(*value + bias);
        }
    }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Rational minimax approximation on [-4, 4], where float32 `erf` reaches ±1: absolute error below 2e-7. No branches and
/// no fused products, so every vector width gives the same bits.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let x2 = x * x;
    let mut p = -2.726_142_3e-10;
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_5e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2] {
        p = p * x2 + c;
    }
    let mut q = -1.456_607_2e-5;
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2] {
        q = q * x2 + c;
    }
    x * p / q
}

#[cfg(target_arch = "x86_64")]
fn wide_gelu(x: &mut [f32], bias: &[f32]) {
    #[target_feature(enable = "avx512f")]
    fn avx512(x: &mut [f32], bias: &[f32]) {
        rows(x, bias, gelu);
    }
    #[target_feature(enable = "avx2")]
    fn avx2(x: &mut [f32], bias: &[f32]) {
        rows(x, bias, gelu);
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the feature
        unsafe { avx512(x, bias) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature
        unsafe { avx2(x, bias) }
    } else {
        rows(x, bias, gelu);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn wide_gelu(x: &mut [f32], bias: &[f32]) {
    rows(x, bias, gelu);
}

/// `x = silu(x + bias)` row by row, `silu(x) = x / (1 + e^-x)`; no bias where it is empty.
pub fn wide_silu(x: &mut [f32], bias: &[f32]) {
    #[inline(always)]
    fn all(x: &mut [f32], bias: &[f32]) {
        if bias.is_empty() {
            x.iter_mut().for_each(|value| *value = silu(*value));
        } else {
            rows(x, bias, silu);
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn avx512(x: &mut [f32], bias: &[f32]) {
            all(x, bias);
        }
        #[target_feature(enable = "avx2")]
        fn avx2(x: &mut [f32], bias: &[f32]) {
            all(x, bias);
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature
            return unsafe { avx512(x, bias) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature
            return unsafe { avx2(x, bias) };
        }
    }
    all(x, bias);
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `e^x`, to 2e-7 of it, on [-87, 88], beyond which it stays what it is at the ends: a power of two, and a polynomial on
/// half an octave to both sides. No branches and no fused products, as above.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // adding and subtracting it rounds to an integer
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let octaves = rounded - ROUND;
    // ln 2 in two parts, the first with few digits
    let r = (x - octaves * 0.693_359_4) + octaves * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
        p = p * r + c;
    }
    let mantissa = p * r * r + r + 1.0;
    // the last bits of what was rounded are the integer, and go where a float has its exponent; NaN stays NaN by its mantissa
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    mantissa * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silu_is_exact_to_single_precision_everywhere() {
        let mut x: Vec<f32> = (-2000..2000).map(|i| i as f32 * 0.05).collect();
        let expected: Vec<f64> = x.iter().map(|&x| f64::from(x) / (1.0 + (-f64::from(x)).exp())).collect();
        let plain: Vec<f32> = x.iter().map(|&x| silu(x)).collect();
        wide_silu(&mut x, &[]);
        assert_eq!(x, plain);
        for (found, expected) in x.iter().zip(&expected) {
            // far to the left, where the values are next to nothing, next to nothing is enough
            assert!((f64::from(*found) - expected).abs() <= 4e-7 * expected.abs() + 1e-35, "{found} {expected}");
        }
        let mut ends = [f32::NAN, f32::INFINITY, -1e30, 1e30, -200.0];
        wide_silu(&mut ends, &[]);
        assert!(ends[0].is_nan() && ends[1] == f32::INFINITY && ends[3] == 1e30, "{ends:?}");
        assert!(ends[4].abs() < 1e-34, "{ends:?}");
        let mut rows = [1.0f32, 2.0, 3.0, 4.0];
        wide_silu(&mut rows, &[0.5, -0.5]);
        assert_eq!(rows, [silu(1.5), silu(1.5), silu(3.5), silu(3.5)]);
    }

    #[test]
    fn gelu_is_the_exact_form() {
        // x, gelu(x) from a 50-digit erf
        for (x, expected) in [
            (0.0, 0.0),
            (1.0, 0.841_344_8),
            (-1.0, -0.158_655_25),
            (2.5, 2.484_475_9),
            (-3.0, -0.004_049_694),
            (0.1, 0.053_982_784),
        ] {
            assert!((gelu(x) - expected).abs() < 4e-7, "{x}: {} {expected}", gelu(x));
        }
        assert!((gelu(40.0) - 40.0).abs() < 1e-5);
        assert!(gelu(-40.0).abs() < 1e-5);
        let mut wide: Vec<f32> = (0..100).map(|i| i as f32 * 0.1 - 5.0).collect();
        let plain: Vec<f32> = wide.iter().map(|x| gelu(x + 0.25)).collect();
        wide_gelu(&mut wide, &[0.25; 4]);
        assert_eq!(wide, plain);
    }
}
