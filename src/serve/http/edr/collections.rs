//! What there is, as OGC API - EDR 1.1 describes it (<https://docs.ogc.org/is/19-086r6/19-086r6.html>, clause 7 and annex C):
//! a collection is a model, an instance is a run.

use serde_json::{Map, Value, json};

use super::answer::rfc3339;
use super::covjson::standard_name;
use super::request::{Format, Kind};
use crate::atmos::{Axes, Grid, Level};
use crate::serve::catalog::Forecast;
use crate::serve::derived::Offer;

/// Well-known text of CRS84.
const CRS84: &str = r#"GEOGCS["WGS 84 (CRS84)",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AXIS["Longitude",EAST],AXIS["Latitude",NORTH],AUTHORITY["OGC","CRS84"]]"#;
/// The calendar, as the standard's examples write it.
const CALENDAR: &str =
    r#"TIMECRS["DateTime",TDATUM["Gregorian Calendar"],CS[TemporalDateTime,1],AXIS["Time (T)",future]]"#;

pub const CONFORMANCE: [&str; 16] = [
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/collections",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/json",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/covjson",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/html",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/queries",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/instances",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/png",
];

/// A link; JSON unless it says otherwise.
pub fn link(href: String, rel: &str, title: &str) -> Value {
    json!({ "href": href, "rel": rel, "type": "application/json", "title": title })
}

pub fn landing(base: &str) -> Value {
    let mut page = link(format!("{base}/api"), "service-doc", "The interface for people");
    page["type"] = "text/html".into();
    let mut api = link(format!("{base}/api"), "service-desc", "The interface");
    api["type"] = "application/vnd.oai.openapi+json;version=3.0".into();
    json!({
        "title": "vejr",
        "description": "Forecasts of machine-learning weather models",
        "links": [
            link(format!("{base}/?f=json"), "self", "This page"),
            api,
            page,
            link(format!("{base}/conformance"), "conformance", "Conformance classes"),
            link(format!("{base}/collections"), "data", "Models with forecasts"),
            link(format!("{base}/tileMatrixSets"), "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes", "Tile matrix sets"),
        ],
    })
}

/// A collection (of the model, as its latest run has it), or an instance (of one run).
pub fn describe(base: &str, forecast: &Forecast, instance: Option<&str>) -> Value {
    let model = &forecast.path.model;
    let manifest = forecast.manifest();
    let collection = format!("{base}/collections/{model}");
    let path = match instance {
        Some(id) => format!("{collection}/instances/{id}"),
        None => collection.clone(),
    };
    let spec = forecast.reader.spec();
    let mut queries = Map::new();
    for kind in Kind::ALL {
        queries.insert(kind.name().to_owned(), query(&path, kind, forecast));
    }
    let mut links = vec![link(path.clone(), "self", "This document")];
    let reference = rfc3339(manifest.reference_time.valid());
    match instance {
        None => {
            let href = format!("{collection}/instances");
            links.push(link(href.clone(), "instances", "Runs of the model"));
            links.push(link(format!("{path}/position"), "data", "Values"));
            let run = manifest.reference_time.utc().format("%Y-%m-%dT%H%M%SZ");
            links.push(link(format!("{href}/{run}"), "latest-version", "The latest run, which answers here"));
            let mut query = link(href, "data", "Runs of the model");
            query["variables"] = json!({ "query_type": "instances", "title": "Runs of the model" });
            queries.insert("instances".to_owned(), json!({ "link": query }));
        }
        Some(_) => links.push(link(collection, "collection", "The model")),
    }
    let projected = matches!(spec.grid.axes(), Axes::Projected { .. });
    let parameters: Map<String, Value> =
        forecast.offers.iter().map(|offer| (offer.variable.name.to_string(), parameter(offer))).collect();
    json!({
        "id": instance.unwrap_or(model),
        "title": if instance.is_some() { format!("{} from {reference}", manifest.title) } else { manifest.title.clone() },
        "description": format!(
            "{}. Values are those of run {}, {} of {} steps of which are published.",
            spec.grid, forecast.name(), manifest.steps_complete, manifest.steps_total
        ),
        "keywords": ["forecast", "weather", model],
        "links": links,
        "extent": extent(forecast),
        "data_queries": queries,
        "crs": if projected { vec!["CRS84", "native"] } else { vec!["CRS84"] },
        "output_formats": Format::ALL.map(Format::name),
        "parameter_names": parameters,
    })
}

fn query(path: &str, kind: Kind, forecast: &Forecast) -> Value {
    let title = match kind {
        Kind::Position => "The grid points nearest to a POINT or MULTIPOINT",
        Kind::Area => "The grid points in a POLYGON or MULTIPOLYGON",
        Kind::Cube => "The grid points in a box",
        Kind::Trajectory => "The grid points nearest to the positions of a LINESTRING or LINESTRINGM",
    };
    let mut variables = json!({
        "title": title,
        "query_type": kind.name(),
        "output_formats": Format::ALL.map(Format::name),
        "default_output_format": Format::CoverageJson.name(),
        "crs_details": [{ "crs": "CRS84", "wkt": CRS84 }],
    });
    if kind == Kind::Cube {
        let levels = forecast.offers.iter().flat_map(|offer| &offer.levels).filter(|level| level.dimension().is_some());
        let mut units: Vec<&str> = levels.map(Level::units).collect();
        units.sort_unstable();
        units.dedup();
        variables["height_units"] = units.into();
    }
    let mut link = link(format!("{path}/{}", kind.name()), "data", title);
    link["variables"] = variables;
    json!({ "link": link })
}

fn parameter(offer: &Offer) -> Value {
    let variable = &offer.variable;
    let label = if variable.long_name.is_empty() { &variable.name } else { &variable.long_name };
    let mut property = json!({ "label": label });
    if !variable.standard_name.is_empty() {
        property["id"] = standard_name(&variable.standard_name).into();
    }
    json!({
        "type": "Parameter",
        "id": variable.name,
        "description": label,
        "data-type": "float",
        "unit": {
            "label": variable.units,
            "symbol": { "value": variable.units, "type": "https://www.unidata.ucar.edu/software/udunits/" },
        },
        "observedProperty": property,
        "vejr:levels": offer.levels.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "vejr:derived": offer.is_derived(),
    })
}

fn extent(forecast: &Forecast) -> Value {
    let spec = forecast.reader.spec();
    let times = forecast.reader.published_leads().iter().map(|&lead| rfc3339(spec.reference_time + lead));
    let times: Vec<String> = times.collect();
    let ends = [times.first(), times.last()];
    let mut extent = json!({
        "spatial": { "bbox": [bounds(&spec.grid)], "crs": "CRS84" },
        "temporal": { "interval": [ends], "values": times, "trs": CALENDAR },
    });
    // of the first vertical that there is; the others stand with the parameters
    let mut vertical: Vec<Level> = forecast
        .offers
        .iter()
        .flat_map(|offer| &offer.levels)
        .filter(|level| level.dimension().is_some())
        .copied()
        .collect();
    if let Some(kind) = vertical.first().and_then(Level::dimension) {
        vertical.retain(|level| level.dimension() == Some(kind));
        vertical.sort_unstable();
        vertical.dedup();
        let values: Vec<String> = vertical.iter().map(|level| level.value().to_string()).collect();
        extent["vertical"] = json!({
            "interval": [[values.first(), values.last()]],
            "values": values,
            "vrs": format!("VERTCRS[\"{kind}\",VDATUM[\"{kind}\"],CS[vertical,1],AXIS[\"{kind}\",{}]]",
                if kind == "height" { "up" } else { "down" }),
        });
    }
    extent
}

/// West, south, east, north with longitudes in -180..180; west of east means across the date line.
pub fn bounds(grid: &Grid) -> [f64; 4] {
    let [west, south, east, north] = grid.bounds();
    if grid.is_global_in_longitude() {
        return [-180.0, south, 180.0, north];
    }
    let half_turn = |degrees: f64| {
        if (-180.0..=180.0).contains(&degrees) { degrees } else { (degrees + 180.0).rem_euclid(360.0) - 180.0 }
    };
    [half_turn(west), south, half_turn(east), north]
}
