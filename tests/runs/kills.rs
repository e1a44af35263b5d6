//! `kill -9` of servers and workers, again and again, while runs are asked for and read. `VEJR_KILLS` says how often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vejr::location::Location;
use vejr::serve::v1;
use vejr::store::{ForecastPath, ForecastReader, list_forecasts};

use crate::postgres::Postgres;
use crate::site::{self, Process, Site, TIMES};
use crate::truth::{MOST_STEPS, Truth};

/// Numbers that look random, and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Asks until it is told that the run is accepted; servers die on the way.
async fn ask(site: &Site, time: &str, steps: i64) -> String {
    let begin = Instant::now();
    loop {
        match site.client().request_forecast(site::request(time, steps)).await {
            Ok(answer) => return answer.into_inner().forecast.unwrap().name,
            Err(status) if begin.elapsed() > Duration::from_secs(60) => panic!("{status}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Reads whatever is published, and finds nothing half.
async fn read_on(store: Location, truth: Arc<Truth>, end: Arc<AtomicBool>) -> usize {
    let mut seen: BTreeMap<ForecastPath, usize> = BTreeMap::new();
    let mut read = 0;
    while !end.load(Ordering::Acquire) {
        for (path, manifest) in list_forecasts(&store).await.unwrap_or_default() {
            let complete = manifest.unwrap().steps_complete;
            let before = seen.insert(path.clone(), complete).unwrap_or(0);
            assert!(complete >= before, "{path} had {before} steps and has {complete}");
            if complete > before {
                let reader = ForecastReader::open(&path.location(&store)).await.unwrap();
                truth.check(&reader, complete - 1, 3).await;
                read += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    read
}

async fn kill_again_and_again(ledger: Option<&str>, kills: usize) {
    let site = Site::new(ledger, "devices = [\"cpu\"]\nlease = \"3s\"\nqueue = 1000");
    let truth = Arc::new(Truth::make(site.folder.path()).await);
    let mut random = Random(20_261_124);
    let start = |kind: &str| -> Process { site.start(kind) };
    let mut server = start("serve");
    let mut workers = [start("worker"), start("worker")];
    let end = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(site.store(), truth.clone(), end.clone()));
    let mut accepted: Vec<(String, i64)> = Vec::new();
    let mut killed = [0; 2];
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        // so that there is always something at work
        if accepted.len() < TIMES.len() * MOST_STEPS && random.below(2) == 0 {
            let number = accepted.len();
            let steps = (number / TIMES.len()) as i64 + 1;
            let asked = ask(&site, TIMES[number % TIMES.len()], steps);
            // the server may be killed while it answers
            match random.below(3) {
                0 => {
                    let asked = tokio::time::timeout(Duration::from_millis(random.below(20)), asked);
                    let answer = asked.await;
                    server.kill();
                    killed[0] += 1;
                    server = start("serve");
                    let name = match answer {
                        Ok(name) => name,
                        Err(_) => ask(&site, TIMES[number % TIMES.len()], steps).await,
                    };
                    accepted.push((name, steps));
                    continue;
                }
                _ => accepted.push((asked.await, steps)),
            }
        }
        match random.below(5) {
            0 => {
                server.kill();
                killed[0] += 1;
                server = start("serve");
            }
            1 => {
                workers.iter_mut().for_each(Process::kill);
                killed[1] += 2;
                workers = [start("worker"), start("worker")];
            }
            n => {
                let worker = &mut workers[n as usize % 2];
                worker.kill();
                killed[1] += 1;
                *worker = start("worker");
            }
        }
    }
    let healed = Instant::now();
    let client = site.client();
    let mut attempts = 0;
    for (name, steps) in &accepted {
        let mut last = None;
        site::until(name, 60, async || {
            let answer = client.clone().get_forecast(v1::GetForecastRequest { name: name.clone() }).await;
            let forecast = answer.ok().and_then(|answer| answer.into_inner().forecast);
            let state = forecast.as_ref().and_then(|forecast| Some(forecast.run.as_ref()?.state()));
            assert_ne!(state, Some(v1::RunState::Failed), "{forecast:?}");
            last = forecast;
            state == Some(v1::RunState::Complete)
        })
        .await;
        let forecast = last.unwrap();
        let published: u32 = forecast.attempts.iter().map(|attempt| attempt.steps).sum();
        assert!(i64::from(published) <= steps + 1, "{name}: no step is published twice: {:?}", forecast.attempts);
        attempts += forecast.attempts.len();
    }
    let healed = healed.elapsed();
    end.store(true, Ordering::Release);
    let read = reader.await.unwrap();
    truth.check_all(&site.store(), accepted.len()).await;
    eprintln!(
        "{} kills of servers, {} of workers: {} runs accepted and arrived, in {attempts} attempts, the last {healed:.1?} after \
         the last kill; {read} newly published steps read on the way; every bit as undisturbed",
        killed[0],
        killed[1],
        accepted.len()
    );
}

fn kills() -> usize {
    std::env::var("VEJR_KILLS").map_or(25, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_with_a_ledger_in_a_file() {
    kill_again_and_again(None, kills()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_with_a_ledger_in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    kill_again_and_again(Some(&server.database("kills")), kills()).await;
}
