//! The formulas, in SI units.
//!
//! - Moist air: WMO-No. 8, Guide to Instruments and Methods of Observation, volume I, chapter 4, annexes 4.A and 4.B
//!   (<https://library.wmo.int/idurl/4/68695>). Saturation is with respect to water at all temperatures, as WMO reports humidity.
//! - Wind direction: where the wind comes from, clockwise from north; north is 360 and calm is 0 (WMO-No. 306, code table 0877).

/// Ratio of the molecular weights of water and dry air, annex 4.A.
const WATER_TO_AIR: f64 = 0.621_98;
/// Constants of the saturation vapour pressure over water, annex 4.B: Pa, 1, °C.
const MAGNUS: (f64, f64, f64) = (611.2, 17.62, 243.12);
const FREEZING: f64 = 273.15;

/// Saturation vapour pressure over water in Pa, of a temperature in K.
pub fn saturation(temperature: f64) -> f64 {
    let (scale, factor, shift) = MAGNUS;
    let celsius = temperature - FREEZING;
    scale * (factor * celsius / (shift + celsius)).exp()
}

/// Dew point in K, of a vapour pressure in Pa; NaN where there is no vapour.
pub fn dew_point(vapour_pressure: f64) -> f64 {
    let (scale, factor, shift) = MAGNUS;
    if vapour_pressure <= 0.0 {
        return f64::NAN;
    }
    let exponent = (vapour_pressure / scale).ln();
    FREEZING + shift * exponent / (factor - exponent)
}

/// Vapour pressure in Pa, of a specific humidity in kg kg-1 at a pressure in Pa.
pub fn vapour_pressure(specific_humidity: f64, pressure: f64) -> f64 {
    specific_humidity * pressure / (WATER_TO_AIR + (1.0 - WATER_TO_AIR) * specific_humidity)
}

/// Direction that a wind comes from in degrees, of its components towards east and north.
pub fn wind_from_direction(east: f64, north: f64) -> f64 {
    if east == 0.0 && north == 0.0 {
        return 0.0;
    }
    let degrees = (-east).atan2(-north).to_degrees();
    if degrees <= 0.0 { degrees + 360.0 } else { degrees }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturation over water, hPa, after Goff and Gratch (Smithsonian Meteorological Tables, 6th edition, table 94).
    #[test]
    fn saturation_agrees_with_the_tables_to_half_a_percent_and_in_deep_frost_to_one() {
        for (celsius, hpa) in [
            (-30.0, 0.5088),
            (-20.0, 1.2540),
            (-10.0, 2.8627),
            (0.0, 6.1078),
            (10.0, 12.272),
            (20.0, 23.373),
            (30.0, 42.430),
            (40.0, 73.777),
        ] {
            let found = saturation(celsius + FREEZING) / 100.0;
            let most = if celsius < -20.0 { 1e-2 } else { 5e-3 };
            assert!((found / hpa - 1.0).abs() < most, "{celsius} °C: {found} hPa");
            assert!((dew_point(saturation(celsius + FREEZING)) - FREEZING - celsius).abs() < 1e-9);
        }
        assert!(dew_point(0.0).is_nan() && dew_point(-1.0).is_nan());
    }

    /// As MetPy 1.7.1 has them: `dewpoint_from_relative_humidity`, `relative_humidity_from_specific_humidity`. Its formula
    /// for saturation is Ambaum's (2020), which differs from WMO's by up to half a percent.
    #[test]
    fn humidities_agree_with_metpy() {
        for (kelvin, humidity, expected) in METPY_DEW_POINT {
            let found = dew_point(humidity * saturation(*kelvin));
            assert!((found - expected).abs() < 0.05, "{kelvin} K, {humidity}: {found}");
        }
        for (pascal, kelvin, specific, expected) in METPY_RELATIVE {
            let found = vapour_pressure(*specific, *pascal) / saturation(*kelvin);
            assert!((found / expected - 1.0).abs() < 6e-3, "{pascal} Pa, {kelvin} K, {specific}: {found}");
        }
    }

    /// K, 1, K.
    const METPY_DEW_POINT: &[(f64, f64, f64)] = &[
        (300.0, 0.9, 298.190),
        (293.15, 0.5, 282.406),
        (283.15, 0.2, 261.189),
        (263.15, 0.8, 260.338),
        (273.15, 1.0, 273.140),
    ];
    /// Pa, K, kg kg-1, 1.
    const METPY_RELATIVE: &[(f64, f64, f64, f64)] = &[
        (100000.0, 298.15, 0.012, 0.60570),
        (85000.0, 283.15, 0.006, 0.66605),
        (50000.0, 258.15, 0.0012, 0.50399),
        (101325.0, 273.15, 0.003, 0.79876),
    ];

    #[test]
    fn winds_come_from_where_forecasters_say() {
        for (east, north, from) in [
            (0.0, -1.0, 360.0),
            (-1.0, 0.0, 90.0),
            (0.0, 1.0, 180.0),
            (1.0, 0.0, 270.0),
            (-1.0, -1.0, 45.0),
            (1.0, -1.0, 315.0),
            (0.0, 0.0, 0.0),
            (-0.0, -0.0, 0.0),
        ] {
            assert!((wind_from_direction(east, north) - from).abs() < 1e-12, "{east} {north}");
        }
    }
}
