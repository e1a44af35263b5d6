//! Answers as lists of places: GeoJSON (RFC 7946) and CSV. Each row or feature is one place at one time and level; parameters
//! without levels and those with some have rows of their own.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Group, Values, origin, rfc3339};
use crate::atmos::{Level, ValidTime};
use crate::serve::error::Error;
use crate::serve::places::Crs;

/// One place at one time and level.
struct Row<'a> {
    time: ValidTime,
    level: Option<&'a Level>,
    x: f64,
    y: f64,
    group: usize,
    parameters: &'a [Values],
    /// Where in the parameters' values.
    index: usize,
}

impl Row<'_> {
    fn value(&self, values: &Values) -> Option<f32> {
        Some(values.values[self.index]).filter(|value| value.is_finite())
    }
}

/// Times first, then levels, then places.
fn rows(answer: &Answer) -> impl Iterator<Item = Row<'_>> {
    let positions = answer.places.positions();
    let places = answer.places.len();
    let times: &[ValidTime] = if answer.path.is_some() { &answer.times[..1] } else { &answer.times };
    let groups = answer.groups.iter().enumerate();
    groups.flat_map(move |(number, group)| {
        let positions = positions.clone();
        times.iter().enumerate().flat_map(move |(t, &time)| {
            let positions = positions.clone();
            group.levels.iter().enumerate().flat_map(move |(l, level)| {
                positions.clone().into_iter().map(move |(place, (x, y))| Row {
                    time: answer.path.as_ref().map_or(time, |path| path[place]),
                    level: Some(level).filter(|_| group.is_vertical()),
                    x,
                    y,
                    group: number,
                    parameters: &group.parameters,
                    index: (t * group.levels.len() + l) * places + place,
                })
            })
        })
    })
}

/// Degrees east in -180..180 for features and rows, whose order means nothing.
fn longitude(answer: &Answer, x: f64) -> f64 {
    if answer.crs == Crs::Native || (-180.0..=180.0).contains(&x) { x } else { (x + 180.0).rem_euclid(360.0) - 180.0 }
}

/// `step` is the valid time, as DMI's clients read it.
pub fn geojson(answer: &Answer) -> Result<Vec<u8>, Error> {
    let features: Vec<Value> = rows(answer)
        .map(|row| {
            let mut properties = Map::new();
            properties.insert("step".to_owned(), row.time.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into());
            if let Some(level) = row.level {
                properties.insert("level".to_owned(), level.to_string().into());
            }
            for values in row.parameters {
                properties.insert(values.name.clone(), row.value(values).map_or(Value::Null, number));
            }
            let point = json!({ "type": "Point", "coordinates": [longitude(answer, row.x), row.y] });
            json!({ "type": "Feature", "geometry": point, "properties": properties })
        })
        .collect();
    let units: Map<String, Value> = answer
        .groups
        .iter()
        .flat_map(|group| &group.parameters)
        .map(|v| (v.name.clone(), v.units.clone().into()))
        .collect();
    let mut collection = json!({
        "type": "FeatureCollection",
        "features": [],
        "numberReturned": features.len(),
        "units": units,
        "vejr:run": origin(&answer.forecast),
    });
    collection["features"] = features.into();
    serde_json::to_vec(&collection).map_err(|error| Error::Internal(error.to_string()))
}

/// The shortest decimal that is this float32.
fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// One header line; units stand in brackets behind the parameters' names. What a row has not is empty.
pub fn csv(answer: &Answer) -> Vec<u8> {
    let vertical = answer.groups.iter().any(Group::is_vertical);
    let reference_time = rfc3339(answer.forecast.manifest().reference_time.valid());
    let [x, y] = if answer.crs == Crs::Native { ["x", "y"] } else { ["longitude", "latitude"] };
    let mut text = format!("reference_time,datetime,{x},{y}");
    if vertical {
        text.push_str(",level");
    }
    for values in answer.groups.iter().flat_map(|group| &group.parameters) {
        // names are a store's, units are checked: a comma or a quote is in neither, but units may come from a request
        let _ = write!(text, ",{}", quoted(&format!("{} [{}]", values.name, values.units)));
    }
    text.push_str("\r\n");
    for row in rows(answer) {
        // writing to a string does not fail
        let _ = write!(text, "{reference_time},{},{},{}", rfc3339(row.time), longitude(answer, row.x), row.y);
        if vertical {
            text.push(',');
            text.extend(row.level.map(ToString::to_string));
        }
        for (number, group) in answer.groups.iter().enumerate() {
            for values in &group.parameters {
                text.push(',');
                if let Some(value) = Some(number).filter(|&number| number == row.group).and_then(|_| row.value(values))
                {
                    let _ = write!(text, "{value}");
                }
            }
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// RFC 4180.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
