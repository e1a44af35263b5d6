//! The map page's files, and what it asks beside data: runs, and how they go on.

use reqwest::{Response, StatusCode};
use serde_json::Value;
use vejr::serve::Limits;

use super::http::{ID, client, get, header};
use super::{Service, planet};

#[tokio::test]
async fn the_page_and_its_files_come_from_here_alone_small_and_kept() {
    let (service, _) = Service::with_forecast().await;
    let page = get(&service, "/").await;
    let policy = header(&page, "content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let text = page.text().await.unwrap();
    let named = text.split("\"/assets/").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    let mut bytes = 0;
    for (name, kind) in named.filter_map(|name| {
        let kinds = [(".js", "text/javascript"), (".css", "text/css")];
        Some((name, kinds.into_iter().find(|(ending, _)| name.ends_with(ending))?.1))
    }) {
        let path = format!("/assets/{name}");
        let ask = |coding: &'static str| client().get(service.url(&path)).header("accept-encoding", coding);
        let small = ask("gzip, br").send().await.unwrap();
        let coding = small.headers().get("content-encoding").map(|coding| coding.to_str().unwrap().to_owned());
        if coding.as_deref() != Some("br") {
            // what is so small is not kept compressed
            let whole = client().get(service.url(&path)).send().await.unwrap().bytes().await.unwrap();
            assert!(whole.len() < 1024, "{path} is {} bytes, and comes as {coding:?}", whole.len());
            continue;
        }
        assert!(header(&small, "content-type").starts_with(kind), "{path}");
        assert!(header(&small, "cache-control").contains("immutable"), "{path}");
        let etag = header(&small, "etag").to_owned();
        bytes += small.bytes().await.unwrap().len();
        let again = ask("gzip, br").header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(header(&ask("gzip").send().await.unwrap(), "content-encoding"), "gzip", "{path}");
    }
    println!("the page's programs and styles: {} kB", bytes / 1000);
    assert!((100_000..450_000).contains(&bytes), "{bytes}");
    let licences = get(&service, "/assets/licences.txt").await.text().await.unwrap();
    for name in ["maplibre-gl", "uplot", "earcut", "Natural Earth"] {
        assert!(licences.contains(name), "{name}");
    }
}

/// What an event stream has sent until it holds a text.
async fn hear(response: &mut Response, heard: &mut String, words: &str) {
    let hearing = async {
        while !heard.contains(words) {
            let Some(piece) = response.chunk().await.unwrap() else { break };
            heard.push_str(std::str::from_utf8(&piece).unwrap());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), hearing)
        .await
        .unwrap_or_else(|_| panic!("{words}: {heard}"));
    assert!(heard.contains(words), "{words}: {heard}");
}

#[tokio::test]
async fn a_run_is_followed_over_http_and_again_from_where_it_was() {
    let service = Service::start(Limits::default()).await;
    let path = planet::path("2001-01-01T00:00Z", "4f2a9c01");
    let mut writer = planet::begin(&service.root, &path, 8, 1).await;
    let spec = planet::spec(&path, 8);
    let events = format!("/api/v1/runs/{ID}/events");
    let (mut stream, mut heard) = (get(&service, &events).await, String::new());
    assert_eq!(header(&stream, "content-type"), "text/event-stream");
    hear(&mut stream, &mut heard, "id: 2\n").await;
    writer.write_step(&planet::fields(&spec, spec.lead_times[2])).await.unwrap();
    hear(&mut stream, &mut heard, "id: 3\n").await;
    assert!(
        heard.contains("event: step") && heard.contains("\"steps_complete\":3") && heard.contains("\"lead\":\"12h\"")
    );
    drop(stream);

    let again = client().get(service.url(&events)).header("last-event-id", "3").send().await;
    let (mut stream, mut heard) = (again.unwrap(), String::new());
    writer.fail("the device went away".to_owned()).await.unwrap();
    hear(&mut stream, &mut heard, "the device went away").await;
    assert!(heard.contains("event: state") && heard.contains("\"state\":\"failed\"") && !heard.contains("id: 3\n"));
    assert!(stream.chunk().await.unwrap().is_none(), "the stream ends with the run");

    let wrong = client().get(service.url(&events)).header("last-event-id", "soon").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(get(&service, "/api/v1/runs/m~2001-01-01T0000Z~k/events").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_server_that_takes_no_requests_says_so() {
    let (service, _) = Service::with_forecast().await;
    let post = |body: &'static str, kind: &'static str| {
        client().post(service.url("/api/v1/runs")).header("content-type", kind).body(body).send()
    };
    let refused = post("{\"model\":\"made-up-planet\",\"lead_time\":\"1d\"}", "application/json").await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert!(refused.text().await.unwrap().contains("no [runs]"));
    // what another site's page could send without being asked
    let form = post("{\"model\":\"made-up-planet\",\"lead_time\":\"1d\"}", "text/plain").await.unwrap();
    assert_eq!(form.status(), StatusCode::BAD_REQUEST);
    let wrong = post("{\"reference_time\":\"soon\",\"lead_time\":\"long\",\"encoding\":\"gif\"}", "application/json");
    let problem: Value = serde_json::from_slice(&wrong.await.unwrap().bytes().await.unwrap()).unwrap();
    let fields: Vec<&str> =
        problem["violations"].as_array().unwrap().iter().map(|v| v["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["model", "reference_time", "lead_time", "encoding"]);
    let cancelled = client().delete(service.url(&format!("/api/v1/runs/{ID}"))).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::CONFLICT);
}
