//! Messages of one quantity → an array, with coordinates that tell what its dimensions are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eccodes::GribMessage;

use super::grid::{Horizontal, attributes};
use super::header::Header;
use super::{Data, Made, Place};
use crate::ingest::dataset::{Array, Attribute, Attributes, Dimension, ElementType};

/// The messages of a file, sorted.
#[derive(Default)]
pub struct Cubes {
    grids: BTreeMap<String, Result<Arc<Horizontal>, String>>,
    /// Quantities in the order of the file, and where each is among them.
    quantities: Vec<Quantity>,
    known: BTreeMap<Key, usize>,
    count: usize,
}

/// What the messages of a quantity have in common: name, kind of level, kind of step, grid and units.
type Key = [String; 5];

/// Messages that differ in member, time and level alone.
struct Quantity {
    messages: Vec<(Header, Place)>,
}

/// How levels of a type are called.
struct Vertical {
    /// The end of an array's name, where the quantity is there on other levels too. The lexicon knows these.
    ending: &'static str,
    /// Coordinate, its standard name and units; none where the level is one by itself.
    axis: Option<(&'static str, &'static str, &'static str)>,
    /// Values of the coordinate are those of the messages times this.
    scale: f64,
}

fn vertical(level_type: &str) -> Option<Vertical> {
    let (ending, axis, scale) = match level_type {
        "isobaricInhPa" => ("isobaric", Some(("isobaric", "air_pressure", "hPa")), 1.0),
        "isobaricInPa" => ("isobaric", Some(("isobaric", "air_pressure", "hPa")), 0.01),
        "heightAboveGround" => ("height_above_ground", Some(("height_above_ground", "height", "m")), 1.0),
        "hybrid" => ("hybrid", Some(("hybrid", "model_level_number", "1")), 1.0),
        "surface" => ("surface", None, 1.0),
        "meanSea" => ("msl", None, 1.0),
        "entireAtmosphere" | "atmosphere" | "atmosphereSingleLayer" | "nominalTop" => ("column", None, 1.0),
        _ => return None,
    };
    Some(Vertical { ending, axis, scale })
}

impl Cubes {
    /// The grid of a message, unless it is known already.
    pub fn look_at_grid(&mut self, grid: &str, message: &GribMessage) {
        self.grids.entry(grid.to_owned()).or_insert_with(|| Horizontal::of(message).map(Arc::new));
    }

    /// How many were added.
    pub fn messages(&self) -> usize {
        self.count
    }

    pub fn add(&mut self, header: Header, place: Place) {
        self.count += 1;
        let ending = vertical(&header.level_type).map_or(header.level_type.as_str(), |vertical| vertical.ending);
        let key = [&header.name, ending, &header.step_type, &header.grid, &header.units].map(str::to_owned);
        let place_among = *self.known.entry(key).or_insert(self.quantities.len());
        match self.quantities.get_mut(place_among) {
            Some(quantity) => quantity.messages.push((header, place)),
            None => self.quantities.push(Quantity { messages: vec![(header, place)] }),
        }
    }

    pub fn finish(self) -> Made {
        let mut made = Made::default();
        let names = names(&self.quantities);
        for (quantity, name) in self.quantities.into_iter().zip(names) {
            match self.grids.get(&quantity.messages[0].0.grid) {
                Some(Ok(horizontal)) => made.quantity(quantity, name, horizontal),
                Some(Err(reason)) => made.unreadable(&quantity, name, reason.clone()),
                None => made.unreadable(&quantity, name, "a message without a grid".to_owned()),
            }
        }
        made
    }
}

/// A name for each quantity: the short name where that is enough, else with what tells it from the others.
fn names(quantities: &[Quantity]) -> Vec<String> {
    let plain = |header: &Header| header.name.clone();
    let by_level = |header: &Header| match vertical(&header.level_type) {
        Some(vertical) => format!("{}_{}", header.name, vertical.ending),
        None => format!("{}_{}", header.name, header.level_type),
    };
    let by_step = |header: &Header| format!("{}_{}", by_level(header), header.step_type);
    let of = |name: &dyn Fn(&Header) -> String| -> Vec<String> {
        quantities.iter().map(|quantity| name(&quantity.messages[0].0)).collect()
    };
    let (plain, by_level, by_step) = (of(&plain), of(&by_level), of(&by_step));
    let once = |names: &[String], n: usize| names.iter().filter(|name| **name == names[n]).count() == 1;
    (0..quantities.len())
        .map(|n| {
            let known = vertical(&quantities[n].messages[0].0.level_type).is_some();
            match () {
                // what lies on other kinds of levels is no quantity that the lexicon knows by this name
                () if known && once(&plain, n) => plain[n].clone(),
                () if once(&by_level, n) => by_level[n].clone(),
                () if once(&by_step, n) => by_step[n].clone(),
                () => format!("{}_{}", by_step[n], quantities[n].messages[0].0.number),
            }
        })
        .collect()
}

impl Made {
    /// A coordinate array along `dimension` (or alone); one with the same numbers is taken again. Its name.
    fn coordinate(&mut self, name: &str, along: Option<&str>, attributes: Attributes, values: Vec<f64>) -> String {
        let same = |array: &Array| array.attributes == attributes && self.coordinates.get(&array.name) == Some(&values);
        let of_this_name = |array: &&Array| array.name == name || array.name.starts_with(&format!("{name}_"));
        if along.is_none()
            && let Some(known) = self.arrays.iter().filter(of_this_name).find(|array| same(array))
        {
            return known.name.clone();
        }
        let name = self.free_name(name);
        let dimension = Dimension { name: along.unwrap_or(&name).to_owned(), length: values.len() };
        if along.is_none() {
            self.dimensions.push(dimension.clone());
        }
        self.arrays.push(Array {
            name: name.clone(),
            dimensions: vec![dimension],
            kind: ElementType::F64,
            attributes,
            chunks: None,
            present: None,
            unreadable: None,
        });
        self.coordinates.insert(name.clone(), values);
        name
    }

    fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| self.arrays.iter().any(|array| array.name == name);
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    fn quantity(&mut self, quantity: Quantity, name: String, horizontal: &Arc<Horizontal>) {
        let axes = Axes::of(&quantity);
        let mut fields = BTreeMap::new();
        for (header, place) in &quantity.messages {
            if fields.insert(axes.place(header), place.clone()).is_some() {
                let reason = format!("the same field twice, the second time in message {}", header.number);
                return self.unreadable(&quantity, name, reason);
            }
        }
        let mut dimensions: Vec<Dimension> = Vec::new();
        for axis in &axes.0 {
            let name = self.coordinate(axis.name, None, axis.attributes.clone(), axis.values.clone());
            dimensions.push(Dimension { name, length: axis.values.len() });
        }
        let leading = dimensions.len();
        let (own, named) = self.horizontal(horizontal);
        dimensions.extend(own);
        let all = dimensions[..leading].iter().try_fold(1usize, |all, dimension| all.checked_mul(dimension.length));
        let present = (all != Some(fields.len())).then(|| fields.keys().cloned().collect());
        let header = &quantity.messages[0].0;
        let mut attributes = describe(header, horizontal);
        named.into_iter().for_each(|(name, value)| attributes.insert(name, Attribute::Text(value)));
        let bases: BTreeSet<i64> = quantity.messages.iter().map(|(header, _)| header.reference_time).collect();
        if let ([only], false) = (Vec::from_iter(bases).as_slice(), axes.0.iter().any(|axis| axis.name == BASE.0)) {
            let name = self.coordinate(BASE.0, None, self::attributes(BASE.1), vec![*only as f64]);
            attributes.insert("coordinates", Attribute::Text(name));
        }
        let chunk = |(d, dimension): (usize, &Dimension)| if d < leading { 1 } else { dimension.length };
        self.arrays.push(Array {
            name: name.clone(),
            chunks: Some(dimensions.iter().enumerate().map(chunk).collect()),
            present,
            dimensions,
            kind: ElementType::F32,
            attributes,
            unreadable: None,
        });
        self.data.insert(name, Data { horizontal: horizontal.clone(), fields });
    }

    /// Dimensions of a grid, and the attributes of data on it.
    fn horizontal(&mut self, horizontal: &Horizontal) -> (Vec<Dimension>, Vec<(&'static str, String)>) {
        let mut attributes = Vec::new();
        if horizontal.dimensions.len() == 1 {
            // places: a dimension of their own, with latitudes and longitudes along it
            let known = self.arrays.iter().find(|array| {
                array.dimensions.len() == 1
                    && self.coordinates.get(&array.name) == Some(&horizontal.coordinates[0].values)
            });
            let dimension = match known {
                Some(known) => known.dimensions[0].clone(),
                None => {
                    let name = self.free_name("place");
                    let dimension = Dimension { name: name.clone(), length: horizontal.dimensions[0].length };
                    self.dimensions.push(dimension.clone());
                    for coordinate in &horizontal.coordinates {
                        let (attributes, values) = (coordinate.attributes.clone(), coordinate.values.clone());
                        self.coordinate(coordinate.name, Some(&name), attributes, values);
                    }
                    dimension
                }
            };
            return (vec![dimension], attributes);
        }
        if let Some(mapping) = &horizontal.mapping {
            attributes.push(("grid_mapping", self.mapping(mapping)));
        }
        let dimensions = horizontal.coordinates.iter().map(|coordinate| {
            let (attributes, values) = (coordinate.attributes.clone(), coordinate.values.clone());
            let length = values.len();
            Dimension { name: self.coordinate(coordinate.name, None, attributes, values), length }
        });
        (dimensions.collect(), attributes)
    }

    /// The array that describes a projection.
    fn mapping(&mut self, mapping: &Attributes) -> String {
        if let Some(known) = self.arrays.iter().find(|array| array.attributes == *mapping) {
            return known.name.clone();
        }
        let name = self.free_name("projection");
        self.arrays.push(Array {
            name: name.clone(),
            dimensions: Vec::new(),
            kind: ElementType::F64,
            attributes: mapping.clone(),
            chunks: None,
            present: None,
            unreadable: None,
        });
        self.coordinates.insert(name.clone(), vec![0.0]);
        name
    }

    /// A quantity of which only its name is told, and why.
    fn unreadable(&mut self, quantity: &Quantity, name: String, reason: String) {
        let dimension = Dimension { name: format!("fields_of_{name}"), length: quantity.messages.len() };
        self.arrays.push(Array {
            name,
            dimensions: vec![dimension],
            kind: ElementType::F32,
            attributes: Attributes::default(),
            chunks: None,
            present: None,
            unreadable: Some(reason),
        });
    }
}

/// Name and attributes of the times that forecasts started from.
const BASE: (&str, &[(&str, &str)]) =
    ("reference_time", &[("standard_name", "forecast_reference_time"), ("units", "seconds since 1970-01-01")]);

/// One of the dimensions before a field's own.
struct Axis {
    name: &'static str,
    attributes: Attributes,
    values: Vec<f64>,
    of: Box<dyn Fn(&Header) -> f64>,
}

struct Axes(Vec<Axis>);

impl Axes {
    fn of(quantity: &Quantity) -> Self {
        let headers = || quantity.messages.iter().map(|(header, _)| header);
        let mut axes = Vec::new();
        let mut add = |name, pairs: &[(&str, &str)], values: Vec<f64>, of: Box<dyn Fn(&Header) -> f64>| {
            axes.push(Axis { name, attributes: attributes(pairs), values, of });
        };
        let sorted = |of: &dyn Fn(&Header) -> i64| -> Vec<f64> {
            let all: BTreeSet<i64> = headers().map(of).collect();
            all.into_iter().map(|value| value as f64).collect()
        };
        let members = sorted(&|header| header.member);
        if members.len() > 1 {
            add("number", &[("standard_name", "realization"), ("units", "1")], members, Box::new(|h| h.member as f64));
        }
        let runs: BTreeSet<(i64, i64)> = headers().map(|header| (header.reference_time, header.valid_time)).collect();
        let valid = sorted(&|header| header.valid_time);
        if runs.len() == valid.len() {
            let times = [("standard_name", "time"), ("units", "seconds since 1970-01-01")];
            add("time", &times, valid, Box::new(|h| h.valid_time as f64));
        } else {
            let bases = sorted(&|header| header.reference_time);
            let steps = sorted(&|header| header.valid_time - header.reference_time);
            add(BASE.0, BASE.1, bases, Box::new(|h| h.reference_time as f64));
            let step = [("standard_name", "forecast_period"), ("units", "seconds")];
            add("step", &step, steps, Box::new(|h| (h.valid_time - h.reference_time) as f64));
        }
        // levels as they come
        let mut levels: Vec<f64> = Vec::new();
        for level in headers().map(level_of) {
            if !levels.contains(&level) {
                levels.push(level);
            }
        }
        let own_type = quantity.messages[0].0.level_type.as_str();
        match vertical(own_type).map(|vertical| vertical.axis) {
            Some(Some((name, standard_name, units))) => {
                add(name, &[("standard_name", standard_name), ("units", units)], levels, Box::new(level_of));
            }
            _ if levels.len() > 1 => {
                let long_name = format!("level of type {own_type}");
                add("level", &[("long_name", &long_name), ("axis", "Z")], levels, Box::new(level_of));
            }
            _ => {}
        }
        Self(axes)
    }

    fn place(&self, header: &Header) -> Vec<usize> {
        let place = |axis: &Axis| {
            let value = (axis.of)(header);
            axis.values.iter().position(|other| *other == value).unwrap_or_default()
        };
        self.0.iter().map(place).collect()
    }
}

fn level_of(header: &Header) -> f64 {
    header.level * vertical(&header.level_type).map_or(1.0, |vertical| vertical.scale)
}

fn describe(header: &Header, horizontal: &Horizontal) -> Attributes {
    let mut found = Attributes::default();
    let mut say = |name: &str, text: &str| {
        if !text.is_empty() {
            found.insert(name, Attribute::Text(text.to_owned()));
        }
    };
    // a name says more than it means on levels of another kind
    if vertical(&header.level_type).is_some() {
        say(
            "standard_name",
            match header.standard_name.as_str() {
                "eastward_wind" if horizontal.along_axes && horizontal.mapping.is_some() => "x_wind",
                "northward_wind" if horizontal.along_axes && horizontal.mapping.is_some() => "y_wind",
                other => other,
            },
        );
    }
    say("long_name", &header.long_name);
    say("units", &header.units);
    say(
        "cell_methods",
        match header.step_type.as_str() {
            "accum" => "time: sum",
            "avg" => "time: mean",
            "max" => "time: maximum",
            "min" => "time: minimum",
            _ => "",
        },
    );
    found
}
