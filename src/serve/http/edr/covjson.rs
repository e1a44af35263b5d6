//! CoverageJSON 1.0, OGC 21-069r2 (<https://docs.ogc.org/cs/21-069r2/21-069r2.html>).
//!
//! A point is a `PointSeries`, or a `Grid` of one by one where there are several levels; an area is a `Grid`; points one by one
//! are a `MultiPointSeries` per level. Parameters on other levels make other coverages of a collection. Beyond the standard,
//! `vejr:run` names the run.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Group, Values, origin, rfc3339};
use crate::atmos::Level;
use crate::serve::error::Error;
use crate::serve::places::{Crs, Places};

/// Numbers, `null` where missing.
pub struct Floats<'a>(pub Vec<&'a [f32]>);

impl Serialize for Floats<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for value in self.0.iter().copied().flatten() {
            sequence.serialize_element(&Some(value).filter(|value| value.is_finite()))?;
        }
        sequence.end()
    }
}

#[derive(Serialize)]
struct Coverage<'a> {
    r#type: &'static str,
    id: String,
    domain: Value,
    parameters: Map<String, Value>,
    ranges: std::collections::BTreeMap<&'a str, NdArray<'a>>,
    #[serde(rename = "vejr:run")]
    run: std::collections::BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct NdArray<'a> {
    r#type: &'static str,
    #[serde(rename = "dataType")]
    data_type: &'static str,
    #[serde(rename = "axisNames")]
    axis_names: Vec<&'static str>,
    shape: Vec<usize>,
    values: Floats<'a>,
}

#[derive(Serialize)]
struct Collection<'a> {
    r#type: &'static str,
    coverages: Vec<Coverage<'a>>,
}

pub fn encode(answer: &Answer) -> Result<Vec<u8>, Error> {
    let mut coverages: Vec<Coverage> = answer.groups.iter().flat_map(|group| of_group(answer, group)).collect();
    let text = match coverages.pop() {
        Some(only) if coverages.is_empty() => serde_json::to_vec(&only),
        last => {
            coverages.extend(last);
            serde_json::to_vec(&Collection { r#type: "CoverageCollection", coverages })
        }
    };
    text.map_err(|error| Error::Internal(error.to_string()))
}

fn of_group<'a>(answer: &'a Answer, group: &'a Group) -> Vec<Coverage<'a>> {
    let one_by_one = match &answer.places {
        Places::Spots(spots) => spots.len() > 1 || answer.path.is_some(),
        Places::Lattice { .. } => false,
    };
    if one_by_one {
        return (0..group.levels.len()).map(|level| points(answer, group, level)).collect();
    }
    let (x, y) = axes(&answer.places);
    let times: Vec<String> = answer.times.iter().map(|&time| rfc3339(time)).collect();
    let mut names = vec!["t", "y", "x"];
    let mut shape = vec![times.len(), y.len(), x.len()];
    let single = matches!(answer.places, Places::Spots(_)) && group.levels.len() == 1;
    let mut axes = json!({ "x": { "values": x }, "y": { "values": y }, "t": { "values": times } });
    if group.is_vertical() {
        axes["z"] = json!({ "values": group.levels.iter().map(Level::value).collect::<Vec<_>>() });
        names.insert(1, "z");
        shape.insert(1, group.levels.len());
    }
    let domain = json!({
        "type": "Domain",
        "domainType": if single { "PointSeries" } else { "Grid" },
        "axes": axes,
        "referencing": referencing(answer, group),
    });
    let ranges = group
        .parameters
        .iter()
        .map(|values| (&*values.name, NdArray::new(names.clone(), shape.clone(), Floats(vec![&values.values]))));
    vec![coverage(answer, group, domain, ranges.collect())]
}

/// A list of points at one level; of a trajectory each has a time of its own.
fn points<'a>(answer: &'a Answer, group: &'a Group, level: usize) -> Coverage<'a> {
    let Places::Spots(spots) = &answer.places else { return coverage(answer, group, Value::Null, Default::default()) };
    let z = group.is_vertical().then(|| group.levels[level].value());
    let tuples: Vec<Vec<Value>> = spots
        .iter()
        .enumerate()
        .map(|(n, spot)| {
            let time = answer.path.as_ref().map(|path| Value::from(rfc3339(path[n])));
            time.into_iter().chain([spot.x.into(), spot.y.into()]).chain(z.map(Value::from)).collect()
        })
        .collect();
    let mut coordinates = vec!["x", "y"];
    if answer.path.is_some() {
        coordinates.insert(0, "t");
    }
    if z.is_some() {
        coordinates.push("z");
    }
    let mut axes = json!({ "composite": { "dataType": "tuple", "coordinates": coordinates, "values": tuples } });
    let (domain_type, names, shape) = match answer.path {
        Some(_) => ("Trajectory", vec!["composite"], vec![spots.len()]),
        None => {
            let times: Vec<String> = answer.times.iter().map(|&time| rfc3339(time)).collect();
            axes["t"] = json!({ "values": times });
            ("MultiPointSeries", vec!["t", "composite"], vec![answer.times.len(), spots.len()])
        }
    };
    let domain = json!({
        "type": "Domain",
        "domainType": domain_type,
        "axes": axes,
        "referencing": referencing(answer, group),
    });
    // of [time, level, place] this level
    let part = |values: &'a Values| {
        let places = spots.len();
        let of_time = values.values.chunks_exact(places * group.levels.len());
        of_time.map(|time| &time[level * places..][..places]).collect::<Vec<_>>()
    };
    let ranges = group
        .parameters
        .iter()
        .map(|values| (&*values.name, NdArray::new(names.clone(), shape.clone(), Floats(part(values)))));
    coverage(answer, group, domain, ranges.collect())
}

fn coverage<'a>(
    answer: &Answer,
    group: &Group,
    domain: Value,
    ranges: std::collections::BTreeMap<&'a str, NdArray<'a>>,
) -> Coverage<'a> {
    Coverage {
        r#type: "Coverage",
        id: answer.forecast.name(),
        domain,
        parameters: group.parameters.iter().map(|values| (values.name.clone(), parameter(values))).collect(),
        ranges,
        run: origin(&answer.forecast),
    }
}

impl<'a> NdArray<'a> {
    fn new(axis_names: Vec<&'static str>, shape: Vec<usize>, values: Floats<'a>) -> Self {
        Self { r#type: "NdArray", data_type: "float", axis_names, shape, values }
    }
}

fn axes(places: &Places) -> (Vec<f64>, Vec<f64>) {
    match places {
        Places::Spots(spots) => spots.iter().map(|spot| (spot.x, spot.y)).unzip(),
        Places::Lattice { x, y, .. } => (x.clone(), y.clone()),
    }
}

fn parameter(values: &Values) -> Value {
    let variable = &values.variable;
    let label = if variable.long_name.is_empty() { &variable.name } else { &variable.long_name };
    let mut property = json!({ "label": { "en": label } });
    if !variable.standard_name.is_empty() {
        property["id"] = standard_name(&variable.standard_name).into();
    }
    json!({
        "type": "Parameter",
        "description": { "en": label },
        "unit": { "symbol": values.units },
        "observedProperty": property,
    })
}

/// The identifier of a CF standard name.
pub fn standard_name(name: &str) -> String {
    format!("http://vocab.nerc.ac.uk/standard_name/{name}")
}

fn referencing(answer: &Answer, group: &Group) -> Value {
    let horizontal = match (answer.crs, answer.forecast.reader.spec().grid.projection()) {
        (Crs::Native, Some(projection)) => json!({
            "type": if projection.is_angular() { "GeographicCRS" } else { "ProjectedCRS" },
            "description": { "en": projection.to_string() },
            "cf": projection.cf_attributes().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        }),
        _ => json!({ "type": "GeographicCRS", "id": "http://www.opengis.net/def/crs/OGC/1.3/CRS84" }),
    };
    let mut systems = vec![
        json!({ "coordinates": ["x", "y"], "system": horizontal }),
        json!({ "coordinates": ["t"], "system": { "type": "TemporalRS", "calendar": "Gregorian" } }),
    ];
    if let Some(level) = group.levels.first().filter(|_| group.is_vertical()) {
        let (name, direction) = match level {
            Level::Pressure(_) => ("pressure", "down"),
            Level::Height(_) => ("height above the ground", "up"),
            Level::Model(_) | Level::Surface => ("model level", "down"),
        };
        systems.push(json!({
            "coordinates": ["z"],
            "system": {
                "type": "VerticalCRS",
                "cs": { "csAxes": [{ "name": { "en": name }, "direction": direction, "unit": { "symbol": level.units() } }] },
            },
        }));
    }
    systems.into()
}
