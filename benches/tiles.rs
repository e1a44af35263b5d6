//! The parts of `benches/tiles.py` that must not be slow themselves.
//!
//!     tiles make FOLDER LEADS       a made-up forecast on 0.25°: 8 variables, published in FOLDER; prints its name
//!     tiles serve FOLDER            a server of it that remembers nothing it has read; prints its address, ends with its input
//!     tiles ask FILE CONCURRENCY    asks for each URL of a file, so many at a time; prints rates and times as JSON

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ndarray::Array2;
use serde_json::{Map, json};
use vejr::atmos::{Field, Grid, LeadTime, Level, known_variable};
use vejr::location::Location;
use vejr::serve::{AccessConfig, Limits, ServeConfig, Server};
use vejr::store::{Encoding, ForecastPath, ForecastSpec, ForecastWriter, Output};

const SHAPE: (usize, usize) = (721, 1440);
const VARIABLES: [(&str, f32, f32); 8] = [
    ("t2m", 275.0, 20.0),
    ("d2m", 265.0, 15.0),
    ("u10", 0.0, 10.0),
    ("v10", 0.0, 10.0),
    ("msl", 101_000.0, 1_500.0),
    ("sp", 97_000.0, 3_000.0),
    ("tcc", 0.5, 0.4),
    ("tcwv", 30.0, 20.0),
];

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; 36] = b"dirty_decay_ms:-1,muzzy_decay_ms:-1\0";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(16).enable_all().build();
    runtime.unwrap().block_on(work());
}

async fn work() {
    // cargo says --bench
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", folder, leads] => make(folder, leads.parse().unwrap()).await,
        ["serve", folder] => serve(folder).await,
        ["ask", file, concurrency] => ask(file, concurrency.parse().unwrap()).await,
        _ => println!("see benches/tiles.py"),
    }
}

async fn make(folder: &str, leads: i64) {
    let path: ForecastPath = "bench/2026-01-01T0000Z/0000".parse().unwrap();
    let latitude = (0..SHAPE.0).map(|row| 90.0 - 0.25 * row as f64).collect();
    let longitude = (0..SHAPE.1).map(|column| 0.25 * column as f64).collect();
    let grid = Arc::new(Grid::new(latitude, longitude).unwrap());
    let output = |&(name, ..): &(&str, f32, f32)| {
        let known = known_variable(name).unwrap();
        Output {
            variable: known.into(),
            levels: vec![Level::Surface],
            precision: known.precision,
            range: known.plausible,
        }
    };
    let spec = ForecastSpec {
        run_key: path.run_key.clone(),
        model: path.model.clone(),
        title: "A made-up forecast".to_owned(),
        members: 1,
        statistics: None,
        reference_time: path.reference_time,
        lead_times: (0..leads).map(|lead| LeadTime::from_hours(6 * lead)).collect(),
        grid: grid.clone(),
        outputs: VARIABLES.iter().map(output).collect(),
        encoding: Encoding::Float32,
        restart_states: 1,
        restart_apart: false,
        provenance: Map::new(),
    };
    let root = Location::parse(folder).unwrap();
    let mut writer = ForecastWriter::create_or_resume(&path.location(&root), spec.clone(), false).await.unwrap();
    let mut noise = 1u32;
    for (step, &lead) in spec.lead_times.iter().enumerate() {
        let fields: Vec<Field> = spec
            .outputs
            .iter()
            .zip(VARIABLES)
            .enumerate()
            .map(|(n, (output, (_, mean, spread)))| {
                let values = Array2::from_shape_fn(SHAPE, |(row, column)| {
                    // waves that travel, and a little noise, which compress like weather does
                    let (x, y) =
                        (column as f32 * std::f32::consts::TAU / 1440.0, row as f32 / 720.0 * std::f32::consts::PI);
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    let waves =
                        (5.0 * x + n as f32 - 0.2 * step as f32).sin() * y.sin() + (11.0 * x + 3.0 * y).cos() * 0.4;
                    mean + spread * (0.6 * waves + 0.01 * (noise as f32 / u32::MAX as f32)).clamp(-1.0, 1.0)
                });
                let valid = spec.reference_time + lead;
                Field::new(output.variable.clone(), Level::Surface, valid, grid.clone(), values).unwrap()
            })
            .collect();
        writer.write_step(&fields).await.unwrap();
    }
    writer.finish(Map::new()).await.unwrap();
    println!("{}", path.to_string().replace('/', "~"));
}

async fn serve(folder: &str) {
    let config = ServeConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        insecure: false,
        tls: None,
        access: AccessConfig::default(),
        store: Location::parse(folder).unwrap(),
        models: Vec::new(),
        desk: None,
        limits: Limits { cache_bytes: 0, ..Limits::default() },
    };
    let server = Server::bind(config).await.unwrap();
    println!("http://{}", server.address());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server.run(async { drop(ended.await) }).await;
}

async fn ask(file: &str, concurrency: usize) {
    let urls: Arc<Vec<String>> = Arc::new(std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect());
    let client = reqwest::Client::new();
    let (next, times) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let begin = Instant::now();
    let asking: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, times, urls) = (client.clone(), next.clone(), times.clone(), urls.clone());
            tokio::spawn(async move {
                while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let response = client.get(url).send().await.unwrap();
                    let status = response.status();
                    let size = response.bytes().await.unwrap().len();
                    assert!(status.is_success(), "{url}: {status}");
                    times.lock().unwrap().push((begin.elapsed().as_secs_f64() * 1e3, size));
                }
            })
        })
        .collect();
    for one in asking {
        one.await.unwrap();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut times = times.lock().unwrap().clone();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].0;
    let mean = times.iter().map(|(_, size)| size).sum::<usize>() / times.len();
    println!(
        "{}",
        json!({ "requests": times.len(), "per_second": times.len() as f64 / seconds, "p50_ms": at(0.5), "p99_ms": at(0.99), "bytes": mean })
    );
}
