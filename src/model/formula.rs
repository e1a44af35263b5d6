//! Forcings that follow from time and place alone: as `mllam-data-prep` derives them
//! (<https://github.com/mllam/mllam-data-prep>), in float64, and as GraphCast is told them
//! (<https://github.com/google-deepmind/graphcast>, `data_utils`).

use std::f64::consts::TAU;

use chrono::{Datelike, Timelike};
use serde::{Deserialize, Serialize};

use super::{numpy, solar};
use crate::atmos::{Coordinates, ValidTime};

/// How a forcing is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Formula {
    /// Radiation at the top of the atmosphere in W m-2: a solar constant of 1366 W m-2, declination by the day of the
    /// year, hour angle by the full UTC hour (minutes do not count); no eccentricity, no equation of time.
    ToaRadiation,
    /// sin(2π h / 24), h the full UTC hour.
    HourOfDaySin,
    HourOfDayCos,
    /// sin(2π d / 366), d from 1.
    DayOfYearSin,
    DayOfYearCos,
    /// Radiation at the top of the atmosphere over the last hour, J m-2, as ERA5 has it.
    ToaIncidentSolarRadiation,
    /// sin(2π y), y the part of the year of 365.24219 days that has passed, counted from 1970.
    YearProgressSin,
    YearProgressCos,
    /// sin(2π d), d the part of the day that has passed where the place is.
    DayProgressSin,
    DayProgressCos,
}

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS_PER_YEAR: f64 = 365.242_19;

const SOLAR_CONSTANT: f64 = 1366.0;

impl Formula {
    /// Values at all points, row-major.
    pub fn evaluate(self, valid_time: ValidTime, places: &Coordinates) -> Vec<f64> {
        let time = valid_time.utc();
        let phase = |progress: f32| numpy::sin_cos(progress * TAU as f32);
        let year = || phase((time.timestamp() as f64 / SECONDS_PER_DAY as f64 / DAYS_PER_YEAR).rem_euclid(1.0) as f32);
        let day = |longitude: f64| {
            let at_greenwich = time.timestamp().rem_euclid(SECONDS_PER_DAY) as f64 / SECONDS_PER_DAY as f64;
            let offset = numpy::radians(longitude as f32) / TAU as f32;
            phase((at_greenwich + f64::from(offset)).rem_euclid(1.0) as f32)
        };
        let by_longitude = |value: &dyn Fn(f64) -> f32| places.longitude.iter().map(|&x| f64::from(value(x))).collect();
        let (hour, day_of_year) = (f64::from(time.hour()), f64::from(time.ordinal()));
        let everywhere = |value: f64| vec![value; places.latitude.len()];
        match self {
            Self::HourOfDaySin => everywhere((TAU * hour / 24.0).sin()),
            Self::HourOfDayCos => everywhere((TAU * hour / 24.0).cos()),
            Self::DayOfYearSin => everywhere((TAU * day_of_year / 366.0).sin()),
            Self::DayOfYearCos => everywhere((TAU * day_of_year / 366.0).cos()),
            Self::ToaIncidentSolarRadiation => solar::radiation(valid_time, places),
            Self::YearProgressSin => everywhere(f64::from(year().0)),
            Self::YearProgressCos => everywhere(f64::from(year().1)),
            Self::DayProgressSin => by_longitude(&|longitude| day(longitude).0),
            Self::DayProgressCos => by_longitude(&|longitude| day(longitude).1),
            Self::ToaRadiation => {
                let declination = (23.45 * (TAU * (284.0 + day_of_year) / 365.0).sin()).to_radians();
                let radiation = |(&latitude, &longitude): (&f64, &f64)| {
                    let hour_angle = (15.0 * (hour + longitude / 15.0 - 12.0)).to_radians();
                    let latitude = latitude.to_radians();
                    let elevation =
                        latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
                    (SOLAR_CONSTANT * elevation).max(0.0)
                };
                places.latitude.iter().zip(&places.longitude).map(radiation).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_sun_stands_where_it_should() {
        let places = Coordinates { latitude: array![[23.45, 56.0, -90.0]], longitude: array![[0.0, 180.0, 0.0]] };
        let noon: ValidTime = "2020-06-21T12:30Z".parse().unwrap();
        let radiation = Formula::ToaRadiation.evaluate(noon, &places);
        assert!((radiation[0] - SOLAR_CONSTANT).abs() < 1e-2, "in the zenith at the solstice: {}", radiation[0]);
        assert_eq!(&radiation[1..], [0.0, 0.0], "midnight at 180 °E, polar night at the South Pole");
        assert!((Formula::HourOfDayCos.evaluate(noon, &places)[1] + 1.0).abs() < 1e-15);
        assert!(Formula::HourOfDaySin.evaluate(noon, &places)[2].abs() < 1e-15);
        let new_year: ValidTime = "2020-01-01T00:00Z".parse().unwrap();
        assert_eq!(Formula::DayOfYearSin.evaluate(new_year, &places)[0], (TAU / 366.0).sin());
        assert_eq!(Formula::DayOfYearCos.evaluate(new_year, &places)[0], (TAU / 366.0).cos());
    }
}
