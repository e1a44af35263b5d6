//! Unit conversion: UDUNITS spellings of the quantities that we know.

use crate::atmos::Variable;

/// `ours = found × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    pub scale: f64,
    pub offset: f64,
}

impl Conversion {
    pub const NONE: Self = Self { scale: 1.0, offset: 0.0 };

    pub fn apply(self, value: f64) -> f64 {
        value * self.scale + self.offset
    }
}

/// Standard gravity in m s-2 (WMO), which makes geopotential of geopotential height.
pub const GRAVITY: f64 = 9.806_65;

/// Other units: name, scale, offset.
type Spelling = (&'static str, f64, f64);

/// Canonical units, then the other units of the same quantity with `ours = found × scale + offset`, all spelled as
/// [`normal_form`] spells them; where it leaves several words that are one name, without the blanks.
#[rustfmt::skip]
const UNITS: &[(&str, &[Spelling])] = &[
    ("k", &[("degk", 1.0, 0.0), ("degreesk", 1.0, 0.0), ("degreek", 1.0, 0.0),
            ("c", 1.0, 273.15), ("degc", 1.0, 273.15), ("celsius", 1.0, 273.15), ("°c", 1.0, 273.15), ("degreecelsius", 1.0, 273.15),
            ("degreescelsius", 1.0, 273.15), ("degcelsius", 1.0, 273.15), ("degreec", 1.0, 273.15), ("degreesc", 1.0, 273.15),
            ("degf", 5.0 / 9.0, 459.67 * 5.0 / 9.0), ("fahrenheit", 5.0 / 9.0, 459.67 * 5.0 / 9.0), ("°f", 5.0 / 9.0, 459.67 * 5.0 / 9.0)]),
    ("pa", &[("hpa", 100.0, 0.0), ("mb", 100.0, 0.0), ("mbar", 100.0, 0.0), ("mbars", 100.0, 0.0), ("millibar", 100.0, 0.0), ("millibars", 100.0, 0.0),
             ("bar", 1e5, 0.0), ("kpa", 1e3, 0.0), ("n m-2", 1.0, 0.0)]),
    ("m s-1", &[("km h-1", 1.0 / 3.6, 0.0), ("cm s-1", 0.01, 0.0),
                ("kn", 1852.0 / 3600.0, 0.0), ("kt", 1852.0 / 3600.0, 0.0), ("kts", 1852.0 / 3600.0, 0.0), ("knot", 1852.0 / 3600.0, 0.0), ("knots", 1852.0 / 3600.0, 0.0)]),
    ("pa s-1", &[("hpa s-1", 100.0, 0.0), ("mb s-1", 100.0, 0.0)]),
    ("m2 s-2", &[("j kg-1", 1.0, 0.0), ("m", GRAVITY, 0.0), ("gpm", GRAVITY, 0.0), ("geopotentialm", GRAVITY, 0.0), ("geopotentialmeter", GRAVITY, 0.0),
                 ("gpdm", 10.0 * GRAVITY, 0.0), ("gpdam", 10.0 * GRAVITY, 0.0), ("dam", 10.0 * GRAVITY, 0.0)]),
    ("kg kg-1", &[("1", 1.0, 0.0), ("g kg-1", 1e-3, 0.0), ("g g-1", 1.0, 0.0), ("mg kg-1", 1e-6, 0.0)]),
    ("1", &[("", 1.0, 0.0), ("%", 0.01, 0.0), ("0-1", 1.0, 0.0), ("(0-1)", 1.0, 0.0), ("fraction", 1.0, 0.0), ("dimensionless", 1.0, 0.0), ("unitless", 1.0, 0.0), ("none", 1.0, 0.0)]),
    ("kg m-2", &[("mm", 1.0, 0.0), ("m", 1000.0, 0.0), ("mofwaterequivalent", 1000.0, 0.0), ("cm", 10.0, 0.0)]),
    ("kg m-2 s-1", &[("mm s-1", 1.0, 0.0), ("mm h-1", 1.0 / 3600.0, 0.0), ("mm day-1", 1.0 / 86_400.0, 0.0), ("m s-1", 1000.0, 0.0),
                     ("kg m-2 h-1", 1.0 / 3600.0, 0.0), ("kg m-2 day-1", 1.0 / 86_400.0, 0.0)]),
    ("m", &[("km", 1e3, 0.0), ("gpm", 1.0, 0.0), ("geopotentialm", 1.0, 0.0), ("ft", 0.3048, 0.0)]),
    ("s-1", &[("1 s-1", 1.0, 0.0)]),
    ("j m-2", &[("w s m-2", 1.0, 0.0), ("kj m-2", 1e3, 0.0)]),
    ("w m-2", &[("j m-2 s-1", 1.0, 0.0)]),
    ("k m2 kg-1 s-1", &[("pvu", 1e-6, 0.0)]),
];

/// Words for units, and their symbols.
const SYMBOLS: &[(&[&str], &str)] = &[
    (&["meter", "meters", "metre", "metres"], "m"),
    (&["kilometer", "kilometers", "kilometre", "kilometres"], "km"),
    (&["millimeter", "millimeters", "millimetre", "millimetres"], "mm"),
    (&["sec", "secs", "second", "seconds"], "s"),
    (&["hr", "hrs", "hour", "hours"], "h"),
    (&["d", "days"], "day"),
    (&["kelvin", "kelvins"], "k"),
    (&["pascal", "pascals"], "pa"),
    (&["hectopascal", "hectopascals"], "hpa"),
    (&["kilogram", "kilograms"], "kg"),
    (&["gram", "grams", "gm", "gms"], "g"),
    (&["joule", "joules"], "j"),
    (&["watt", "watts"], "w"),
    (&["percent"], "%"),
];

/// Units in one spelling: lower case, symbols, `a b-1`, no `**`, `^`, `.`, `*`, `/`, brackets or underscores.
fn normal_form(units: &str) -> String {
    let text = units.trim().to_lowercase().replace("**", "").replace(" per ", "/");
    let text = text.replace(['^', '_', '{', '}'], "").replace(['.', '*', '·'], " ");
    let mut words = Vec::new();
    for (i, part) in text.split('/').enumerate() {
        for (j, word) in part.split_whitespace().enumerate() {
            let split = word.find(|c: char| c.is_ascii_digit() || c == '-').unwrap_or(word.len());
            let (name, power) = word.split_at(split);
            let name = SYMBOLS.iter().find(|(names, _)| names.contains(&name)).map_or(name, |(_, symbol)| symbol);
            // what follows a slash is divided by: s → s-1, m2 → m-2
            words.push(match power {
                "" if i > 0 && j == 0 => format!("{name}-1"),
                power if i > 0 && j == 0 && !power.starts_with('-') => format!("{name}-{power}"),
                power => format!("{name}{power}"),
            });
        }
    }
    words.join(" ")
}

/// Whether both are products of the same factors.
fn same_factors(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        words.sort();
        words
    };
    one == other || (one.len() == other.len() && sorted(one) == sorted(other))
}

/// How values in the units `found` become values in the units `ours`, `None` where they cannot.
pub fn conversion(found: &str, ours: &str) -> Option<Conversion> {
    let (found, ours) = (normal_form(found), normal_form(ours));
    if same_factors(&found, &ours) {
        return Some(Conversion::NONE);
    }
    let (_, others) = UNITS.iter().find(|(canonical, _)| *canonical == ours)?;
    // "degrees Celsius": spaces within a name do not separate factors
    let joined = found.replace(' ', "");
    let (_, scale, offset) = others.iter().find(|(name, ..)| *name == found || *name == joined)?;
    Some(Conversion { scale: *scale, offset: *offset })
}

/// The same for a variable: a depth of liquid water is a mass per area, too, at 1000 kg m-3.
pub fn conversion_to(found: &str, wanted: &Variable) -> Option<Conversion> {
    let depth = || {
        let is_depth = wanted.standard_name.starts_with("lwe_thickness_of_") && &*wanted.units == "m";
        let mass = conversion(found, "kg m-2").filter(|_| is_depth)?;
        Some(Conversion { scale: mass.scale * 1e-3, offset: mass.offset * 1e-3 })
    };
    conversion(found, &wanted.units).or_else(depth)
}

/// The spellings that [`conversion`] knows for these units, for messages.
pub fn accepted(ours: &str) -> String {
    let normal = normal_form(ours);
    let others =
        UNITS.iter().find(|(canonical, _)| *canonical == normal).map(|(_, others)| *others).unwrap_or_default();
    let names: Vec<&str> = others.iter().map(|(name, ..)| *name).filter(|name| !name.is_empty()).take(6).collect();
    if names.is_empty() { ours.to_owned() } else { format!("{ours}, or one of {}, …", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_conversions() {
        for (found, ours, value, expected) in [
            ("K", "K", 1.0, 1.0),
            ("degC", "K", 0.0, 273.15),
            ("degrees Celsius", "K", 10.0, 283.15),
            ("degF", "K", 32.0, 273.15),
            ("millibar", "Pa", 1013.0, 101_300.0),
            ("m s**-1", "m s-1", 3.0, 3.0),
            ("m/s", "m s-1", 3.0, 3.0),
            ("m.s-1", "m s-1", 3.0, 3.0),
            ("m s^-1", "m s-1", 3.0, 3.0),
            ("m s^{-1}", "m s-1", 3.0, 3.0),
            ("meter/sec", "m s-1", 3.0, 3.0),
            ("metres per second", "m s-1", 3.0, 3.0),
            ("s-1 m", "m s-1", 3.0, 3.0),
            ("Kelvin", "K", 3.0, 3.0),
            ("K m**2 kg**-1 s**-1", "K m2 kg-1 s-1", 3.0, 3.0),
            ("K kg-1 m2 s-1", "K m2 kg-1 s-1", 3.0, 3.0),
            ("kg m**-2 day**-1", "kg m-2 s-1", 86_400.0, 1.0),
            ("geopotential meters", "m2 s-2", 1.0, 9.806_65),
            ("m of water equivalent", "kg m-2", 1.0, 1000.0),
            ("grams/kg", "kg kg-1", 1.0, 0.001),
            ("watts/meter2", "W m-2", 2.0, 2.0),
            ("knots", "m s-1", 3600.0, 1852.0),
            ("m**2 s**-2", "m2 s-2", 5.0, 5.0),
            ("m2/s2", "m2 s-2", 5.0, 5.0),
            ("gpm", "m2 s-2", 1.0, 9.806_65),
            ("kg/kg", "kg kg-1", 0.1, 0.1),
            ("g/kg", "kg kg-1", 1.0, 0.001),
            ("%", "1", 50.0, 0.5),
            ("(0 - 1)", "1", 0.5, 0.5),
            ("mm/day", "kg m-2 s-1", 86_400.0, 1.0),
            ("kg m**-2 s**-1", "kg m-2 s-1", 2.0, 2.0),
        ] {
            let conversion = conversion(found, ours).unwrap_or_else(|| panic!("{found} → {ours}"));
            assert!((conversion.apply(value) - expected).abs() < 1e-9, "{found} → {ours}");
        }
        let depth = Variable::new("tp", "lwe_thickness_of_precipitation_amount", "", "m");
        for (found, expected) in [("m", 2.0), ("kg m-2", 0.002), ("mm", 0.002)] {
            assert_eq!(conversion_to(found, &depth).unwrap().apply(2.0), expected);
        }
        assert_eq!(conversion_to("kg m-2", &Variable::new("orog", "surface_altitude", "", "m")), None);
        for (found, ours) in [("Pa", "K"), ("furlong", "m"), ("", "K"), ("m", "Pa"), ("s", "m s-1")] {
            assert_eq!(conversion(found, ours), None, "{found} → {ours}");
        }
    }
}
