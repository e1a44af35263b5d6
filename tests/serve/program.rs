//! The program as an operator starts it: in a process of its own, whose log and memory are looked at.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use vejr::location::Location;

use super::planet;

/// A server with one forecast of eight steps; it ends with this.
pub struct Program {
    folder: TempDir,
    child: Child,
    pub root: Location,
    pub address: std::net::SocketAddr,
}

impl Program {
    /// `more` are further lines of the configuration, in which `{here}` is a folder.
    pub async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let root = Location::parse(&format!("{here}/forecasts")).unwrap();
        planet::publish(&root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 8).await;
        let configuration = folder.path().join("vejr.toml");
        let more = more.replace("{here}", &here.to_string());
        std::fs::write(&configuration, format!("store = \"{here}/forecasts\"\nlisten = \"127.0.0.1:0\"\n{more}"))
            .unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
        command.args(["serve", "--config"]).arg(&configuration).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(serving) = lines.next_line().await.unwrap() else {
            panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap())
        };
        let url = serving.split_whitespace().find(|word| word.starts_with("http://")).expect(&serving);
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        Self { folder, child, root, address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(PathBuf::from(self.folder.path()).join("log")).unwrap()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    }

    /// A metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = reqwest::get(self.url("/metrics")).await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    }
}
