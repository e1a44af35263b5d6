//! Maps for other tools: WMS, OGC API - Tiles, WebP, quantised tiles, contours and winds as shapes.

use std::collections::HashMap;

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use vejr::atmos::{LeadTime, Level};
use vejr::tile::{QUANTISED_HEADER_LEN, TILE_SIZE, TileId, TileMatrixSet};

use super::clients::{python, script};
use super::{Service, planet};

const FIELD: &str = "made-up-planet~2001-01-01T0000Z~4f2a9c01/t/500hPa/24h";

async fn get(service: &Service, path: &str) -> Response {
    Client::new().get(service.url(path)).send().await.unwrap()
}

async fn bytes(service: &Service, path: &str) -> Vec<u8> {
    let response = get(service, path).await;
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&bytes));
    bytes.to_vec()
}

async fn json(service: &Service, path: &str) -> Value {
    serde_json::from_slice(&bytes(service, path).await).unwrap()
}

fn floats(tile: &[u8]) -> Vec<f32> {
    tile[32..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// RGBA of a picture, and its width.
fn pixels(png: &[u8]) -> (Vec<[u8; 4]>, u32) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (bytes.chunks_exact(4).map(|pixel| pixel.try_into().unwrap()).collect(), info.width)
}

#[tokio::test]
async fn one_field_has_the_same_values_in_every_form_of_tile() {
    let (service, _) = Service::with_forecast().await;
    let of = |file: &str| format!("/tiles/{FIELD}/3/4/2{file}");
    let exact = floats(&bytes(&service, &of(".f32")).await);
    let quantised = bytes(&service, &of(".i16")).await;
    let number = |at: usize| f64::from_le_bytes(quantised[at..at + 8].try_into().unwrap());
    let (scale, offset) = (number(32), number(40));
    assert_eq!(scale, 0.01);
    for (value, stored) in exact.iter().zip(quantised[QUANTISED_HEADER_LEN..].chunks_exact(2)) {
        let stored = i16::from_le_bytes(stored.try_into().unwrap());
        assert!((f64::from(stored) * scale + offset - f64::from(*value)).abs() < 0.0051);
    }
    let celsius = floats(&bytes(&service, &of(".f32?units=degC")).await);
    assert!(exact.iter().zip(&celsius).all(|(kelvin, celsius)| (kelvin - 273.15 - celsius).abs() < 1e-3));
    assert_eq!(get(&service, &of(".f32?units=hPa")).await.status(), StatusCode::BAD_REQUEST);

    let (png, _) = pixels(&bytes(&service, &of(".png")).await);
    let webp = bytes(&service, &of(".webp")).await;
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(webp)).unwrap();
    let mut colors = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut colors).unwrap();
    let channels = colors.len() / png.len();
    assert!(png.iter().zip(colors.chunks_exact(channels)).all(|(png, webp)| png[..3] == webp[..3]));

    // twice the pixels: each is between its neighbours in the smaller one
    for path in [of("@2x.f32"), of(".f32?size=512")] {
        assert_eq!(floats(&bytes(&service, &path).await).len(), 4 * TILE_SIZE * TILE_SIZE);
    }
    let nearest = floats(&bytes(&service, &of(".f32?interpolation=nearest")).await);
    let different: std::collections::HashSet<u32> = nearest.iter().map(|value| value.to_bits()).collect();
    assert!(different.len() < 200 && different.len() > 20, "{}", different.len());

    // rows before columns, and degrees
    assert_eq!(floats(&bytes(&service, &format!("/tiles/{FIELD}/WebMercatorQuad/3/2/4?f=f32")).await), exact);
    let degrees = floats(&bytes(&service, &format!("/tiles/{FIELD}/WorldCRS84Quad/2/1/5.f32")).await);
    let raster = TileId::of(TileMatrixSet::WorldCrs84Quad, 2, 5, 1).unwrap().raster(TILE_SIZE);
    for (n, value) in degrees.iter().enumerate().step_by(1001) {
        let (latitude, longitude) = (raster.latitudes[n / TILE_SIZE], raster.longitudes[n % TILE_SIZE]);
        let truth = planet::value("t", Level::Pressure(500.0), LeadTime::from_hours(24), latitude, longitude);
        assert!((value - truth).abs() < 1.0, "{latitude} {longitude}: {value} {truth}");
    }
    service.stop().await;
}

#[tokio::test]
async fn tilesets_lead_to_tiles() {
    let (service, _) = Service::with_forecast().await;
    let list = json(&service, &format!("/tiles/{FIELD}")).await;
    for set in list["tilesets"].as_array().unwrap() {
        let links = set["links"].as_array().unwrap();
        let link =
            |rel: &str| links.iter().find(|link| link["rel"] == rel).unwrap()["href"].as_str().unwrap().to_owned();
        let own = Client::new().get(link("self")).send().await.unwrap();
        assert_eq!(own.status(), StatusCode::OK);
        let scheme =
            Client::new().get(link("http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme")).send().await.unwrap();
        let scheme: Value = serde_json::from_slice(&scheme.bytes().await.unwrap()).unwrap();
        let expected = if scheme["id"] == "WebMercatorQuad" { 559_082_264.028_717 } else { 279_541_132.014_358 };
        let found = scheme["tileMatrices"][0]["scaleDenominator"].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}");
        let tile = link("item").replace("{tileMatrix}", "1").replace("{tileRow}", "0").replace("{tileCol}", "1");
        let tile = Client::new().get(tile).send().await.unwrap();
        assert_eq!((tile.status(), &tile.headers()["content-type"]), (StatusCode::OK, &"image/png".parse().unwrap()));
    }
    let legend = get(&service, "/legends/made-up-planet~latest/t/500hPa.png").await;
    assert_eq!(legend.headers()["content-type"], "image/png");
    let legend = json(&service, "/legends/made-up-planet~latest/t/500hPa?units=degF").await;
    assert_eq!((&legend["units"], legend["high"].as_f64()), (&"degF".into(), Some(32.0)));
    service.stop().await;
}

#[tokio::test]
async fn lines_and_winds_lie_where_the_field_has_them() {
    let (service, _) = Service::with_forecast().await;
    let lines = json(&service, &format!("/contours/{FIELD}?interval=5&bbox=-40,30,40,70")).await;
    assert_eq!((&lines["units"], lines["interval"].as_f64()), (&"°C".into(), Some(5.0)));
    let features = lines["features"].as_array().unwrap();
    assert!(features.len() > 2);
    for feature in features {
        let value = feature["properties"]["value"].as_f64().unwrap();
        for place in
            feature["geometry"]["coordinates"].as_array().unwrap().iter().flat_map(|line| line.as_array().unwrap())
        {
            let (longitude, latitude) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
            let truth = planet::value("t", Level::Pressure(500.0), LeadTime::from_hours(24), latitude, longitude);
            assert!((f64::from(truth) - 273.15 - value).abs() < 1.0, "{latitude} {longitude}: {truth} {value}");
        }
    }
    assert_eq!(get(&service, &format!("/contours/{FIELD}?interval=0.001")).await.status(), StatusCode::BAD_REQUEST);

    let winds = FIELD.replace("/t/", "/ws/");
    let found = json(&service, &format!("/winds/{winds}?count=10&units=kn")).await;
    assert_eq!(found["units"], "kn");
    let features = found["features"].as_array().unwrap();
    assert_eq!(features.len(), 100);
    for feature in features {
        let at = |n: usize| feature["geometry"]["coordinates"][n].as_f64().unwrap();
        let part =
            |name| f64::from(planet::value(name, Level::Pressure(500.0), LeadTime::from_hours(24), at(1), at(0)));
        let speed = part("u").hypot(part("v")) * 3600.0 / 1852.0;
        assert!((feature["properties"]["speed"].as_f64().unwrap() - speed).abs() < 3.0 + 0.1 * speed);
    }
    assert_eq!(get(&service, &format!("/winds/{FIELD}")).await.status(), StatusCode::BAD_REQUEST);
    service.stop().await;
}

const MAP: &str = "/wms?SERVICE=WMS&REQUEST=GetMap&LAYERS=made-up-planet:t&STYLES=&FORMAT=image/png&WIDTH=64&HEIGHT=32";

#[tokio::test]
async fn a_map_is_the_same_in_both_versions_and_names_what_it_took() {
    let (service, _) = Service::with_forecast().await;
    let at = "&TIME=2001-01-02T00:00:00Z&ELEVATION=500&DIM_REFERENCE_TIME=2001-01-01T00:00:00Z&TRANSPARENT=TRUE";
    let (first, width) =
        pixels(&bytes(&service, &format!("{MAP}{at}&VERSION=1.3.0&CRS=EPSG:4326&BBOX=30,-40,70,40")).await);
    assert_eq!((width, first.len()), (64, 64 * 32));
    for other in ["VERSION=1.3.0&CRS=CRS:84&BBOX=-40,30,40,70", "VERSION=1.1.1&SRS=EPSG:4326&BBOX=-40,30,40,70"] {
        assert_eq!(pixels(&bytes(&service, &format!("{MAP}{at}&{other}")).await).0, first, "{other}");
    }
    // the colours of a tile are those of the map of its window
    let edge = 20_037_508.342_789_244;
    let window = format!("&VERSION=1.3.0&CRS=EPSG:3857&BBOX=0,0,{},{}", edge / 2.0, edge / 2.0);
    let map = bytes(&service, &format!("{}{at}{window}", MAP.replace("64", "256").replace("32", "256"))).await;
    let tile = bytes(&service, &format!("/tiles/{FIELD}/2/2/1.png")).await;
    assert_eq!(pixels(&map).0, pixels(&tile).0);

    let response = get(&service, &format!("{MAP}&VERSION=1.3.0&CRS=CRS:84&BBOX=-180,-90,180,90")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let warnings: Vec<&str> = response.headers().get_all("warning").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3);
    assert!(warnings.contains(&"99 Default value used: TIME=2001-01-01T00:00:00Z"), "{warnings:?}");
    assert!(warnings.contains(&"99 Default value used: ELEVATION=500 hPa"), "{warnings:?}");
    assert_eq!(response.headers()["vejr-forecast"], "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01");

    let query =
        "&VERSION=1.3.0&CRS=EPSG:4326&BBOX=30,-40,70,40&QUERY_LAYERS=made-up-planet:t,made-up-planet:sp&I=20&J=10";
    let info =
        json(&service, &format!("{}{at}{query}&INFO_FORMAT=application/json", MAP.replace("GetMap", "GetFeatureInfo")))
            .await;
    let (latitude, longitude) = (70.0 - 40.0 * 10.5 / 32.0, -40.0 + 80.0 * 20.5 / 64.0);
    let truth = planet::value("t", Level::Pressure(500.0), LeadTime::from_hours(24), latitude, longitude);
    let found = &info["features"][0]["properties"];
    assert!((found["value"].as_f64().unwrap() - f64::from(truth)).abs() < 1.0);
    assert!((found["value"].as_f64().unwrap() - 273.15 - found["shown"].as_f64().unwrap()).abs() < 1e-6);
    assert_eq!(info["features"].as_array().unwrap().len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn exceptions_are_xml_with_a_code() {
    let (service, _) = Service::with_forecast().await;
    let good = HashMap::from([
        ("SERVICE", "WMS"),
        ("VERSION", "1.3.0"),
        ("REQUEST", "GetMap"),
        ("LAYERS", "made-up-planet:t"),
        ("CRS", "CRS:84"),
        ("BBOX", "-180,-90,180,90"),
        ("WIDTH", "16"),
        ("HEIGHT", "8"),
        ("FORMAT", "image/png"),
    ]);
    for (name, value, code) in [
        ("REQUEST", "GetFeature", "OperationNotSupported"),
        ("LAYERS", "made-up-planet:t9", "LayerNotDefined"),
        ("LAYERS", "nobody:t", "LayerNotDefined"),
        ("LAYERS", "../..", "LayerNotDefined"),
        ("STYLES", "rainbow", "StyleNotDefined"),
        ("CRS", "EPSG:1", "InvalidCRS"),
        ("FORMAT", "image/gif", "InvalidFormat"),
        ("TIME", "2001-01-01T01:00:00Z", "InvalidDimensionValue"),
        ("TIME", "yesterday", "InvalidDimensionValue"),
        ("ELEVATION", "501", "InvalidDimensionValue"),
        ("DIM_REFERENCE_TIME", "1999-01-01T00:00:00Z", "InvalidDimensionValue"),
        ("WIDTH", "0", ""),
        ("BBOX", "1,2,3", ""),
        ("BGCOLOR", "blue", ""),
    ] {
        let mut pairs = good.clone();
        pairs.insert(name, value);
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A"))).collect();
        let response = get(&service, &format!("/wms?{}", query.join("&"))).await;
        assert!(response.status().is_client_error(), "{name}={value}");
        let text = response.text().await.unwrap();
        assert!(text.contains("<ServiceExceptionReport version=\"1.3.0\""), "{text}");
        let expected = if code.is_empty() { "<ServiceException>".to_owned() } else { format!("code=\"{code}\"") };
        assert!(text.contains(&expected), "{name}={value}: {text}");
    }
    // a map may be asked to say it itself, or to stay empty
    let picture = async |exceptions: &str, changed: (&str, &str)| {
        let mut pairs = good.clone();
        pairs.extend([("WIDTH", "200"), ("HEIGHT", "100"), ("EXCEPTIONS", exceptions)]);
        let query: Vec<String> = pairs
            .iter()
            .map(|(name, value)| if *name == changed.0 { changed } else { (*name, *value) })
            .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")))
            .collect();
        let response = get(&service, &format!("/wms?{}", query.join("&"))).await;
        assert_eq!(response.status(), 200, "{exceptions}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut reader = png::Decoder::new(std::io::Cursor::new(response.bytes().await.unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (200, 100));
        pixels.chunks_exact(4).filter(|pixel| *pixel == [0, 0, 0, 255]).count()
    };
    let wrong = ("LAYERS", "made-up-planet:t9");
    assert!(picture("INIMAGE", wrong).await > 100);
    assert!(picture("application/vnd.ogc.se_inimage", wrong).await > 100);
    assert_eq!(picture("BLANK", wrong).await, 0);
    assert!(picture("INIMAGE", ("FORMAT", "image/gif")).await > 100);
    service.stop().await;
}

/// The documents against the rules of their schemas, and GDAL as it reads WMS and XYZ.
#[tokio::test]
async fn other_tools_read_the_maps() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let (service, _) = Service::with_forecast().await;
    let output = tokio::process::Command::new(python)
        .arg(script("maps.py"))
        .args([service.url(""), FIELD.to_owned()])
        .output()
        .await
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    println!("{out}");
    service.stop().await;
}
