//! Readers that do not read: what each costs, that it is cut off, and that others do not notice.
//!
//! `VEJR_STALLED=N` takes another number of them than 1,000.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tonic::transport::Channel;
use vejr::serve::v1;
use vejr::serve::v1::data_service_client::DataServiceClient;
use vejr::serve::v1::forecast_service_client::ForecastServiceClient;

use super::http::ID;
use super::program::Program;
use super::{planet, until};

const NAME: &str = "forecasts/made-up-planet/2001-01-01T0000Z/4f2a9c01";
/// Long enough that all stand still at once.
const STALL: u64 = 8;
/// Asked at once: below what a server takes.
const BATCH: usize = 50;
/// What one reader may cost.
const MAX_BYTES: f64 = (1 << 20) as f64;

fn readers() -> usize {
    std::env::var("VEJR_STALLED").map_or(1000, |number| number.parse().unwrap())
}

async fn program() -> Program {
    let limits = format!(
        "[limits]\nconnections = 4096\nconnections_per_address = 4096\nwatchers = 4096\nstall_timeout = \"{STALL}s\"\n\
         request_timeout = \"300s\"\n"
    );
    let program = Program::start(&limits).await;
    // what the server keeps of a forecast and for itself, whoever asks
    for _ in 0..3 {
        for path in [tile(), format!("/api/v1/forecasts/{ID}"), cube()] {
            let answer = reqwest::get(program.url(&path)).await.unwrap();
            assert!(answer.status().is_success(), "{path}");
            answer.bytes().await.unwrap();
        }
    }
    program
}

/// 1 MiB of numbers.
fn tile() -> String {
    format!("/tiles/{ID}/t/500hPa/24h/0/0/0@2x.f32")
}

/// Some 10 MB.
fn cube() -> String {
    "/collections/made-up-planet/cube?bbox=-180,-90,180,90&f=CoverageJSON".to_owned()
}

/// A client whose kernel takes next to nothing for it.
async fn connect(program: &Program) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(program.address).await.unwrap()
}

async fn asked(program: &Program, path: &str) -> TcpStream {
    let mut stream = connect(program).await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// A channel whose windows are shut after a few bytes.
async fn channel(program: &Program, window: u32) -> Channel {
    let endpoint = Channel::from_shared(program.url("")).unwrap().initial_stream_window_size(window);
    endpoint.connect().await.unwrap()
}

/// How long another client waits for what it asks, at the longest of some times.
async fn waited(program: &Program) -> Duration {
    let mut longest = Duration::ZERO;
    let client = reqwest::Client::new();
    for path in ["/healthz".to_owned(), format!("/api/v1/forecasts/{ID}"), tile()].iter().cycle().take(30) {
        let begin = Instant::now();
        let answer = client.get(program.url(path)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap();
        longest = longest.max(begin.elapsed());
    }
    longest
}

/// Whether a server has closed a connection: what it had sent before is there to be read.
async fn is_closed(stream: &TcpStream) -> bool {
    let mut some = vec![0; 64 << 10];
    loop {
        match stream.try_read(&mut some) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_nobody_reads_cost_little_and_end() {
    let (program, number) = (program().await, readers());
    // making a cube takes more memory than keeping it: one after the other, as the server made them before
    let kinds = [("tiles of 1 MiB", tile(), number, BATCH), ("cubes of 10 MB", cube(), number.min(40), 1)];
    for (what, path, number, batch) in kinds {
        let (before, cut) = (program.memory(), program.metric("vejr_readers_cut_total").await);
        let (mut streams, mut peak) = (Vec::new(), 0);
        while streams.len() < number {
            let begun = streams.len();
            while streams.len() < number.min(begun + batch) {
                streams.push(asked(&program, &path).await);
            }
            for stream in &streams[begun..] {
                let mut status = [0; 12];
                stream.peek(&mut status).await.unwrap();
                assert_eq!(&status, b"HTTP/1.1 200");
            }
            peak = peak.max(program.memory());
        }
        let others = waited(&program).await;
        until("the readers are cut off", async || {
            peak = peak.max(program.memory());
            program.metric("vejr_readers_cut_total").await - cut >= number as f64
        })
        .await;
        let each = peak.saturating_sub(before) as f64 / number as f64;
        println!("{number} readers of {what}: {:.0} KiB each at most; others waited {others:?} at most", each / 1024.0);
        assert!(each <= MAX_BYTES, "{each}");
        assert!(others < Duration::from_secs(5), "{others:?}");
        for stream in &streams {
            until("a reader that was cut off loses its connection", async || is_closed(stream).await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_reads_cost_little_and_end_and_their_connections_go_on() {
    const STREAMS: usize = 100;
    let (program, number) = (program().await, readers());
    let running = planet::path("2001-01-02T00:00Z", "77aa01");
    planet::begin(&program.root, &running, 8, 7).await;
    for fields in [true, false] {
        let (before, cut) = (program.memory(), program.metric("vejr_readers_cut_total").await);
        let mut channels = Vec::new();
        for _ in 0..number.div_ceil(STREAMS) {
            channels.push(channel(&program, 512).await);
        }
        // answers that are never asked for a message
        let mut kept_fields = Vec::new();
        let mut kept_watches = Vec::new();
        for n in 0..number {
            let channel = channels[n / STREAMS].clone();
            if fields {
                let request = v1::GetFieldRequest {
                    member: None,
                    statistic: String::new(),
                    forecast: NAME.to_owned(),
                    variable: "t".to_owned(),
                    level: "500hPa".to_owned(),
                    lead_time: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
                };
                kept_fields.push(DataServiceClient::new(channel).get_field(request).await.unwrap());
            } else {
                let name = format!("forecasts/{running}");
                let request = v1::WatchForecastRequest { name, resume_token: String::new() };
                kept_watches.push(ForecastServiceClient::new(channel).watch_forecast(request).await.unwrap());
            }
        }
        let others = waited(&program).await;
        let mut peak = 0;
        // that each has ended is looked at below; one may have ended in another way, and is not counted
        until("the readers are cut off", async || {
            peak = peak.max(program.memory());
            program.metric("vejr_readers_cut_total").await - cut >= 0.99 * number as f64
        })
        .await;
        let each = peak.saturating_sub(before) as f64 / number as f64;
        let what = if fields { "fields" } else { "watches" };
        println!("{number} readers of {what}: {:.0} KiB each at most; others waited {others:?} at most", each / 1024.0);
        assert!(each <= MAX_BYTES, "{each}");
        assert!(others < Duration::from_secs(5), "{others:?}");
        // the connections go on
        for channel in channels {
            let request = v1::ListForecastsRequest::default();
            assert!(ForecastServiceClient::new(channel).list_forecasts(request).await.is_ok());
        }
        let mut ended = 0;
        for answer in kept_fields {
            let mut stream = answer.into_inner();
            let whole = async { while let Ok(Some(_)) = stream.message().await {} };
            ended += usize::from(tokio::time::timeout(Duration::from_secs(5), whole).await.is_ok());
        }
        for answer in kept_watches {
            let mut stream = answer.into_inner();
            let whole = async { while let Ok(Some(_)) = stream.message().await {} };
            ended += usize::from(tokio::time::timeout(Duration::from_secs(5), whole).await.is_ok());
        }
        assert_eq!(ended, number);
    }
}

/// Who watches and has little to read is not cut off, and costs little.
#[tokio::test(flavor = "multi_thread")]
async fn event_streams_that_nobody_reads_cost_little() {
    let (program, number) = (program().await, readers());
    let running = planet::path("2001-01-02T00:00Z", "77aa01");
    planet::begin(&program.root, &running, 8, 7).await;
    let before = program.memory();
    let mut streams = Vec::new();
    for _ in 0..number {
        streams.push(asked(&program, "/api/v1/runs/made-up-planet~2001-01-02T0000Z~77aa01/events").await);
    }
    for stream in &streams {
        stream.readable().await.unwrap();
    }
    let others = waited(&program).await;
    let each = program.memory().saturating_sub(before) as f64 / number as f64;
    println!("{number} readers of events: {:.0} KiB each; others waited {others:?} at most", each / 1024.0);
    assert!(each <= MAX_BYTES, "{each}");
    assert!(others < Duration::from_secs(5), "{others:?}");
}
