//! Who has the lease writes, and nobody else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use vejr::forecast::Ledger;
use vejr::serve::v1;

use crate::postgres::Postgres;
use crate::site::{self, Site, TIMES};

/// What each file below a folder holds.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.metadata().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

async fn run_of(site: &Site, name: &str) -> v1::Forecast {
    let request = v1::GetForecastRequest { name: name.to_owned() };
    site.client().get_forecast(request).await.unwrap().into_inner().forecast.unwrap()
}

/// Stopped in the middle of a run, for longer than its lease; another worker finishes it; then it goes on.
async fn a_worker_that_slept_too_long_writes_nothing(ledger: Option<&str>) {
    let site = Site::new(ledger, "devices = []\nlease = \"5s\"");
    let _server = site.start("serve");
    let sleeper = site.start("worker");
    let name =
        site.client().request_forecast(site::request(TIMES[0], 40)).await.unwrap().into_inner().forecast.unwrap().name;
    site::until("some steps are there", 30, async || run_of(&site, &name).await.run.unwrap().steps_complete > 3).await;
    // the file of SQLite is locked by whoever writes: a process of this machine that is stopped right then stops them all
    for pause in 1.. {
        sleeper.signal(Signal::STOP);
        let mut client = site.client();
        let joins = client.request_forecast(site::request(TIMES[0], 40));
        match tokio::time::timeout(Duration::from_secs(1), joins).await {
            Err(_) if ledger.is_none() && pause < 20 => {
                sleeper.signal(Signal::CONT);
                tokio::time::sleep(Duration::from_millis(3 * pause)).await;
            }
            _ => break,
        }
    }
    let state = run_of(&site, &name).await.run.unwrap();
    assert_eq!(state.state(), v1::RunState::Running, "stopped too late to show anything: {state:?}");
    let _other = site.start("worker");
    site::until("another worker finishes the run", 60, async || {
        run_of(&site, &name).await.run.unwrap().state() == v1::RunState::Complete
    })
    .await;
    let before = files(&site.path("forecasts"));
    assert!(before.len() > 100);
    sleeper.signal(Signal::CONT);
    // it says so when it has noticed
    site::until("it has noticed", 30, async || site.log("worker").contains("somebody else has it now")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = files(&site.path("forecasts"));
    // an object that was being written when the worker was stopped may be finished: the same bytes are there already
    let written: Vec<_> =
        after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).map(|(path, _)| path).collect();
    assert!(written.is_empty() && after.len() == before.len(), "it wrote {written:?}");
    let forecast = run_of(&site, &name).await;
    let attempts: Vec<&str> = forecast.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(attempts, ["not heard of any more", "done"]);
    let published: u32 = forecast.attempts.iter().map(|attempt| attempt.steps).sum();
    assert!(published <= 41, "{:?}", forecast.attempts);
    // and it goes on to other work
    drop(_other);
    let next =
        site.client().request_forecast(site::request(TIMES[1], 2)).await.unwrap().into_inner().forecast.unwrap().name;
    site::until("it does other work", 30, async || {
        run_of(&site, &next).await.run.unwrap().state() == v1::RunState::Complete
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_too_long_writes_nothing_with_a_ledger_in_a_file() {
    a_worker_that_slept_too_long_writes_nothing(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_too_long_writes_nothing_with_a_ledger_in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    a_worker_that_slept_too_long_writes_nothing(Some(&server.database("sleeper"))).await;
}

/// SIGTERM: the step is finished, the run is given back, and goes on elsewhere at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_gives_its_run_back() {
    // a lease that nobody would wait for
    let site = Site::new(None, "devices = []\nlease = \"1h\"");
    let _server = site.start("serve");
    let mut first = site.start("worker");
    let name =
        site.client().request_forecast(site::request(TIMES[0], 40)).await.unwrap().into_inner().forecast.unwrap().name;
    site::until("some steps are there", 30, async || run_of(&site, &name).await.run.unwrap().steps_complete > 3).await;
    first.signal(Signal::TERM);
    assert!(first.0.wait().unwrap().success());
    let run = run_of(&site, &name).await.run.unwrap();
    assert!((4..41).contains(&run.steps_complete), "{run:?}");
    let _second = site.start("worker");
    site::until("it goes on elsewhere", 30, async || {
        run_of(&site, &name).await.run.unwrap().state() == v1::RunState::Complete
    })
    .await;
    let attempts = run_of(&site, &name).await.attempts;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts.iter().map(|attempt| attempt.steps).sum::<u32>(), 41, "each step once: {attempts:?}");
}

/// What ends every worker that takes it is not taken for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_its_workers_is_given_up() {
    let site = Site::new(None, "devices = []");
    let _server = site.start("serve");
    let answer = site.client().request_forecast(site::request(TIMES[0], 4)).await.unwrap().into_inner();
    let name = answer.forecast.unwrap().name;
    let ledger = Ledger::open(&format!("sqlite:{}", site.path("ledger.sqlite").display())).await.unwrap();
    let key = name.rsplit('/').next().unwrap();
    let digests = [ledger.run(key).await.unwrap().unwrap().model_digest];
    for _ in 0..60 {
        site::until("it can be taken", 10, async || {
            ledger.claim("short-lived", &digests, Duration::ZERO).await.unwrap().is_some()
        })
        .await;
    }
    let _worker = site.start("worker");
    let mut last = v1::Run::default();
    site::until("it is given up", 30, async || {
        last = run_of(&site, &name).await.run.unwrap();
        last.state() == v1::RunState::Failed
    })
    .await;
    assert!(last.failure_reason.contains("not heard of"), "{last:?}");
    assert_eq!(last.steps_complete, 0);
    // asked for again, it is tried again
    site.client().request_forecast(site::request(TIMES[0], 4)).await.unwrap();
    site::until("it is computed", 30, async || {
        run_of(&site, &name).await.run.unwrap().state() == v1::RunState::Complete
    })
    .await;
}

/// Two servers with workers of their own, one ledger: each run is computed once.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_one_ledger_in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let url = server.database("two");
    let first = Site::new(Some(&url), "devices = [\"cpu\"]");
    let second = Site::new(Some(&url), "devices = [\"cpu\"]");
    // one store
    let config = std::fs::read_to_string(second.path("vejr.toml")).unwrap();
    let config = config.replace(second.folder.path().to_str().unwrap(), first.folder.path().to_str().unwrap());
    std::fs::write(second.path("vejr.toml"), config).unwrap();
    let _servers = [first.start("serve"), second.start("serve")];
    let mut asked = Vec::new();
    for steps in 1..=6 {
        for site in [&first, &second] {
            // the same at both
            let client = site.client();
            asked.push(tokio::spawn(async move {
                client.clone().request_forecast(site::request(TIMES[0], steps)).await.unwrap().into_inner()
            }));
        }
    }
    let mut names = std::collections::BTreeSet::new();
    let mut joined = 0;
    for answer in asked {
        let answer = answer.await.unwrap();
        joined += usize::from(answer.joined);
        names.insert(answer.forecast.unwrap().name);
    }
    assert_eq!((names.len(), joined), (6, 6));
    for name in names {
        site::until(&name, 60, async || run_of(&second, &name).await.run.unwrap().state() == v1::RunState::Complete)
            .await;
        let attempts = run_of(&first, &name).await.attempts;
        assert_eq!(attempts.len(), 1, "{name}: {attempts:?}");
    }
}
