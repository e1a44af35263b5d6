//! Sine, cosine and degrees of float32 as numpy computes them: a reduction by multiples of π/2 in three parts and
//! polynomials, all products fused (`loops_trigonometric` of <https://github.com/numpy/numpy>; up to 1.5 units in the last
//! place from the truth).
//!
//! GraphCast places its grid with these functions, and where a point lies next to an edge of the mesh, the last bit decides
//! which triangle it is in.

use std::f32::consts::PI;

const TWO_OVER_PI: f32 = f32::from_bits(0x3f22_f983);
/// −π/2 in three parts, the first with few digits.
const MINUS_HALF_PI: [f32; 3] = [f32::from_bits(0xbfc9_0fd8), f32::from_bits(0xb4a8_885a), f32::from_bits(0xa7c2_34c4)];
/// Adding and subtracting it rounds to an integer.
const ROUND: f32 = 12_582_912.0;
/// Of x², the highest power first.
const COSINE: [f32; 5] =
    [f32::from_bits(0x37cc_730b), f32::from_bits(0xbab6_036e), f32::from_bits(0x3d2a_aa9e), -0.5, 1.0];
const SINE: [f32; 4] = [
    f32::from_bits(0x363e_9dde),
    f32::from_bits(0xb950_35dd),
    f32::from_bits(0x3c08_88cd),
    f32::from_bits(0xbe2a_aaab),
];

/// `(sin x, cos x)` for |x| up to 7e4.
pub fn sin_cos(x: f32) -> (f32, f32) {
    let quadrants = (x * TWO_OVER_PI + ROUND) - ROUND;
    let r = MINUS_HALF_PI.iter().fold(x, |r, part| quadrants.mul_add(*part, r));
    let r2 = r * r;
    let horner = |coefficients: &[f32]| coefficients[1..].iter().fold(coefficients[0], |sum, c| sum.mul_add(r2, *c));
    let (sine, cosine) = ((horner(&SINE) * r2).mul_add(r, r), horner(&COSINE));
    let at = |quadrant: i32| {
        let value = if quadrant & 1 == 0 { sine } else { cosine };
        if quadrant & 2 == 0 { value } else { -value }
    };
    (at(quadrants as i32), at(quadrants as i32 + 1))
}

pub fn radians(degrees: f32) -> f32 {
    degrees * (PI / 180.0)
}

pub fn degrees(radians: f32) -> f32 {
    radians * (180.0 / PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_numpy_s() {
        // numpy 2.4.6; the values that round correctly differ in the last bit
        for (x, sine, cosine) in [
            (0.872_664_63_f32, 0.766_044_44_f32, 0.642_787_6_f32),
            (2.967_059_6, 0.173_648_28, -0.984_807_7),
            (3.316_125_6, -0.173_648_24, -0.984_807_7),
            (1.919_862_2, 0.939_692_6, -0.342_020_1),
            (0.0, 0.0, 1.0),
        ] {
            assert_eq!(sin_cos(x), (sine, cosine), "{x}");
        }
        for x in (-2000..2000).map(|i| i as f32 * 0.01) {
            let (sine, cosine) = sin_cos(x);
            assert!((f64::from(sine) - f64::from(x).sin()).abs() < 1.2e-7, "{x}");
            assert!((f64::from(cosine) - f64::from(x).cos()).abs() < 1.2e-7, "{x}");
        }
    }
}
