//! A site: a configuration, a store, a ledger; and the processes that work there, as an operator starts them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use vejr::location::Location;
use vejr::serve::v1;
use vejr::serve::v1::forecast_service_client::ForecastServiceClient;

pub const MODEL: &str = "held-suarez-sfno";
/// The analyses of the sample that have everything before them.
pub const TIMES: [&str; 3] = ["2001-01-01T00:00Z", "2001-01-01T06:00Z", "2001-01-01T12:00Z"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub struct Site {
    pub folder: TempDir,
    pub port: u16,
    /// Of the processes.
    pub environment: Vec<(&'static str, String)>,
}

/// A process that ends with this.
pub struct Process(pub Child);

impl Process {
    pub fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.0)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.id(), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Site {
    /// `runs` are further lines of `[runs]`.
    pub fn new(ledger: Option<&str>, runs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // free now, and asked for again and again by servers that are killed
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = folder.path().display();
        let ledger = ledger.map_or_else(|| format!("sqlite:{here}/ledger.sqlite"), str::to_owned);
        let root = root().display();
        let text = format!(
            "store = \"{here}/forecasts\"\nlisten = \"127.0.0.1:{port}\"\nmodels = [\"{root}/models\"]\n\
             [runs]\nledger = \"{ledger}\"\n{runs}\n\
             [[inputs]]\nmodel = \"{MODEL}\"\ninit = [\"{root}/data-samples/held-suarez-init.nc\"]\n"
        );
        std::fs::write(folder.path().join("vejr.toml"), text).unwrap();
        Self { folder, port, environment: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn store(&self) -> Location {
        Location::parse(self.path("forecasts").to_str().unwrap()).unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts `vejr serve` or `vejr worker` and waits until it says that it works.
    pub fn start(&self, command: &str) -> Process {
        self.try_start(command).unwrap_or_else(|| panic!("vejr {command} ended: {}", self.log(command)))
    }

    /// `None` where it ended before it said so.
    pub fn try_start(&self, command: &str) -> Option<Process> {
        let log =
            std::fs::File::options().create(true).append(true).open(self.path(&format!("{command}.log"))).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args([command, "--config"])
            .arg(self.path("vejr.toml"))
            .args(if command == "worker" { &["--device", "cpu"][..] } else { &[] })
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Process(child);
        (read > 0).then_some(process)
    }

    pub fn log(&self, command: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{command}.log"))).unwrap_or_default()
    }

    pub fn client(&self) -> ForecastServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(self.url()).unwrap().timeout(Duration::from_secs(10));
        ForecastServiceClient::new(endpoint.connect_lazy())
    }

    /// Runs a client command.
    pub fn vejr(&self, arguments: &[&str]) -> std::process::Output {
        let (command, rest) = arguments.split_first().unwrap();
        Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args([command, "--server", &self.url()])
            .args(rest)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// A request for so many steps.
pub fn request(time: &str, steps: i64) -> v1::RequestForecastRequest {
    let time: vejr::atmos::ReferenceTime = time.parse().unwrap();
    v1::RequestForecastRequest {
        model: format!("models/{MODEL}"),
        reference_time: Some(prost_types::Timestamp { seconds: time.timestamp(), nanos: 0 }),
        lead_time: Some(prost_types::Duration { seconds: steps * 6 * 3600, nanos: 0 }),
        ..Default::default()
    }
}

/// A forecast from each of [`TIMES`] that nobody disturbed: what every run must equal, step for step.
pub fn undisturbed(folder: &Path, steps: usize) -> Vec<Location> {
    let forecast = |time: &&str| {
        let place = folder.join(format!("undisturbed-{}.zarr", time.replace(':', "")));
        let done = Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args(["forecast", "--model"])
            .arg(root().join("models").join(MODEL))
            .arg("--init")
            .arg(root().join("data-samples/held-suarez-init.nc"))
            .args(["--reference-time", time, "--steps", &steps.to_string(), "--output"])
            .arg(&place)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Location::parse(place.to_str().unwrap()).unwrap()
    };
    TIMES.iter().map(forecast).collect()
}

/// Waits for what happens in another process.
pub async fn until(what: &str, seconds: u64, mut condition: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
