//! Traces: what a server does, as a collector gets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use rustix::process::Signal;
use tonic::Request;
use vejr::serve::v1;

use crate::site::{self, Site, TIMES};

const STEPS: i64 = 5;

/// What arrived: spans, and the names of the services that they are of.
type Arrived = Arc<Mutex<Vec<(String, Span)>>>;

async fn take(State(arrived): State<Arrived>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_resource in request.resource_spans {
        let resource = attributes(&of_resource.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        arrived.lock().unwrap().extend(spans.map(|span| (service.clone(), span)));
    }
}

/// A collector, and where it listens.
async fn collector() -> (Arrived, String) {
    let arrived = Arrived::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(take)).with_state(arrived.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (arrived, url)
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    };
    pairs.iter().filter_map(|pair| Some((pair.key.clone(), text(pair)?))).collect()
}

fn site(endpoint: &str) -> Site {
    let mut site = Site::new(None, "");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    site.environment = variables.map(|(name, value)| (name, value.to_owned())).to_vec();
    site
}

async fn completes(site: &Site, name: &str) -> v1::Run {
    let run = async || {
        let request = v1::GetForecastRequest { name: name.to_owned() };
        site.client().get_forecast(request).await.unwrap().into_inner().forecast.unwrap().run.unwrap()
    };
    site::until("the run is complete", 60, async || run().await.state() == v1::RunState::Complete).await;
    run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_from_its_request_to_its_last_step() {
    let (arrived, url) = collector().await;
    let site = site(&url);
    let mut server = site.start("serve");
    let (trace, caller) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let mut request = Request::new(site::request(TIMES[0], STEPS));
    request.metadata_mut().insert("traceparent", format!("00-{trace}-{caller}-01").parse().unwrap());
    let name = site.client().request_forecast(request).await.unwrap().into_inner().forecast.unwrap().name;
    let run = completes(&site, &name).await;
    assert_eq!(reqwest::get(format!("{}/tiles/nothing", site.url())).await.unwrap().status(), 404);
    // a call that nobody knows names no span
    let unknown = reqwest::Client::new().post(format!("{}/made.Up/Call", site.url()));
    unknown.header("content-type", "application/grpc").send().await.unwrap();
    server.signal(Signal::TERM);
    assert!(server.0.wait().unwrap().success(), "{}", site.log("serve"));

    let arrived = arrived.lock().unwrap();
    assert!(arrived.iter().all(|(service, _)| service == "vejr"));
    let named = |name: &str| arrived.iter().map(|(_, span)| span).filter(|span| span.name == name).collect::<Vec<_>>();
    let requests = named("vejr.v1.ForecastService/RequestForecast");
    let [asked] = requests[..] else { panic!("{requests:?}") };
    assert_eq!(
        (hex::encode(&asked.trace_id), hex::encode(&asked.parent_span_id)),
        (trace.to_owned(), caller.to_owned())
    );
    let told = attributes(&asked.attributes);
    assert_eq!((told["rpc.system"].as_str(), told["rpc.method"].as_str()), ("grpc", "RequestForecast"));
    assert_eq!(told["rpc.grpc.status_code"], "0");
    let missing = named("GET tiles");
    assert_eq!(attributes(&missing[0].attributes)["http.response.status_code"], "404");
    assert!(missing[0].status.as_ref().is_none_or(|status| status.code() != StatusCode::Error));

    assert!(named("made.Up/Call").is_empty() && named("POST other").len() == 1);

    let (attempts, runs) = (named("attempt"), named("run"));
    let ([attempt], [whole]) = (&attempts[..], &runs[..]) else { panic!("{attempts:?} {runs:?}") };
    assert_eq!(Some(attributes(&attempt.attributes)["vejr.run"].as_str()), run.forecast.rsplit('/').next());
    assert_eq!(attributes(&whole.attributes)["vejr.model"], site::MODEL);
    assert_eq!(whole.parent_span_id, attempt.span_id);
    for (name, parent, count) in
        [("read", attempt, 1), ("compute", whole, STEPS), ("publish", whole, STEPS), ("complete", whole, 1)]
    {
        let spans = named(name);
        assert!(
            spans.iter().all(|span| span.parent_span_id == parent.span_id && span.trace_id == parent.trace_id),
            "{name}"
        );
        let steps: Vec<String> =
            spans.iter().filter_map(|span| attributes(&span.attributes).remove("vejr.step")).collect();
        assert_eq!(spans.len() as i64, count, "{name}");
        if count == STEPS {
            assert_eq!(steps, (1..=STEPS).map(|step| step.to_string()).collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn what_the_environment_says_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (name, value)) in
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318")]
            .into_iter()
            .enumerate()
    {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args(["forecast", "--device", "cpu", "--steps", "1", "--model"])
            .arg(site::root().join("models").join(site::MODEL))
            .arg("--init")
            .arg(site::root().join("data-samples/held-suarez-init.nc"))
            .arg("--output")
            .arg(folder.path().join(format!("{number}.zarr")))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
            .env(name, value)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && told.contains("no traces are sent") && told.contains(value), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_is_told_of_once_and_waited_for_by_nobody() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = site(&format!("http://127.0.0.1:{port}"));
    let mut server = site.start("serve");
    let asked = site.client().request_forecast(site::request(TIMES[0], STEPS)).await.unwrap();
    completes(&site, &asked.into_inner().forecast.unwrap().name).await;
    site::until("it is told", 30, async || site.log("serve").contains("traces are not taken")).await;
    let begin = std::time::Instant::now();
    server.signal(Signal::TERM);
    assert!(server.0.wait().unwrap().success());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    let log = site.log("serve");
    assert_eq!(log.matches("traces are not taken").count(), 1, "{log}");
    assert!(!log.contains("opentelemetry") && !log.contains("run{"), "{log}");
}
