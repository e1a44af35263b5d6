//! How a variable on a level is shown: colours, range, and the units that people read.
//!
//! Ranges are fixed by what the atmosphere does at that height, so that two times, two runs and two models compare by
//! eye. What has no such convention takes the spread of one field of the run, and keeps it for the whole run.

use serde::Serialize;

use super::palette::Palette;
use crate::atmos::{Level, Variable};

/// Standard gravity, m s-2: geopotential to geopotential metres.
const GRAVITY: f64 = 9.80665;

/// From the variable's units to those on the legend: `shown = value × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Display {
    pub scale: f64,
    pub offset: f64,
}

impl Display {
    const SAME: Self = Self { scale: 1.0, offset: 0.0 };

    fn scaled(scale: f64) -> Self {
        Self { scale, offset: 0.0 }
    }

    pub fn show(self, value: f64) -> f64 {
        value * self.scale + self.offset
    }

    fn read(self, shown: f64) -> f64 {
        (shown - self.offset) / self.scale
    }
}

/// First and last value of the ramp, in the variable's units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

/// Everything that turns values into a picture that a person can read.
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    pub palette: Palette,
    pub range: Range,
    pub display: Display,
    /// Units of the displayed values.
    pub units: String,
}

/// What a kind of field looks like, before its range is known.
struct Convention {
    palette: Palette,
    display: Display,
    units: String,
    range: RangeRule,
}

/// In displayed units.
enum RangeRule {
    Fixed(f64, f64),
    /// Pressure in hPa, lowest, highest; linear in the logarithm of pressure between rows, constant beyond.
    ByPressure(&'static [(f64, f64, f64)]),
    /// From the data; the same to both sides of zero where the palette has a middle.
    Data,
}

#[rustfmt::skip]
const TEMPERATURE_C: &[(f64, f64, f64)] = &[
    (10.0, -80.0, 0.0), (50.0, -90.0, -30.0), (100.0, -85.0, -35.0), (200.0, -80.0, -35.0), (250.0, -75.0, -35.0),
    (300.0, -70.0, -25.0), (500.0, -55.0, 0.0), (700.0, -45.0, 20.0), (850.0, -40.0, 30.0), (1000.0, -40.0, 40.0),
];
#[rustfmt::skip]
const HEIGHT_GPM: &[(f64, f64, f64)] = &[
    (10.0, 28_000.0, 32_500.0), (50.0, 18_500.0, 21_200.0), (100.0, 14_600.0, 17_000.0), (200.0, 10_400.0, 12_600.0),
    (250.0, 9_000.0, 11_100.0), (300.0, 7_900.0, 9_800.0), (500.0, 4_700.0, 6_000.0), (700.0, 2_300.0, 3_300.0),
    (850.0, 900.0, 1_700.0), (1000.0, -400.0, 400.0),
];
#[rustfmt::skip]
const WIND: &[(f64, f64, f64)] = &[
    (10.0, 0.0, 80.0), (100.0, 0.0, 60.0), (250.0, 0.0, 70.0), (500.0, 0.0, 50.0), (850.0, 0.0, 30.0), (1000.0, 0.0, 25.0),
];
#[rustfmt::skip]
const SPECIFIC_HUMIDITY: &[(f64, f64, f64)] = &[
    (100.0, 0.0, 0.01), (200.0, 0.0, 0.2), (300.0, 0.0, 1.0), (500.0, 0.0, 6.0), (850.0, 0.0, 16.0), (1000.0, 0.0, 22.0),
];

impl Style {
    /// The style that needs no data; `None` where the range must come from the run itself.
    pub fn conventional(variable: &Variable, level: Level) -> Option<Self> {
        let convention = Convention::of(variable, level);
        let (low, high) = match convention.range {
            RangeRule::Fixed(low, high) => (low, high),
            RangeRule::ByPressure(table) => by_pressure(table, level)?,
            RangeRule::Data => return None,
        };
        let low = if convention.palette == Palette::Diverging { -high } else { low };
        Some(convention.with_range(low, high))
    }

    /// The style whose range spans nearly all of `values`, which are in the variable's units.
    pub fn from_values(variable: &Variable, level: Level, values: &[f32]) -> Self {
        if let Some(style) = Self::conventional(variable, level) {
            return style;
        }
        let convention = Convention::of(variable, level);
        let shown = |value: f32| convention.display.show(f64::from(value));
        let mut sorted: Vec<f64> = values.iter().filter(|value| value.is_finite()).map(|&value| shown(value)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = match (sorted.first(), sorted.last()) {
            (Some(_), Some(_)) => {
                let at = |fraction: f64| sorted[((sorted.len() - 1) as f64 * fraction).round() as usize];
                rounded(at(0.005), at(0.995))
            }
            _ => (0.0, 1.0),
        };
        if convention.palette == Palette::Diverging {
            let reach = low.abs().max(high.abs());
            return convention.with_range(-reach, reach);
        }
        convention.with_range(low, high)
    }
}

impl Style {
    /// Of the standard deviation of what this is the style of: up to a sixth of the range.
    pub fn of_spread(&self) -> Self {
        let scale = self.display.scale.abs();
        let high = nice_step((self.range.high - self.range.low) * scale / 6.0) / scale;
        Self {
            palette: Palette::Speed,
            range: Range { low: 0.0, high },
            display: Display::scaled(scale),
            units: self.units.clone(),
        }
    }

    /// Of a fraction.
    pub fn of_fraction() -> Self {
        let range = Range { low: 0.0, high: 1.0 };
        Self { palette: Palette::Speed, range, display: Display::scaled(100.0), units: "%".to_owned() }
    }
}

/// Between lines of equal value, in the style's displayed units: what weather maps have, else a round part of the range.
pub fn interval_of(variable: &Variable, style: &Style) -> f64 {
    let shown = |value: f64| style.display.show(value);
    let spread = (shown(style.range.high) - shown(style.range.low)).abs();
    match (&*variable.standard_name, &*style.units) {
        ("air_pressure_at_mean_sea_level" | "air_pressure_at_sea_level", "hPa") => 4.0,
        ("geopotential" | "geopotential_height", "gpm") if spread < 1_000.0 => 30.0,
        ("geopotential" | "geopotential_height", "gpm") if spread < 2_000.0 => 60.0,
        ("geopotential" | "geopotential_height", "gpm") => 120.0,
        _ => nice_step(spread / 16.0),
    }
}

impl Convention {
    fn with_range(self, low: f64, high: f64) -> Style {
        let range = Range { low: self.display.read(low), high: self.display.read(high) };
        Style { palette: self.palette, range, display: self.display, units: self.units }
    }

    fn of(variable: &Variable, level: Level) -> Self {
        use RangeRule::{ByPressure, Data, Fixed};
        let celsius = Display { scale: 1.0, offset: -273.15 };
        let new = |palette, display, units: &str, range| Self { palette, display, units: units.to_owned(), range };
        let at_surface = matches!(level, Level::Surface | Level::Height(_));
        let aloft = |table, surface| if at_surface { surface } else { ByPressure(table) };
        match (&*variable.standard_name, &*variable.units) {
            ("air_temperature" | "dew_point_temperature" | "surface_temperature" | "sea_surface_temperature", "K") => {
                new(Palette::Temperature, celsius, "°C", aloft(TEMPERATURE_C, Fixed(-40.0, 40.0)))
            }
            ("eastward_wind" | "northward_wind" | "x_wind" | "y_wind", "m s-1") => {
                new(Palette::Diverging, Display::SAME, "m/s", aloft(WIND, Fixed(-25.0, 25.0)))
            }
            ("wind_speed" | "wind_speed_of_gust", "m s-1") => {
                new(Palette::Speed, Display::SAME, "m/s", aloft(WIND, Fixed(0.0, 30.0)))
            }
            ("geopotential", "m2 s-2") => {
                new(Palette::Height, Display::scaled(1.0 / GRAVITY), "gpm", aloft(HEIGHT_GPM, Data))
            }
            ("wind_from_direction", "degree") => new(Palette::Direction, Display::SAME, "°", Fixed(0.0, 360.0)),
            ("atmosphere_layer_thickness_expressed_as_geopotential_height_difference", "m") => {
                new(Palette::Height, Display::SAME, "gpm", Data)
            }
            ("geopotential_height", "m") => new(Palette::Height, Display::SAME, "gpm", aloft(HEIGHT_GPM, Data)),
            ("air_pressure_at_mean_sea_level" | "air_pressure_at_sea_level", "Pa") => {
                new(Palette::Pressure, Display::scaled(0.01), "hPa", Fixed(970.0, 1050.0))
            }
            ("surface_air_pressure", "Pa") => new(Palette::Pressure, Display::scaled(0.01), "hPa", Data),
            ("specific_humidity", "kg kg-1") => {
                new(Palette::Humidity, Display::scaled(1e3), "g/kg", aloft(SPECIFIC_HUMIDITY, Fixed(0.0, 22.0)))
            }
            ("relative_humidity", "1") => new(Palette::Humidity, Display::scaled(100.0), "%", Fixed(0.0, 100.0)),
            ("precipitation_amount", "kg m-2") => new(Palette::Precipitation, Display::SAME, "mm", Fixed(0.2, 50.0)),
            ("lwe_thickness_of_precipitation_amount", "m") => {
                new(Palette::Precipitation, Display::scaled(1000.0), "mm", Fixed(0.2, 50.0))
            }
            ("precipitation_flux", "kg m-2 s-1") => {
                new(Palette::Precipitation, Display::scaled(3600.0), "mm/h", Fixed(0.1, 20.0))
            }
            ("cloud_area_fraction", "1") => new(Palette::Cloud, Display::scaled(100.0), "%", Fixed(0.0, 100.0)),
            ("lagrangian_tendency_of_air_pressure", "Pa s-1") => {
                new(Palette::Diverging, Display::SAME, "Pa/s", Fixed(-2.0, 2.0))
            }
            ("atmosphere_relative_vorticity", "s-1") => {
                new(Palette::Diverging, Display::scaled(1e5), "10⁻⁵ s⁻¹", Fixed(-20.0, 20.0))
            }
            ("divergence_of_wind", "s-1") => {
                new(Palette::Diverging, Display::scaled(1e5), "10⁻⁵ s⁻¹", Fixed(-10.0, 10.0))
            }
            _ => new(Palette::Sequential, Display::SAME, &variable.units, Data),
        }
    }
}

/// The table's row for a pressure level, interpolated; `None` for levels that have no pressure.
fn by_pressure(table: &[(f64, f64, f64)], level: Level) -> Option<(f64, f64)> {
    let Level::Pressure(pressure) = level else { return None };
    let (first, last) = (table.first()?, table.last()?);
    let after = table.partition_point(|row| row.0 < pressure);
    if after == 0 {
        return Some((first.1, first.2));
    }
    let Some(below) = table.get(after) else { return Some((last.1, last.2)) };
    let above = table[after - 1];
    let weight = (pressure / above.0).ln() / (below.0 / above.0).ln();
    let blend = |a: f64, b: f64| {
        let value = a + (b - a) * weight;
        // two digits are plenty for the end of a colour bar
        let step = 10f64.powf((b - a).abs().max(value.abs()).max(1e-12).log10().floor() - 1.0);
        (value / step).round() * step
    };
    Some((blend(above.1, below.1), blend(above.2, below.2)))
}

/// The nearest numbers outside `low` and `high` that a person would choose.
fn rounded(low: f64, high: f64) -> (f64, f64) {
    let spread = high - low;
    // A constant field still gets a bar with its value in the middle.
    if spread <= low.abs().max(high.abs()) * 1e-6 {
        let half = (low.abs() * 0.01).max(1e-6);
        return (low - half, low + half);
    }
    let step = nice_step(spread / 10.0);
    ((low / step).floor() * step, (high / step).ceil() * step)
}

/// 1, 2 or 5 times a power of ten, not below `at_least`.
pub(super) fn nice_step(at_least: f64) -> f64 {
    let power = 10f64.powf(at_least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= at_least * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{KNOWN_VARIABLES, known_variable};

    fn variable(name: &str) -> Variable {
        known_variable(name).unwrap().into()
    }

    #[test]
    fn a_spread_is_shown_from_none_on_in_the_same_units_but_without_their_zero() {
        let spread = Style::conventional(&variable("t"), Level::Pressure(500.0)).unwrap().of_spread();
        assert_eq!((spread.range.low, spread.display, &*spread.units), (0.0, Display::SAME, "°C"));
        assert!((spread.range.high - 10.0).abs() < 1e-9);
        let pressure = Style::conventional(&variable("msl"), Level::Surface).unwrap().of_spread();
        assert!((pressure.display.show(pressure.range.high) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn ranges_are_physics_where_there_is_a_convention() {
        let t500 = Style::conventional(&variable("t"), Level::Pressure(500.0)).unwrap();
        assert!((t500.range.low - 218.15).abs() < 1e-9 && (t500.range.high - 273.15).abs() < 1e-9);
        assert_eq!(t500.units, "°C");
        let z500 = Style::conventional(&variable("z"), Level::Pressure(500.0)).unwrap();
        assert_eq!(z500.display.show(z500.range.high).round(), 6000.0);
        let u300 = Style::conventional(&variable("u"), Level::Pressure(300.0)).unwrap();
        assert_eq!(u300.range.low, -u300.range.high);
        assert!(u300.range.high > 50.0 && u300.range.high < 70.0);
        let msl = Style::conventional(&variable("msl"), Level::Surface).unwrap();
        assert_eq!((msl.range.low, msl.range.high), (97_000.0, 105_000.0));
    }

    #[test]
    fn every_known_variable_has_an_ordered_range_on_every_kind_of_level() {
        let values: Vec<f32> = (0..1000).map(|i| 280.0 + 0.01 * i as f32).collect();
        let levels = [
            Level::Surface,
            Level::Pressure(0.01),
            Level::Pressure(1100.0),
            Level::Pressure(613.7),
            Level::Height(100.0),
            Level::Model(7),
        ];
        for known in KNOWN_VARIABLES {
            for level in levels {
                let style = Style::from_values(&known.into(), level, &values);
                assert!(style.range.low < style.range.high, "{} {level} {style:?}", known.name);
            }
        }
    }

    #[test]
    fn data_decide_where_there_is_no_convention() {
        assert!(Style::conventional(&variable("sp"), Level::Surface).is_none());
        let mut values: Vec<f32> = (0..=1000).map(|i| 98_030.0 + 5.0 * i as f32).collect();
        values.extend([f32::NAN, f32::INFINITY]);
        let style = Style::from_values(&variable("sp"), Level::Surface, &values);
        assert_eq!((style.range.low, style.range.high), (98_000.0, 103_500.0));
        let unknown = Variable::new("dust", "", "dust", "kg m-3");
        for values in [vec![], vec![f32::NAN], vec![3.0; 9], vec![0.0; 9], vec![-f32::MAX, f32::MAX]] {
            let style = Style::from_values(&unknown, Level::Surface, &values);
            assert!(style.range.low < style.range.high, "{values:?} {style:?}");
        }
    }

    #[test]
    fn steps_are_those_that_people_choose() {
        for (at_least, expected) in [(0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (21.0, 50.0), (60.0, 100.0)] {
            assert!((nice_step(at_least) - expected).abs() < 1e-9, "{at_least}");
        }
    }
}
