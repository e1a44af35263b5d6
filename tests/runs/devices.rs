//! A device that does not answer any more gets no runs, and what it was at goes on elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use candle_core::Device;
use tokio::runtime::Handle;
use vejr::device::HealthCheck;
use vejr::forecast::{Ledger, Worker, WorkerEvents, WorkerSettings};
use vejr::ingest::Isolation;
use vejr::model::ModelPackage;
use vejr::serve::v1;

use crate::site::{self, Site, TIMES};

async fn forecast(site: &Site, name: &str) -> v1::Forecast {
    let request = v1::GetForecastRequest { name: name.to_owned() };
    site.client().get_forecast(request).await.unwrap().into_inner().forecast.unwrap()
}

async fn ask(site: &Site, time: &str) -> String {
    site.client().request_forecast(site::request(time, 40)).await.unwrap().into_inner().forecast.unwrap().name
}

async fn completes(site: &Site, name: &str) -> Vec<v1::Attempt> {
    site::until("the run is complete", 60, async || {
        forecast(site, name).await.run.unwrap().state() == v1::RunState::Complete
    })
    .await;
    forecast(site, name).await.attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_answer_gets_no_runs_until_it_does() {
    let site = Site::new(None, "devices = []\nlease = \"2s\"");
    let _server = site.start("serve");
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = hangs.clone();
    let probe = move |_: &Device| {
        while hanging.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    };
    let settings = WorkerSettings {
        ledger: Ledger::open(&format!("sqlite:{}/ledger.sqlite", site.folder.path().display())).await.unwrap(),
        store: site.store(),
        packages: vec![Arc::new(ModelPackage::open(&site::root().join("models").join(site::MODEL)).unwrap())],
        isolation: Isolation::None,
        lease: Duration::from_secs(2),
        name: "ours".to_owned(),
        only_run: None,
        until_idle: false,
        health: HealthCheck {
            every: Duration::from_millis(10),
            deadline: Duration::from_millis(500),
            probe: Arc::new(probe),
        },
        events: WorkerEvents::default(),
    };
    let worker = Worker::start(&settings, vec![Device::Cpu], &Handle::current()).unwrap();

    let first = ask(&site, TIMES[0]).await;
    site::until("some steps are there", 30, async || forecast(&site, &first).await.run.unwrap().steps_complete > 3)
        .await;
    hangs.store(true, Ordering::SeqCst);
    site::until("it is noticed", 30, async || worker.problem().is_some()).await;
    let other = site.start("worker");
    let attempts = completes(&site, &first).await;
    let outcomes: Vec<&str> = attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["not heard of any more", "done"], "{attempts:?}");
    assert_eq!(attempts[0].worker, "ours/0");

    // while it is ill, others do it all
    let second = ask(&site, TIMES[1]).await;
    let attempts = completes(&site, &second).await;
    assert!(attempts.len() == 1 && attempts[0].worker != "ours/0", "{attempts:?}");
    drop(other);

    hangs.store(false, Ordering::SeqCst);
    let third = ask(&site, TIMES[2]).await;
    let attempts = completes(&site, &third).await;
    assert_eq!(attempts.last().unwrap().worker, "ours/0", "{attempts:?}");
    tokio::task::spawn_blocking(|| worker.drain()).await.unwrap();
}
