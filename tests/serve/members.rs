//! An ensemble: each way of asking for data takes a member, and gives the control where none is named.

use serde_json::{Map, Value};
use vejr::atmos::{LeadTime, Level};
use vejr::serve::v1;
use vejr::serve::v1::data_service_client::DataServiceClient;
use vejr::store::{ForecastPath, ForecastSpec, ForecastWriter, Statistics};

use crate::grpc::area;
use crate::{Service, planet};

const MEMBERS: usize = 3;

/// Member k's temperatures are k K higher than the control's.
pub async fn publish(service: &Service) -> ForecastPath {
    let path = planet::path("2001-01-01T00:00Z", "e25e3b1e");
    let exceed = vec!["t 500hPa>0".parse().unwrap()];
    let statistics = Some(Statistics { exceed, ..Statistics::default() });
    let spec = ForecastSpec { members: MEMBERS, statistics, ..planet::spec(&path, 2) };
    let place = path.location(&service.root);
    let mut writer = ForecastWriter::create_or_resume(&place, spec.clone(), false).await.unwrap();
    for step in 0..=2 {
        for member in 0..MEMBERS {
            let mut fields = planet::fields(&spec, spec.lead_times[step]);
            for field in fields.iter_mut().filter(|field| &*field.variable().name == "t") {
                let values = field.values() + member as f32;
                let (variable, grid) = (field.variable().clone(), field.grid().clone());
                *field = vejr::atmos::Field::new(variable, field.level(), field.valid_time(), grid, values).unwrap();
            }
            writer.write_step_of(member, &fields, &fields).await.unwrap();
        }
    }
    writer.finish(Map::new()).await.unwrap();
    path
}

async fn text(service: &Service, path: &str) -> (u16, String) {
    let answer = reqwest::get(service.url(path)).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn every_way_of_asking_takes_a_member() {
    let service = Service::start(vejr::serve::Limits::default()).await;
    let path = publish(&service).await;
    let id = format!("{}~{}~{}", path.model, path.reference_time.compact(), path.run_key);
    let grid = planet::grid();
    let (latitude, longitude) = grid.place(20, 30);
    let control = planet::value("t", Level::Pressure(500.0), LeadTime::from_hours(6), latitude, longitude);
    let expected = |member: Option<usize>| control + member.unwrap_or(0) as f32;
    let asked = |member: Option<usize>| member.map_or(String::new(), |member| format!("&member={member}"));

    for member in [None, Some(0), Some(2)] {
        let query = asked(member);
        // a series, over HTTP and gRPC
        let place = format!("lat={latitude}&lon={longitude}");
        let url = format!("/api/v1/forecasts/{id}/series?variable=t&level=500hPa&{place}{query}");
        let (status, body) = text(&service, &url).await;
        assert_eq!(status, 200, "{body}");
        let series: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(series["member"], member.unwrap_or(0));
        assert_eq!(series["values"][1]["value"].as_f64().unwrap() as f32, expected(member), "{series}");
        let mut client = DataServiceClient::connect(service.url("")).await.unwrap();
        let request = v1::GetSeriesRequest {
            forecast: format!("forecasts/{}/{}/{}", path.model, path.reference_time.compact(), path.run_key),
            variable: "t".to_owned(),
            level: "500hPa".to_owned(),
            latitude: Some(latitude),
            longitude: Some(longitude),
            member: member.map(|member| member as u32),
            ..Default::default()
        };
        let series = client.get_series(request).await.unwrap().into_inner();
        let run = series.run.unwrap();
        assert_eq!((run.members, run.member), (MEMBERS as u32, Some(member.unwrap_or(0) as u32)));
        assert_eq!(series.values[1].value, Some(expected(member)));
        // an area of that point
        let bbox = v1::BoundingBox {
            west: Some(longitude),
            south: Some(latitude),
            east: Some(longitude),
            north: Some(latitude),
        };
        let request = v1::GetAreaRequest {
            forecast: format!("forecasts/{path}"),
            variable: "t".to_owned(),
            level: "500hPa".to_owned(),
            lead_time: Some(prost_types::Duration { seconds: 6 * 3600, nanos: 0 }),
            bbox: Some(bbox),
            member: member.map(|member| member as u32),
            ..Default::default()
        };
        let (header, values) = area(&mut client, request.clone()).await.unwrap();
        let run = header.run.unwrap();
        assert_eq!((run.members, run.member), (MEMBERS as u32, Some(member.unwrap_or(0) as u32)));
        assert_eq!(values, [expected(member)]);
        let spread =
            v1::GetAreaRequest { member: None, statistic: "spread".to_owned(), units: "degC".to_owned(), ..request };
        let (header, values) = area(&mut client, spread).await.unwrap();
        // a standard deviation has no other zero in other units
        assert!(header.run.unwrap().member.is_none() && (values[0] - 1.0).abs() < 1e-3, "{values:?}");
        // EDR
        let coords = format!("POINT({longitude} {latitude})").replace(' ', "%20");
        let url = format!("/collections/{}/position?coords={coords}&parameter-name=t&z=500&f=CSV{query}", path.model);
        let (status, body) = text(&service, &url).await;
        assert_eq!(status, 200, "{body}");
        let line = body.lines().nth(2).unwrap();
        let found: f32 = line.rsplit(',').next().unwrap().parse().unwrap();
        assert_eq!(found, expected(member), "{body}");
        // a tile, which says whose it is
        let url = format!("/tiles/{id}/t/500hPa/6h/0/0/0.f32?interpolation=nearest{query}");
        let tile = reqwest::get(service.url(&url)).await.unwrap();
        assert_eq!(tile.headers()["vejr-member"], member.unwrap_or(0).to_string().as_str());
        // WMS
        let dimension = member.map_or(String::new(), |member| format!("&DIM_MEMBER={member}"));
        let url = format!(
            "/wms?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetFeatureInfo&LAYERS={0}:t&QUERY_LAYERS={0}:t&CRS=CRS:84&\
             BBOX={1},{2},{3},{4}&WIDTH=101&HEIGHT=101&I=50&J=50&INFO_FORMAT=application/json&ELEVATION=500&\
             TIME=2001-01-01T06:00:00Z&STYLES=&FORMAT=image/png{dimension}",
            path.model,
            longitude - 0.5,
            latitude - 0.5,
            longitude + 0.5,
            latitude + 0.5,
        );
        let (status, body) = text(&service, &url).await;
        assert_eq!(status, 200, "{body}");
        let info: Value = serde_json::from_str(&body).unwrap();
        let shown = info["features"][0]["properties"]["value"].as_f64();
        assert!((shown.unwrap() as f32 - expected(member)).abs() < 0.05, "{body}");
    }

    // tiles of two members are never taken for each other
    let tile = |member: usize| {
        let url = service.url(&format!("/tiles/{id}/t/500hPa/6h/0/0/0.f32?member={member}"));
        async move {
            let answer = reqwest::get(url).await.unwrap();
            (answer.headers()["etag"].clone(), answer.bytes().await.unwrap())
        }
    };
    let ((first, one), (second, other)) = (tile(1).await, tile(2).await);
    assert_ne!(first, second);
    let values = |bytes: &[u8]| {
        let (_, values) = bytes.split_at(bytes.len() - 4 * 256 * 256);
        values.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect::<Vec<f32>>()
    };
    let apart = values(&one).into_iter().zip(values(&other)).map(|(one, other)| other - one);
    assert!(apart.filter(|apart| apart.is_finite()).all(|apart| (apart - 1.0).abs() < 1e-3));

    let (status, body) = text(&service, &format!("/tiles/{id}/t/500hPa/6h/0/0/0.png?member=3")).await;
    assert!(status == 400 && body.contains("members 0 to 2"), "{status} {body}");
    let (_, capabilities) = text(&service, "/wms?SERVICE=WMS&REQUEST=GetCapabilities").await;
    assert!(capabilities.contains("<Dimension name=\"member\" units=\"\" default=\"0\">0,1,2,mean,spread,"));
}

#[tokio::test]
async fn what_is_made_of_the_members_is_asked_for_like_one_of_them() {
    let service = Service::start(vejr::serve::Limits::default()).await;
    let path = publish(&service).await;
    let id = format!("{}~{}~{}", path.model, path.reference_time.compact(), path.run_key);
    let (latitude, longitude) = planet::grid().place(20, 30);
    let control = planet::value("t", Level::Pressure(500.0), LeadTime::from_hours(6), latitude, longitude);
    let place = format!("level=500hPa&lat={latitude}&lon={longitude}");
    for (statistic, units, expected) in [
        ("mean", "K", control + 1.0),
        ("spread", "K", 1.0),
        // a standard deviation has no other zero in other units
        ("spread", "degC", 1.0),
        ("q90", "K", control + 1.8),
        ("500hPa_above_0", "1", 1.0),
    ] {
        let query = format!("variable=t&{place}&member={statistic}&units={units}");
        let (status, body) = text(&service, &format!("/api/v1/forecasts/{id}/series?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let series: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(series["statistic"], statistic);
        let found = series["values"][1]["value"].as_f64().unwrap() as f32;
        assert!((found - expected).abs() < 1e-3, "{statistic} in {units}: {found}, expected {expected}");
    }

    let mut client = DataServiceClient::connect(service.url("")).await.unwrap();
    let mut series = async |member: Option<u32>, statistic: &str| {
        let request = v1::GetSeriesRequest {
            forecast: format!("forecasts/{}/{}/{}", path.model, path.reference_time.compact(), path.run_key),
            variable: "t".to_owned(),
            level: "500hPa".to_owned(),
            latitude: Some(latitude),
            longitude: Some(longitude),
            units: "degC".to_owned(),
            statistic: statistic.to_owned(),
            member,
            ..Default::default()
        };
        client.get_series(request).await.map(tonic::Response::into_inner)
    };
    let spread = series(None, "spread").await.unwrap();
    assert!((spread.values[1].value.unwrap() - 1.0).abs() < 1e-3 && spread.run.unwrap().member.is_none());
    for (member, statistic) in [(None, "median"), (None, "1"), (Some(1), "mean")] {
        let error = series(member, statistic).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::InvalidArgument, "{member:?} {statistic}: {error}");
    }

    // by the standards' ways
    let position =
        format!("collections/made-up-planet/position?coords=POINT({longitude}%20{latitude})&z=500&parameter-name=t");
    for (statistic, units, expected) in [("mean", "K", control + 1.0), ("spread", "degC", 1.0)] {
        let (status, body) = text(&service, &format!("/{position}&units={units}&member={statistic}")).await;
        assert_eq!(status, 200, "{body}");
        let coverage: Value = serde_json::from_str(&body).unwrap();
        let found = coverage["ranges"]["t"]["values"][1].as_f64().unwrap() as f32;
        assert!((found - expected).abs() < 1e-3, "{statistic} in {units}: {found}, expected {expected}");
    }
    let map = |member: &str| {
        let bounds = "&CRS=CRS:84&BBOX=-180,-90,180,90&WIDTH=64&HEIGHT=32&FORMAT=image/png&TIME=";
        let time = "2001-01-01T06:00:00Z";
        format!(
            "/wms?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=made-up-planet:t{bounds}{time}&DIM_MEMBER={member}"
        )
    };
    let maps = [reqwest::get(service.url(&map("mean"))).await, reqwest::get(service.url(&map("spread"))).await];
    let [mean, spread] = maps.map(Result::unwrap);
    assert_eq!((mean.status().as_u16(), spread.status().as_u16()), (200, 200));
    assert_ne!(mean.bytes().await.unwrap(), spread.bytes().await.unwrap());
    let (status, body) = text(&service, &map("median")).await;
    assert!(status == 400 && body.contains("InvalidDimensionValue"), "{status} {body}");
    let (_, capabilities) = text(&service, "/wms?SERVICE=WMS&REQUEST=GetCapabilities").await;
    assert!(capabilities.contains(",mean,spread,q10,q50,q90</Dimension>"), "{capabilities}");

    // tiles with their own colours
    let tile = async |statistic: &str| {
        let url = service.url(&format!("/tiles/{id}/t/500hPa/6h/0/0/0.png?member={statistic}"));
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.headers()["vejr-member"], statistic);
        (answer.headers()["etag"].clone(), answer.bytes().await.unwrap())
    };
    let (mean, spread) = (tile("mean").await, tile("spread").await);
    assert!(mean.0 != spread.0 && mean.1 != spread.1);
    let legend = async |query: &str| {
        let (status, body) = text(&service, &format!("/legends/{id}/t/500hPa{query}")).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    assert_eq!(legend("?member=mean").await, legend("").await);
    let spread = legend("?member=spread").await;
    let high = spread["high"].as_f64().unwrap();
    assert!(spread["low"] == 0.0 && (high - 10.0).abs() < 1e-6 && spread["display"]["offset"] == 0.0, "{spread}");
    assert_eq!(legend("?member=500hPa_above_0").await["units"], "%");

    // what there is, and what there is not
    let (_, body) = text(&service, &format!("/api/v1/forecasts/{id}")).await;
    let forecast: Value = serde_json::from_str(&body).unwrap();
    let of = |name: &str| {
        let variables = forecast["variables"].as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).unwrap()["statistics"].clone()
    };
    assert_eq!(of("t"), serde_json::json!(["mean", "spread", "q10", "q50", "q90", "500hPa_above_0"]));
    assert_eq!(of("u"), serde_json::json!(["mean", "spread", "q10", "q50", "q90"]));
    assert_eq!(of("ws"), Value::Null);
    for (variable, member) in [("t", "median"), ("t", "q95"), ("ws", "mean"), ("u", "500hPa_above_0")] {
        let query = format!("variable={variable}&{place}&member={member}");
        let (status, body) = text(&service, &format!("/api/v1/forecasts/{id}/series?{query}")).await;
        assert_eq!(status, 400, "{variable} {member}: {body}");
    }
}

#[tokio::test]
async fn a_single_forecast_has_no_members() {
    let (service, path) = Service::with_forecast().await;
    let id = format!("{}~{}~{}", path.model, path.reference_time.compact(), path.run_key);
    let (status, body) = text(&service, &format!("/tiles/{id}/t/500hPa/6h/0/0/0.png?member=1")).await;
    assert!(status == 400 && body.contains("is no ensemble"), "{status} {body}");
    let (status, body) = text(&service, &format!("/tiles/{id}/t/500hPa/6h/0/0/0.png?member=mean")).await;
    assert!(status == 400 && body.contains("nor a statistic"), "{status} {body}");
    let tile = reqwest::get(service.url(&format!("/tiles/{id}/t/500hPa/6h/0/0/0.png"))).await.unwrap();
    assert!(tile.status().is_success() && !tile.headers().contains_key("vejr-member"));
}
