//! Fields as shapes, in GeoJSON: lines of equal value (isobars, isotherms), and winds as points for barbs and arrows.
//!
//! `/contours/{forecast}/{variable}/{level}/{lead}[?interval=4&units=hPa&bbox=W,S,E,N]`: without an interval that of the
//! variable's convention, without units those of its legend. `/winds/{forecast}/{variable}/{level}/{lead}[?count=32&units=kn]`:
//! of the derived speed or direction of a wind, points on a lattice of the web's map. The answers name what they took.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::describe::run_headers;
use super::edr::bounds;
use super::params::{Parameters, PathParts, QueryPairs, path};
use crate::serve::catalog::{Forecast, Whose};
use crate::serve::derived::Quantity;
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::select::{self, Selection, Violations, listed, parse_lead};
use crate::serve::state::Shared;
use crate::serve::tiles::sample;
use crate::serve::units::{Shown, one_unit};
use crate::tile::{MERCATOR_EDGE, Raster, contours, interval_of};

/// Samples along the longer side of what lines are drawn through.
const SAMPLES: usize = 720;
/// Values that lines are drawn for.
const MOST_VALUES: f64 = 100.0;
/// Winds along the longer side, where it is not said, and at the most.
const WINDS: usize = 32;
const MOST_WINDS: usize = 128;
/// The web's map ends there.
const MERCATOR_LATITUDE: f64 = 85.051_128_779_806_6;

type FieldParts = PathParts<(String, String, String, String)>;

async fn field(
    state: &Shared,
    parts: FieldParts,
    whose: Option<Whose>,
) -> Result<(std::sync::Arc<Forecast>, Selection), Error> {
    let (forecast, variable, level, lead) = path(parts)?;
    let forecast = state.catalog.open(&ForecastName::from_id(&forecast)?).await?.of(whose)?;
    let selection = select::field(&forecast, &variable, &level, parse_lead(&lead), Violations::default())?;
    Ok((forecast, selection))
}

/// West, south, east, north: of the query, else of the grid.
fn window(forecast: &Forecast, text: &str) -> Result<[f64; 4], Violation> {
    let [mut west, south, mut east, north] = match text {
        "" => bounds(&forecast.reader.spec().grid),
        text => {
            let numbers: Vec<f64> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
            let fits =
                |n: &[f64]| n[0].abs() <= 360.0 && n[2].abs() <= 360.0 && n[1] >= -90.0 && n[3] <= 90.0 && n[1] < n[3];
            match numbers[..] {
                [west, south, east, north] if fits(&numbers) => [west, south, east, north],
                _ => {
                    return Err(Violation::new(
                        "bbox",
                        format!("{} is no west,south,east,north in degrees", quoted(text)),
                    ));
                }
            }
        }
    };
    if east <= west {
        east += 360.0;
    }
    if east - west > 360.0 {
        (west, east) = (-180.0, 180.0);
    }
    Ok([west, south, east, north])
}

fn answer(forecast: &Forecast, selection: &Selection, collection: Value) -> Response {
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/geo+json")),
        // what is published does not change, but the shapes of a vejr to come may
        (header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
    ];
    (run_headers(forecast, selection), fixed, collection.to_string()).into_response()
}

/// Five decimals are a metre.
fn degrees(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}

pub async fn contour_lines(
    State(state): State<Shared>,
    parts: FieldParts,
    query: QueryPairs,
) -> Result<Response, Error> {
    let parameters = Parameters::read(query, &["interval", "units", "bbox", "member"])?;
    let (forecast, selection) = field(&state, parts, parameters.whose()).await?;
    let variable = &selection.column.variable;
    let style = state.styles.of(&forecast, &selection.column).await?;
    let mut violations = Violations::default();
    let shown = match parameters.text("units") {
        "" => Some(Shown { units: style.units.clone(), scale: style.display.scale, offset: style.display.offset }),
        units => violations.take(forecast.one_unit(variable, units)),
    };
    let interval = match parameters.text("interval") {
        "" => Some(None),
        _ => violations.take(parameters.number("interval", "a number").and_then(|interval| {
            let positive = interval > 0.0 && interval.is_finite();
            positive.then_some(Some(interval)).ok_or_else(|| Violation::new("interval", "is not above 0"))
        })),
    };
    let bbox = violations.take(window(&forecast, parameters.text("bbox")));
    let (shown, (interval, bbox)) = violations.finish(shown.zip(interval.zip(bbox)))?;
    let [west, south, east, north] = bbox;
    let (across, up) = (east - west, north - south);
    let along = |side: f64| ((SAMPLES as f64 * side / across.max(up)).round() as usize).clamp(2, SAMPLES);
    let raster = Raster::plate_carree(bbox, along(across), along(up));
    let sampled = sample(&state, &forecast, &selection, &raster).await?;
    let interval = match interval {
        Some(interval) => interval,
        // of the stored units' convention, in those that are shown
        None => interval_of(variable, &style) * (shown.scale / style.display.scale).abs(),
    };
    let units = shown.units.clone();
    let drawn = tokio::task::spawn_blocking(move || {
        let mut values = sampled.values().unwrap_or_default();
        values.iter_mut().for_each(|value| *value = shown.show(*value));
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let spread = finite().reduce(f32::max).zip(finite().reduce(f32::min)).map_or(0.0, |(high, low)| high - low);
        let lines = f64::from(spread) / interval;
        if lines > MOST_VALUES {
            let what = format!("{interval} {} makes {lines:.0} values, the limit is {MOST_VALUES}", shown.units);
            return Err(Violation::new("interval", what));
        }
        Ok((contours(&values, raster.width(), interval), raster))
    });
    let (found, raster) = drawn.await.map_err(|error| Error::Internal(error.to_string()))??;
    let step = |axis: &[f64]| axis.get(1).map_or(0.0, |second| second - axis[0]);
    let (dx, dy) = (step(&raster.longitudes), step(&raster.latitudes));
    let place = |&(x, y): &(f64, f64)| [degrees(raster.longitudes[0] + dx * x), degrees(raster.latitudes[0] + dy * y)];
    let features: Vec<Value> = found
        .iter()
        .map(|contour| {
            let lines: Vec<Vec<[f64; 2]>> = contour.lines.iter().map(|line| line.iter().map(place).collect()).collect();
            json!({
                "type": "Feature",
                "geometry": { "type": "MultiLineString", "coordinates": lines },
                "properties": { "value": contour.value, "units": units },
            })
        })
        .collect();
    Ok(answer(
        &forecast,
        &selection,
        json!({ "type": "FeatureCollection", "interval": interval, "units": units, "features": features }),
    ))
}

pub async fn winds(State(state): State<Shared>, parts: FieldParts, query: QueryPairs) -> Result<Response, Error> {
    let parameters = Parameters::read(query, &["count", "units", "bbox", "member"])?;
    let (forecast, mut selection) = field(&state, parts, parameters.whose()).await?;
    let mut violations = Violations::default();
    let recipe = &selection.column.recipe;
    let wind = match recipe.quantity {
        Quantity::WindSpeed | Quantity::WindFromDirection => Some(()),
        _ => {
            let is_speed = |offer: &&crate::serve::derived::Offer| offer.recipe(0).quantity == Quantity::WindSpeed;
            let there = listed(forecast.offers.iter().filter(is_speed).map(|offer| &offer.variable.name));
            let name = &selection.column.variable.name;
            violations.take(Err(Violation::new(
                "variable",
                format!("{name} is no wind of two components; there are: {there}"),
            )))
        }
    };
    let speed = crate::atmos::Variable::new("speed", "wind_speed", "wind speed", "m s-1");
    let shown = violations.take(one_unit(&speed, parameters.text("units")));
    let count = match parameters.text("count") {
        "" => Some(WINDS),
        text => violations.take(
            text.parse()
                .ok()
                .filter(|count| (1..=MOST_WINDS).contains(count))
                .ok_or_else(|| Violation::new("count", format!("{} is not within 1 to {MOST_WINDS}", quoted(text)))),
        ),
    };
    let bbox = violations.take(window(&forecast, parameters.text("bbox")));
    let (((), shown), (count, [west, south, east, north])) = violations.finish(wind.zip(shown).zip(count.zip(bbox)))?;
    // components towards east and north, also of winds along a grid's axes
    selection.column.recipe.quantity = Quantity::WindFromDirection;
    let y = |latitude: f64| {
        let latitude = latitude.clamp(-MERCATOR_LATITUDE, MERCATOR_LATITUDE).to_radians();
        latitude.tan().asinh() / std::f64::consts::PI * MERCATOR_EDGE
    };
    let x = |longitude: f64| longitude / 180.0 * MERCATOR_EDGE;
    let map = [x(west), y(south), x(east), y(north)];
    let (across, up) = (map[2] - map[0], map[3] - map[1]);
    let along = |side: f64| ((count as f64 * side / across.max(up)).round() as usize).clamp(1, MOST_WINDS);
    let raster = Raster::web_mercator(map, along(across), along(up));
    let components = sample(&state, &forecast, &selection, &raster).await?.inputs();
    let places =
        raster.latitudes.iter().flat_map(|&latitude| raster.longitudes.iter().map(move |&east| (latitude, east)));
    let winds = components.unwrap_or_default();
    let features: Vec<Value> = match &winds[..] {
        [east, north] => places
            .zip(east.iter().zip(north))
            .filter(|(_, (u, v))| u.is_finite() && v.is_finite())
            .map(|((latitude, longitude), (&u, &v))| {
                let pair = || vec![vec![u], vec![v]];
                let speed = shown.show(Quantity::WindSpeed.combine(pair())[0]);
                let from = Quantity::WindFromDirection.combine(pair())[0];
                let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
                json!({
                    "type": "Feature",
                    "geometry": { "type": "Point", "coordinates": [degrees(longitude), degrees(latitude)] },
                    "properties": { "speed": round(speed), "from": round(from) },
                })
            })
            .collect(),
        _ => Vec::new(),
    };
    Ok(answer(
        &forecast,
        &selection,
        json!({ "type": "FeatureCollection", "units": shown.units, "features": features }),
    ))
}
