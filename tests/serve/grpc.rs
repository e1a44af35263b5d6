//! gRPC: every method, its errors, and that health is true.

use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use vejr::atmos::{Grid, LeadTime, Level};
use vejr::serve::Limits;
use vejr::serve::v1;
use vejr::serve::v1::data_service_client::DataServiceClient;
use vejr::serve::v1::forecast_service_client::ForecastServiceClient;
use vejr::serve::v1::get_area_response::Part as AreaPart;
use vejr::serve::v1::get_field_response::Part;
use vejr::serve::v1::model_service_client::ModelServiceClient;

use super::edr::{with_forecast_on, with_projected_forecast};
use super::{Service, planet};

const NAME: &str = "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01";

async fn channel(service: &Service) -> Channel {
    Channel::from_shared(service.url("")).unwrap().connect().await.unwrap()
}

fn hours(hours: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 3600 * hours, nanos: 0 })
}

fn field_request(variable: &str, level: &str, lead: Option<prost_types::Duration>) -> v1::GetFieldRequest {
    v1::GetFieldRequest {
        member: None,
        statistic: String::new(),
        forecast: NAME.to_owned(),
        variable: variable.to_owned(),
        level: level.to_owned(),
        lead_time: lead,
    }
}

fn area_request(variable: &str, level: &str, [west, south, east, north]: [f64; 4]) -> v1::GetAreaRequest {
    let bbox = v1::BoundingBox { west: Some(west), south: Some(south), east: Some(east), north: Some(north) };
    v1::GetAreaRequest {
        forecast: NAME.to_owned(),
        variable: variable.to_owned(),
        level: level.to_owned(),
        lead_time: hours(12),
        bbox: Some(bbox),
        ..Default::default()
    }
}

/// Header and values of a stream, whose pieces are checked.
async fn read<M>(mut stream: Streaming<M>, part: impl Fn(M) -> Option<Part>) -> (v1::FieldHeader, Vec<f32>) {
    let Some(Part::Header(header)) = part(stream.message().await.unwrap().unwrap()) else { panic!("no header") };
    let mut bytes = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        let Some(Part::Piece(piece)) = part(message) else { panic!("a second header") };
        assert_eq!(piece.offset, bytes.len() as u64);
        assert_eq!(piece.crc32c, crc32c::crc32c(&piece.data));
        assert!(piece.data.len() <= 1 << 20);
        bytes.extend(piece.data);
    }
    assert_eq!(bytes.len() as u64, header.total_bytes);
    assert_eq!(bytes.len(), 4 * header.rows as usize * header.columns as usize);
    (*header, bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

/// Header and values of an area.
pub async fn area(
    client: &mut DataServiceClient<Channel>,
    request: v1::GetAreaRequest,
) -> Result<(v1::FieldHeader, Vec<f32>), Status> {
    let part = |message: v1::GetAreaResponse| {
        Some(match message.part? {
            AreaPart::Header(header) => Part::Header(header),
            AreaPart::Piece(piece) => Part::Piece(piece),
        })
    };
    Ok(read(client.get_area(request).await?.into_inner(), part).await)
}

/// Names of the fields that a status complains of.
fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().unwrap_or_else(|| panic!("no details: {status:?}"));
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn forecasts_are_listed_newest_first_in_pages() {
    let (service, _) = Service::with_forecast().await;
    let (older, newer) = (planet::path("2000-12-31T00:00Z", "aa"), planet::path("2001-01-02T06:00Z", "bb"));
    planet::publish(&service.root, &older, 1).await;
    planet::begin(&service.root, &newer, 8, 2).await;
    let damaged = planet::path("2001-01-01T12:00Z", "cc");
    let folder = service.folder.path().join(damaged.to_string()).join("forecast.zarr");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("forecast.json"), "{").unwrap();

    let mut client = ForecastServiceClient::new(channel(&service).await);
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListForecastsRequest { page_size: 1, page_token, ..Default::default() };
        let page = client.list_forecasts(request).await.unwrap().into_inner();
        assert_eq!(page.unreachable, ["forecasts/made-up-planet/2001-01-01T1200Z/cc"]);
        names.extend(page.forecasts.into_iter().map(|forecast| forecast.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let name = |path| format!("forecasts/{path}");
    assert_eq!(names, [name(newer.to_string()), NAME.to_owned(), name(older.to_string())]);

    let latest = v1::GetForecastRequest { name: "forecasts/made-up-planet/latest".to_owned() };
    let forecast = client.get_forecast(latest).await.unwrap().into_inner().forecast.unwrap();
    assert_eq!(forecast.name, name(newer.to_string()));
    let run = forecast.run.unwrap();
    assert_eq!((run.steps_complete, run.steps_total, run.state()), (3, 9, v1::RunState::Running));
    assert_eq!((forecast.lead_times.len(), forecast.published_lead_times.len()), (9, 3));
    assert_eq!(forecast.variables[0].levels, ["250hPa", "500hPa", "700hPa", "850hPa", "1000hPa"]);
    assert_eq!(forecast.grid.unwrap().latitudes.len(), 48);

    let wrong = v1::ListForecastsRequest { page_size: -1, page_token: "x".to_owned(), ..Default::default() };
    assert_eq!(fields(&client.list_forecasts(wrong).await.unwrap_err()), ["page_size", "page_token"]);
}

#[tokio::test]
async fn a_field_arrives_in_checked_pieces_as_it_was_published() {
    let (service, path) = Service::with_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let stream = client.get_field(field_request("v", "850hPa", hours(12))).await.unwrap().into_inner();
    let (header, found) = read(stream, |message: v1::GetFieldResponse| message.part).await;
    assert_eq!(header.run.as_ref().unwrap().forecast, NAME);
    assert_eq!((header.units.as_str(), header.data_type()), ("m s-1", v1::DataType::Float32));
    assert_eq!((header.first_row, header.first_column), (0, 0));
    let spec = planet::spec(&path, 8);
    let published = planet::fields(&spec, LeadTime::from_hours(12));
    let truth = published.iter().find(|f| &*f.variable().name == "v" && f.level() == Level::Pressure(850.0)).unwrap();
    assert_eq!(found, truth.values().iter().copied().collect::<Vec<f32>>());
}

/// Rows and columns of the grid that a box holds, columns eastward from its west.
fn held(grid: &Grid, [west, south, east, north]: [f64; 4]) -> (Vec<usize>, Vec<usize>) {
    let (latitude, longitude) = grid.rectilinear().unwrap();
    let width = if east < west { east + 360.0 - west } else { east - west };
    let from_west = |column: usize| (longitude[column] - west).rem_euclid(360.0);
    let rows = (0..latitude.len()).filter(|&row| (south..=north).contains(&latitude[row])).collect();
    let mut columns: Vec<usize> = (0..longitude.len()).filter(|&column| from_west(column) <= width).collect();
    columns.sort_by(|&a, &b| from_west(a).total_cmp(&from_west(b)));
    (rows, columns)
}

#[tokio::test]
async fn an_area_is_the_smallest_window_of_the_field_that_holds_the_box() {
    let (service, _) = Service::with_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let grid = planet::grid();
    for (variable, level) in [("t", "500hPa"), ("ws", "850hPa")] {
        let stream = client.get_field(field_request(variable, level, hours(12))).await.unwrap().into_inner();
        let (whole, field) = read(stream, |message: v1::GetFieldResponse| message.part).await;
        for (bbox, size) in [
            ([4.0, 40.0, 30.5, 61.0], (5, 7)),
            // across the antimeridian, and across the grid's own seam
            ([170.0, -20.0, -160.0, 30.0], (13, 8)),
            ([-20.0, -90.0, 20.0, -60.0], (8, 11)),
            // one point, on all edges of its box
            ([3.75, whole.latitudes[20], 3.75, whole.latitudes[20]], (1, 1)),
            ([-180.0, -90.0, 180.0, 90.0], (48, 96)),
        ] {
            let (header, found) = area(&mut client, area_request(variable, level, bbox)).await.unwrap();
            let (rows, columns) = held(&grid, bbox);
            assert_eq!((rows.len(), columns.len()), size, "{bbox:?}");
            assert_eq!((header.rows as usize, header.columns as usize), size, "{bbox:?}");
            assert_eq!((header.first_row as usize, header.first_column as usize), (rows[0], columns[0]), "{bbox:?}");
            assert_eq!(header.latitudes, rows.iter().map(|&row| whole.latitudes[row]).collect::<Vec<f64>>());
            // eastward from the box's west, also past the seam
            let longitudes = &header.longitudes;
            assert!(longitudes.is_sorted() && longitudes[0] >= bbox[0], "{bbox:?}: {longitudes:?}");
            let turned = longitudes.iter().map(|longitude| longitude.rem_euclid(360.0));
            assert!(turned.eq(columns.iter().map(|&column| whole.longitudes[column])), "{bbox:?}: {longitudes:?}");
            let expected = rows.iter().flat_map(|&row| columns.iter().map(move |&column| row * 96 + column));
            assert_eq!(found, expected.map(|position| field[position]).collect::<Vec<f32>>(), "{bbox:?}");
            assert_eq!(header.run.unwrap().forecast, NAME);
            assert_eq!((&header.units, &header.valid_time), (&whole.units, &whole.valid_time));
        }
    }
    let bbox = [4.0, 40.0, 30.5, 61.0];
    let (_, kelvin) = area(&mut client, area_request("t", "500hPa", bbox)).await.unwrap();
    let request = v1::GetAreaRequest { units: "degC".to_owned(), ..area_request("t", "500hPa", bbox) };
    let (header, celsius) = area(&mut client, request).await.unwrap();
    assert_eq!(header.units, "degC");
    assert!(kelvin.iter().zip(&celsius).all(|(kelvin, celsius)| (kelvin - 273.15 - celsius).abs() < 1e-3));
}

#[tokio::test]
async fn an_area_of_a_grid_without_parallels_is_around_the_points_in_the_box() {
    let (service, grid) = with_projected_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let stream = client.get_field(field_request("t", "850hPa", hours(12))).await.unwrap().into_inner();
    let (whole, field) = read(stream, |message: v1::GetFieldResponse| message.part).await;
    let (header, found) = area(&mut client, area_request("t", "850hPa", [11.0, 55.0, 12.0, 56.0])).await.unwrap();
    let inside = |row: usize, column: usize| {
        let (latitude, longitude) = grid.place(row, column);
        (11.0..=12.0).contains(&longitude) && (55.0..=56.0).contains(&latitude)
    };
    let rows: Vec<usize> = (0..60).filter(|&row| (0..120).any(|column| inside(row, column))).collect();
    let columns: Vec<usize> = (0..120).filter(|&column| (0..60).any(|row| inside(row, column))).collect();
    assert!(rows.len() > 5 && columns.len() > 5, "{rows:?} {columns:?}");
    assert_eq!((header.first_row as usize, header.first_column as usize), (rows[0], columns[0]));
    assert_eq!(header.y, rows.iter().map(|&row| whole.y[row]).collect::<Vec<f64>>());
    assert_eq!(header.x, columns.iter().map(|&column| whole.x[column]).collect::<Vec<f64>>());
    assert_eq!(header.grid_mapping["grid_mapping_name"], "lambert_conformal_conic");
    assert!(header.latitudes.is_empty() && header.longitudes.is_empty());
    let expected = rows.iter().flat_map(|&row| columns.iter().map(move |&column| row * 120 + column));
    assert_eq!(found, expected.map(|position| field[position]).collect::<Vec<f32>>());
    let elsewhere = area(&mut client, area_request("t", "850hPa", [100.0, 55.0, 110.0, 56.0])).await.unwrap_err();
    assert_eq!(fields(&elsewhere), ["bbox"]);
    assert!(elsewhere.message().contains(&grid.to_string()), "{elsewhere}");

    // points in any order: from the first that the box holds to the last
    let latitude = (0..50).map(|n| 50.0 + 0.1 * f64::from(n)).collect();
    let longitude = (0..50).map(|n| f64::from(7 * n % 50)).collect();
    let points = Grid::points(latitude, longitude).unwrap();
    let service = with_forecast_on(points.clone()).await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let (header, found) = area(&mut client, area_request("sp", "surface", [20.0, 51.0, 30.0, 54.0])).await.unwrap();
    let inside = |n: &usize| {
        let (latitude, longitude) = points.place(0, *n);
        (20.0..=30.0).contains(&longitude) && (51.0..=54.0).contains(&latitude)
    };
    let (first, last) = ((0..50).find(inside).unwrap(), (0..50).rfind(inside).unwrap());
    assert_eq!((header.rows, header.first_column as usize), (1, first));
    assert!(header.latitudes.is_empty() && header.y.is_empty() && header.x.is_empty());
    let lead = LeadTime::from_hours(12);
    let value = |n: usize| {
        let (latitude, longitude) = points.place(0, n);
        planet::value("sp", Level::Surface, lead, latitude, longitude)
    };
    assert_eq!(found, (first..=last).map(value).collect::<Vec<f32>>());
}

#[tokio::test]
async fn what_is_no_area_is_told_by_side_with_what_was_found_and_expected() {
    let (service, _) = Service::with_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let grid = &*planet::grid().to_string();
    let (nan, infinite) = (f64::NAN, f64::INFINITY);
    for (bbox, expected, words) in [
        ([-361.0, nan, infinite, 90.5], &["bbox.west", "bbox.south", "bbox.east", "bbox.north"][..], "-361 is outside"),
        ([0.0, 10.0, 5.0, 0.0], &["bbox.south"], "10 is north of north, 0"),
        ([-200.0, 0.0, 170.0, 5.0], &["bbox.east"], "170 is more than a turn east of west, -200"),
        // between the grid's points, and beyond its last parallel
        ([0.1, 0.1, 0.2, 0.2], &["bbox"], grid),
        ([0.0, 89.0, 360.0, 90.0], &["bbox"], grid),
    ] {
        let status = area(&mut client, area_request("t", "500hPa", bbox)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bbox:?}: {status}");
        assert_eq!(fields(&status), expected, "{bbox:?}: {status}");
        assert!(status.message().contains(words), "{bbox:?}: {status}");
    }
    let usual = area_request("t", "500hPa", [0.0, 0.0, 10.0, 10.0]);
    let west = v1::BoundingBox { west: Some(5.0), ..Default::default() };
    let request = v1::GetAreaRequest { bbox: Some(west), units: "hPa".to_owned(), ..usual.clone() };
    let status = area(&mut client, request).await.unwrap_err();
    assert_eq!(fields(&status), ["bbox.south", "bbox.east", "bbox.north", "units"]);
    let nothing = v1::GetAreaRequest { forecast: NAME.to_owned(), ..Default::default() };
    let status = area(&mut client, nothing).await.unwrap_err();
    assert_eq!(fields(&status), ["variable", "level", "bbox", "lead_time"]);
    let late = v1::GetAreaRequest { lead_time: hours(13), ..usual };
    assert_eq!(fields(&area(&mut client, late).await.unwrap_err()), ["lead_time"]);
}

#[tokio::test]
async fn tiles_and_series_name_their_run() {
    let (service, _) = Service::with_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let request = v1::GetTileRequest {
        member: None,
        statistic: String::new(),
        forecast: "forecasts/made-up-planet/latest".to_owned(),
        variable: "t".to_owned(),
        level: "500hPa".to_owned(),
        lead_time: hours(0),
        zoom: Some(0),
        x: Some(0),
        y: Some(0),
        format: v1::TileFormat::Png.into(),
    };
    let tile = client.get_tile(request.clone()).await.unwrap().into_inner();
    assert_eq!(tile.run.unwrap().forecast, NAME);
    assert_eq!(tile.content_type, "image/png");
    assert_eq!(&tile.data[1..4], b"PNG");
    let raw = v1::GetTileRequest { format: v1::TileFormat::F32.into(), ..request };
    assert_eq!(client.get_tile(raw).await.unwrap().into_inner().data.len(), 32 + 4 * 256 * 256);

    let request = v1::GetSeriesRequest {
        member: None,
        statistic: String::new(),
        forecast: NAME.to_owned(),
        variable: "sp".to_owned(),
        level: "surface".to_owned(),
        latitude: Some(-33.0),
        longitude: Some(151.2),
        interpolation: v1::Interpolation::Bilinear.into(),
        units: String::new(),
    };
    let series = client.get_series(request).await.unwrap().into_inner();
    assert_eq!(series.run.unwrap().steps_total, 9);
    assert_eq!((series.latitude, series.longitude, series.units.as_str()), (-33.0, 151.2, "Pa"));
    assert_eq!(series.values.len(), 9);
    for value in series.values {
        let lead = LeadTime::from_seconds(value.lead_time.unwrap().seconds);
        let truth = planet::value("sp", Level::Surface, lead, -33.0, 151.2);
        // bilinear on 3.75° of a wave of 40° length
        assert!((value.value.unwrap() - truth).abs() < 60.0, "{lead}: {:?} {truth}", value.value);
    }
}

#[tokio::test]
async fn every_dimension_that_is_wrong_or_missing_is_a_field_violation() {
    let (service, _) = Service::with_forecast().await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let status = client.get_field(field_request("t9", "500hPa", hours(6))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "variable");
    assert!(details.field_violations[0].description.contains("available: t, u, v, z, sp"), "{details:?}");

    let status = client.get_field(field_request("t", "", None)).await.unwrap_err();
    assert_eq!(fields(&status), ["level", "lead_time"]);
    let nothing = client.get_tile(v1::GetTileRequest { forecast: NAME.to_owned(), ..Default::default() }).await;
    assert_eq!(fields(&nothing.unwrap_err()), ["format", "zoom", "x", "y", "variable", "level", "lead_time"]);
    let nothing = client.get_series(v1::GetSeriesRequest { forecast: NAME.to_owned(), ..Default::default() }).await;
    assert_eq!(fields(&nothing.unwrap_err()), ["variable", "level", "latitude", "longitude"]);
    let nowhere = v1::GetSeriesRequest {
        member: None,
        statistic: String::new(),
        forecast: NAME.to_owned(),
        variable: "t".to_owned(),
        level: "500hPa".to_owned(),
        latitude: Some(f64::NAN),
        longitude: Some(f64::INFINITY),
        interpolation: 0,
        units: String::new(),
    };
    assert_eq!(fields(&client.get_series(nowhere).await.unwrap_err()), ["latitude", "longitude"]);

    let missing = v1::GetFieldRequest { forecast: "forecasts/m/2001-01-01T0000Z/k".to_owned(), ..Default::default() };
    let status = client.get_field(missing).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_details_resource_info().unwrap().resource_type, "forecast");
}

#[tokio::test]
async fn a_step_that_is_not_published_yet_is_a_failed_precondition_that_says_when_to_come_back() {
    let service = Service::start(Limits::default()).await;
    planet::begin(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 8, 1).await;
    let mut client = DataServiceClient::new(channel(&service).await);
    let status = client.get_field(field_request("t", "500hPa", hours(24))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("2 of 9 steps"));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn models_are_told() {
    let service = Service::start(Limits::default()).await;
    let mut client = ModelServiceClient::new(channel(&service).await);
    let first = v1::ListModelsRequest { page_size: 1, page_token: String::new() };
    let page = client.list_models(first).await.unwrap().into_inner();
    assert_eq!(page.models[0].name, "models/another-planet");
    let second = v1::ListModelsRequest { page_size: 1, page_token: page.next_page_token };
    let page = client.list_models(second).await.unwrap().into_inner();
    assert_eq!((page.models[0].name.as_str(), page.next_page_token.as_str()), ("models/made-up-planet", ""));
    assert_eq!(page.models[0].channels[0].standard_name, "air_temperature");
    for (name, code) in [("models/none", Code::NotFound), ("none", Code::InvalidArgument), ("", Code::InvalidArgument)]
    {
        let request = v1::GetModelRequest { name: name.to_owned() };
        assert_eq!(client.get_model(request).await.unwrap_err().code(), code, "{name:?}");
    }
}

#[tokio::test]
async fn a_full_server_answers_resource_exhausted() {
    let service = Service::start(Limits { requests: 0, ..Limits::default() }).await;
    let mut client = ModelServiceClient::new(channel(&service).await);
    let status = client.list_models(v1::ListModelsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn health_follows_the_store() {
    let service = Service::start(Limits::default()).await;
    let mut client = HealthClient::new(channel(&service).await);
    let request = HealthCheckRequest { service: "vejr.v1.DataService".to_owned() };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let mut next = async |expected: ServingStatus| {
        while watch.message().await.unwrap().unwrap().status() != expected {}
    };
    next(ServingStatus::Serving).await;
    let away = service.folder.path().with_extension("away");
    std::fs::rename(service.folder.path(), &away).unwrap();
    next(ServingStatus::NotServing).await;
    std::fs::rename(&away, service.folder.path()).unwrap();
    next(ServingStatus::Serving).await;
}

#[tokio::test]
async fn who_watches_keeps_nobody_out_and_hears_of_what_was_made_elsewhere() {
    use vejr::serve::v1::watch_forecast_response::Kind;
    let service = Service::start(Limits { requests: 1, watchers: 2, ..Limits::default() }).await;
    let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
    planet::begin(&service.root, &path, 8, 2).await;
    let mut client = ForecastServiceClient::new(channel(&service).await);
    let watch = || v1::WatchForecastRequest { name: NAME.to_owned(), resume_token: String::new() };
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = client.watch_forecast(watch()).await.unwrap().into_inner();
        for steps in 1..=3 {
            let event = stream.message().await.unwrap().unwrap();
            assert_eq!((event.kind(), event.run.unwrap().steps_complete), (Kind::Step, steps));
        }
        streams.push(stream);
    }
    // all places of watchers are taken, and the one for others is free
    let get = v1::GetForecastRequest { name: NAME.to_owned() };
    assert!(client.get_forecast(get).await.is_ok());
    assert_eq!(client.watch_forecast(watch()).await.unwrap_err().code(), Code::ResourceExhausted);
    // no requests are taken here, and the answer says so
    let request = v1::RequestForecastRequest { model: "models/made-up-planet".to_owned(), ..Default::default() };
    let refused = client.request_forecast(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("[runs]"), "{refused}");
}
