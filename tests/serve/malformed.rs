//! Requests as nobody should send them: a program is asked thousands of wrong things, and answers each with the client's error.
//!
//! `VEJR_MALFORMED=100000 cargo test --release --test serve -- --nocapture malformed` asks more; `VEJR_SEED=N` asks other things.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use prost::Message;
use prost_types::{Duration as ProtoDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::transport::Channel;
use tower_service::Service as _;
use vejr::serve::{GRPC, HTTP, v1};

use super::http::ID;
use super::program::Program;

/// Asked at once.
const CONCURRENCY: usize = 32;
/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// SplitMix64 (Steele, Lea and Flood 2014): the same seed asks the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }
}

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A 4xx.
    ClientError,
    /// Anything but a server's error.
    Answer,
    /// Such an answer, or a closed connection: it is no HTTP.
    AnswerOrNone,
}

/// Wrong in every place.
fn wrong(random: &mut Random) -> String {
    let fixed = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%00",
        "%ff",
        "%c0%af",
        "%",
        "%zz",
        "%u0041",
        "NaN",
        "inf",
        "-1-",
        "1e999",
        "-0x7f",
        "99999999999999999999",
        "18446744073709551616",
        "0.0.0",
        "''--",
        "%22%3E%3Cscript%3E",
        "$%7Bjndi%7D",
        "%E2%98%83",
        "{}",
        "[]",
        "|",
        "*",
        "%0d%0aX:1",
        "~",
        "~~~",
        "null",
        "true",
        "None",
    ];
    match random.below(12) {
        0 => "9".repeat(1 + random.below(3000)),
        1 => "%41".repeat(1 + random.below(500)),
        2 => random.bytes(40).iter().map(|byte| format!("%{byte:02x}")).collect::<String>() + "%fe",
        _ => random.one(&fixed).to_owned(),
    }
}

/// Right values, of which some are made wrong: at least one.
fn spoilt(random: &mut Random, right: &[&str]) -> Vec<String> {
    let certain = random.below(right.len());
    let mut values = Vec::new();
    for (n, value) in right.iter().enumerate() {
        let spoil = n == certain || random.below(4) == 0;
        values.push(if spoil { wrong(random) } else { (*value).to_owned() });
    }
    values
}

/// An address that is wrong.
fn address(random: &mut Random) -> (String, Expected) {
    let refused = Expected::ClientError;
    let query = |random: &mut Random, path: &str, pairs: &[(&str, &str)]| {
        let values = spoilt(random, &pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
        let pairs: Vec<String> = pairs.iter().zip(values).map(|(pair, value)| format!("{}={value}", pair.0)).collect();
        format!("{path}?{}", pairs.join("&"))
    };
    let collection = "/collections/made-up-planet";
    match random.below(13) {
        0 => (format!("/tiles/{}", spoilt(random, &[ID, "t", "500hPa", "24h", "1", "0", "0.png"]).join("/")), refused),
        1 => (format!("/legends/{}", spoilt(random, &[ID, "t", "500hPa"]).join("/")), refused),
        2 => (format!("/contours/{}", spoilt(random, &[ID, "z", "500hPa", "24h"]).join("/")), refused),
        3 => {
            let path = format!("/api/v1/forecasts/{ID}/series");
            (query(random, &path, &[("variable", "t"), ("level", "500hPa"), ("lat", "50"), ("lon", "10")]), refused)
        }
        4 => {
            let pairs = [
                ("coords", "POINT(12%2050)"),
                ("parameter-name", "t"),
                ("z", "500"),
                ("datetime", "2001-01-01T00:00Z"),
                ("f", "CSV"),
            ];
            (query(random, &format!("{collection}/position"), &pairs), refused)
        }
        5 => (
            query(
                random,
                &format!("{collection}/cube"),
                &[("bbox", "0,40,10,50"), ("parameter-name", "t"), ("z", "500")],
            ),
            refused,
        ),
        6 => {
            let area = "POLYGON((0%2040,10%2040,10%2050,0%2040))";
            (
                query(
                    random,
                    &format!("{collection}/area"),
                    &[("coords", area), ("parameter-name", "t"), ("crs", "CRS84")],
                ),
                refused,
            )
        }
        7 => {
            let pairs = [
                ("SERVICE", "WMS"),
                ("VERSION", "1.3.0"),
                ("REQUEST", "GetMap"),
                ("LAYERS", "made-up-planet:t"),
                ("STYLES", ""),
                ("CRS", "EPSG:3857"),
                ("BBOX", "0,0,1e6,1e6"),
                ("WIDTH", "64"),
                ("HEIGHT", "64"),
                ("FORMAT", "image/png"),
            ];
            (query(random, "/wms", &pairs), Expected::Answer)
        }
        8 => (query(random, "/api/v1/forecasts", &[("modell", "t"), ("model", "x")]), refused),
        9 => (
            format!("/collections/{}/instances/{}/position?coords=POINT(1%201)", wrong(random), wrong(random)),
            refused,
        ),
        10 => (format!("/api/v1/runs/{}/events", wrong(random)), refused),
        11 => {
            let deep = ["/", "//", "/./", "/../", "/%2e%2e/", "/;/", "/\\/"];
            let path: String =
                (0..1 + random.below(20)).map(|_| random.one(&deep).to_owned() + &wrong(random)).collect();
            (path, Expected::Answer)
        }
        _ => {
            // all routes there are, with all parts wrong
            let rule = random.one(HTTP);
            let mut path = String::new();
            for part in rule.1.split('/').skip(1) {
                path += "/";
                path += &if part.starts_with('{') { wrong(random) } else { part.to_owned() };
            }
            (format!("{path}?{}={}", wrong(random), wrong(random)), Expected::Answer)
        }
    }
}

/// A request over HTTP/1.1, letter by letter.
fn http(random: &mut Random) -> (Vec<u8>, Expected) {
    let (path, expected) = address(random);
    let request = |method: &str, path: &str, more: &str, body: &[u8]| {
        let mut all = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{more}\r\n").into_bytes();
        all.extend_from_slice(body);
        all
    };
    let body = |random: &mut Random, body: Vec<u8>| {
        let kind =
            random.one(&["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]);
        let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        (request("POST", "/api/v1/runs", &more, &body), Expected::ClientError)
    };
    match random.below(12) {
        0..=5 => (request("GET", &path, "", b""), expected),
        6 => {
            let method = random.one(&["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X", "get"]);
            (request(method, &path, "", b""), Expected::AnswerOrNone)
        }
        7 => {
            let garbage = random.bytes(3000);
            body(random, garbage)
        }
        8 => {
            let values = [
                "null",
                "1e999",
                "-1",
                "[]",
                "{}",
                "\"\"",
                "\"NaN\"",
                "\"\\u0000\"",
                "\"10d\"",
                "true",
                "1e308",
                "\"2001-99-99T00:00Z\"",
            ];
            let names = ["model", "reference_time", "lead_time", "encoding", "true_winds", "request_id", "other", ""];
            let pairs: Vec<String> =
                (0..random.below(9)).map(|_| format!("{:?}:{}", random.one(&names), random.one(&values))).collect();
            let text = match random.below(4) {
                0 => "[".repeat(1 + random.below(5000)),
                1 => format!("{{{}", pairs.join(",")),
                _ => format!("{{{}}}", pairs.join(",")),
            };
            body(random, text.into_bytes())
        }
        9 => {
            let header = random.one(&[
                "Content-Length: -1",
                "Content-Length: 1\r\nContent-Length: 2",
                "Transfer-Encoding: chunked\r\nContent-Length: 3",
                "Range: bytes=-99999999999999999999",
                "If-None-Match: \"\"\"",
                "Accept-Encoding: \u{1}",
                "Last-Event-ID: x",
                "Accept: */*;q=NaN",
                "Authorization: Bearer",
                "Authorization: Basic ====",
                "Expect: 200-maybe",
                "Upgrade: h2c\r\nConnection: Upgrade",
                ": empty",
                "X Y: z",
                "X: \u{7f}\u{0}",
                "Host: other",
            ]);
            (request("GET", &path, &format!("{header}\r\n"), b""), Expected::AnswerOrNone)
        }
        10 => {
            let line = [&b"GET "[..], &random.bytes(200), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
            (line, Expected::AnswerOrNone)
        }
        _ => (random.bytes(2000), Expected::AnswerOrNone),
    }
}

/// Frames of HTTP/2 that mean nothing, after a greeting that is right.
fn frames(random: &mut Random) -> Vec<u8> {
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for _ in 0..1 + random.below(8) {
        let payload = random.bytes(200);
        let length = if random.below(4) == 0 { random.next() as u32 & 0xff_ffff } else { payload.len() as u32 };
        all.extend_from_slice(&length.to_be_bytes()[1..]);
        all.extend_from_slice(&[random.below(14) as u8, random.next() as u8]);
        all.extend_from_slice(&(random.below(9) as u32).to_be_bytes());
        all.extend_from_slice(&payload);
    }
    all
}

/// A message that is what the method takes, with values that it does not.
fn message(random: &mut Random, method: &str) -> Vec<u8> {
    let text = |random: &mut Random| match random.below(6) {
        0 => "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01".to_owned(),
        1 => "forecasts/../../x".to_owned(),
        2 => "\0".repeat(random.below(50)),
        _ => wrong(random),
    };
    let number = |random: &mut Random| {
        random.one(&[f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, -0.0, 1e308, f64::MIN_POSITIVE, 91.0, 12.5])
    };
    let whole = |random: &mut Random| random.one(&[i64::MIN, i64::MAX, -1, 0, 1, 86_400, 1 << 40]);
    let nanos = |random: &mut Random| random.one(&[i32::MIN, i32::MAX, 0, -1, 999_999_999]);
    let lead = |random: &mut Random| Some(ProtoDuration { seconds: whole(random), nanos: nanos(random) });
    let time = |random: &mut Random| Some(Timestamp { seconds: whole(random), nanos: nanos(random) });
    let small = |random: &mut Random| random.one(&[0, 1, -1, 99, i32::MAX, i32::MIN]);
    let place = |random: &mut Random| random.one(&[None, Some(0), Some(1), Some(31), Some(u32::MAX)]);
    match method.rsplit('/').next().unwrap_or_default() {
        "GetTile" => v1::GetTileRequest {
            forecast: text(random),
            variable: text(random),
            level: text(random),
            lead_time: lead(random),
            zoom: place(random),
            x: place(random),
            y: place(random),
            format: small(random),
            member: place(random),
            statistic: text(random),
        }
        .encode_to_vec(),
        "GetField" => v1::GetFieldRequest {
            forecast: text(random),
            variable: text(random),
            level: text(random),
            lead_time: lead(random),
            member: place(random),
            statistic: text(random),
        }
        .encode_to_vec(),
        "GetArea" => v1::GetAreaRequest {
            forecast: text(random),
            variable: "t".to_owned(),
            level: "500hPa".to_owned(),
            lead_time: lead(random),
            bbox: Some(v1::BoundingBox {
                west: Some(number(random)),
                south: Some(number(random)),
                east: Some(number(random)),
                north: Some(number(random)),
            }),
            units: text(random),
            member: place(random),
            statistic: text(random),
        }
        .encode_to_vec(),
        "GetSeries" => v1::GetSeriesRequest {
            forecast: text(random),
            variable: "t".to_owned(),
            level: "500hPa".to_owned(),
            latitude: Some(number(random)),
            longitude: Some(number(random)),
            interpolation: small(random),
            units: text(random),
            member: place(random),
            statistic: text(random),
        }
        .encode_to_vec(),
        "RequestForecast" => v1::RequestForecastRequest {
            model: random.one(&["models/held-suarez-sfno", "models/", "held-suarez-sfno", "models/../.."]).to_owned(),
            reference_time: time(random),
            lead_time: lead(random),
            request_id: text(random),
            encoding: small(random),
            start_within: lead(random),
            members: random.one(&[0, 1, 2, 101, u32::MAX]),
            lag: lead(random),
            ..Default::default()
        }
        .encode_to_vec(),
        "WatchForecast" => {
            // not the one that is there, which would be told
            v1::WatchForecastRequest { name: wrong(random), resume_token: text(random) }.encode_to_vec()
        }
        "ListForecasts" => v1::ListForecastsRequest {
            page_size: small(random),
            page_token: text(random),
            model: text(random),
            states: vec![small(random), small(random)],
            reference_time_from: time(random),
            reference_time_until: time(random),
        }
        .encode_to_vec(),
        _ => v1::GetForecastRequest { name: text(random) }.encode_to_vec(),
    }
}

/// The body of a call: a message in its frame, or what is left of it.
fn call(random: &mut Random, method: &str) -> Vec<u8> {
    let payload = match random.below(4) {
        0 => random.bytes(500),
        1 => {
            let mut whole = message(random, method);
            whole.truncate(random.below(whole.len() + 1));
            whole
        }
        _ => message(random, method),
    };
    let length = match random.below(8) {
        0 => random.next() as u32,
        1 => payload.len() as u32 + 1 + random.below(9) as u32,
        _ => payload.len() as u32,
    };
    let compressed = if random.below(10) == 0 { random.next() as u8 } else { 0 };
    let mut all = vec![compressed];
    all.extend_from_slice(&length.to_be_bytes());
    all.extend_from_slice(&payload);
    all
}

/// The status that a program answered with over HTTP/1.1; `None`: it closed the connection.
async fn exchange(program: &Program, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    // a server that has heard enough closes
    let _ = stream.write_all(bytes).await;
    let mut head = Vec::new();
    let _ = stream.take(1 << 16).read_to_end(&mut head).await;
    let head = head.strip_prefix(b"HTTP/1.1 ").or(head.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(head.get(..3)?).ok()?.parse().ok()
}

/// The code that a call was answered with.
async fn called(mut channel: Channel, method: &str, body: Vec<u8>) -> Result<i32, String> {
    use http_body_util::BodyExt;
    let body = Body::new(http_body_util::Full::new(Bytes::from(body)));
    let request = axum::http::Request::post(format!("http://here{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    std::future::poll_fn(|context| channel.poll_ready(context)).await.map_err(|error| error.to_string())?;
    let answer = channel.call(request).await.map_err(|error| format!("{error:?}"))?;
    if answer.status() != 200 {
        return Err(format!("HTTP {}", answer.status()));
    }
    let code = |headers: &axum::http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse::<i32>().ok();
    if let Some(code) = code(answer.headers()) {
        let text = answer.headers().get("grpc-message").map(|text| text.as_bytes().to_vec()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        // what cannot be read is INTERNAL in gRPC, and of that alone the transport says it
        let unreadable = ["Missing%20request%20message", "decod", "decompress", "compression", "compressed-flag"];
        let unreadable = unreadable.iter().any(|words| text.contains(words));
        return if code == 13 && !unreadable { Err(format!("INTERNAL: {text}")) } else { Ok(code) };
    }
    // a stream or a message
    let whole = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(whole.trailers().and_then(code).unwrap_or(-1))
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_answered_as_such() {
    let variable = |name: &str, usual: u64| std::env::var(name).map_or(usual, |number| number.parse().unwrap());
    let (number, seed) = (variable("VEJR_MALFORMED", 5_000), variable("VEJR_SEED", 1));
    let models = format!("{}/models", env!("CARGO_MANIFEST_DIR"));
    let more = format!(
        "models = [\"{models}\"]\n[runs]\nledger = \"sqlite:{{here}}/ledger.sqlite\"\ndevices = []\nmin_free_mib = 0\n\
         [limits]\npeer_timeout = \"2s\"\n"
    );
    let mut program = Program::start(&more).await;
    let channel = Channel::from_shared(program.url("")).unwrap().connect().await.unwrap();
    let begin = Instant::now();
    let (shared, channel) = (&program, &channel);
    let asked = stream::iter(0..number).map(|n| async move {
        let mut random = Random(seed.wrapping_mul(0x1000_0000).wrapping_add(n));
        let kind = random.below(100);
        let (told, problem) = if kind < 60 {
            let (bytes, expected) = http(&mut random);
            let status = tokio::time::timeout(PATIENCE, exchange(shared, &bytes)).await.ok();
            let problem = match (status, expected) {
                (Some(Some(400..=499)), _) | (Some(None), Expected::AnswerOrNone) => None,
                (Some(Some(100..=399 | 503)), Expected::Answer | Expected::AnswerOrNone) => None,
                (status, _) => Some(format!("{status:?} to {expected:?} {:?}", String::from_utf8_lossy(&bytes))),
            };
            (status.map_or("late".to_owned(), |status| format!("HTTP {}", status.unwrap_or(0))), problem)
        } else if kind < 95 {
            let method = random.one(GRPC).0;
            let body = call(&mut random, method);
            let what = format!("{method} with {body:02x?}");
            match tokio::time::timeout(PATIENCE, called(channel.clone(), method, body)).await {
                // health and reflection go on as long as they are watched
                Err(_) if method.starts_with("/grpc.") => ("watched".to_owned(), None),
                Err(_) => ("late".to_owned(), Some(format!("no answer to {what}"))),
                Ok(Ok(code)) => {
                    // UNKNOWN, DATA_LOSS: a server's fault
                    let wrong = matches!(code, 2 | 15);
                    (format!("gRPC {code}"), wrong.then(|| format!("gRPC {code} to {what}")))
                }
                Ok(Err(error)) => ("broken".to_owned(), Some(format!("{error} to {what}"))),
            }
        } else {
            let bytes = frames(&mut random);
            let mut stream = TcpStream::connect(shared.address).await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            ("frames".to_owned(), ended.is_err().then(|| format!("a connection that goes on after {bytes:02x?}")))
        };
        (n, told, problem)
    });
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut asked = asked.buffer_unordered(CONCURRENCY);
    while let Some((n, told, problem)) = asked.next().await {
        *counts.entry(told).or_default() += 1;
        problems.extend(problem.map(|problem| format!("{n}: {}", problem.chars().take(600).collect::<String>())));
    }
    drop(asked);
    println!("{number} malformed requests in {:.0?}: {counts:?}", begin.elapsed());
    assert!(problems.is_empty(), "{} of {number}:\n{}", problems.len(), problems[..problems.len().min(20)].join("\n"));
    assert!(program.is_alive());
    let log = program.log();
    for word in ["panicked", "internal error", "ERROR"] {
        assert!(
            !log.contains(word),
            "{word}: {}",
            log.lines().filter(|line| line.contains(word)).take(5).collect::<String>()
        );
    }
    assert!(reqwest::get(program.url("/healthz")).await.unwrap().status().is_success());
}
