//! Solar radiation at the top of the atmosphere over the last hour, as ERA5 has it (`tisr`): the Sun's irradiance by the year,
//! and its place by the formulas of ECMWF's IFS as `weathernext` follows them (<https://github.com/google-deepmind/graphcast>,
//! `solar_radiation`).
//!
//! Float32 where the reference computes in it: its days since 2000 advance in steps of 42 s, and with them the Sun.

use std::f32::consts::TAU;

use chrono::{DateTime, Datelike, Timelike, Utc};
use rayon::prelude::*;

use crate::atmos::{Coordinates, ValidTime};

/// Intervals of the trapezoidal rule, in one hour.
const BINS: usize = 360;
const SECONDS: f32 = 10.0;
/// Irradiance at one astronomical unit in the middle of each year from 1951, W m-2, before scaling: measured, then the same
/// 13 years again and again.
const FIRST_YEAR: f64 = 1951.5;
#[rustfmt::skip]
const IRRADIANCE: [f64; 45] = [
    1365.7765, 1365.7676, 1365.6284, 1365.6564, 1365.7773, 1366.3109, 1366.6681, 1366.6328, 1366.3828, 1366.2767,
    1365.9199, 1365.7484, 1365.6963, 1365.6976, 1365.7341, 1365.9178, 1366.1143, 1366.1644, 1366.2476, 1366.2426,
    1365.9580, 1366.0525, 1365.7991, 1365.7271, 1365.5345, 1365.6453, 1365.8331, 1366.2747, 1366.6348, 1366.6482,
    1366.6951, 1366.2859, 1366.1992, 1365.8103, 1365.6416, 1365.6379, 1365.7899, 1366.0826, 1366.6479, 1366.5533,
    1366.4457, 1366.3021, 1366.0286, 1365.7971, 1365.6996,
];
#[rustfmt::skip]
const CYCLE: [f64; 13] = [
    1365.6121, 1365.7399, 1366.1021, 1366.3851, 1366.6836, 1366.6022, 1366.6807, 1366.2300, 1366.0480, 1365.8545,
    1365.8107, 1365.7240, 1365.6918,
];
const CYCLES: usize = 3;
/// To newer measurements.
const SCALE: f64 = 0.9965;

/// J m-2 at all places, row-major.
pub fn radiation(time: ValidTime, places: &Coordinates) -> Vec<f64> {
    let sun = Sun::over_the_hour_to(time.utc());
    let (rows, columns) = places.latitude.dim();
    let mut result = vec![0f64; rows * columns];
    // on a grid of meridians all rows have the same hour angles
    let same = |a: usize, b: usize| places.longitude.row(a) == places.longitude.row(b);
    let shared = (rows > 1 && (1..rows).all(|row| same(0, row))).then(|| sun.hour_angles(places, 0));
    result.par_chunks_mut(columns.max(1)).enumerate().for_each(|(row, result)| {
        let own;
        let angles = match &shared {
            Some(angles) => angles,
            None => {
                own = sun.hour_angles(places, row);
                &own
            }
        };
        let angles = angles.chunks_exact(sun.moments.len());
        for ((result, latitude), angles) in result.iter_mut().zip(places.latitude.row(row)).zip(angles) {
            *result = f64::from(sun.over(*latitude as f32, angles));
        }
    });
    result
}

/// The Sun at each of [`BINS`]` + 1` moments.
struct Sun {
    moments: Vec<Moment>,
}

struct Moment {
    /// Of the day, from noon.
    solar_time: f32,
    sin_declination: f32,
    cos_declination: f32,
    /// W m-2 where the Sun is in the zenith.
    flux: f32,
}

impl Sun {
    fn over_the_hour_to(time: DateTime<Utc>) -> Self {
        let end = days_since_2000(time) as f32;
        let irradiance = irradiance(time) as f32;
        let moment = |bin: usize| {
            let offset = (bin as f64 / BINS as f64 - 1.0) / 24.0;
            Moment::at(end + offset as f32, irradiance)
        };
        Self { moments: (0..=BINS).map(moment).collect() }
    }

    /// Cosines of the hour angle times that of the declination for each place of a row, moment by moment.
    fn hour_angles(&self, places: &Coordinates, row: usize) -> Vec<f32> {
        let at = |longitude: &f64| {
            let longitude = (*longitude as f32).to_radians();
            let angle = move |moment: &Moment| (TAU * moment.solar_time + longitude).cos() * moment.cos_declination;
            self.moments.iter().map(angle)
        };
        places.longitude.row(row).iter().flat_map(at).collect()
    }

    fn over(&self, latitude: f32, angles: &[f32]) -> f32 {
        let (sin, cos) = latitude.to_radians().sin_cos();
        let flux =
            |(moment, angle): (&Moment, &f32)| moment.flux * (cos * angle + sin * moment.sin_declination).max(0.0);
        let fluxes = self.moments.iter().zip(angles).map(flux);
        let mut lanes = [0f32; 16];
        fluxes.enumerate().for_each(|(n, flux)| lanes[n % 16] += flux);
        let ends = [0, BINS].map(|n| flux((&self.moments[n], &angles[n])));
        SECONDS * (lanes.iter().sum::<f32>() - 0.5 * (ends[0] + ends[1]))
    }
}

impl Moment {
    fn at(days: f32, irradiance: f32) -> Self {
        let theta = days / 365.25;
        let rel = 1.7535 + 6.283_076 * theta;
        let rem = 6.240_041 + 6.283_02 * theta;
        let rlls = 4.8951 + 6.283_076 * theta;
        let longitude =
            4.8952 + 6.283_32 * theta - 0.0075 * rel.sin() - 0.0326 * rel.cos() - 0.0003 * (2.0 * rel).sin()
                + 0.0002 * (2.0 * rel).cos();
        let sin_declination = 0.409_093f32.sin() * longitude.sin();
        let equation_of_time = 591.8 * (2.0 * rlls).sin() - 459.4 * rem.sin() + 39.5 * rem.sin() * (2.0 * rlls).cos()
            - 12.7 * (4.0 * rlls).sin()
            - 4.8 * (2.0 * rem).sin();
        let distance = 1.0001 - 0.0163 * rel.sin() + 0.0037 * rel.cos();
        Self {
            solar_time: days.rem_euclid(1.0) + equation_of_time / 86_400.0,
            sin_declination,
            cos_declination: (1.0 - sin_declination * sin_declination).sqrt(),
            flux: irradiance * (1.0 / distance) * (1.0 / distance),
        }
    }
}

/// Days since 2000-01-01T12:00Z.
fn days_since_2000(time: DateTime<Utc>) -> f64 {
    const NOON: i64 = 946_728_000;
    (time.timestamp() - NOON) as f64 / 86_400.0
}

fn irradiance(time: DateTime<Utc>) -> f64 {
    let days = if time.date_naive().leap_year() { 366.0 } else { 365.0 };
    let day = f64::from(time.ordinal0()) + f64::from(time.num_seconds_from_midnight()) / 86_400.0;
    let years = f64::from(time.year()) + day / days - FIRST_YEAR;
    let last = IRRADIANCE.len() + CYCLES * CYCLE.len() - 1;
    let of =
        |n: usize| SCALE * IRRADIANCE.get(n).copied().unwrap_or_else(|| CYCLE[(n - IRRADIANCE.len()) % CYCLE.len()]);
    let years = years.clamp(0.0, last as f64);
    let (n, part) = (years.floor() as usize, years.fract());
    of(n) + (of((n + 1).min(last)) - of(n)) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_sun_shines_as_in_the_reference() {
        // weathernext 0.3: get_toa_incident_solar_radiation
        let places = Coordinates {
            latitude: array![[90.0, 90.0, 90.0], [23.5, 23.5, 23.5], [-56.25, -56.25, -56.25]],
            longitude: array![[0.0, 100.0, 260.0], [0.0, 100.0, 260.0], [0.0, 100.0, 260.0]],
        };
        for (time, expected) in REFERENCE {
            let found = radiation(time.parse().unwrap(), &places);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 3e-6 * 5e6, "{time}: {found} {expected}");
            }
        }
    }

    #[rustfmt::skip]
    const REFERENCE: [(&str, [f64; 9]); 4] = [
        ("2022-03-01T06:00Z", [0.0, 0.0, 0.0, 0.0, 4261373.0, 0.0, 110684.37, 3288262.25, 0.0]),
        ("1979-12-31T18:00Z", [0.0, 0.0, 0.0, 62203.25, 0.0, 3256330.5, 2024668.75, 0.0, 4107200.5]),
        ("2040-06-21T12:00Z", [1886358.625, 1886358.75, 1886358.75, 4693029.5, 609532.125, 458.46127, 818979.5, 0.0, 0.0]),
        ("2024-02-29T00:00Z", [0.0, 0.0, 0.0, 0.0, 30666.082, 1323146.75, 0.0, 536791.125, 1534523.75]),
    ];
}
