//! OGC API - EDR: values where DMI's clients look for them, errors as the standard shapes them, and real validators.

use std::sync::Arc;

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use vejr::atmos::{Grid, LeadTime, Level, Projection};
use vejr::serve::Limits;
use vejr::store::{ForecastSpec, ForecastWriter};

use super::clients::{python, script};
use super::{Service, planet};

const MODEL: &str = "/collections/made-up-planet";

async fn get(service: &Service, path: &str) -> Response {
    Client::new().get(service.url(path)).send().await.unwrap()
}

async fn json(service: &Service, path: &str) -> Value {
    let response = get(service, path).await;
    let status = response.status();
    let body = response.bytes().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

async fn refused(service: &Service, path: &str, status: StatusCode, words: &[&str]) {
    let response = get(service, path).await;
    assert_eq!(response.status(), status, "{path}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["code"], status.as_u16().to_string());
    let description = body["description"].as_str().unwrap();
    for word in words {
        assert!(description.contains(word), "{path}: {word:?} is not in {description:?}");
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().map_or(f32::NAN, |value| value as f32)).collect()
}

fn value(variable: &str, pressure: f64, hours: i64, latitude: f64, longitude: f64) -> f32 {
    planet::value(variable, Level::Pressure(pressure), LeadTime::from_hours(hours), latitude, longitude)
}

/// As DMI's documentation writes them.
#[tokio::test]
async fn a_client_of_dmis_open_data_only_changes_the_base_url() {
    let (service, _) = Service::with_forecast().await;
    let place = "position?coords=POINT(12.561%2055.715)&crs=crs84&api-key=abc&parameter-name=t&z=500";
    let answer = json(&service, &format!("{MODEL}/{place}")).await;
    let (row, column) = planet::grid().nearest(55.715, 12.561).unwrap();
    let (latitude, longitude) = planet::grid().place(row, column);
    assert_eq!((&answer["type"], &answer["domain"]["domainType"]), (&"Coverage".into(), &"PointSeries".into()));
    assert_eq!(answer["domain"]["axes"]["x"]["values"], serde_json::json!([longitude]));
    assert_eq!(answer["domain"]["axes"]["y"]["values"], serde_json::json!([latitude]));
    assert_eq!(answer["domain"]["axes"]["t"]["values"][1], "2001-01-01T06:00:00Z");
    assert_eq!(answer["vejr:run"]["forecast"], "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01");
    let expected: Vec<f32> = (0..9).map(|step| value("t", 500.0, 6 * step, latitude, longitude)).collect();
    assert_eq!(floats(&answer["ranges"]["t"]["values"]), expected);

    let times = "&datetime=2001-01-01T05:59:59Z/..&f=GeoJSON";
    let instances = json(&service, &format!("{MODEL}/instances?api-key=abc")).await;
    let id = instances["instances"][0]["id"].as_str().unwrap();
    assert_eq!(id, "2001-01-01T000000Z");
    assert_eq!(instances["instances"][0]["extent"]["temporal"]["values"].as_array().unwrap().len(), 9);
    let answer = json(&service, &format!("{MODEL}/instances/{id}/{place}{times}")).await;
    assert_eq!(answer["type"], "FeatureCollection");
    let features = answer["features"].as_array().unwrap();
    assert_eq!(features.len(), 8);
    assert_eq!(features[0]["properties"]["step"], "2001-01-01T06:00:00.000Z");
    assert_eq!(features[0]["geometry"]["coordinates"], serde_json::json!([longitude, latitude]));
    assert_eq!(features[0]["properties"]["t"].as_f64().unwrap() as f32, expected[1]);
    service.stop().await;
}

#[tokio::test]
async fn the_latest_run_is_named_and_runs_from_one_analysis_are_told_apart() {
    let (service, _) = Service::with_forecast().await;
    planet::begin(&service.root, &planet::path("2001-01-02T00:00Z", "aa"), 8, 2).await;
    planet::begin(&service.root, &planet::path("2001-01-02T00:00Z", "bb"), 8, 4).await;
    drop(planet::begin(&service.root, &planet::path("2001-01-03T00:00Z", "cc"), 8, -1).await);
    let query = "position?coords=POINT(0%2045)&parameter-name=sp";
    let response = get(&service, &format!("{MODEL}/{query}")).await;
    assert_eq!(response.headers()["vejr-forecast"], "forecasts/made-up-planet/2001-01-02T0000Z/bb");
    assert_eq!(response.headers()["vejr-steps"], "5/9");
    let instances = json(&service, &format!("{MODEL}/instances")).await;
    let ids: Vec<&str> = instances["instances"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["2001-01-01T000000Z", "2001-01-02T000000Z", "2001-01-02T000000Z~aa"]);
    for (id, run) in [("2001-01-02T000000Z", "bb"), ("2001-01-02T000000Z~aa", "aa"), ("2001-01-02T0000Z~bb", "bb")] {
        let answer = json(&service, &format!("{MODEL}/instances/{id}/{query}")).await;
        assert_eq!(answer["vejr:run"]["forecast"], format!("forecasts/made-up-planet/2001-01-02T0000Z/{run}"), "{id}");
    }
    // published: three steps of nine
    let late = format!("{MODEL}/instances/2001-01-02T000000Z~aa/{query}");
    assert_eq!(json(&service, &late).await["domain"]["axes"]["t"]["values"].as_array().unwrap().len(), 3);
    let waiting = get(&service, &format!("{late}&datetime=2001-01-03T00:00:00Z")).await;
    assert_eq!((waiting.status(), &waiting.headers()["retry-after"]), (StatusCode::NOT_FOUND, &"5".parse().unwrap()));
    refused(&service, &format!("{MODEL}/instances/2001-01-05T000000Z/{query}"), StatusCode::NOT_FOUND, &["2001-01-05"])
        .await;
    service.stop().await;
}

#[tokio::test]
async fn areas_hold_the_published_values_across_the_date_line() {
    let (service, _) = Service::with_forecast().await;
    let grid = planet::grid();
    for (bbox, time) in [("170,-20,-160,30", "&datetime=2001-01-01T12:00:00Z"), ("-10,40,20.5,60", "")] {
        let answer = json(&service, &format!("{MODEL}/cube?bbox={bbox}&parameter-name=t,u&z=850/500{time}")).await;
        assert_eq!(answer["domain"]["domainType"], "Grid");
        let axis = |name: &str| -> Vec<f64> {
            answer["domain"]["axes"][name]["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let (x, y, z) = (axis("x"), axis("y"), axis("z"));
        assert!(x.is_sorted() && z == [500.0, 700.0, 850.0], "{x:?} {z:?}");
        let numbers: Vec<f64> = bbox.split(',').map(|n| n.parse().unwrap()).collect();
        let east = if numbers[2] < numbers[0] { numbers[2] + 360.0 } else { numbers[2] };
        let expected = grid
            .rectilinear()
            .unwrap()
            .1
            .iter()
            .filter(|&&longitude| (longitude - numbers[0]).rem_euclid(360.0) <= east - numbers[0]);
        assert_eq!(x.len(), expected.count());
        let hours: Vec<i64> = if time.is_empty() { (0..9).map(|step| 6 * step).collect() } else { vec![12] };
        for variable in ["t", "u"] {
            let found = floats(&answer["ranges"][variable]["values"]);
            let expected = hours.iter().flat_map(|&hours| {
                let (x, y) = (&x, &y);
                z.iter().flat_map(move |&z| {
                    y.iter()
                        .flat_map(move |&y| x.iter().map(move |&x| value(variable, z, hours, y, x.rem_euclid(360.0))))
                })
            });
            // float32 of a longitude that is a full turn away
            assert!(expected.zip(&found).all(|(expected, found)| (expected - found).abs() < 2e-3), "{bbox} {variable}");
            assert_eq!(found.len(), hours.len() * z.len() * y.len() * x.len());
        }
    }
    // a triangle: what is outside is missing, and no row of a table
    let triangle =
        "coords=POLYGON((0%2040,20%2040,0%2060,0%2040))&parameter-name=t&z=500&datetime=2001-01-01T00:00:00Z";
    let answer = json(&service, &format!("{MODEL}/area?{triangle}")).await;
    let values = floats(&answer["ranges"]["t"]["values"]);
    let inside = values.iter().filter(|value| value.is_finite()).count();
    assert!(inside > 5 && inside < values.len(), "{inside} of {}", values.len());
    let table = get(&service, &format!("{MODEL}/area?{triangle}&f=CSV")).await.text().await.unwrap();
    assert_eq!(table.lines().count(), 1 + inside);
    assert_eq!(table.lines().next(), Some("reference_time,datetime,longitude,latitude,level,t [K]"));
    assert!(table.lines().nth(1).unwrap().starts_with("2001-01-01T00:00:00Z,2001-01-01T00:00:00Z,0,"), "{table}");
    service.stop().await;
}

#[tokio::test]
async fn derived_fields_and_units_are_asked_for_by_name() {
    let (service, _) = Service::with_forecast().await;
    let query = "coords=POINT(33.75%2050)&parameter-name=ws,wdir,t&z=500&units=kn,t:degC";
    let answer = json(&service, &format!("{MODEL}/position?{query}")).await;
    assert_eq!(answer["parameters"]["ws"]["unit"]["symbol"], "kn");
    assert_eq!(answer["parameters"]["t"]["unit"]["symbol"], "degC");
    let (latitude, longitude) = (
        answer["domain"]["axes"]["y"]["values"][0].as_f64().unwrap(),
        answer["domain"]["axes"]["x"]["values"][0].as_f64().unwrap(),
    );
    let at = |step: usize, name: &str| f64::from(value(name, 500.0, 6 * step as i64, latitude, longitude));
    for (step, knots) in floats(&answer["ranges"]["ws"]["values"]).into_iter().enumerate() {
        let speed = at(step, "u").hypot(at(step, "v"));
        assert!((f64::from(knots) - speed * 3600.0 / 1852.0).abs() < 1e-3);
    }
    for (step, from) in floats(&answer["ranges"]["wdir"]["values"]).into_iter().enumerate() {
        let expected = (-at(step, "u")).atan2(-at(step, "v")).to_degrees().rem_euclid(360.0);
        assert!((f64::from(from) - expected).abs() < 1e-3, "{from} {expected}");
    }
    for (step, celsius) in floats(&answer["ranges"]["t"]["values"]).into_iter().enumerate() {
        assert!((f64::from(celsius) - (at(step, "t") - 273.15)).abs() < 1e-3);
    }
    // the same as a tile, by gRPC's sibling for scripts, and in the description
    let id = "made-up-planet~2001-01-01T0000Z~4f2a9c01";
    assert_eq!(get(&service, &format!("/tiles/{id}/thick/500hPa/6h/0/0/0.png")).await.status(), StatusCode::OK);
    let series = json(
        &service,
        &format!("/api/v1/forecasts/{id}/series?variable=ws&level=500hPa&lat=50&lon=33.75&interpolation=bilinear"),
    )
    .await;
    assert!(series["values"][0]["value"].as_f64().unwrap() > 0.0);
    let variables = json(&service, &format!("/api/v1/forecasts/{id}")).await["variables"].clone();
    let derived: Vec<&str> = variables
        .as_array()
        .unwrap()
        .iter()
        .filter(|variable| variable["derived"] == true)
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(derived, ["ws", "wdir", "thick"]);
    service.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once_and_in_the_standards_form() {
    let (service, _) = Service::with_forecast().await;
    let bad = StatusCode::BAD_REQUEST;
    for (path, status, words) in [
        ("/collections/nobody/position?coords=POINT(0%200)", StatusCode::NOT_FOUND, &["nobody"][..]),
        ("/collections/made-up-planet/radius?coords=POINT(0%200)", StatusCode::NOT_FOUND, &["position"]),
        ("/collections/made-up-planet/position", bad, &["coords is missing"]),
        ("/collections/made-up-planet/position?coords=POINT(0)", bad, &["coords"]),
        ("/collections/made-up-planet/position?coords=POINT(0%2095)", bad, &["outside the grid"]),
        ("/collections/made-up-planet/position?coords=POLYGON((0%200,1%200,1%201,0%200))", bad, &["POINT"]),
        ("/collections/made-up-planet/position?coords=POINT(0%200)&bbox=1", bad, &["bbox"]),
        ("/collections/made-up-planet/cube?bbox=1,2,3", bad, &["four or six"]),
        ("/collections/made-up-planet/cube?bbox=0,10,5,0", bad, &["south"]),
        ("/collections/made-up-planet/cube?bbox=0.1,0.1,0.2,0.2", bad, &["no point"]),
        (
            "/collections/made-up-planet/position?coords=POINT(0%200)&parameter-name=t9&z=x&datetime=now&crs=EPSG:1&f=gif",
            bad,
            &["\"x\" is no level", "\"now\" is no time", "\"EPSG:1\"", "\"gif\""],
        ),
        (
            "/collections/made-up-planet/position?coords=POINT(0%200)&parameter-name=t9",
            bad,
            &["available: t, u, v, z, sp, ws"],
        ),
        ("/collections/made-up-planet/position?coords=POINT(0%200)&parameter-name=t&z=501", bad, &["250hPa, 500hPa"]),
        ("/collections/made-up-planet/position?coords=POINT(0%200)&parameter-name=sp&z=500", bad, &["leave it out"]),
        (
            "/collections/made-up-planet/position?coords=POINT(0%200)&parameter-name=t&units=hPa",
            bad,
            &["units", "t in K"],
        ),
        (
            "/collections/made-up-planet/position?coords=POINT(0%200)&datetime=2001-01-01T01:00:00Z",
            bad,
            &["9 are published"],
        ),
        ("/collections/made-up-planet/instances/yesterday", bad, &["2026-01-31T060000Z"]),
        ("/collections/made-up-planet/trajectory?coords=LINESTRING(0%200,9%209)", bad, &["several times"]),
    ] {
        refused(&service, path, status, words).await;
    }
    service.stop().await;
    let service = Service::start(Limits { answer_values: 100, ..Limits::default() }).await;
    planet::publish(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 8).await;
    let path = format!("{MODEL}/cube?bbox=-180,-90,180,90&parameter-name=sp");
    refused(&service, &path, StatusCode::PAYLOAD_TOO_LARGE, &["41472 values", "limit is 100"]).await;
    service.stop().await;
}

/// A Lambert grid over Denmark: in its own plane, and by places.
pub async fn with_projected_forecast() -> (Service, Arc<Grid>) {
    let definition = "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470";
    let axis = |first: f64, n: i32, step: f64| (0..n).map(|i| first + step * f64::from(i)).collect::<Vec<f64>>();
    let projection = Projection::from_proj_string(definition).unwrap();
    let grid = Grid::projected(projection, axis(300e3, 60, -10e3), axis(-1200e3, 120, 10e3)).unwrap();
    (with_forecast_on(grid.clone()).await, Arc::new(grid))
}

/// With one forecast of two steps after the analysis on a grid.
pub async fn with_forecast_on(grid: Grid) -> Service {
    let service = Service::start(Limits::default()).await;
    let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
    let spec = ForecastSpec { grid: Arc::new(grid), ..planet::spec(&path, 2) };
    let mut writer =
        ForecastWriter::create_or_resume(&path.location(&service.root), spec.clone(), false).await.unwrap();
    for &lead in &spec.lead_times {
        writer.write_step(&planet::fields(&spec, lead)).await.unwrap();
    }
    writer.finish(serde_json::Map::new()).await.unwrap();
    service
}

#[tokio::test]
async fn a_projected_forecast_answers_in_its_plane_and_by_places() {
    let (service, grid) = with_projected_forecast().await;
    let native =
        json(&service, &format!("{MODEL}/cube?bbox=-805000,-35000,-775000,0&crs=native&parameter-name=sp")).await;
    assert_eq!(native["domain"]["axes"]["x"]["values"], serde_json::json!([-800e3, -790e3, -780e3]));
    assert_eq!(native["domain"]["axes"]["y"]["values"], serde_json::json!([0.0, -10e3, -20e3, -30e3]));
    assert_eq!(native["domain"]["referencing"][0]["system"]["type"], "ProjectedCRS");
    let projection = grid.projection().unwrap();
    let (latitude, longitude) = projection.inverse(-790e3, -20e3).unwrap();
    let expected = planet::value("sp", Level::Surface, LeadTime::from_hours(6), latitude, longitude);
    assert!((floats(&native["ranges"]["sp"]["values"])[12 + 2 * 3 + 1] - expected).abs() < 0.05);

    let places = json(&service, &format!("{MODEL}/cube?bbox=11,55,12,56&parameter-name=t&z=850,500&f=GeoJSON")).await;
    let features = places["features"].as_array().unwrap();
    assert!(features.len() > 100);
    for feature in features {
        let at: Vec<f64> =
            feature["geometry"]["coordinates"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert!((11.0..=12.0).contains(&at[0]) && (55.0..=56.0).contains(&at[1]), "{at:?}");
        if feature["properties"]["step"] == "2001-01-01T12:00:00.000Z" && feature["properties"]["level"] == "500hPa" {
            let found = feature["properties"]["t"].as_f64().unwrap();
            assert!((found - f64::from(value("t", 500.0, 12, at[1], at[0]))).abs() < 1e-3);
        }
    }
    service.stop().await;
}

/// The standards' own models of their documents, and xarray.
#[tokio::test]
async fn validators_and_xarray_read_the_answers() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let (global, _) = Service::with_forecast().await;
    let (projected, _) = with_projected_forecast().await;
    for service in [global, projected] {
        let mut command = tokio::process::Command::new(&python);
        let output = command.arg(script("edr.py")).arg(service.url("")).output().await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{error}");
        println!("{out}");
        service.stop().await;
    }
}
