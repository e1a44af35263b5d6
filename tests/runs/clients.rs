//! The commands, as a forecaster and as the author of a cron job use them.

use std::process::Output;

use vejr::serve::v1;
use vejr::serve::v1::watch_forecast_response::Kind;

use crate::site::{self, MODEL, Site, TIMES};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn refused(output: Output, code: i32, word: &str) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(word), "{word:?} is not in: {message}");
}

/// Whoever asks all the time is never told that a run is complete, and not of all its steps.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_complete_has_all_its_steps() {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let _server = site.start("serve");
    let mut client = site.client();
    for time in &TIMES[..2] {
        let asked = client.request_forecast(site::request(time, 8)).await.unwrap().into_inner();
        let name = asked.forecast.unwrap().name;
        let mut seen = 0;
        loop {
            let request = v1::GetForecastRequest { name: name.clone() };
            let one = client.get_forecast(request).await.unwrap().into_inner().forecast.unwrap().run.unwrap();
            let listed = v1::ListForecastsRequest { page_size: 10, ..Default::default() };
            let listed = client.list_forecasts(listed).await.unwrap().into_inner().forecasts;
            let listed = listed.into_iter().find(|forecast| forecast.name == name).unwrap().run.unwrap();
            for run in [&one, &listed] {
                assert!(run.state() != v1::RunState::Complete || run.steps_complete == 9, "{run:?}");
            }
            if listed.state() == v1::RunState::Complete {
                break;
            }
            seen += 1;
        }
        assert!(seen > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_watch_list_and_cancel() {
    let site = Site::new(None, "devices = [\"cpu\"]\nmax_lead_time = \"10d\"");
    let _server = site.start("serve");
    let ask = ["request", "--model", MODEL, "--reference-time", TIMES[0], "--lead-time"];
    let with = |rest: &[&str]| site.vejr(&[&ask[..], rest].concat());
    let answer = done(with(&["2d", "--wait", "--json"]));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((answer["state"].as_str(), answer["steps_complete"].as_u64()), (Some("complete"), Some(9)), "{answer}");
    let name = answer["forecast"].as_str().unwrap();
    let short = name.strip_prefix("forecasts/").unwrap();
    assert!(done(with(&["2d", "--wait"])).starts_with("complete"));
    assert!(done(site.vejr(&["runs", "--state", "complete"])).contains(short));
    assert!(done(site.vejr(&["runs", "--state", "failed"])).contains("no runs"));
    let one: serde_json::Value = serde_json::from_str(&done(site.vejr(&["runs", short, "--json"]))).unwrap();
    assert_eq!(
        (one["joined_requests"].as_u64(), one["attempts"].as_array().map(Vec::len)),
        (Some(1), Some(1)),
        "{one}"
    );

    // every step is told once, in order
    let events = done(site.vejr(&["watch", &format!("{MODEL}/latest"), "--json"]));
    let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<u64> = events
        .iter()
        .filter(|event| event["kind"] == "step")
        .map(|event| event["steps_complete"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=9).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["state"], "complete");

    // what is done stays done
    assert!(done(site.vejr(&["cancel", short])).starts_with("complete"));
    done(with(&["10d"]));
    let queued = done(site.vejr(&["runs", "--json"]));
    let queued: serde_json::Value = serde_json::from_str(&queued).unwrap();
    let other = queued.as_array().unwrap().iter().find(|run| run["forecast"] != name).unwrap();
    let other = other["forecast"].as_str().unwrap();
    assert!(done(site.vejr(&["cancel", other])).starts_with("cancelled"));
    refused(site.vejr(&["watch", other]), 1, "cancelled");
    // asked for again, it goes on
    assert!(done(with(&["10d", "--wait"])).starts_with("complete"));

    refused(with(&["31h"]), 2, "6h");
    refused(with(&["11d"]), 2, "240h");
    refused(site.vejr(&["request", "--model", "no-such"]), 2, "no-such");
    refused(site.vejr(&["request", "--model", MODEL]), 2, "reference_time");
    refused(site.vejr(&["watch", "no-such/2001-01-01T0000Z/00"]), 2, "no forecast");
    refused(site.vejr(&["cancel", &format!("{MODEL}/latest")]), 2, "one run");
    let late = ["request", "--model", MODEL, "--reference-time", "2031-01-01T00:00Z", "--lead-time", "6h", "--wait"];
    refused(site.vejr(&late), 3, "2031");
}

/// An analysis that appears while a cron job waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_that_has_not_arrived() {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let config = std::fs::read_to_string(site.path("vejr.toml")).unwrap();
    let sample = site::root().join("data-samples/held-suarez-init.nc");
    let pattern = site.path("arrivals").join("{reference_time:%Y%m%d%H}.nc");
    let config = config.replace(sample.to_str().unwrap(), pattern.to_str().unwrap());
    std::fs::write(site.path("vejr.toml"), config).unwrap();
    std::fs::create_dir(site.path("arrivals")).unwrap();
    let _server = site.start("serve");
    let ask = ["request", "--model", MODEL, "--reference-time", TIMES[1], "--lead-time", "6h", "--wait"];
    refused(site.vejr(&ask), 6, "2001010106.nc");
    refused(site.vejr(&["request", "--model", MODEL]), 6, "has arrived");
    std::fs::copy(&sample, site.path("arrivals/2001010106.nc")).unwrap();
    assert!(done(site.vejr(&ask)).contains("2001-01-01T0600Z"));
    // the newest that is there
    assert!(
        done(site.vejr(&["request", "--model", MODEL, "--lead-time", "6h", "--wait"])).contains("2001-01-01T0600Z")
    );
    // a replaced analysis is another run, and the old one stays
    std::fs::copy(&sample, site.path("arrivals/other.nc")).unwrap();
    std::fs::rename(site.path("arrivals/other.nc"), site.path("arrivals/2001010106.nc")).unwrap();
    assert!(done(site.vejr(&ask)).starts_with("complete"));
    assert_eq!(done(site.vejr(&["runs"])).lines().count(), 2);
}

/// A watcher that was cut off goes on after the last event that it saw.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_resumed() {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let _server = site.start("serve");
    let mut client = site.client();
    let name = client.request_forecast(site::request(TIMES[0], 8)).await.unwrap().into_inner().forecast.unwrap().name;
    let mut seen = Vec::new();
    let mut resume_token = String::new();
    loop {
        let request = v1::WatchForecastRequest { name: name.clone(), resume_token: resume_token.clone() };
        let mut stream = client.watch_forecast(request).await.unwrap().into_inner();
        // two events, then the line is cut
        let mut ended = false;
        for _ in 0..2 {
            let Some(event) = stream.message().await.unwrap() else {
                ended = true;
                break;
            };
            if event.kind() != Kind::Heartbeat {
                seen.push(event.resume_token.parse::<usize>().unwrap());
            }
            resume_token = event.resume_token;
        }
        if ended {
            break;
        }
    }
    // accepted, begun, nine steps, publishing, complete
    assert_eq!(seen, (1..=13).collect::<Vec<_>>());
    let wrong = v1::WatchForecastRequest { name, resume_token: "x".to_owned() };
    assert_eq!(client.watch_forecast(wrong).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}
