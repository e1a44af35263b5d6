//! HTTP: tiles, JSON, errors, bounds.

use std::io::Cursor;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use vejr::atmos::{Grid, LeadTime, Level, Projection};
use vejr::serve::Limits;
use vejr::store::ForecastWriter;
use vejr::tile::{Footprint, TILE_SIZE, TileId};

use super::{Service, planet, until};

pub const ID: &str = "made-up-planet~2001-01-01T0000Z~4f2a9c01";

pub fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

pub async fn get(service: &Service, path: &str) -> Response {
    client().get(service.url(path)).send().await.unwrap()
}

pub async fn json(service: &Service, path: &str) -> Value {
    let response = get(service, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

/// What a tile should hold: the stored field, between whose points the value is bilinear.
fn expected(variable: &str, level: Level, lead: LeadTime, tile: TileId) -> Vec<f32> {
    let grid = planet::grid();
    let footprint = Footprint::of_tile(&grid, tile).unwrap();
    let columns: Vec<usize> = footprint.columns().indices(grid.shape().1).collect();
    let rows = footprint.rows();
    footprint.sample(&ndarray::Array2::from_shape_fn((rows.len(), columns.len()), |(row, column)| {
        let (latitude, longitude) = grid.place(rows.start + row, columns[column]);
        planet::value(variable, level, lead, latitude, longitude)
    }))
}

#[tokio::test]
async fn float_tiles_hold_the_published_values_at_every_zoom_and_across_the_date_line() {
    let (service, _) = Service::with_forecast().await;
    let level = Level::Pressure(500.0);
    for (z, x, y) in
        [(0, 0, 0), (1, 0, 1), (2, 3, 1), (3, 0, 2), (3, 7, 2), (6, 31, 20), (6, 32, 20), (9, 0, 511), (9, 511, 0)]
    {
        let response = get(&service, &format!("/tiles/{ID}/t/500hPa/24h/{z}/{x}/{y}.f32")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), "application/octet-stream");
        assert_eq!(header(&response, "vejr-forecast"), "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01");
        assert_eq!(header(&response, "vejr-valid-time"), "2001-01-02T00:00Z");
        assert_eq!(header(&response, "vejr-steps"), "9/9");
        let bytes = response.bytes().await.unwrap();
        let values: Vec<f32> = bytes[32..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(
            values,
            expected("t", level, LeadTime::from_hours(24), TileId::new(z, x, y).unwrap()),
            "{z}/{x}/{y}"
        );
    }
}

#[tokio::test]
async fn picture_tiles_are_opaque_where_there_are_data_and_may_be_kept_for_ever() {
    let (service, _) = Service::with_forecast().await;
    let path = format!("/tiles/{ID}/sp/surface/0h/2/1/1.png");
    let response = get(&service, &path).await;
    assert_eq!(header(&response, "content-type"), "image/png");
    assert!(header(&response, "cache-control").contains("immutable"));
    let etag = header(&response, "etag").to_owned();
    let bytes = response.bytes().await.unwrap();
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (TILE_SIZE as u32, TILE_SIZE as u32));
    let colors: std::collections::HashSet<&[u8]> = pixels.chunks_exact(info.color_type.samples()).collect();
    assert!(colors.len() > 50 && colors.iter().all(|color| color.get(3).is_none_or(|&alpha| alpha == 255)));

    let again = client().get(service.url(&path)).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.bytes().await.unwrap().len(), 0);
    let other = get(&service, &path.replace("/0h/", "/6h/")).await;
    assert_ne!(header(&other, "etag"), etag);
}

#[tokio::test]
async fn latest_is_resolved_when_it_is_asked_and_the_answer_names_the_run() {
    let (service, _) = Service::with_forecast().await;
    let newer = planet::path("2001-01-02T00:00Z", "aa");
    let empty = planet::path("2001-01-03T00:00Z", "bb");
    planet::begin(&service.root, &newer, 8, 2).await;
    drop(planet::begin(&service.root, &empty, 8, -1).await);
    let response = get(&service, "/tiles/made-up-planet~latest/t/500hPa/6h/0/0/0.png").await;
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "location"), "/tiles/made-up-planet~2001-01-02T0000Z~aa/t/500hPa/6h/0/0/0.png");
    let detail = json(&service, "/api/v1/forecasts/made-up-planet~latest").await;
    assert_eq!(detail["name"], "forecasts/made-up-planet/2001-01-02T0000Z/aa");
    assert_eq!((&detail["steps_complete"], &detail["steps_total"]), (&3.into(), &9.into()));
    assert_eq!(get(&service, "/api/v1/forecasts/no-such~latest").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_step_can_be_read_as_soon_as_it_is_published_and_not_before() {
    let service = Service::start(Limits::default()).await;
    let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
    let mut writer = planet::begin(&service.root, &path, 8, 1).await;
    let tile = format!("/tiles/{ID}/t/500hPa/12h/0/0/0.png");
    let early = get(&service, &tile).await;
    assert_eq!(early.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&early, "cache-control"), "no-store");
    assert_eq!(header(&early, "retry-after"), "5");
    let problem: Value = serde_json::from_slice(&early.bytes().await.unwrap()).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("2 of 9 steps"), "{problem}");

    let spec = planet::spec(&path, 8);
    writer.write_step(&planet::fields(&spec, spec.lead_times[2])).await.unwrap();
    until("the new step is served", async || get(&service, &tile).await.status() == StatusCode::OK).await;
    let leads = json(&service, &format!("/api/v1/forecasts/{ID}")).await["leads"].clone();
    let published: Vec<bool> =
        leads.as_array().unwrap().iter().map(|lead| lead["published"].as_bool().unwrap()).collect();
    assert_eq!(published, [true, true, true, false, false, false, false, false, false]);

    writer.fail("the device went away".to_owned()).await.unwrap();
    let detail = format!("/api/v1/forecasts/{ID}");
    until("the failure is told", async || json(&service, &detail).await["state"] == "failed").await;
    assert_eq!(json(&service, &detail).await["failure_reason"], "the device went away");
    assert_eq!(get(&service, &tile).await.status(), StatusCode::OK, "what was published stays");
    assert!(!get(&service, &tile.replace("12h", "18h")).await.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn the_page_is_told_all_it_shows() {
    let (service, _) = Service::with_forecast().await;
    let list = json(&service, "/api/v1/forecasts").await;
    assert_eq!(list["forecasts"][0]["id"], ID);
    assert_eq!(list["total"], 1);
    assert_eq!(json(&service, "/api/v1/forecasts?model=other").await["total"], 0);
    let detail = json(&service, &format!("/api/v1/forecasts/{ID}")).await;
    assert_eq!(detail["state"], "complete");
    assert_eq!(detail["variables"][0]["levels"][1], "500hPa");
    assert_eq!(detail["leads"][4]["lead"], "24h");
    assert_eq!(detail["leads"][4]["valid_time"], "2001-01-02T00:00Z");
    assert_eq!(detail["grid"]["global_in_longitude"], true);
    assert_eq!(detail["provenance"]["seed"], 7);
    let legend = json(&service, &format!("/legends/{ID}/z/500hPa")).await;
    assert_eq!((&legend["units"], &legend["low"]), (&"gpm".into(), &4700.0.into()));
    let document = json(&service, &format!("/tiles/{ID}/t/500hPa/24h/tile.json")).await;
    assert_eq!(document["tilejson"], "3.0.0");
    assert_eq!(document["tiles"][0], format!("/tiles/{ID}/t/500hPa/24h/{{z}}/{{x}}/{{y}}.png"));
    let models = json(&service, "/api/v1/models").await;
    assert_eq!(models["models"][0]["time_step_seconds"], 21_600);
    assert!(models["models"][0]["no_requests"].as_str().unwrap().contains("no [runs]"));
    let runs = json(&service, "/api/v1/runs").await;
    assert_eq!((&runs["runs"][0]["id"], &runs["runs"][0]["state"]), (&ID.into(), &"complete".into()));
    assert_eq!(runs["runs"][0]["cancellable"], false);
}

#[tokio::test]
async fn a_series_is_the_forecast_at_a_place() {
    let (service, _) = Service::with_forecast().await;
    let series =
        json(&service, &format!("/api/v1/forecasts/{ID}/series?variable=t&level=850hPa&lat=50&lon=-0.5")).await;
    assert_eq!(series["interpolation"], "nearest");
    let grid = planet::grid();
    let (latitude, longitude) = (series["latitude"].as_f64().unwrap(), series["longitude"].as_f64().unwrap());
    assert!(grid.rectilinear().unwrap().0.contains(&latitude) && longitude == 0.0);
    for value in series["values"].as_array().unwrap() {
        let lead = LeadTime::from_seconds(value["seconds"].as_i64().unwrap());
        let truth = planet::value("t", Level::Pressure(850.0), lead, latitude, longitude);
        assert!((value["value"].as_f64().unwrap() as f32 - truth).abs() < 1e-4);
    }
    assert_eq!(series["values"].as_array().unwrap().len(), 9);

    // halfway between the last meridian and the first
    let query = format!(
        "/api/v1/forecasts/{ID}/series?variable=u&level=250hPa&lat={latitude}&lon=358.125&interpolation=bilinear"
    );
    let between = json(&service, &query).await;
    let at = |longitude| planet::value("u", Level::Pressure(250.0), LeadTime::ZERO, latitude, longitude);
    let expected = 0.5 * (at(356.25) + at(0.0));
    assert!((between["values"][0]["value"].as_f64().unwrap() as f32 - expected).abs() < 1e-4);
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named_with_what_there_is() {
    let (service, _) = Service::with_forecast().await;
    for (path, status, words) in [
        (format!("/tiles/{ID}/t9/500hPa/24h/0/0/0.png"), 400, "available: t, u, v, z, sp"),
        (format!("/tiles/{ID}/t/501hPa/24h/0/0/0.png"), 400, "available: 250hPa, 500hPa"),
        (format!("/tiles/{ID}/t/500/24h/0/0/0.png"), 400, "expected one of 250hPa"),
        (format!("/tiles/{ID}/t/500hPa/25h/0/0/0.png"), 400, "available: 0h, 6h"),
        (format!("/tiles/{ID}/t/500hPa/soon/0/0/0.png"), 400, "such as 24h"),
        (format!("/tiles/{ID}/t/500hPa/24h/1/2/0.png"), 400, "x 2 is outside 0..1"),
        (format!("/tiles/{ID}/t/500hPa/24h/0/0/0.gif"), 400, "png, webp, f32, i16"),
        (format!("/tiles/{ID}/t9/x/y/9/9/9"), 400, "variable"),
        ("/tiles/nonsense/t/500hPa/24h/0/0/0.png".to_owned(), 400, "{model}~latest"),
        ("/api/v1/forecasts/m~2001-01-01T0000Z~k".to_owned(), 404, "/api/v1/forecasts"),
        (format!("/api/v1/forecasts/{ID}/series?level=500hPa&lat=x&lon=400"), 400, "variable is missing"),
        (format!("/api/v1/forecasts/{ID}/series?variable=t&level=500hPa&lat=x&lon=400"), 400, "lon"),
        (format!("/api/v1/forecasts/{ID}/series?variable=t&level=500hPa&lat=1"), 400, "lon is missing"),
        (format!("/api/v1/forecasts/{ID}/series?variable=t&variable=u&level=500hPa&lat=1&lon=1"), 400, "given twice"),
        ("/api/v1/forecasts?modell=x".to_owned(), 400, "modell"),
        ("/nothing".to_owned(), 404, "/api/v1/forecasts"),
        ("/assets/none.js".to_owned(), 404, "none.js"),
        ("/tiles/%ff/t/500hPa/24h/0/0/0.png".to_owned(), 400, "path"),
    ] {
        let response = get(&service, &path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(header(&response, "content-type"), "application/problem+json", "{path}");
        let text = response.text().await.unwrap();
        assert!(text.contains(words), "{path}: {text}");
    }
    let all = get(&service, &format!("/tiles/{ID}/t9/501hPa/25h/99/0/0.gif")).await;
    let problem: Value = serde_json::from_slice(&all.bytes().await.unwrap()).unwrap();
    let fields: Vec<&str> =
        problem["violations"].as_array().unwrap().iter().map(|v| v["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["y", "z", "variable", "lead_time"], "a level can only be told wrong of a variable");
    assert_eq!(client().post(service.url("/")).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn hostile_addresses_are_answered_and_none_is_a_server_error() {
    let (service, _) = Service::with_forecast().await;
    let client = client();
    let pieces = [
        "..",
        "%2e%2e",
        "%2F",
        "%00",
        "~",
        "t",
        "500hPa",
        "24h",
        "99999999999999999999",
        "-1",
        "NaN",
        "inf",
        "1e999",
        ID,
        "made-up-planet~latest",
        "0",
        "0.png",
        "0.f32",
        "%E2%82%AC",
        "a;b",
        "'",
        "\\",
        "tiles",
        "api",
        "v1",
        "forecasts",
        "series?lat=1",
        "?lat=NaN&lon=inf&variable=t&level=500hPa",
        "legends",
        "assets",
        "%25",
        "x".repeat(300).leak(),
    ];
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    for _ in 0..3000 {
        let start = ["/tiles", "/api/v1/forecasts", "/legends", "/assets", ""][random(5)];
        let parts: Vec<&str> = (0..1 + random(8)).map(|_| pieces[random(pieces.len())]).collect();
        let path = format!("{start}/{}", parts.join("/"));
        let Ok(url) = reqwest::Url::parse(&service.url(&path)) else { continue };
        let status = client.get(url).send().await.unwrap().status();
        assert!(!status.is_server_error(), "{path}: {status}");
    }
    assert_eq!(get(&service, &format!("/{}", "a".repeat(60_000))).await.status().as_u16(), 431);
}

#[tokio::test]
async fn a_full_server_says_so_at_once_and_its_probes_still_answer() {
    let service = Service::start(Limits { requests: 0, ..Limits::default() }).await;
    let refused = get(&service, "/api/v1/forecasts").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(get(&service, "/healthz").await.status(), StatusCode::OK);
    let metrics = get(&service, "/metrics").await.text().await.unwrap();
    assert!(metrics.contains("vejr_requests_refused_total 1"), "{metrics}");

    let narrow = Service::start(Limits { requests: 1, ..Limits::default() }).await;
    for _ in 0..20 {
        assert_eq!(get(&narrow, "/api/v1/forecasts").await.status(), StatusCode::OK, "a place is given back");
    }
}

#[tokio::test]
async fn readiness_follows_the_store() {
    let (service, _) = Service::with_forecast().await;
    let ready = async || get(&service, "/readyz").await.status() == StatusCode::OK;
    until("ready", ready).await;
    let away = service.folder.path().with_extension("away");
    std::fs::rename(service.folder.path(), &away).unwrap();
    until("not ready without its store", async || !ready().await).await;
    assert!(get(&service, "/readyz").await.text().await.unwrap().contains("store"));
    assert_eq!(get(&service, "/healthz").await.status(), StatusCode::OK);
    std::fs::rename(&away, service.folder.path()).unwrap();
    until("ready again", ready).await;
}

#[tokio::test]
async fn metrics_count_what_was_done() {
    let (service, _) = Service::with_forecast().await;
    for _ in 0..3 {
        get(&service, &format!("/tiles/{ID}/t/500hPa/24h/2/2/1.png")).await;
    }
    get(&service, "/tiles/x/y/z/0/0/0/0.png").await;
    let metrics = get(&service, "/metrics").await.text().await.unwrap();
    for line in [
        "vejr_requests_total{route=\"tiles\",status=\"200\"} 3",
        "vejr_requests_total{route=\"tiles\",status=\"400\"} 1",
        "vejr_tiles_total{format=\"png\"} 3",
        "vejr_cache_misses_total 1",
        "vejr_cache_hits_total 2",
        "vejr_request_seconds_count{route=\"tiles\"} 4",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// A forecast on a Lambert grid over Denmark: tiles, a series at a place, and its description.
#[tokio::test]
async fn a_projected_forecast_is_served_like_any_other() {
    let service = Service::start(Limits::default()).await;
    let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
    let mut spec = planet::spec(&path, 1);
    let definition = "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470";
    let axis = |first: f64, n: i32, step: f64| (0..n).map(|i| first + step * f64::from(i)).collect::<Vec<f64>>();
    let projection = Projection::from_proj_string(definition).unwrap();
    let grid = Arc::new(Grid::projected(projection, axis(300e3, 60, -10e3), axis(-1200e3, 120, 10e3)).unwrap());
    spec.grid = grid.clone();
    let mut writer =
        ForecastWriter::create_or_resume(&path.location(&service.root), spec.clone(), false).await.unwrap();
    for &lead in &spec.lead_times {
        writer.write_step(&planet::fields(&spec, lead)).await.unwrap();
    }
    writer.finish(serde_json::Map::new()).await.unwrap();

    // z 6, x 34, y 20 holds Copenhagen; x 20 is Canada
    let (tile, level, lead) = (TileId::new(6, 34, 20).unwrap(), Level::Pressure(500.0), LeadTime::from_hours(6));
    let values = async |z: u32, x: u32, y: u32| {
        let bytes = get(&service, &format!("/tiles/{ID}/t/500hPa/6h/{z}/{x}/{y}.f32")).await.bytes().await.unwrap();
        bytes[32..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<f32>>()
    };
    let mut inside = 0;
    let raster = tile.raster(TILE_SIZE);
    for (i, value) in values(6, 34, 20).await.into_iter().enumerate() {
        let (latitude, longitude) = (raster.latitudes[i / TILE_SIZE], raster.longitudes[i % TILE_SIZE]);
        assert_eq!(value.is_finite(), grid.contains(latitude, longitude));
        if value.is_finite() {
            inside += 1;
            // bilinear over 10 km
            assert!((value - planet::value("t", level, lead, latitude, longitude)).abs() < 0.02);
        }
    }
    assert!(inside > 10_000, "{inside}");
    assert!(values(6, 20, 20).await.iter().all(|value| value.is_nan()));

    let series =
        json(&service, &format!("/api/v1/forecasts/{ID}/series?variable=t&level=500hPa&lat=55.67&lon=12.57")).await;
    let (row, column) = grid.nearest(55.67, 12.57).unwrap();
    let (latitude, longitude) = grid.place(row, column);
    assert_eq!((series["latitude"].as_f64(), series["longitude"].as_f64()), (Some(latitude), Some(longitude)));
    let value = series["values"][1]["value"].as_f64().unwrap();
    assert!((value - f64::from(planet::value("t", level, lead, latitude, longitude))).abs() < 1e-4);

    let described = json(&service, &format!("/api/v1/forecasts/{ID}")).await;
    assert_eq!(described["grid"]["projection"]["grid_mapping_name"], "lambert_conformal_conic");
    assert_eq!(described["grid"]["projection"]["earth_radius"], 6_367_470.0);
    let bounds: Vec<f64> = described["grid"]["bounds"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(bounds, grid.bounds());
    service.stop().await;
}
