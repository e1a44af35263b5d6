//! Correlated noise on the sphere: spherical harmonics with random coefficients.
//!
//! The coefficients of degree `l` have a variance in proportion to `exp(-l (l + 1) L² / 2 a²)`, and none for the mean over
//! the globe: the correlation at distance `r` is close to `exp(-r² / 2 L²)` where `L` is small against the Earth's radius `a`.
//! The same draw is the same pattern on every grid.

use rayon::prelude::*;

use super::random::Normal;
use crate::atmos::DEFAULT_EARTH_RADIUS;

/// Degrees beyond have a variance below `exp(-18)` of the largest.
const LAST_EXPONENT: f64 = 18.0;
/// Of a length scale of 25 km; beyond, the recursion would underflow near the poles.
const MOST_DEGREES: usize = 1536;

/// Where a field's points lie, in degrees.
#[derive(Debug, Clone)]
pub(super) enum Places {
    /// Rows × columns.
    Rows {
        latitude: Vec<f64>,
        longitude: Vec<f64>,
    },
    Points {
        latitude: Vec<f64>,
        longitude: Vec<f64>,
    },
}

/// Makes patterns of one length scale at some places.
pub(super) struct Sphere {
    places: Places,
    /// Standard deviation of the coefficients, by degree.
    spectrum: Vec<f64>,
    /// Cosine and sine of `m` longitudes by column and order; of rows only.
    waves: Vec<(f64, f64)>,
    legendre: Legendre,
}

impl Sphere {
    /// `length_scale` in m.
    pub fn new(places: Places, length_scale: f64) -> Result<Self, String> {
        let decay = 0.5 * (length_scale / DEFAULT_EARTH_RADIUS).powi(2);
        let exponent = |l: usize| (l * (l + 1)) as f64 * decay;
        let degrees = (1..=MOST_DEGREES).find(|&l| exponent(l) > LAST_EXPONENT).ok_or_else(|| {
            let shortest = DEFAULT_EARTH_RADIUS * 6.0 / MOST_DEGREES as f64 / 1e3;
            format!("a length scale of {} km is shorter than {shortest:.0} km, the least here", length_scale / 1e3)
        })?;
        let variance: Vec<f64> =
            (0..=degrees).map(|l| if l == 0 { 0.0 } else { libm::exp(-exponent(l) + exponent(1)) }).collect();
        let total: f64 = variance.iter().enumerate().map(|(l, variance)| (2 * l + 1) as f64 * variance).sum();
        let spectrum = variance.into_iter().map(|variance| (variance / total).sqrt()).collect();
        let waves = match &places {
            Places::Rows { longitude, .. } => longitude.iter().flat_map(|&column| waves(column, degrees)).collect(),
            Places::Points { .. } => Vec::new(),
        };
        Ok(Self { places, spectrum, waves, legendre: Legendre::new(degrees) })
    }

    /// One pattern, `[H · W]`, of mean 0 and variance 1 over many draws.
    pub fn draw(&self, normal: Normal) -> Vec<f64> {
        let degrees = self.spectrum.len() - 1;
        // for each degree its orders, the cosine's before the sine's
        let count = (degrees + 1) * (degrees + 2) / 2;
        let mut coefficients = vec![(0.0, 0.0); count];
        let mut normal = normal;
        let mut next = |std: f64| normal.next().unwrap_or_default() * std;
        for l in 1..=degrees {
            for m in 0..=l {
                let std = self.spectrum[l];
                let cosine = next(std);
                coefficients[place(l, m)] = (cosine, if m == 0 { 0.0 } else { next(std) });
            }
        }
        let orders = degrees + 1;
        let sum = |along: &[(f64, f64)], waves: &[(f64, f64)]| -> f64 {
            along.iter().zip(waves).map(|(a, wave)| a.0 * wave.0 + a.1 * wave.1).sum()
        };
        match &self.places {
            Places::Rows { latitude, longitude } => {
                let row = |&latitude: &f64| -> Vec<f64> {
                    let along = self.legendre.along(latitude, &coefficients);
                    (0..longitude.len()).map(|j| sum(&along, &self.waves[j * orders..(j + 1) * orders])).collect()
                };
                latitude.par_iter().flat_map_iter(row).collect()
            }
            Places::Points { latitude, longitude } => {
                let point = |(&latitude, &longitude): (&f64, &f64)| {
                    sum(&self.legendre.along(latitude, &coefficients), &waves(longitude, degrees).collect::<Vec<_>>())
                };
                latitude.par_iter().zip(longitude).map(point).collect()
            }
        }
    }
}

fn place(l: usize, m: usize) -> usize {
    l * (l + 1) / 2 + m
}

/// Cosine and sine of `m` times a longitude.
fn waves(longitude: f64, degrees: usize) -> impl Iterator<Item = (f64, f64)> {
    (0..=degrees).map(move |m| {
        // whole turns are left out, so that 360° is 0°
        let (sine, cosine) = libm::sincos((m as f64 * longitude).rem_euclid(360.0).to_radians());
        (cosine, sine)
    })
}

/// Associated Legendre functions, normalised so that the squares of all harmonics of a degree sum to `2 l + 1` everywhere.
struct Legendre {
    degrees: usize,
    /// Of the recursion over degrees: factors of the value before, and of the one before that.
    steps: Vec<(f64, f64)>,
}

impl Legendre {
    fn new(degrees: usize) -> Self {
        let mut steps = vec![(0.0, 0.0); (degrees + 1) * (degrees + 2) / 2];
        for l in 1..=degrees {
            for m in 0..l {
                let (k, n) = (l as f64, m as f64);
                let a = ((2.0 * k - 1.0) / (k - n) * (2.0 * k + 1.0) / (k + n)).sqrt();
                let b = if l > m + 1 {
                    ((k + n - 1.0) / (k - n) * (2.0 * k + 1.0) / (2.0 * k - 3.0) * (k - n - 1.0) / (k + n)).sqrt()
                } else {
                    0.0
                };
                steps[place(l, m)] = (a, b);
            }
        }
        Self { degrees, steps }
    }

    /// On one parallel, the amplitudes of the waves along it by order: sums over degrees.
    fn along(&self, latitude: f64, coefficients: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let (x, y) = libm::sincos(latitude.to_radians());
        let mut sectoral = 1.0;
        (0..=self.degrees)
            .map(|m| {
                if m > 0 {
                    // the first step also takes the two waves of an order
                    let n = m as f64;
                    let factor = if m == 1 { 3.0 } else { (2.0 * n + 1.0) / (2.0 * n) };
                    sectoral *= factor.sqrt() * y;
                }
                let (mut before, mut value) = (0.0, sectoral);
                let mut sum = (0.0, 0.0);
                for l in m..=self.degrees {
                    if l > m {
                        let (a, b) = self.steps[place(l, m)];
                        (before, value) = (value, a * x * value - b * before);
                    }
                    let (cosine, sine) = coefficients[place(l, m)];
                    sum.0 += value * cosine;
                    sum.1 += value * sine;
                }
                sum
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The harmonics of each degree have squares that sum to 2 l + 1, at every latitude.
    #[test]
    fn the_addition_theorem_holds() {
        const DEGREES: usize = 40;
        let legendre = Legendre::new(DEGREES);
        for latitude in [-90.0, -67.3, 0.0, 12.5, 89.99] {
            for l in [1, 2, 7, DEGREES] {
                let square = |m: usize| {
                    let mut coefficients = vec![(0.0, 0.0); (DEGREES + 1) * (DEGREES + 2) / 2];
                    coefficients[place(l, m)] = (1.0, 0.0);
                    legendre.along(latitude, &coefficients)[m].0.powi(2)
                };
                let sum: f64 = (0..=l).map(square).sum();
                assert!((sum - (2 * l + 1) as f64).abs() < 1e-9, "degree {l} at {latitude}: {sum}");
            }
        }
    }

    #[test]
    fn the_correlation_falls_with_the_length_scale() {
        let length = 1_000e3;
        let degrees_of = |metres: f64| (metres / DEFAULT_EARTH_RADIUS).to_degrees();
        // on a parallel, across the pole, and northward
        let latitude = vec![50.0, 50.0 + degrees_of(length), 50.0 + degrees_of(2.0 * length), 50.0];
        let sphere = Sphere::new(Places::Points { latitude, longitude: vec![0.0, 0.0, 0.0, 360.0] }, length).unwrap();
        const DRAWS: u64 = 4000;
        let mut sums = [0.0; 3];
        for draw in 0..DRAWS {
            let values = sphere.draw(Normal::stream(1, draw, "t"));
            assert_eq!(values[0], values[3], "once around is the same place");
            (0..3).for_each(|i| sums[i] += values[0] * values[i] / DRAWS as f64);
        }
        for (found, expected) in sums.into_iter().zip([1.0, (-0.5f64).exp(), (-2.0f64).exp()]) {
            assert!((found - expected).abs() < 0.06, "{found} where {expected} is due");
        }
    }

    #[test]
    fn a_pattern_is_of_the_place_and_not_of_the_grid() {
        let (latitude, longitude) = (vec![80.0, 10.0, -45.0], vec![0.0, 12.0, 200.0]);
        let rows = Places::Rows { latitude: latitude.clone(), longitude: longitude.clone() };
        let points = Places::Points {
            latitude: latitude.iter().flat_map(|&latitude| [latitude; 3]).collect(),
            longitude: longitude.repeat(3),
        };
        let draw = |places| Sphere::new(places, 800e3).unwrap().draw(Normal::stream(3, 5, "sp"));
        assert_eq!(draw(rows), draw(points));
        assert!(Sphere::new(Places::Points { latitude: vec![], longitude: vec![] }, 1e3).is_err());
    }
}
