//! What a forecast offers: the variables that it stores, and those that follow from them.
//!
//! | derived | from | is |
//! |---|---|---|
//! | `si10`, `si100`, `ws`, … | both components of a wind | its speed |
//! | `wdir10`, `wdir100`, `wdir`, … | the same; winds along a grid's axes are turned to east and north | where it comes from |
//! | `r` | `t`, `q` on pressure levels | relative humidity over water |
//! | `r2m` | `t2m` and `d2m`, or `t2m`, `q2m` and `sp` | the same |
//! | `dpt` | `q`, or `t` and `r`, on pressure levels | dew point |
//! | `d2m` | `t2m` and `r2m`, or `q2m` and `sp` | the same |
//! | `tp_step` | `tp`, where its long name says `since the start of the forecast` | the amount since the step before; missing at the analysis |
//! | `thick` | `z` | thickness between 1000 hPa and the level |
//!
//! A name that the forecast stores itself is the stored one. Names are ECMWF's short names as NetCDF spells them, where it has
//! one. Values are derived where they are asked for: at a point, or at a tile's pixels, from the inputs there.

mod formulas;

use crate::atmos::{Level, Variable};
use crate::store::{Manifest, Output};

/// Standard gravity, m s-2 (WMO).
const GRAVITY: f64 = 9.806_65;
/// What the long name of an amount says that grows with the lead time.
const SINCE_START: &str = "since the start of the forecast";
/// The lower level of a thickness, hPa.
const LOWER: Level = Level::Pressure(1000.0);

/// How a value follows from those of the inputs, in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// The one input.
    Stored,
    /// East, north.
    WindSpeed,
    /// East, north.
    WindFromDirection,
    /// Temperature, specific humidity; at a pressure in Pa.
    RelativeHumidity { pressure: f64 },
    /// Temperature, dew point.
    RelativeHumidityOfDewPoint,
    /// Temperature, specific humidity, pressure.
    RelativeHumidityAtPressure,
    /// Specific humidity; at a pressure in Pa.
    DewPoint { pressure: f64 },
    /// Temperature, relative humidity.
    DewPointOfRelativeHumidity,
    /// Specific humidity, pressure.
    DewPointAtPressure,
    /// An amount since the start, now and at the step before.
    PerStep,
    /// Geopotential above, below.
    Thickness,
}

impl Quantity {
    /// The derived values; every input has as many as the first.
    pub fn combine(self, mut inputs: Vec<Vec<f32>>) -> Vec<f32> {
        if self == Self::Stored || inputs.len() < 2 {
            let mut only = inputs.pop().unwrap_or_default();
            if self != Self::Stored {
                only.iter_mut().for_each(|value| *value = self.value(&[*value]));
            }
            return only;
        }
        let mut point = vec![0f32; inputs.len()];
        let count = inputs[0].len();
        let mut values = Vec::with_capacity(count);
        for n in 0..count {
            for (value, input) in point.iter_mut().zip(&inputs) {
                *value = input[n];
            }
            values.push(self.value(&point));
        }
        values
    }

    fn value(self, inputs: &[f32]) -> f32 {
        use formulas::{dew_point, saturation, vapour_pressure, wind_from_direction};
        let at = |n: usize| f64::from(inputs.get(n).copied().unwrap_or(f32::NAN));
        let value = match self {
            Self::Stored => at(0),
            Self::WindSpeed => at(0).hypot(at(1)),
            Self::WindFromDirection => wind_from_direction(at(0), at(1)),
            Self::RelativeHumidity { pressure } => vapour_pressure(at(1), pressure) / saturation(at(0)),
            Self::RelativeHumidityOfDewPoint => saturation(at(1)) / saturation(at(0)),
            Self::RelativeHumidityAtPressure => vapour_pressure(at(1), at(2)) / saturation(at(0)),
            Self::DewPoint { pressure } => dew_point(vapour_pressure(at(0), pressure)),
            Self::DewPointOfRelativeHumidity => dew_point(at(1) * saturation(at(0))),
            Self::DewPointAtPressure => dew_point(vapour_pressure(at(0), at(1))),
            Self::PerStep => at(0) - at(1),
            Self::Thickness => (at(0) - at(1)) / GRAVITY,
        };
        value as f32
    }

    /// Whether the inputs are a wind whose components must be those towards east and north.
    pub fn needs_true_wind(self) -> bool {
        self == Self::WindFromDirection
    }
}

/// A stored field that a value follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Positions in the forecast's outputs, and among that output's levels.
    pub output: usize,
    pub level: usize,
    /// Of the step before.
    pub before: bool,
}

/// Where the values of one variable on one level come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub quantity: Quantity,
    pub inputs: Vec<Input>,
    /// The inputs are components along the grid's axes.
    pub along_axes: bool,
}

/// A variable on its levels, stored or derived.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub variable: Variable,
    pub levels: Vec<Level>,
    /// One per level.
    recipes: Vec<Recipe>,
}

impl Offer {
    /// The recipe of the level with this position in [`Self::levels`].
    pub fn recipe(&self, level: usize) -> &Recipe {
        &self.recipes[level]
    }

    pub fn is_derived(&self) -> bool {
        self.recipes.iter().any(|recipe| recipe.quantity != Quantity::Stored)
    }
}

/// All that a forecast with these outputs offers: those first, in their order.
pub fn offers(outputs: &[Output]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = outputs.iter().enumerate().map(|(output, found)| stored(output, found)).collect();
    let shelf = Shelf { outputs };
    let derived = shelf.winds().into_iter().chain(shelf.humidities()).chain(shelf.amounts()).chain(shelf.thickness());
    for offer in derived {
        // the first that can be made of a name
        if !offer.levels.is_empty() && offers.iter().all(|other| other.variable.name != offer.variable.name) {
            offers.push(offer);
        }
    }
    offers
}

/// The same of what is made of an ensemble's members, under the variables' own names. `made` is all of it; derived variables
/// do not follow from it.
pub fn offers_of_statistic(offers: &[Offer], made: &[Output], statistic: &str) -> Vec<Offer> {
    let of = |offer: &Offer| {
        let name = format!("{}_{statistic}", offer.variable.name);
        let output = made.iter().position(|output| *output.variable.name == *name)?;
        let found = stored(output, &made[output]);
        let own = &offer.variable;
        // a fraction of the members is no value of the variable
        let is_value = found.variable.standard_name == own.standard_name && found.variable.units == own.units;
        let variable =
            if is_value { own.clone() } else { Variable { name: own.name.clone(), ..found.variable.clone() } };
        Some(Offer { variable, ..found })
    };
    offers.iter().filter(|offer| !offer.is_derived()).filter_map(of).collect()
}

/// The same of a manifest; levels that are none are refused where data are read.
pub fn offers_of(manifest: &Manifest) -> Vec<Offer> {
    let outputs = manifest.outputs.iter().map(|record| Output {
        variable: Variable::new(&record.name, &record.standard_name, &record.long_name, &record.units),
        levels: record.levels.iter().filter_map(|level| level.parse().ok()).collect(),
        precision: record.precision,
        range: record.range,
    });
    offers(&outputs.collect::<Vec<_>>())
}

fn stored(output: usize, found: &Output) -> Offer {
    let recipe = |level| Recipe {
        quantity: Quantity::Stored,
        inputs: vec![Input { output, level, before: false }],
        along_axes: false,
    };
    Offer {
        variable: found.variable.clone(),
        levels: found.levels.clone(),
        recipes: (0..found.levels.len()).map(recipe).collect(),
    }
}

/// What there is to derive from.
struct Shelf<'a> {
    outputs: &'a [Output],
}

impl Shelf<'_> {
    /// By name, where the standard name is one of these.
    fn find(&self, name: &str, standard_names: &[&str]) -> Option<usize> {
        self.outputs.iter().position(|output| {
            *output.variable.name == *name && standard_names.contains(&&*output.variable.standard_name)
        })
    }

    /// The variable on every level that all of `parts` have, if they are in the same vertical.
    fn derive(&self, variable: Variable, parts: &[usize], quantity: impl Fn(Level) -> Option<Quantity>) -> Offer {
        let mut offer = Offer { variable, levels: Vec::new(), recipes: Vec::new() };
        let Some((&first, others)) = parts.split_first() else { return offer };
        for (index, &level) in self.outputs[first].levels.iter().enumerate() {
            let input = |output: usize, level| Input { output, level, before: false };
            let beside = others.iter().map(|&output| {
                let index = self.outputs[output].levels.iter().position(|&other| other == level)?;
                Some(input(output, index))
            });
            let inputs: Option<Vec<Input>> = std::iter::once(Some(input(first, index))).chain(beside).collect();
            if let (Some(inputs), Some(quantity)) = (inputs, quantity(level)) {
                offer.levels.push(level);
                offer.recipes.push(Recipe { quantity, inputs, along_axes: false });
            }
        }
        offer
    }

    /// Components are named `u` and `v` with the same ending: `u10`, `v10`.
    fn winds(&self) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (east, output) in self.outputs.iter().enumerate() {
            let partner = match &*output.variable.standard_name {
                "eastward_wind" => "northward_wind",
                "x_wind" => "y_wind",
                _ => continue,
            };
            let Some(ending) = output.variable.name.strip_prefix('u') else { continue };
            let Some(north) = self.find(&format!("v{ending}"), &[partner]) else { continue };
            let is_height = !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_digit());
            let speed = if is_height { format!("si{ending}") } else { format!("ws{ending}") };
            let kind = output.variable.long_name.replace("eastward ", "").replace(" (along the grid)", "");
            let kind = if kind.contains("wind") { kind } else { format!("wind {ending}") };
            for (name, standard_name, what, units, quantity) in [
                (speed, "wind_speed", "speed", "m s-1", Quantity::WindSpeed),
                (format!("wdir{ending}"), "wind_from_direction", "direction", "degree", Quantity::WindFromDirection),
            ] {
                let variable = Variable::new(&name, standard_name, &format!("{kind} {what}"), units);
                let mut offer = self.derive(variable, &[east, north], |_| Some(quantity));
                let along_axes = partner == "y_wind";
                offer.recipes.iter_mut().for_each(|recipe| recipe.along_axes = along_axes);
                offers.push(offer);
            }
        }
        offers
    }

    fn humidities(&self) -> Vec<Offer> {
        let temperature = &["air_temperature"][..];
        let find = |name, standard_name| self.find(name, &[standard_name]);
        let (t, q, r) = (self.find("t", temperature), find("q", "specific_humidity"), find("r", "relative_humidity"));
        let t2m = self.find("t2m", temperature);
        let q2m = find("q2m", "specific_humidity");
        let r2m = find("r2m", "relative_humidity");
        let d2m = find("d2m", "dew_point_temperature");
        let sp = find("sp", "surface_air_pressure");
        let pascal = |level: Level| match level {
            Level::Pressure(hpa) => Some(hpa * 100.0),
            _ => None,
        };
        let relative = |name, long| Variable::new(name, "relative_humidity", long, "1");
        let dew = |name, long| Variable::new(name, "dew_point_temperature", long, "K");
        let mut offers = Vec::new();
        let mut add = |variable: Variable, parts: &[Option<usize>], quantity: &dyn Fn(Level) -> Option<Quantity>| {
            if let Some(parts) = parts.iter().copied().collect::<Option<Vec<usize>>>() {
                offers.push(self.derive(variable, &parts, quantity));
            }
        };
        let fixed = |quantity: Quantity| move |_: Level| Some(quantity);
        add(relative("r", "relative humidity"), &[t, q], &|level| {
            Some(Quantity::RelativeHumidity { pressure: pascal(level)? })
        });
        let near = "2 m relative humidity";
        add(relative("r2m", near), &[t2m, d2m], &fixed(Quantity::RelativeHumidityOfDewPoint));
        add(relative("r2m", near), &[t2m, q2m, sp], &fixed(Quantity::RelativeHumidityAtPressure));
        add(dew("dpt", "dew point"), &[q], &|level| Some(Quantity::DewPoint { pressure: pascal(level)? }));
        add(dew("dpt", "dew point"), &[t, r], &fixed(Quantity::DewPointOfRelativeHumidity));
        add(dew("d2m", "2 m dew point"), &[t2m, r2m], &fixed(Quantity::DewPointOfRelativeHumidity));
        add(dew("d2m", "2 m dew point"), &[q2m, sp], &fixed(Quantity::DewPointAtPressure));
        offers
    }

    /// ECMWF's `tp` is the amount since the start of the forecast, ERA5's and GraphCast's that of the last hours: only the long
    /// name tells, and without it nothing is derived.
    fn amounts(&self) -> Option<Offer> {
        let total = self.find("tp", &["precipitation_amount", "lwe_thickness_of_precipitation_amount"])?;
        let of = &self.outputs[total].variable;
        if !of.long_name.contains(SINCE_START) {
            return None;
        }
        let variable = Variable::new("tp_step", &of.standard_name, "precipitation since the step before", &of.units);
        let mut offer = self.derive(variable, &[total, total], |_| Some(Quantity::PerStep));
        offer.recipes.iter_mut().for_each(|recipe| recipe.inputs[1].before = true);
        Some(offer)
    }

    fn thickness(&self) -> Option<Offer> {
        let z = self.find("z", &["geopotential"])?;
        let lower = self.outputs[z].levels.iter().position(|&level| level == LOWER)?;
        let standard_name = "atmosphere_layer_thickness_expressed_as_geopotential_height_difference";
        let variable = Variable::new("thick", standard_name, "thickness above 1000 hPa", "m");
        let above =
            |level: Level| (level < LOWER && level.dimension() == LOWER.dimension()).then_some(Quantity::Thickness);
        let mut offer = self.derive(variable, &[z], above);
        offer.recipes.iter_mut().for_each(|recipe| {
            recipe.inputs.push(Input { output: z, level: lower, before: false });
        });
        Some(offer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str, standard_name: &str, levels: &[Level]) -> Output {
        let variable = Variable::new(name, standard_name, name, "");
        Output { variable, levels: levels.to_vec(), precision: 1.0, range: (0.0, 1.0) }
    }

    fn total(long_name: &str) -> Output {
        let mut output = output("tp", "precipitation_amount", &[Level::Surface]);
        output.variable.long_name = long_name.into();
        output
    }

    fn find<'a>(offers: &'a [Offer], name: &str) -> &'a Offer {
        offers.iter().find(|offer| &*offer.variable.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn what_follows_is_offered_on_the_levels_where_all_inputs_are() {
        let (high, low) = (Level::Pressure(500.0), Level::Pressure(1000.0));
        let offers = offers(&[
            output("u", "eastward_wind", &[high, low]),
            output("v", "northward_wind", &[low]),
            output("u10", "x_wind", &[Level::Surface]),
            output("v10", "y_wind", &[Level::Surface]),
            output("z", "geopotential", &[low, high]),
            output("t2m", "air_temperature", &[Level::Surface]),
            output("d2m", "dew_point_temperature", &[Level::Surface]),
            total("total precipitation since the start of the forecast"),
            output("u100", "eastward_wind", &[Level::Surface]),
        ]);
        assert_eq!(find(&offers, "ws").levels, [low]);
        assert_eq!(find(&offers, "thick").levels, [high]);
        let direction = find(&offers, "wdir10").recipe(0);
        assert!(direction.along_axes && direction.quantity.needs_true_wind());
        assert!(find(&offers, "tp_step").recipe(0).inputs[1].before);
        assert_eq!(find(&offers, "r2m").recipe(0).quantity, Quantity::RelativeHumidityOfDewPoint);
        // over the last six hours, for all that the name says
        let offered = super::offers(&[total("total precipitation")]);
        assert_eq!(offered.len(), 1);
        // stored, so not derived; and without its partner
        assert!(!find(&offers, "d2m").is_derived());
        assert!(offers.iter().all(|offer| &*offer.variable.name != "si100"));
        let names: std::collections::HashSet<_> = offers.iter().map(|offer| offer.variable.name.clone()).collect();
        assert_eq!(names.len(), offers.len());
    }

    #[test]
    fn values_are_combined_point_by_point_and_missing_ones_stay_missing() {
        let combine = |quantity: Quantity, inputs: &[&[f32]]| {
            quantity.combine(inputs.iter().map(|values| values.to_vec()).collect())
        };
        assert_eq!(combine(Quantity::Stored, &[&[1.0, 2.0]]), [1.0, 2.0]);
        let speed = combine(Quantity::WindSpeed, &[&[3.0, f32::NAN], &[4.0, 1.0]]);
        assert!(speed[0] == 5.0 && speed[1].is_nan());
        assert_eq!(combine(Quantity::PerStep, &[&[3.5], &[1.0]]), [2.5]);
        // 5400 gpm between 1000 and 500 hPa: the rain-snow line
        let z = (5400.0 * GRAVITY) as f32;
        assert!((combine(Quantity::Thickness, &[&[z + 100.0], &[100.0]])[0] - 5400.0).abs() < 0.01);
        let dew = combine(Quantity::DewPoint { pressure: 100_000.0 }, &[&[0.0]]);
        assert!(dew[0].is_nan());
    }
}
