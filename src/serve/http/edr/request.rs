//! The query of a data request. What it leaves out is all that there is, as the standard has it: all parameters, levels and
//! published times; the answer's axes name them.

use std::sync::Arc;

use super::dimensions::{Levels, Times};
use super::dmi_names;
use super::wkt::{self, Geometry};
use crate::atmos::{Axes, Level, Variable};
use crate::serve::catalog::Forecast;
use crate::serve::derived::Offer;
use crate::serve::error::{Error, Violation};
use crate::serve::http::params::{Parameters, QueryPairs};
use crate::serve::names::quoted;
use crate::serve::places::{BoundingBox, Crs, SideError};
use crate::serve::select::{self, Column, Violations, listed};
use crate::serve::units::{Shown, Units};
use crate::store::RunState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Position,
    Area,
    Cube,
    Trajectory,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Position, Self::Area, Self::Cube, Self::Trajectory];

    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Area => "area",
            Self::Cube => "cube",
            Self::Trajectory => "trajectory",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    CoverageJson,
    GeoJson,
    NetCdf,
    Csv,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::CoverageJson, Self::GeoJson, Self::NetCdf, Self::Csv];

    pub fn name(self) -> &'static str {
        match self {
            Self::CoverageJson => "CoverageJSON",
            Self::GeoJson => "GeoJSON",
            Self::NetCdf => "NetCDF",
            Self::Csv => "CSV",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::CoverageJson => "application/vnd.cov+json",
            Self::GeoJson => "application/geo+json",
            Self::NetCdf => "application/x-netcdf",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// A variable on the levels that are asked for.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// As the request names it.
    pub name: String,
    pub variable: Variable,
    /// One per level.
    pub columns: Vec<Column>,
    pub shown: Shown,
}

impl Parameter {
    pub fn levels(&self) -> Vec<Level> {
        self.columns.iter().map(|column| column.level).collect()
    }
}

/// Where: as the kind of request says it.
#[derive(Debug, Clone)]
pub enum Where {
    Geometry(Geometry),
    Box(BoundingBox),
}

#[derive(Debug, Clone)]
pub struct Request {
    pub place: Where,
    pub parameters: Vec<Parameter>,
    /// Positions of the lead times.
    pub steps: Vec<usize>,
    pub crs: Crs,
    pub format: Format,
}

/// A key is not asked for here; clients of DMI's open data send one.
const KNOWN: [&str; 9] = ["coords", "z", "datetime", "parameter-name", "crs", "f", "units", "member", "api-key"];
const KNOWN_CUBE: [&str; 9] = ["bbox", "z", "datetime", "parameter-name", "crs", "f", "units", "member", "api-key"];

impl Request {
    /// The request, and the forecast of the member, or made of all members, that it chooses.
    pub fn read(kind: Kind, forecast: Arc<Forecast>, query: QueryPairs) -> Result<(Self, Arc<Forecast>), Error> {
        let known = if kind == Kind::Cube { &KNOWN_CUBE } else { &KNOWN };
        let parameters = Parameters::read(query, known)?;
        let forecast = forecast.of(parameters.whose())?;
        let mut violations = Violations::default();
        let crs = violations.take(crs(&forecast, parameters.text("crs")));
        let (place, box_z) = match kind {
            Kind::Cube => match violations.take(bbox(parameters.text("bbox"), crs.unwrap_or(Crs::Crs84))) {
                Some((bounds, z)) => (Some(Where::Box(bounds)), z),
                None => (None, None),
            },
            _ => (violations.take(geometry(kind, parameters.text("coords"))).map(Where::Geometry), None),
        };
        let format = violations.take(format(parameters.text("f")));
        let levels = match box_z {
            Some((low, high)) => Ok(Levels::Between(low, high)),
            None => Levels::parse(parameters.text("z")),
        };
        let levels = violations.take(levels);
        let asked = levels
            .and_then(|levels| violations.take(choose(&forecast.offers, parameters.text("parameter-name"), &levels)));
        let asked = asked.and_then(|asked| violations.take(with_units(&forecast, asked, parameters.text("units"))));
        let times = violations.take(Times::parse(parameters.text("datetime")));
        let steps = times.as_ref().and_then(|times| violations.take(times.steps(&forecast)));
        let parts = place.zip(asked).zip(steps.zip(crs.zip(format)));
        let ((place, parameters), (steps, (crs, format))) = violations.finish(parts)?;
        // only now, since what is wrong with the request will not become right by waiting
        if let Some(&step) = steps.iter().find(|&&step| step >= forecast.manifest().steps_complete) {
            return Err(not_published(&forecast, step));
        }
        Ok((Self { place, parameters, steps, crs, format }, forecast))
    }
}

fn not_published(forecast: &Forecast, step: usize) -> Error {
    let manifest = forecast.manifest();
    Error::NotPublished {
        forecast: forecast.name(),
        lead: forecast.reader.spec().lead_times[step].to_string(),
        complete: manifest.steps_complete,
        total: manifest.steps_total,
        running: manifest.state == RunState::Running,
    }
}

fn crs(forecast: &Forecast, text: &str) -> Result<Crs, Violation> {
    const CRS84: [&str; 5] = ["crs84", "ogc:crs84", "http://www.opengis.net/def/crs/ogc/1.3/crs84", "", "[ogc:crs84]"];
    let lower = text.to_ascii_lowercase();
    if CRS84.contains(&&*lower) {
        return Ok(Crs::Crs84);
    }
    match (&*lower, forecast.reader.spec().grid.axes()) {
        ("native", Axes::Projected { .. }) => Ok(Crs::Native),
        ("native", Axes::Rectilinear { .. }) => Ok(Crs::Crs84),
        ("native", Axes::None) => Err(Violation::new(
            "crs",
            "native is not known of this grid, whose points follow no projection; expected crs84",
        )),
        _ => Err(Violation::new("crs", format!("{} is not known; expected crs84 or native", quoted(text)))),
    }
}

fn format(text: &str) -> Result<Format, Violation> {
    let found = Format::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
    match (found, text) {
        (Some(format), _) => Ok(format),
        (None, "" | "json") => Ok(Format::CoverageJson),
        _ => {
            let names = Format::ALL.map(Format::name).join(", ");
            Err(Violation::new("f", format!("{} is no format; expected one of {names}", quoted(text))))
        }
    }
}

fn geometry(kind: Kind, text: &str) -> Result<Geometry, Violation> {
    let expected = match kind {
        Kind::Area => "a POLYGON or MULTIPOLYGON",
        Kind::Trajectory => "a LINESTRING, or a LINESTRINGM with seconds since 1970",
        Kind::Position | Kind::Cube => "a POINT(longitude latitude) or MULTIPOINT",
    };
    if text.is_empty() {
        return Err(Violation::missing("coords", expected));
    }
    let geometry = wkt::parse(text).map_err(|error| Violation::new("coords", error.to_string()))?;
    let fits = matches!(
        (&geometry, kind),
        (Geometry::Point(_) | Geometry::MultiPoint(_), Kind::Position)
            | (Geometry::Polygons(_), Kind::Area)
            | (Geometry::Line(_), Kind::Trajectory)
    );
    let wrong = || Violation::new("coords", format!("{} is another geometry; expected {expected}", quoted(text)));
    fits.then_some(geometry).ok_or_else(wrong)
}

type Bounds = (BoundingBox, Option<(f64, f64)>);

/// `west,south,east,north`, or with the levels between: `west,south,low,east,north,high`.
fn bbox(text: &str, crs: Crs) -> Result<Bounds, Violation> {
    const EXPECTED: &str = "west,south,east,north";
    if text.is_empty() {
        return Err(Violation::missing("bbox", EXPECTED));
    }
    let wrong = |what: &str| Violation::new("bbox", format!("{} {what}; expected {EXPECTED}", quoted(text)));
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse::<f64>()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    let numbers = numbers.ok_or_else(|| wrong("is no list of numbers"))?;
    let (sides, z) = match numbers[..] {
        [west, south, east, north] => ([west, south, east, north], None),
        [west, south, low, east, north, high] => ([west, south, east, north], Some((low.min(high), low.max(high)))),
        _ => return Err(wrong("has not four or six numbers")),
    };
    let told = |SideError { side, description }: &SideError| format!("has a wrong {}: {description}", side.name());
    let bounds = BoundingBox::new(crs, sides);
    let bounds = bounds.map_err(|errors| wrong(&errors.iter().map(told).collect::<Vec<_>>().join(", ")))?;
    Ok((bounds, z))
}

/// The parameters of a request; without names all that have the levels.
fn choose(offers: &[Offer], names: &str, levels: &Levels) -> Result<Vec<Parameter>, Violation> {
    let parameter = |name: &str, offer: &Offer, found: Vec<usize>| Parameter {
        name: name.to_owned(),
        variable: offer.variable.clone(),
        columns: found
            .into_iter()
            .map(|n| Column {
                variable: offer.variable.clone(),
                level: offer.levels[n],
                recipe: offer.recipe(n).clone(),
            })
            .collect(),
        shown: Shown::stored(&offer.variable),
    };
    let mut chosen: Vec<Parameter> = Vec::new();
    if names.trim().is_empty() {
        let all =
            offers.iter().filter_map(|offer| Some(parameter(&offer.variable.name, offer, levels.of(&offer.levels)?)));
        chosen.extend(all);
    }
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let alias = dmi_names::find(name, offers);
        let offer = match alias {
            Some((offer, _)) => offer,
            None => select::find_variable(offers, name).map_err(|v| Violation::new("parameter-name", v.description))?,
        };
        let found = levels.of(&offer.levels).ok_or_else(|| {
            let there = listed(&offer.levels);
            Violation::new("z", format!("{name} is not on the levels asked for; available: {there}"))
        })?;
        if chosen.iter().any(|other| other.name == name) {
            return Err(Violation::new("parameter-name", format!("{name} is given twice")));
        }
        let mut parameter = parameter(name, offer, found);
        if let Some(shown) = alias.and_then(|(offer, units)| Shown::of(&offer.variable, units?)) {
            parameter.shown = shown;
        }
        chosen.push(parameter);
    }
    let vertical = chosen.iter().any(|parameter| parameter.levels().iter().any(|level| level.dimension().is_some()));
    match levels {
        _ if chosen.is_empty() => Err(Violation::new("z", "no parameter is on the levels asked for")),
        Levels::These(_) | Levels::Between(..) if !vertical => {
            Err(Violation::new("z", "none of the parameters has levels; leave it out"))
        }
        _ => Ok(chosen),
    }
}

fn with_units(forecast: &Forecast, mut parameters: Vec<Parameter>, text: &str) -> Result<Vec<Parameter>, Violation> {
    let units = Units::parse(text);
    let variables: Vec<(&str, &Variable)> = parameters.iter().map(|p| (&*p.name, &p.variable)).collect();
    let shown = units.choose(&variables)?;
    for (parameter, shown) in parameters.iter_mut().zip(shown) {
        // what is not asked for stays as it is, also where an alias has its own
        if *shown.units != *parameter.variable.units {
            parameter.shown = shown;
        }
        parameter.shown = forecast.without_zero(parameter.shown.clone());
    }
    Ok(parameters)
}

/// Parameters that share their levels, in the order in which the levels first come.
pub fn by_levels(parameters: Vec<Parameter>) -> Vec<(Arc<[Level]>, Vec<Parameter>)> {
    let mut groups: Vec<(Arc<[Level]>, Vec<Parameter>)> = Vec::new();
    for parameter in parameters {
        let levels = parameter.levels();
        match groups.iter_mut().find(|(known, _)| **known == *levels) {
            Some((_, members)) => members.push(parameter),
            None => groups.push((levels.into(), vec![parameter])),
        }
    }
    groups
}
