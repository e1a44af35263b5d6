//! Spherical-harmonic transforms of real fields, as matrix products.
//!
//! Fields are `[H, W, C]`: latitude from north to south, longitude, channels last. Coefficients are `[M, L, 2·C]`: order,
//! degree, then the real parts of all channels and the imaginary parts of all channels; only degrees `l ≥ m` are used.
//! Conventions (orthonormal harmonics with the Condon–Shortley phase, quadrature rules, truncation) are those of
//! torch-harmonics, so that its weights can be used: <https://github.com/NVIDIA/torch-harmonics>.
//! Tables are computed in float64 and used in float32.

use std::f64::consts::PI;

use candle_core::{Device, Result, Tensor, bail};
use serde::Deserialize;

use crate::device::{BatchAxis, Triangle, batched_matmul};

/// Latitudes and their quadrature rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SphereGrid {
    /// Equal steps with both poles; Clenshaw–Curtis quadrature.
    Equiangular,
    /// Roots of the Legendre polynomial; Gauss quadrature.
    LegendreGauss,
    /// Poles and the extrema of the Legendre polynomial; Gauss–Lobatto quadrature.
    Lobatto,
    /// Equal steps in the sine of latitude; trapezoidal rule.
    EquiangularTrapezoidal,
}

impl SphereGrid {
    /// Cosine of colatitude from north to south, and quadrature weights that sum to 2. `n ≥ 3`.
    pub fn nodes(self, n: usize) -> (Vec<f64>, Vec<f64>) {
        let last = (n - 1) as f64;
        match self {
            Self::Equiangular => {
                let weights = (0..n).map(|k| clenshaw_curtis_weight(k, n)).collect();
                ((0..n).map(|k| (PI * k as f64 / last).cos()).collect(), weights)
            }
            Self::LegendreGauss => (0..n).map(|k| gauss_node(k, n)).unzip(),
            Self::Lobatto => (0..n).map(|k| lobatto_node(k, n)).unzip(),
            Self::EquiangularTrapezoidal => {
                let weight = |k| if k == 0 || k == n - 1 { 1.0 / last } else { 2.0 / last };
                ((0..n).map(|k| 1.0 - 2.0 * k as f64 / last).collect(), (0..n).map(weight).collect())
            }
        }
    }
}

/// Waldvogel (2006), in the explicit form: `w_k = c_k/N · (1 − Σ_j b_j cos(2jθ_k)/(4j²−1))`.
fn clenshaw_curtis_weight(k: usize, n: usize) -> f64 {
    let intervals = n - 1;
    let theta = PI * k as f64 / intervals as f64;
    let sum: f64 = (1..=intervals / 2)
        .map(|j| {
            let b = if 2 * j == intervals { 1.0 } else { 2.0 };
            b * (2.0 * j as f64 * theta).cos() / (4.0 * (j * j) as f64 - 1.0)
        })
        .sum();
    let c = if k == 0 || k == intervals { 1.0 } else { 2.0 };
    c / intervals as f64 * (1.0 - sum)
}

/// Legendre polynomials `P_n(x)` and `P_{n-1}(x)`.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut previous, mut current) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (previous, current) = (current, ((2.0 * k - 1.0) * x * current - (k - 1.0) * previous) / k);
    }
    (current, previous)
}

/// The k-th root of `P_n` from the north, by Newton's method, and its Gauss weight.
fn gauss_node(k: usize, n: usize) -> (f64, f64) {
    let degree = n as f64;
    let derivative = |x: f64, p: f64, previous: f64| degree * (x * p - previous) / (x * x - 1.0);
    let mut x = (PI * (k as f64 + 0.75) / (degree + 0.5)).cos();
    for _ in 0..100 {
        let (p, previous) = legendre(n, x);
        let step = p / derivative(x, p, previous);
        x -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    let (p, previous) = legendre(n, x);
    let slope = derivative(x, p, previous);
    (x, 2.0 / ((1.0 - x * x) * slope * slope))
}

/// The k-th Gauss–Lobatto node from the north and its weight.
fn lobatto_node(k: usize, n: usize) -> (f64, f64) {
    let count = n as f64;
    let mut x = (PI * k as f64 / (count - 1.0)).cos();
    for _ in 0..100 {
        let (p, previous) = legendre(n - 1, x);
        let step = (x * p - previous) / (count * p);
        x -= step;
        if step.abs() < 1e-16 {
            break;
        }
    }
    let (p, _) = legendre(n - 1, x);
    (x, 2.0 / (count * (count - 1.0) * p * p))
}

/// Orthonormal associated Legendre functions `P̄_l^m(x)` with the Condon–Shortley phase, for all `l < degrees` of one
/// order: `[L, H]`, zero for `l < m`.
fn associated_legendre(m: usize, degrees: usize, x: &[f64]) -> Vec<f64> {
    let points = x.len();
    let mut table = vec![0.0; degrees * points];
    if m >= degrees {
        return table;
    }
    for (k, &x) in x.iter().enumerate() {
        let sine2 = ((1.0 + x) * (1.0 - x)).max(0.0);
        let mut sectoral = (1.0 / (4.0 * PI)).sqrt();
        for l in 1..=m {
            let l = l as f64;
            sectoral *= ((2.0 * l + 1.0) * sine2 / (2.0 * l)).sqrt();
        }
        if m % 2 == 1 {
            sectoral = -sectoral;
        }
        let order = m as f64;
        let (mut before, mut value) = (0.0, sectoral);
        table[m * points + k] = value;
        for degree in m + 1..degrees {
            let l = degree as f64;
            let a = ((2.0 * l - 1.0) / (l - order) * (2.0 * l + 1.0) / (l + order)).sqrt();
            let b = if degree > m + 1 {
                ((l + order - 1.0) / (l - order) * (2.0 * l + 1.0) / (2.0 * l - 3.0) * (l - order - 1.0) / (l + order))
                    .sqrt()
            } else {
                0.0
            };
            (before, value) = (value, a * x * value - b * before);
            table[degree * points + k] = value;
        }
    }
    table
}

/// Field → coefficients.
#[derive(Debug)]
pub struct RealSht {
    shape: (usize, usize),
    modes: usize,
    /// `[1, 2·M, W]`: real and imaginary part of each order in turn.
    dft: Tensor,
    /// `[M, L, H]`: Legendre functions times quadrature weights.
    legendre: Tensor,
}

impl RealSht {
    /// `modes`: degrees and orders `0..modes` are kept.
    pub fn new((h, w): (usize, usize), modes: usize, grid: SphereGrid, device: &Device) -> Result<Self> {
        let (x, weights) = grid.nodes(h);
        let mut dft = Vec::with_capacity(2 * modes * w);
        for m in 0..modes {
            for part in [f64::cos as fn(f64) -> f64, |angle| -angle.sin()] {
                // the angle is reduced first: large m·j would lose digits
                let value =
                    |j: usize| if m > w / 2 { 0.0 } else { part(2.0 * PI * (m * j % w) as f64 / w as f64) / w as f64 };
                dft.extend((0..w).map(|j| value(j) as f32));
            }
        }
        let mut legendre = Vec::with_capacity(modes * modes * h);
        for m in 0..modes {
            let table = associated_legendre(m, modes, &x);
            legendre.extend(table.iter().zip(weights.iter().cycle()).map(|(p, q)| (p * (2.0 * PI * q)) as f32));
        }
        Ok(Self {
            shape: (h, w),
            modes,
            dft: Tensor::from_vec(dft, (1, 2 * modes, w), device)?,
            legendre: Tensor::from_vec(legendre, (modes, modes, h), device)?,
        })
    }

    /// `[H, W, C]` → `[M, L, 2·C]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (h, w, c) = x.dims3()?;
        if (h, w) != self.shape {
            bail!("a field of {h}×{w} points where the transform has {:?}", self.shape);
        }
        let fourier = batched_matmul(&self.dft, x, Triangle::Full, BatchAxis::First)?; // [H, 2M, C]
        let by_order = fourier.reshape((h, self.modes, 2 * c))?.transpose(0, 1)?; // [M, H, 2C]
        batched_matmul(&self.legendre, &by_order, Triangle::RowsFrom, BatchAxis::First)
    }

    /// `(H, W)`.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }
}

/// Coefficients → field.
#[derive(Debug)]
pub struct InverseRealSht {
    shape: (usize, usize),
    modes: usize,
    /// `[1, W, 2·M]`.
    dft: Tensor,
    /// `[M, H, L]`.
    legendre: Tensor,
}

impl InverseRealSht {
    /// As [`RealSht::new`].
    pub fn new((h, w): (usize, usize), modes: usize, grid: SphereGrid, device: &Device) -> Result<Self> {
        let (x, _) = grid.nodes(h);
        let mut dft = Vec::with_capacity(2 * modes * w);
        for j in 0..w {
            for m in 0..modes {
                // a real field: orders m and -m are conjugate; m = 0 and the Nyquist order stand alone
                let count = match m {
                    0 => 1.0,
                    m if 2 * m == w => 1.0,
                    m if 2 * m > w => 0.0,
                    _ => 2.0,
                };
                let (sine, cosine) = (2.0 * PI * (m * j % w) as f64 / w as f64).sin_cos();
                let sine = if m == 0 || 2 * m == w { 0.0 } else { sine };
                dft.extend([(count * cosine) as f32, (-count * sine) as f32]);
            }
        }
        let mut legendre = Vec::with_capacity(modes * modes * h);
        for m in 0..modes {
            let table = associated_legendre(m, modes, &x); // [L, H]
            for k in 0..h {
                legendre.extend((0..modes).map(|l| table[l * h + k] as f32));
            }
        }
        Ok(Self {
            shape: (h, w),
            modes,
            dft: Tensor::from_vec(dft, (1, w, 2 * modes), device)?,
            legendre: Tensor::from_vec(legendre, (modes, h, modes), device)?,
        })
    }

    /// `[M, L, 2·C]`, any strides → `[H, W, C]`. Degrees below the order are not read.
    pub fn forward(&self, coefficients: &Tensor) -> Result<Tensor> {
        let (h, _) = self.shape;
        let c = coefficients.dim(2)? / 2;
        let fourier = batched_matmul(&self.legendre, coefficients, Triangle::InnerFrom, BatchAxis::Second)?; // [H, M, 2C]
        let fourier = fourier.reshape((h, 2 * self.modes, c))?;
        batched_matmul(&self.dft, &fourier, Triangle::Full, BatchAxis::First)
    }

    /// `(H, W)`.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRIDS: [SphereGrid; 4] =
        [SphereGrid::Equiangular, SphereGrid::LegendreGauss, SphereGrid::Lobatto, SphereGrid::EquiangularTrapezoidal];

    #[test]
    fn weights_integrate_the_sphere_and_low_degrees() {
        for grid in GRIDS {
            for n in [3, 8, 13, 48] {
                let (x, w) = grid.nodes(n);
                assert!((w.iter().sum::<f64>() - 2.0).abs() < 1e-13, "{grid:?} {n}");
                assert!(x.windows(2).all(|pair| pair[0] > pair[1]), "{grid:?} {n} runs north to south");
                let square: f64 = x.iter().zip(&w).map(|(x, w)| x * x * w).sum();
                let tolerance =
                    if grid == SphereGrid::EquiangularTrapezoidal { 2.0 / (n * n) as f64 * 2.0 } else { 1e-12 };
                assert!((square - 2.0 / 3.0).abs() < tolerance, "{grid:?} {n}");
            }
        }
    }

    #[test]
    fn a_band_limited_field_survives_there_and_back() {
        let device = Device::Cpu;
        for (grid, (h, w), modes) in [
            (SphereGrid::LegendreGauss, (16, 32), 16),
            (SphereGrid::Equiangular, (33, 64), 16),
            (SphereGrid::Lobatto, (17, 33), 16),
        ] {
            let sht = RealSht::new((h, w), modes, grid, &device).unwrap();
            let isht = InverseRealSht::new((h, w), modes, grid, &device).unwrap();
            let noise = Tensor::randn(0f32, 1f32, (h, w, 3), &device).unwrap();
            let smooth = isht.forward(&sht.forward(&noise).unwrap()).unwrap();
            let again = isht.forward(&sht.forward(&smooth).unwrap()).unwrap();
            let worst = (again - smooth).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            assert!(worst.to_scalar::<f32>().unwrap() < 2e-5, "{grid:?}");
        }
    }
}
