//! Keys and values of a request: names in any case, coordinates in the order that version and system of reference want.

use std::collections::HashMap;
use std::sync::Arc;

use super::exception::{Code, Exception};
use crate::atmos::{Level, ReferenceTime, ValidTime};
use crate::serve::catalog::{Forecast, Whose};
use crate::serve::error::Error;
use crate::serve::names::{ForecastName, quoted};
use crate::serve::select::{self, Column, Selection, Violations};
use crate::serve::state::Shared;
use crate::tile::Raster;

/// Pixels along an edge: as large as any screen.
pub const MOST_PIXELS: usize = 4096;
/// The level that a layer shows by itself, where it has it.
const USUAL: Level = Level::Pressure(500.0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V130,
    V111,
}

pub struct Keys(HashMap<String, String>);

impl Keys {
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Empty where it is not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The newest where none is asked for; the older for everything that is older than the newest.
    pub fn version(&self) -> Version {
        let asked = [self.text("version"), self.text("wmtver")].into_iter().find(|text| !text.is_empty());
        if asked.is_some_and(|text| text < "1.3.0") { Version::V111 } else { Version::V130 }
    }

    pub fn number<T: std::str::FromStr>(&self, code: Code, name: &'static str) -> Result<T, Exception> {
        let text = self.text(name);
        text.parse().map_err(|_| Exception::invalid(code, name, format!("{} is no number", quoted(text))))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Result<(usize, usize), Exception> {
        let size = |name: &'static str| -> Result<usize, Exception> {
            let pixels: usize = self.number(Code::None, name)?;
            if (1..=MOST_PIXELS).contains(&pixels) {
                return Ok(pixels);
            }
            Err(Exception::invalid(Code::None, name, format!("{pixels} is outside 1 to {MOST_PIXELS}")))
        };
        Ok((size("width")?, size("height")?))
    }

    /// The window and its pixels.
    pub fn raster(&self, version: Version) -> Result<Raster, Exception> {
        let (width, height) = self.size()?;
        let text = self.text("bbox");
        let numbers: Vec<f64> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        let &[a, b, c, d] = &numbers[..] else {
            return Err(Exception::invalid(Code::None, "bbox", format!("{} is no list of four numbers", quoted(text))));
        };
        if !(a < c && b < d && numbers.iter().all(|number| number.is_finite())) {
            return Err(Exception::invalid(Code::None, "bbox", format!("{} encloses nothing", quoted(text))));
        }
        let name = if version == Version::V130 { "crs" } else { "srs" };
        match (&*self.text(name).to_ascii_uppercase(), version) {
            // latitude first, as EPSG has it
            ("EPSG:4326", Version::V130) => Ok(Raster::plate_carree([b, a, d, c], width, height)),
            ("CRS:84", _) | ("EPSG:4326", Version::V111) => Ok(Raster::plate_carree([a, b, c, d], width, height)),
            ("EPSG:3857" | "EPSG:900913", _) => Ok(Raster::web_mercator([a, b, c, d], width, height)),
            (other, _) => {
                let what = format!("{} is not known; expected EPSG:4326, EPSG:3857 or CRS:84", quoted(other));
                Err(Exception::invalid(Code::InvalidCrs, name_of(version), what))
            }
        }
    }

    /// The field that a layer shows at the dimensions of the request, and what was taken by default.
    pub async fn field(&self, state: &Shared, layer: &str) -> Result<Field, Exception> {
        let undefined = |what: String| Exception::invalid(Code::LayerNotDefined, "layers", what);
        let wrong = |name, text: &str, expected: &str| {
            let what = format!("{} is not there; expected {expected}", quoted(text));
            Exception::invalid(Code::InvalidDimensionValue, name, what)
        };
        let parts = layer.split_once(':');
        let (model, variable) =
            parts.ok_or_else(|| undefined(format!("{} is no layer; expected model:variable", quoted(layer))))?;
        let latest = ForecastName::from_id(&format!("{model}~latest"))
            .map_err(|_| undefined(format!("{} names no model", quoted(layer))))?;
        let mut defaults = Vec::new();
        let reference = match self.text("dim_reference_time") {
            "" => None,
            text => Some(text.parse::<ReferenceTime>().map_err(|_| wrong("dim_reference_time", text, "a time"))?),
        };
        let name = reference.map_or(latest, |time| ForecastName::From(model.to_owned(), time));
        let forecast = match state.catalog.open(&name).await {
            Ok(forecast) => forecast,
            Err(error @ Error::NotFound { .. }) => {
                let code = if reference.is_some() { Code::InvalidDimensionValue } else { Code::LayerNotDefined };
                return Err(Exception::new(code, error));
            }
            Err(error) => return Err(error.into()),
        };
        let whose = Whose::parse(self.text("dim_member"));
        if whose.is_none() {
            defaults.extend(forecast.reader.member().map(|member| format!("DIM_MEMBER={member}")));
        }
        let forecast = forecast.of(whose).map_err(|error| Exception::new(Code::InvalidDimensionValue, error))?;
        let spec = forecast.reader.spec();
        if reference.is_none() {
            defaults.push(format!("DIM_REFERENCE_TIME={}", iso(spec.reference_time.valid())));
        }
        let offer = select::find_variable(&forecast.offers, variable)
            .map_err(|violation| Exception::new(Code::LayerNotDefined, violation.into()))?;
        let level = match self.text("elevation") {
            _ if offer.levels[0].dimension().is_none() => offer.levels[0],
            "" => {
                let level = default_level(&offer.levels);
                defaults.push(format!("ELEVATION={} {}", level.value(), level.units()));
                level
            }
            text => {
                let value = text.parse::<f64>().ok();
                let found = offer.levels.iter().find(|level| Some(level.value()) == value);
                *found.ok_or_else(|| wrong("elevation", text, &select::listed(&offer.levels)))?
            }
        };
        let step = match self.text("time") {
            "" => {
                defaults.push(format!("TIME={}", iso(spec.reference_time.valid())));
                0
            }
            text => {
                let time: ValidTime = text.parse().map_err(|_| wrong("time", text, "one time"))?;
                let found = spec.lead_times.iter().position(|&lead| spec.reference_time + lead == time);
                let listed = || select::listed(spec.lead_times.iter().map(|&lead| spec.reference_time + lead));
                found.ok_or_else(|| wrong("time", text, &listed()))?
            }
        };
        let lead = Ok(spec.lead_times[step]);
        let level = level.to_string();
        let selection = select::field(&forecast, variable, &level, lead, Violations::default())
            .map_err(|error| Exception::new(Code::InvalidDimensionValue, error))?;
        Ok(Field { selection, defaults, forecast })
    }
}

fn name_of(version: Version) -> &'static str {
    if version == Version::V130 { "crs" } else { "srs" }
}

/// A layer at a time.
pub struct Field {
    pub forecast: Arc<Forecast>,
    pub selection: Selection,
    /// Dimensions that the request left out, with what they became.
    pub defaults: Vec<String>,
}

impl Field {
    pub fn column(&self) -> &Column {
        &self.selection.column
    }
}

/// Of a vertical, 500 hPa where it is there.
pub fn default_level(levels: &[Level]) -> Level {
    if levels.contains(&USUAL) { USUAL } else { levels[0] }
}

/// As WMS writes times.
pub fn iso(time: ValidTime) -> String {
    time.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Keys::new(text.split('&').filter_map(pair).collect())
    }

    #[test]
    fn the_order_of_coordinates_is_what_version_and_system_want() {
        let degrees = Raster::plate_carree([0.0, 50.0, 10.0, 60.0], 20, 10);
        for text in [
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=50,0,60,10",
            "version=1.3.0&crs=CRS:84&bbox=0,50,10,60",
            "VERSION=1.1.1&SRS=EPSG:4326&BBOX=0,50,10,60",
        ] {
            let keys = keys(&format!("{text}&WIDTH=20&Height=10"));
            assert_eq!(keys.raster(keys.version()).ok(), Some(degrees.clone()), "{text}");
        }
        for text in [
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=50,0,60,10&WIDTH=20",
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=60,0,50,10&WIDTH=20&HEIGHT=10",
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=50,0,60,10&WIDTH=20&HEIGHT=0",
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=50,0,60,10&WIDTH=20&HEIGHT=99999",
            "VERSION=1.3.0&CRS=EPSG:25832&BBOX=50,0,60,10&WIDTH=20&HEIGHT=10",
            "VERSION=1.3.0&CRS=EPSG:4326&BBOX=NaN,0,60,10&WIDTH=20&HEIGHT=10",
        ] {
            let keys = keys(text);
            assert!(keys.raster(keys.version()).is_err(), "{text}");
        }
    }
}
