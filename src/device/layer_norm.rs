//! Layer normalisation of rows, in place.

/// As PyTorch's default.
pub(super) const EPS: f32 = 1e-5;
/// Partial sums, added in one order whatever the processor's vectors.
const LANES: usize = 16;

/// `x = (x − mean) / √(variance + 1e-5) · weight + bias`, row by row (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>).
pub fn layer_norm_rows(x: &mut [f32], weight: &[f32], bias: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn avx512(x: &mut [f32], weight: &[f32], bias: &[f32]) {
            rows(x, weight, bias);
        }
        #[target_feature(enable = "avx2")]
        fn avx2(x: &mut [f32], weight: &[f32], bias: &[f32]) {
            rows(x, weight, bias);
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature
            return unsafe { avx512(x, weight, bias) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature
            return unsafe { avx2(x, weight, bias) };
        }
    }
    rows(x, weight, bias);
}

#[inline(always)]
fn rows(x: &mut [f32], weight: &[f32], bias: &[f32]) {
    let n = weight.len().max(1);
    for row in x.chunks_exact_mut(n) {
        let mean = sum(row, |value| value) / n as f32;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / n as f32;
        let scale = 1.0 / (variance + EPS).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
}

#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f(*value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
