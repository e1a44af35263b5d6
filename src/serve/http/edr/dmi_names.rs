//! Parameters as DMI's open data call them, so that its clients find them under the names that they know.

use crate::serve::derived::Offer;

/// DMI's name, ours in the order of preference, and the units that DMI gives where they are not CF's.
type Alias = (&'static str, &'static [&'static str], Option<&'static str>);

#[rustfmt::skip]
const ALIASES: &[Alias] = &[
    ("temperature-2m",          &["t2m"],                      None),
    ("temperature-0m",          &["skt"],                      None),
    ("dew-point-temperature-2m", &["d2m"],                     None),
    ("relative-humidity-2m",    &["r2m"],                      Some("%")),
    ("wind-speed-10m",          &["si10", "ws10m"],            None),
    ("wind-dir-10m",            &["wdir10", "wdir10m"],        None),
    ("wind-speed-100m",         &["si100", "ws100m"],          None),
    ("wind-dir-100m",           &["wdir100", "wdir100m"],      None),
    ("gust-wind-speed-10m",     &["fg10"],                     None),
    ("pressure-sealevel",       &["msl", "pres_seasurface"],   None),
    ("pressure-surface",        &["sp", "pres0m"],             None),
    ("total-precipitation",     &["tp"],                       Some("kg m-2")),
    ("fraction-of-cloud-cover", &["tcc"],                      None),
];

/// What is offered under DMI's name, and in which units.
pub fn find<'a>(name: &str, offers: &'a [Offer]) -> Option<(&'a Offer, Option<&'static str>)> {
    let (_, names, units) = ALIASES.iter().find(|(alias, ..)| *alias == name)?;
    let offer = names.iter().find_map(|name| offers.iter().find(|offer| *offer.variable.name == **name))?;
    Some((offer, *units))
}
