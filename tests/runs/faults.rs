//! Storage that fails: nothing is corrupted, and what was asked for arrives when it works again.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use vejr::location::{Location, S3Settings};
use vejr::serve::v1;
use vejr::store::{ForecastReader, list_forecasts};

use crate::s3::S3Server;
use crate::site::{self, Site, TIMES};
use crate::truth::Truth;

/// Stands in front of an S3 server and answers a part of the requests as S3 does on a bad day.
struct BadDay {
    endpoint: String,
    client: reqwest::Client,
    /// Of 100 requests so many go wrong.
    wrong: AtomicU64,
    number: AtomicU64,
    /// Conditional requests.
    conditional: AtomicU64,
    /// By what went wrong.
    done: [AtomicU64; FAULTS.len()],
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The request is not carried out.
    InternalError,
    /// It is carried out, and the answer says that it was not.
    AnswerLost,
    SlowDown,
    /// Of a conditional put: somebody else writes at the same moment.
    Conflict,
    Slow,
}

const FAULTS: [Fault; 5] = [Fault::InternalError, Fault::AnswerLost, Fault::SlowDown, Fault::Slow, Fault::Conflict];
const CONFLICT: usize = FAULTS.len() - 1;
const CONFLICTS: u64 = 12;

fn s3_error(status: StatusCode, code: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>A bad day.</Message></Error>"
    );
    (status, [("content-type", "application/xml")], text).into_response()
}

impl BadDay {
    async fn start(endpoint: &str, wrong: u64) -> (Arc<Self>, String) {
        let day = Arc::new(Self {
            endpoint: endpoint.to_owned(),
            client: reqwest::Client::new(),
            wrong: AtomicU64::new(wrong),
            number: AtomicU64::new(0),
            conditional: AtomicU64::new(0),
            done: Default::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(day.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (day, address)
    }

    fn fault(&self, conditional: bool) -> Option<Fault> {
        let mut hash = self.number.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        let wrong = self.wrong.load(Ordering::Relaxed);
        // S3 knows conflicts of conditional requests only; there are few of those, so each so many-th is one
        let conflicts =
            conditional && wrong > 0 && self.conditional.fetch_add(1, Ordering::Relaxed) % CONFLICTS == CONFLICTS - 1;
        if !conflicts && hash % 100 >= wrong {
            return None;
        }
        let kind = if conflicts { CONFLICT } else { (hash >> 20) as usize % CONFLICT };
        self.done[kind].fetch_add(1, Ordering::Relaxed);
        Some(FAULTS[kind])
    }

    async fn pass_on(&self, method: reqwest::Method, path: String, headers: HeaderMap, body: Bytes) -> Response {
        let passed = headers.iter().filter(|(name, _)| *name != "content-length" && *name != "connection");
        let mut request = self.client.request(method, format!("{}{path}", self.endpoint)).body(body);
        for (name, value) in passed {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        let mut response = (status, body).into_response();
        let kept = headers.iter().filter(|(name, _)| {
            ![HeaderName::from_static("transfer-encoding"), HeaderName::from_static("connection")].contains(name)
        });
        for (name, value) in kept {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

async fn answer(State(day): State<Arc<BadDay>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let conditional =
        head.method == "PUT" && (head.headers.contains_key("if-match") || head.headers.contains_key("if-none-match"));
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let fault = day.fault(conditional);
    match fault {
        Some(Fault::InternalError) => return s3_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Some(Fault::SlowDown) => return s3_error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Some(Fault::Conflict) => return s3_error(StatusCode::CONFLICT, "ConditionalRequestConflict"),
        Some(Fault::Slow) => tokio::time::sleep(Duration::from_millis(700)).await,
        Some(Fault::AnswerLost) | None => {}
    }
    let response = day.pass_on(head.method, path, head.headers, body).await;
    match fault {
        Some(Fault::AnswerLost) => s3_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        _ => response,
    }
}

async fn run_of(site: &Site, name: &str) -> v1::Run {
    let request = v1::GetForecastRequest { name: name.to_owned() };
    let answer = site.client().get_forecast(request).await;
    answer.map_or_else(|_| v1::Run::default(), |answer| answer.into_inner().forecast.unwrap().run.unwrap())
}

/// Errors, lost answers, conflicts and slowness, then some seconds in which nothing works at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_on_a_bad_day_corrupts_nothing() {
    let Some(server) = S3Server::start() else { return };
    let (day, endpoint) = BadDay::start(&server.endpoint, 15).await;
    let mut site = Site::new(None, "devices = []\nlease = \"3s\"");
    let local = format!("store = \"{}/forecasts\"", site.folder.path().display());
    let config =
        std::fs::read_to_string(site.path("vejr.toml")).unwrap().replace(&local, "store = \"s3://forecasts/runs\"");
    std::fs::write(site.path("vejr.toml"), config).unwrap();
    site.environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec();
    let truth = Truth::make(site.folder.path()).await;
    let settings = S3Settings {
        endpoint: Some(server.endpoint.clone()),
        region: Some("us-east-1".to_owned()),
        key: Some("test".to_owned()),
        secret: Some("test".to_owned()),
        ..Default::default()
    };
    // past the bad day: what is there is what was written
    let store = Location::parse_with("s3://forecasts/runs", &settings).unwrap();
    let _server = site.start("serve");
    let _workers = [site.start("worker"), site.start("worker")];
    let mut names = Vec::new();
    for time in TIMES {
        let asked = site.client().request_forecast(site::request(time, 6)).await.unwrap().into_inner();
        names.push(asked.forecast.unwrap().name);
    }
    let mut read = std::collections::BTreeSet::new();
    let mut outage = false;
    site::until("all arrive", 150, async || {
        for (path, manifest) in list_forecasts(&store).await.unwrap() {
            let complete = manifest.unwrap().steps_complete;
            if complete > 0 && read.insert((path.clone(), complete)) {
                let reader = ForecastReader::open(&path.location(&store)).await.unwrap();
                truth.check(&reader, complete - 1, usize::MAX).await;
            }
        }
        // nothing at all for a while
        if !outage && read.len() > 4 {
            outage = true;
            day.wrong.store(100, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(5)).await;
            day.wrong.store(15, Ordering::Relaxed);
        }
        let mut complete = 0;
        for name in &names {
            let run = run_of(&site, name).await;
            assert_ne!(run.state(), v1::RunState::Failed, "{run:?}");
            complete += usize::from(run.state() == v1::RunState::Complete);
        }
        complete == names.len()
    })
    .await;
    truth.check_all(&store, TIMES.len()).await;
    let done: Vec<String> = FAULTS
        .iter()
        .zip(&day.done)
        .map(|(fault, done)| format!("{fault:?} {}", done.load(Ordering::Relaxed)))
        .collect();
    eprintln!("{} requests, of which went wrong: {}", day.number.load(Ordering::Relaxed), done.join(", "));
    assert!(day.done.iter().all(|done| done.load(Ordering::Relaxed) > 0), "{done:?}");
    assert!(outage);
}

/// A disk of 3 MiB, as root; elsewhere this cannot be shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let site = Site::new(None, "devices = [\"cpu\"]\nmin_free_mib = 0");
    let disk = site.path("forecasts");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let truth = Truth::make(site.folder.path()).await;
    if !mount("size=3m") {
        eprintln!("SKIPPED: may not mount a small disk here");
        return;
    }
    let server = site.start("serve");
    let asked = site.client().request_forecast(site::request(TIMES[0], 24)).await.unwrap().into_inner();
    let name = asked.forecast.unwrap().name;
    let mut run = v1::Run::default();
    site::until("it is told what is wrong", 30, async || {
        run = run_of(&site, &name).await;
        run.failure_reason.contains("space")
    })
    .await;
    let full = run.clone();
    let grown = mount("remount,size=64m");
    site::until("it arrives", 60, async || {
        run = run_of(&site, &name).await;
        !matches!(run.state(), v1::RunState::Running | v1::RunState::Publishing)
    })
    .await;
    drop(server);
    let checked = tokio::spawn({
        let store = site.store();
        async move { truth.check_all(&store, 1).await }
    })
    .await;
    Command::new("umount").arg(&disk).status().unwrap();
    assert!(grown);
    assert_eq!(full.state(), v1::RunState::Running, "{full:?}");
    assert!((1..25).contains(&full.steps_complete), "{full:?}");
    assert_eq!(run.state(), v1::RunState::Complete, "{run:?}");
    checked.unwrap();
}
