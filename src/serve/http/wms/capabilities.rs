//! GetCapabilities: what layers there are, with their dimensions. A model is a layer around those of its variables, which take
//! over its bounds, TIME and DIM_REFERENCE_TIME.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::exception::Exception;
use super::feature::FORMATS;
use super::map::STYLE;
use super::request::{MOST_PIXELS, Version, default_level, iso};
use crate::atmos::Grid;
use crate::serve::catalog::Forecast;
use crate::serve::derived::Offer;
use crate::serve::error::Error;
use crate::serve::http::edr::{bounds, escape};
use crate::serve::names::ForecastName;
use crate::serve::state::Shared;
use crate::tile::MERCATOR_EDGE;

/// Runs that DIM_REFERENCE_TIME lists: the newest.
const RUNS: usize = 100;

struct Model {
    latest: Arc<Forecast>,
    /// Newest first.
    reference_times: Vec<String>,
}

pub async fn answer(state: &Shared, base: &str, version: Version) -> Result<Response, Exception> {
    let listing = state.catalog.list().await?;
    let mut runs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for entry in listing.iter() {
        if entry.manifest.as_ref().is_ok_and(|manifest| manifest.steps_complete > 0) {
            let times = runs.entry(&entry.path.model).or_default();
            let time = iso(entry.path.reference_time.valid());
            if times.len() < RUNS && times.last() != Some(&time) {
                times.push(time);
            }
        }
    }
    let mut models = Vec::new();
    for (model, reference_times) in runs {
        let latest = state.catalog.open(&ForecastName::Latest(model.to_owned())).await?;
        models.push(Model { latest, reference_times });
    }
    let text = write(base, version, &models).map_err(|error| Error::Internal(error.to_string()))?;
    let kind = match version {
        Version::V130 => "text/xml; charset=utf-8",
        Version::V111 => "application/vnd.ogc.wms_xml; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, text).into_response())
}

fn write(base: &str, version: Version, models: &[Model]) -> Result<String, fmt::Error> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let href = escape(&format!("{base}/wms?"));
    let resource = format!(
        "<OnlineResource xmlns:xlink=\"http://www.w3.org/1999/xlink\" xlink:type=\"simple\" xlink:href=\"{href}\"/>"
    );
    let v130 = version == Version::V130;
    if v130 {
        xml.push_str(
            "<WMS_Capabilities version=\"1.3.0\" xmlns=\"http://www.opengis.net/wms\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"http://www.opengis.net/wms \
             http://schemas.opengis.net/wms/1.3.0/capabilities_1_3_0.xsd\">\n",
        );
    } else {
        xml.push_str(
            "<!DOCTYPE WMT_MS_Capabilities SYSTEM \"http://schemas.opengis.net/wms/1.1.1/WMS_MS_Capabilities.dtd\">\n\
             <WMT_MS_Capabilities version=\"1.1.1\">\n",
        );
    }
    let name = if v130 { "WMS" } else { "OGC:WMS" };
    writeln!(xml, "<Service><Name>{name}</Name><Title>vejr</Title>")?;
    writeln!(
        xml,
        "<Abstract>Forecasts of machine-learning weather models. Times are those of each model's latest run.</Abstract>"
    )?;
    writeln!(xml, "{resource}<Fees>none</Fees><AccessConstraints>none</AccessConstraints>")?;
    if v130 {
        writeln!(
            xml,
            "<LayerLimit>8</LayerLimit><MaxWidth>{MOST_PIXELS}</MaxWidth><MaxHeight>{MOST_PIXELS}</MaxHeight>"
        )?;
    }
    writeln!(xml, "</Service>\n<Capability><Request>")?;
    let get = format!("<DCPType><HTTP><Get>{resource}</Get></HTTP></DCPType>");
    let capabilities = if v130 { "text/xml" } else { "application/vnd.ogc.wms_xml" };
    let mut operation = |name: &str, formats: &[&str]| {
        let formats: String = formats.iter().map(|format| format!("<Format>{format}</Format>")).collect();
        writeln!(xml, "<{name}>{formats}{get}</{name}>")
    };
    operation("GetCapabilities", &[capabilities])?;
    operation("GetMap", &["image/png", "image/webp"])?;
    operation("GetFeatureInfo", &FORMATS)?;
    let exceptions = if v130 {
        ["XML", "INIMAGE", "BLANK"]
    } else {
        ["application/vnd.ogc.se_xml", "application/vnd.ogc.se_inimage", "application/vnd.ogc.se_blank"]
    };
    let exceptions = exceptions.map(|format| format!("<Format>{format}</Format>")).concat();
    writeln!(xml, "</Request>\n<Exception>{exceptions}</Exception>")?;
    writeln!(xml, "<Layer><Title>vejr</Title>")?;
    let crs = if v130 { "CRS" } else { "SRS" };
    for name in ["EPSG:4326", "EPSG:3857", "CRS:84"].iter().take(if v130 { 3 } else { 2 }) {
        writeln!(xml, "<{crs}>{name}</{crs}>")?;
    }
    for model in models {
        write_model(&mut xml, &href, v130, model)?;
    }
    let root = if v130 { "WMS_Capabilities" } else { "WMT_MS_Capabilities" };
    writeln!(xml, "</Layer></Capability></{root}>")?;
    Ok(xml)
}

fn write_model(xml: &mut String, href: &str, v130: bool, model: &Model) -> fmt::Result {
    let Model { latest, reference_times } = model;
    let spec = latest.reader.spec();
    writeln!(xml, "<Layer><Title>{}</Title>", escape(&latest.manifest().title))?;
    write_bounds(xml, v130, &spec.grid)?;
    let times = latest.reader.published_leads().iter().map(|&lead| iso(spec.reference_time + lead));
    let analysis = iso(spec.reference_time.valid());
    let times = times.collect::<Vec<_>>().join(",");
    let runs = reference_times.join(",");
    let statistics = spec.statistics.iter().flat_map(|statistics| statistics.names(""));
    let members = (0..spec.members).map(|member| member.to_string()).chain(statistics);
    let (members, control) = (members.collect::<Vec<_>>().join(","), "0".to_owned());
    let mut dimensions = vec![("time", &times, &analysis), ("reference_time", &runs, &analysis)];
    if spec.is_ensemble() {
        dimensions.push(("member", &members, &control));
    }
    for &(name, values, default) in &dimensions {
        let units = if name == "member" { ("", "") } else { ("ISO8601", "") };
        write_dimension(xml, v130, name, units, default, values)?;
    }
    close_dimensions(xml, v130, &dimensions)?;
    for offer in latest.offers.iter() {
        write_layer(xml, href, v130, &latest.path.model, offer)?;
    }
    writeln!(xml, "</Layer>")
}

fn write_layer(xml: &mut String, href: &str, v130: bool, model: &str, offer: &Offer) -> fmt::Result {
    let variable = &offer.variable;
    let name = escape(&format!("{model}:{}", variable.name));
    let title = if variable.long_name.is_empty() { &variable.name } else { &variable.long_name };
    writeln!(xml, "<Layer queryable=\"1\"><Name>{name}</Name><Title>{}</Title>", escape(title))?;
    if !variable.standard_name.is_empty() {
        writeln!(xml, "<KeywordList><Keyword>{}</Keyword></KeywordList>", escape(&variable.standard_name))?;
    }
    if offer.levels[0].dimension().is_some() {
        let values: Vec<String> = offer.levels.iter().map(|level| level.value().to_string()).collect();
        let (values, default) = (values.join(","), default_level(&offer.levels).value().to_string());
        let units = offer.levels[0].units();
        write_dimension(xml, v130, "elevation", (units, units), &default, &values)?;
        close_dimensions(xml, v130, &[("elevation", &values, &default)])?;
    }
    writeln!(
        xml,
        "<Style><Name>{STYLE}</Name><Title>{STYLE}</Title><LegendURL width=\"{}\" height=\"{}\"><Format>image/png</Format>\
         <OnlineResource xmlns:xlink=\"http://www.w3.org/1999/xlink\" xlink:type=\"simple\" \
         xlink:href=\"{href}SERVICE=WMS&amp;REQUEST=GetLegendGraphic&amp;VERSION=1.3.0&amp;FORMAT=image/png&amp;LAYER={name}\"/>\
         </LegendURL></Style></Layer>",
        crate::tile::LEGEND_SIZE.0,
        crate::tile::LEGEND_SIZE.1,
    )
}

/// 1.3.0 has the values in the dimension; 1.1.1 in an extent behind all dimensions.
fn write_dimension(
    xml: &mut String,
    v130: bool,
    name: &str,
    (units, symbol): (&str, &str),
    default: &str,
    values: &str,
) -> fmt::Result {
    let symbol = if symbol.is_empty() { String::new() } else { format!(" unitSymbol=\"{symbol}\"") };
    if v130 {
        writeln!(xml, "<Dimension name=\"{name}\" units=\"{units}\"{symbol} default=\"{default}\">{values}</Dimension>")
    } else {
        writeln!(xml, "<Dimension name=\"{name}\" units=\"{units}\"/>")
    }
}

fn close_dimensions(xml: &mut String, v130: bool, dimensions: &[(&str, &String, &String)]) -> fmt::Result {
    for (name, values, default) in dimensions.iter().filter(|_| !v130) {
        writeln!(xml, "<Extent name=\"{name}\" default=\"{default}\">{values}</Extent>")?;
    }
    Ok(())
}

fn write_bounds(xml: &mut String, v130: bool, grid: &Grid) -> fmt::Result {
    let [west, south, east, north] = bounds(grid);
    // across the date line: all the way round, which both versions can say
    let (west, east) = if west > east { (-180.0, 180.0) } else { (west, east) };
    let limit = 85.051_128_779_806_6;
    let y = |latitude: f64| {
        let latitude = latitude.clamp(-limit, limit).to_radians();
        (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI * MERCATOR_EDGE
    };
    let x = |longitude: f64| longitude / 180.0 * MERCATOR_EDGE;
    let mercator = [x(west), y(south), x(east), y(north)];
    if v130 {
        writeln!(
            xml,
            "<EX_GeographicBoundingBox><westBoundLongitude>{west}</westBoundLongitude><eastBoundLongitude>{east}\
             </eastBoundLongitude><southBoundLatitude>{south}</southBoundLatitude><northBoundLatitude>{north}\
             </northBoundLatitude></EX_GeographicBoundingBox>"
        )?;
        // latitude first
        write_box(xml, "CRS", "EPSG:4326", [south, west, north, east])?;
        write_box(xml, "CRS", "EPSG:3857", mercator)?;
        write_box(xml, "CRS", "CRS:84", [west, south, east, north])
    } else {
        writeln!(xml, "<LatLonBoundingBox minx=\"{west}\" miny=\"{south}\" maxx=\"{east}\" maxy=\"{north}\"/>")?;
        write_box(xml, "SRS", "EPSG:4326", [west, south, east, north])?;
        write_box(xml, "SRS", "EPSG:3857", mercator)
    }
}

fn write_box(xml: &mut String, kind: &str, crs: &str, [a, b, c, d]: [f64; 4]) -> fmt::Result {
    writeln!(xml, "<BoundingBox {kind}=\"{crs}\" minx=\"{a}\" miny=\"{b}\" maxx=\"{c}\" maxy=\"{d}\"/>")
}
