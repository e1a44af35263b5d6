//! A full queue says so at once; identical requests are one run.

use std::time::{Duration, Instant};

use tonic::Code;
use tonic_types::StatusExt;
use vejr::serve::v1;

use crate::site::{self, Site, TIMES};

fn resident_kib(process: &site::Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_identical_requests_are_one_run() {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let _server = site.start("serve");
    let client = site.client();
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.request_forecast(site::request(TIMES[0], 4)).await.unwrap().into_inner() })
        })
        .collect();
    let mut names = std::collections::BTreeSet::new();
    let mut first = 0;
    for answer in requests {
        let answer = answer.await.unwrap();
        first += usize::from(!answer.joined);
        names.insert(answer.forecast.unwrap().name);
    }
    assert_eq!((names.len(), first), (1, 1));
    let name = names.pop_first().unwrap();
    let mut last = v1::Forecast::default();
    site::until(&name, 60, async || {
        let request = v1::GetForecastRequest { name: name.clone() };
        last = client.clone().get_forecast(request).await.unwrap().into_inner().forecast.unwrap();
        last.run.as_ref().unwrap().state() == v1::RunState::Complete
    })
    .await;
    assert_eq!((last.joined_requests, last.attempts.len()), (99, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    let site = Site::new(None, "devices = []\nqueue = 100");
    let server = site.start("serve");
    let client = site.client();
    let time = |n: i64| {
        let base: vejr::atmos::ReferenceTime = TIMES[0].parse().unwrap();
        vejr::atmos::ReferenceTime::from_timestamp(base.timestamp() + n * 3600).unwrap().to_string()
    };
    // the connection and the first run
    client.clone().request_forecast(site::request(&time(0), 1)).await.unwrap();
    let before = resident_kib(&server);
    let requests: Vec<_> = (0..1000)
        .map(|n| {
            let mut client = client.clone();
            let request = site::request(&time(n), 1);
            tokio::spawn(async move {
                let begin = Instant::now();
                (client.request_forecast(request).await, begin.elapsed())
            })
        })
        .collect();
    let (mut accepted, mut refused) = (0, Vec::new());
    for request in requests {
        match request.await.unwrap() {
            (Ok(_), _) => accepted += 1,
            (Err(status), took) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                let details = status.get_error_details();
                assert!(details.retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
                assert!(!details.quota_failure().unwrap().violations.is_empty());
                refused.push(took);
            }
        }
    }
    assert_eq!((accepted, refused.len()), (100, 900));
    let after = resident_kib(&server);
    // one after the other, as a client meets it that comes when the queue is full
    let mut alone = Vec::new();
    for n in 2000..2100 {
        let begin = Instant::now();
        assert!(client.clone().request_forecast(site::request(&time(n), 1)).await.is_err());
        alone.push(begin.elapsed());
    }
    refused.sort();
    alone.sort();
    eprintln!(
        "1000 at once against a queue of 100: 900 refused, half of them within {:?}, all within {:?}; alone half within {:?}, \
         all within {:?}; memory {before} KiB before, {after} after",
        refused[450], refused[899], alone[50], alone[99]
    );
    // what was accepted is there after the server was killed
    drop(server);
    let _server = site.start("serve");
    let listed = client.clone().list_forecasts(v1::ListForecastsRequest { page_size: 500, ..Default::default() }).await;
    let listed = listed.unwrap().into_inner().forecasts;
    assert_eq!(listed.len(), 100);
    assert!(listed.iter().all(|forecast| forecast.run.as_ref().unwrap().state() == v1::RunState::Queued));
}

/// With less left on the disk than is kept free, nothing is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_takes_no_request() {
    let site = Site::new(None, "devices = []\nmin_free_mib = 1000000000");
    let _server = site.start("serve");
    let status = site.client().request_forecast(site::request(TIMES[0], 4)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("1000000000 MiB"), "{status}");
    let details = status.get_error_details();
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "disk");
    assert!(details.retry_info().is_some());
}
