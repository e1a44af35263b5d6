//! Slurm: a job is a worker for one run, and ends when that has nothing left to take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::forecast::ledger::{Ledger, LedgerError, OpenRun};

/// Between two looks at what is to be done and who is at it.
const LOOK: Duration = Duration::from_secs(5);
/// A controller that does not answer for so long is asked again later.
const PATIENCE: Duration = Duration::from_secs(60);
/// By which vejr's jobs are told from others of the same user.
const JOB_NAME: &str = "vejr";

/// `[runs.slurm]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmSettings {
    /// Jobs at once, those that wait in Slurm's queue included.
    #[serde(default = "eight")]
    pub jobs: usize,
    /// Members of an ensemble that one job computes, one after the other.
    #[serde(default = "one")]
    pub members_per_job: usize,
    /// What `sbatch` is told beside, such as `--partition=gpu`, `--gres=gpu:1`, `--time=01:00:00`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// On what the workers compute.
    #[serde(default = "auto")]
    pub device: String,
    /// Folder for the jobs' logs, on a file system that the nodes share.
    #[serde(default = "here")]
    pub logs: PathBuf,
}

fn eight() -> usize {
    8
}

fn one() -> usize {
    1
}

fn auto() -> String {
    "auto".to_owned()
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

/// What Slurm did not do.
#[derive(Debug, thiserror::Error)]
enum SlurmError {
    #[error("{program} could not be started: {source}; is Slurm's client installed here?")]
    Start { program: &'static str, source: std::io::Error },
    #[error("{program} says: {message}")]
    Refused { program: &'static str, message: String },
    #[error("{program} has not answered within {PATIENCE:?}")]
    Silent { program: &'static str },
}

/// Submits workers as long as there are runs for them.
pub struct SlurmPlacement {
    ledger: Ledger,
    settings: SlurmSettings,
    /// How a worker is started: this program, and the configuration.
    program: PathBuf,
    config: PathBuf,
}

impl SlurmPlacement {
    /// `program` and `config` are paths on the nodes, too.
    pub fn new(ledger: Ledger, settings: SlurmSettings, program: PathBuf, config: PathBuf) -> Self {
        Self { ledger, settings, program, config }
    }

    /// Runs until it is dropped.
    pub async fn keep(self) {
        let mut troubled = false;
        loop {
            match self.look().await {
                Ok(()) => troubled = false,
                // said once: the next look is soon
                Err(message) if !troubled => {
                    tracing::warn!(%message, "no jobs can be submitted; runs wait in the ledger");
                    troubled = true;
                }
                Err(message) => tracing::debug!(%message, "no jobs can be submitted"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self) -> Result<(), String> {
        let failed = |error: LedgerError| error.to_string();
        // jobs first: what was done since only makes fewer necessary
        let jobs = self.jobs().await.map_err(|error| error.to_string())?;
        let open = self.ledger.open_runs().await.map_err(failed)?;
        let (submit, cancel) = self.plan(&open, &jobs);
        for id in cancel {
            tracing::info!(job = id, "cancelled: nothing is left to do");
            self.ask("scancel", &[id.to_owned()], "").await.map_err(|error| error.to_string())?;
        }
        for run_key in submit {
            let id = self.submit(run_key).await.map_err(|error| error.to_string())?;
            tracing::info!(job = id, run_key, "submitted a worker");
        }
        Ok(())
    }

    /// Runs to submit a job for, one entry for each job; and jobs that wait for nothing.
    fn plan<'a>(&self, open: &'a [OpenRun], jobs: &'a [Job]) -> (Vec<&'a str>, Vec<&'a str>) {
        let mut at_work: BTreeMap<&str, usize> = BTreeMap::new();
        for job in jobs {
            *at_work.entry(&job.run_key).or_default() += 1;
        }
        let idle = |job: &&Job| job.pending && !open.iter().any(|run| run.run_key == job.run_key);
        let cancel: Vec<&str> = jobs.iter().filter(idle).map(|job| job.id.as_str()).collect();
        let mut places = self.settings.jobs.saturating_sub(jobs.len() - cancel.len());
        let mut submit = Vec::new();
        for run in open {
            let wanted = run.parts.div_ceil(self.settings.members_per_job.max(1));
            let missing = wanted.saturating_sub(at_work.get(run.run_key.as_str()).copied().unwrap_or(0)).min(places);
            submit.extend(std::iter::repeat_n(run.run_key.as_str(), missing));
            places -= missing;
        }
        (submit, cancel)
    }

    /// The jobs that wait or run, of this user and this name.
    async fn jobs(&self) -> Result<Vec<Job>, SlurmError> {
        let arguments = ["--noheader", "--me", "--name", JOB_NAME, "--format", "%i|%T|%k"].map(str::to_owned);
        let listed = self.ask("squeue", &arguments, "").await?;
        Ok(listed.lines().filter_map(Job::parse).collect())
    }

    /// Its id.
    async fn submit(&self, run_key: &str) -> Result<String, SlurmError> {
        let mut arguments = vec![
            "--parsable".to_owned(),
            "--requeue".to_owned(),
            format!("--job-name={JOB_NAME}"),
            format!("--comment={run_key}"),
            format!("--output={}", self.settings.logs.join("vejr-%j.log").display()),
        ];
        arguments.extend(self.settings.arguments.iter().cloned());
        let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let script = format!(
            "#!/bin/sh\nexec {} worker --config {} --device {} --run {} --until-idle\n",
            quote(&self.program.to_string_lossy()),
            quote(&self.config.to_string_lossy()),
            quote(&self.settings.device),
            quote(run_key),
        );
        let answer = self.ask("sbatch", &arguments, &script).await?;
        Ok(answer.trim().to_owned())
    }

    async fn ask(&self, program: &'static str, arguments: &[String], input: &str) -> Result<String, SlurmError> {
        let failed = |source| SlurmError::Start { program, source };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // one that reads nothing has its reasons, and tells them
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.map_err(|_| SlurmError::Silent { program })?.map_err(failed)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => {
                let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(SlurmError::Refused { program, message })
            }
        }
    }
}

/// A job as Slurm lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    id: String,
    /// It has not begun.
    pending: bool,
    run_key: String,
}

impl Job {
    /// `None` for one that is ending.
    fn parse(line: &str) -> Option<Self> {
        let (id, rest) = line.trim().split_once('|')?;
        let (state, run_key) = rest.split_once('|')?;
        let alive = ["PENDING", "RUNNING", "CONFIGURING", "SUSPENDED", "REQUEUED", "RESIZING", "SIGNALING", "STOPPED"];
        alive.contains(&state).then(|| Self {
            id: id.to_owned(),
            pending: state == "PENDING",
            run_key: run_key.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn as_many_jobs_as_there_is_work_for() {
        let settings: SlurmSettings = toml::from_str("jobs = 6\nmembers_per_job = 4").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&format!("sqlite:{}/l", folder.path().display())).await.unwrap();
        let placement = SlurmPlacement::new(ledger, settings, "vejr".into(), "vejr.toml".into());
        let open = |key: &str, parts| OpenRun { run_key: key.to_owned(), parts };
        let jobs = |lines: &[&str]| lines.iter().filter_map(|line| Job::parse(line)).collect::<Vec<_>>();
        // 20 members are five jobs, a single run one; the sixth place is taken by the older run first
        let runs = [open("a", 20), open("b", 1), open("c", 1)];
        assert_eq!(placement.plan(&runs, &[]), (vec!["a", "a", "a", "a", "a", "b"], vec![]));
        let there =
            jobs(&["1|RUNNING|a", "2|PENDING|a", "3|COMPLETING|a", "4|PENDING|gone", "5|RUNNING|gone", "6|FAILED|b"]);
        assert_eq!(there.len(), 4);
        // a job that waits for a run that has ended is cancelled; one that runs ends by itself
        assert_eq!(placement.plan(&runs, &there), (vec!["a", "a", "a"], vec!["4"]));
        assert_eq!(placement.plan(&[], &there), (vec![], vec!["2", "4"]));
    }
}
