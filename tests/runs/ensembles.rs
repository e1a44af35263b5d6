//! Ensembles that many workers share: each member's bits are the same, however many there are and whatever is killed.

use std::path::{Path, PathBuf};
use std::process::Command;

use vejr::location::Location;
use vejr::serve::v1;
use vejr::store::{ForecastPath, ForecastReader, RunState};

use crate::postgres::Postgres;
use crate::site::{self, MODEL, Process, Site, TIMES};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Ensemble {
    pub members: usize,
    pub steps: usize,
}

const SMALL: Ensemble = Ensemble { members: 9, steps: 4 };
const SEED: u64 = 11;

impl Ensemble {
    pub fn request(self) -> v1::RequestForecastRequest {
        v1::RequestForecastRequest {
            members: self.members as u32,
            seed: SEED,
            ..site::request(TIMES[0], self.steps as i64)
        }
    }

    /// One process, one member after the other: what everything else must equal.
    pub fn alone(self, folder: &Path) -> Location {
        let place: PathBuf = folder.join("alone.zarr");
        let (members, steps, seed) = (self.members.to_string(), self.steps.to_string(), SEED.to_string());
        let done = Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args(["forecast", "--model"])
            .arg(site::root().join("models").join(MODEL))
            .arg("--init")
            .arg(site::root().join("data-samples/held-suarez-init.nc"))
            .args(["--reference-time", TIMES[0], "--steps", &steps, "--members", &members, "--seed", &seed, "--output"])
            .arg(&place)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Location::parse(place.to_str().unwrap()).unwrap()
    }

    /// Every step of every member, and the statistics.
    pub async fn same(self, expected: &Location, found: &Location) {
        let open = async |place| ForecastReader::open(place).await.unwrap();
        let (expected, found) = (open(expected).await, open(found).await);
        assert_eq!((found.whole().state, found.whole().steps_complete), (RunState::Done, self.steps + 1));
        for member in 0..self.members {
            let (expected, found) = (expected.of_member(member).unwrap(), found.of_member(member).unwrap());
            assert!(bits(&expected).await == bits(&found).await, "member {member}");
        }
        let statistics = [expected.statistics().unwrap().unwrap(), found.statistics().unwrap().unwrap()];
        assert_eq!(statistics[1].published_leads().len(), self.steps + 1);
        assert!(bits(&statistics[0]).await == bits(&statistics[1]).await, "statistics");
    }
}

async fn bits(reader: &ForecastReader) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    for &lead in reader.published_leads() {
        for (output, level) in reader.spec().fields() {
            let output = &reader.spec().outputs[output];
            let field = reader.field(&output.variable.name, output.levels[level], lead).await.unwrap();
            all.push(field.into_iter().map(f32::to_bits).collect());
        }
    }
    all
}

pub fn place_of(site: &Site, name: &str) -> Location {
    let path: ForecastPath = name.strip_prefix("forecasts/").unwrap().parse().unwrap();
    path.location(&site.store())
}

async fn wait_for(site: &Site, name: &str) -> v1::Forecast {
    let mut last = None;
    site::until(name, 120, async || {
        let answer = site.client().get_forecast(v1::GetForecastRequest { name: name.to_owned() }).await;
        last = answer.ok().and_then(|answer| answer.into_inner().forecast);
        let state = last.as_ref().and_then(|forecast| Some(forecast.run.as_ref()?.state()));
        assert_ne!(state, Some(v1::RunState::Failed), "{last:?}");
        state == Some(v1::RunState::Complete)
    })
    .await;
    last.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_do_not_depend_on_workers_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    let expected = SMALL.alone(folder.path());
    for workers in [1, 3, 8] {
        for batch in [1, 4] {
            let devices = vec!["\"cpu\""; workers].join(", ");
            let site = Site::new(None, &format!("devices = [{devices}]\nmember_batch = {batch}"));
            let _server = site.start("serve");
            let answer = site.client().request_forecast(SMALL.request()).await.unwrap().into_inner();
            let name = answer.forecast.unwrap().name;
            let joined = site.client().request_forecast(SMALL.request()).await.unwrap().into_inner();
            assert!(joined.joined && joined.forecast.unwrap().name == name);
            let forecast = wait_for(&site, &name).await;
            let run = forecast.run.unwrap();
            assert_eq!((run.members, run.steps_complete), (SMALL.members as u32, SMALL.steps as u32 + 1));
            assert_eq!(forecast.member_steps_complete, [SMALL.steps as u32 + 1; SMALL.members]);
            assert_eq!(forecast.attempts.len(), SMALL.members.div_ceil(batch), "each part once");
            SMALL.same(&expected, &place_of(&site, &name)).await;
            println!("{workers} workers, batches of {batch}: bit for bit");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_is_the_single_forecast() {
    let folder = tempfile::tempdir().unwrap();
    let control = ForecastReader::open(&SMALL.alone(folder.path())).await.unwrap();
    let single = ForecastReader::open(&site::undisturbed(folder.path(), SMALL.steps)[0]).await.unwrap();
    assert_eq!((control.member(), single.member()), (Some(0), None));
    assert!(bits(&control).await == bits(&single).await);
    assert!(bits(&control).await != bits(&control.of_member(1).unwrap()).await);
}

async fn killed_workers(ledger: Option<&str>) {
    let site = Site::new(ledger, "devices = []\nlease = \"2s\"\nmember_batch = 2");
    let expected = SMALL.alone(site.folder.path());
    let _server = site.start("serve");
    let mut workers: Vec<Process> = (0..3).map(|_| site.start("worker")).collect();
    let name = site.client().request_forecast(SMALL.request()).await.unwrap().into_inner();
    let name = name.forecast.unwrap().name;
    for kill in 0..12 {
        tokio::time::sleep(std::time::Duration::from_millis(60 + 37 * (kill * 7 % 11))).await;
        let worker = &mut workers[kill as usize % 3];
        worker.kill();
        *worker = site.start("worker");
    }
    let forecast = wait_for(&site, &name).await;
    let published: u32 = forecast.attempts.iter().map(|attempt| attempt.steps).sum();
    assert!(
        published as usize <= SMALL.members * (SMALL.steps + 1),
        "no step is published twice: {:?}",
        forecast.attempts
    );
    println!("12 kills, {} attempts", forecast.attempts.len());
    SMALL.same(&expected, &place_of(&site, &name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_leave_the_same_members_with_a_ledger_in_a_file() {
    killed_workers(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_leave_the_same_members_with_a_ledger_in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    killed_workers(Some(&server.database("ensemble"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_by_name() {
    let site = Site::new(None, "devices = []\nmax_members = 20");
    let _server = site.start("serve");
    let many = site.client().request_forecast(Ensemble { members: 21, ..SMALL }.request()).await.unwrap_err();
    assert_eq!(many.code(), tonic::Code::InvalidArgument);
    assert!(many.message().contains("members") && many.message().contains("20"), "{many}");
    let client = site.vejr(&[
        "request",
        "--model",
        MODEL,
        "--reference-time",
        TIMES[0],
        "--members",
        "5",
        "--perturbation",
        "lagged:7h",
    ]);
    assert_eq!(client.status.code(), Some(2), "{}", String::from_utf8_lossy(&client.stderr));
    assert!(String::from_utf8_lossy(&client.stderr).contains("lag"));
}
