//! Workers as jobs of a real Slurm: a controller and two nodes on this machine, each with a GPU of paper.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use vejr::serve::v1;

use crate::ensembles::{Ensemble, place_of};
use crate::site::{self, Process, Site, TIMES};
use crate::truth::Truth;

const NODES: [&str; 2] = ["n1", "n2"];
/// Four jobs of five members.
const ENSEMBLE: Ensemble = Ensemble { members: 20, steps: 12 };

struct Cluster {
    folder: PathBuf,
    _munge: Process,
    controller: Process,
    nodes: Vec<Process>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    /// `None`, with a message, where Slurm is not installed, or may not be started by this user.
    fn start(folder: &Path) -> Option<Self> {
        // sbatch tells its version only where there is a cluster
        let there = |program: &str| Command::new(program).arg("--help").output().is_ok();
        if !["slurmctld", "slurmd", "sbatch", "munged"].into_iter().all(there) || !rustix::process::geteuid().is_root()
        {
            eprintln!("SKIPPED: Slurm is not installed here, or this is not root");
            return None;
        }
        let folder = folder.to_path_buf();
        let here = folder.display();
        for name in ["state", "spool-n1", "spool-n2"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let node = |name: &&str| {
            std::fs::write(folder.join(format!("gpu-{name}")), "").unwrap();
            format!(
                "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={} CPUs=2 RealMemory=2000 Gres=gpu:1\n",
                free_port()
            )
        };
        let nodes: String = NODES.iter().map(node).collect();
        let config = format!(
            "ClusterName=vejr\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\nSlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/munge\nAuthInfo=socket={here}/munge.socket\nCredType=cred/munge\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SlurmdParameters=config_overrides\nReturnToService=2\nSlurmdTimeout=10\nSlurmctldTimeout=10\nKillWait=2\n\
             MinJobAge=10\nStateSaveLocation={here}/state\nSlurmdSpoolDir={here}/spool-%n\n\
             SlurmctldPidFile={here}/slurmctld.pid\nSlurmdPidFile={here}/%n.pid\nSlurmctldLogFile={here}/slurmctld.log\n\
             SlurmdLogFile={here}/%n.log\nMpiDefault=none\nGresTypes=gpu\n{nodes}\
             PartitionName=main Nodes=n1,n2 Default=YES State=UP\n",
            free_port()
        );
        std::fs::write(folder.join("slurm.conf"), config).unwrap();
        let gres = NODES.map(|name| format!("NodeName={name} Name=gpu File={here}/gpu-{name}\n")).concat();
        std::fs::write(folder.join("gres.conf"), gres).unwrap();
        let key: Vec<u8> = std::fs::File::open("/dev/urandom")
            .and_then(|mut random| {
                let mut key = vec![0; 128];
                std::io::Read::read_exact(&mut random, &mut key).map(|()| key)
            })
            .unwrap();
        std::fs::write(folder.join("munge.key"), key).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join("munge.key"), private).unwrap();
        let munge = [
            "key-file=munge.key",
            "socket=munge.socket",
            "pid-file=munged.pid",
            "log-file=munged.log",
            "seed-file=seed",
        ]
        .map(|option| option.replacen('=', &format!("={here}/"), 1))
        .map(|option| format!("--{option}"));
        let munge = Process(
            Command::new("munged").args(["--force", "--foreground"]).args(munge).stderr(Stdio::null()).spawn().unwrap(),
        );
        while !folder.join("munge.socket").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let controller = Self::controller(&folder);
        let nodes = NODES.iter().map(|name| Self::node(&folder, name)).collect();
        Some(Self { folder, _munge: munge, controller, nodes })
    }

    fn daemon(folder: &Path, program: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(program);
        command.arg("-D").args(arguments).env("SLURM_CONF", folder.join("slurm.conf"));
        Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn controller(folder: &Path) -> Process {
        Self::daemon(folder, "slurmctld", &[])
    }

    fn node(folder: &Path, name: &str) -> Process {
        Self::daemon(folder, "slurmd", &["-N", name])
    }

    fn kill_controller(&mut self) {
        self.controller.kill();
    }

    fn start_controller(&mut self) {
        self.controller = Self::controller(&self.folder);
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("SLURM_CONF", self.folder.join("slurm.conf")).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // what runs on the nodes is nobody's child any more
        self.ask("scancel", &["--me", "--signal=KILL", "--full"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_computed_by_jobs_whatever_becomes_of_the_cluster() {
    let slurm = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::start(slurm.path()) else { return };
    let ready =
        async || cluster.ask("sinfo", &["--noheader", "--Node", "--format=%T"]).lines().all(|state| state == "idle");
    site::until("both nodes are there", 30, ready).await;
    let logs = slurm.path().display();
    let mut site = Site::new(
        None,
        &format!(
            "devices = []\nlease = \"3s\"\n[runs.slurm]\njobs = 4\nmembers_per_job = 5\ndevice = \"cpu\"\narguments = [\"--gres=gpu:1\"]\n\
             logs = \"{logs}\""
        ),
    );
    site.environment = vec![("SLURM_CONF", slurm.path().join("slurm.conf").to_str().unwrap().to_owned())];
    let truth = Truth::make(site.folder.path()).await;
    let expected = ENSEMBLE.alone(site.folder.path());
    let _server = site.start("serve");
    let asked = site.client().request_forecast(ENSEMBLE.request()).await.unwrap().into_inner();
    let ensemble = asked.forecast.unwrap().name;
    let mut names = vec![ensemble.clone()];
    for steps in 22..=24 {
        for time in TIMES {
            let asked = site.client().request_forecast(site::request(time, steps)).await.unwrap().into_inner();
            names.push(asked.forecast.unwrap().name);
        }
    }
    let state = async |name: &String| {
        let request = v1::GetForecastRequest { name: name.clone() };
        site.client().get_forecast(request).await.unwrap().into_inner().forecast.unwrap()
    };
    let complete = async || {
        let mut complete = 0;
        for name in &names {
            let run = state(name).await.run.unwrap();
            assert_ne!(run.state(), v1::RunState::Failed, "{run:?}");
            complete += usize::from(run.state() == v1::RunState::Complete);
        }
        complete
    };
    let whole = ENSEMBLE.steps as u32 + 1;
    site::until("some members are complete", 90, async || {
        state(&ensemble).await.member_steps_complete.into_iter().filter(|&steps| steps == whole).count() >= 3
    })
    .await;
    let comments = cluster.ask("squeue", &["--noheader", "--format=%j|%k|%b"]);
    let key = |name: &String| name.rsplit('/').next().unwrap().to_owned();
    assert!(
        comments.lines().all(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            fields[0] == "vejr" && names.iter().any(|name| key(name) == fields[1]) && fields[2].contains("gpu")
        }),
        "{comments}"
    );
    // the controller goes and comes back
    cluster.kill_controller();
    tokio::time::sleep(Duration::from_secs(8)).await;
    cluster.start_controller();
    let before = complete().await;
    assert!(before < names.len(), "it was over before anything was killed");
    // a node goes, with what ran there
    cluster.nodes[0].kill();
    for line in std::fs::read_dir("/proc").unwrap().flatten() {
        let is_job = std::fs::read(line.path().join("environ"))
            .is_ok_and(|environ| String::from_utf8_lossy(&environ).contains("SLURMD_NODENAME=n1"));
        if is_job && let Some(pid) = line.file_name().to_str().and_then(|pid| pid.parse().ok()) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.nodes[0] = Cluster::node(slurm.path(), NODES[0]);
    site::until("all arrive", 240, async || complete().await == names.len()).await;
    truth.check_all(&site.store(), names.len()).await;
    ENSEMBLE.same(&expected, &place_of(&site, &ensemble)).await;
    let mut holders = std::collections::BTreeSet::new();
    for name in &names {
        holders.extend(state(name).await.attempts.into_iter().map(|attempt| attempt.worker));
    }
    eprintln!("{} members and {} runs by {} workers", ENSEMBLE.members, names.len() - 1, holders.len());
    assert!(holders.len() > 2, "{holders:?}");
    site::until("no job is left", 60, async || cluster.ask("squeue", &["--noheader"]).trim().is_empty()).await;
}
