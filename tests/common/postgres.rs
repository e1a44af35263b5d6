//! A real PostgreSQL on this machine.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A PostgreSQL server on a socket in a folder of its own, as long as this lives.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

/// Debian's PostgreSQL, the newest there is.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

impl Postgres {
    /// `None`, and a message, where there is none on this machine.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: no PostgreSQL in /usr/lib/postgresql (Debian's package postgresql)");
            return None;
        };
        let server = Self { folder: tempfile::tempdir().unwrap(), programs };
        let data = server.folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if rustix::process::getuid().is_root() {
            // it refuses to run as root
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(server.folder.path()).status().unwrap();
            assert!(owned.success());
        }
        server.run("initdb", &["-A", "trust", "-U", "vejr", "--no-sync", "-D", &data.display().to_string()]);
        let options = format!("-k {} -c listen_addresses=''", server.folder.path().display());
        let log = data.join("log").display().to_string();
        server.run("pg_ctl", &["-w", "-D", &data.display().to_string(), "-l", &log, "-o", &options, "start"]);
        Some(server)
    }

    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match rustix::process::getuid().is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(path);
                command
            }
            false => Command::new(path),
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // not by pipes, which the server would keep open
        let log = self.folder.path().join(format!("{program}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let status =
            self.command(program).args(arguments).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        assert!(status.success(), "{program}: {}", std::fs::read_to_string(&log).unwrap());
    }

    /// The URL of a new database.
    pub fn database(&self, name: &str) -> String {
        let socket = self.folder.path().display().to_string();
        self.run("createdb", &["-h", &socket, "-U", "vejr", name]);
        format!("postgres://vejr@localhost/{name}?host={}", socket.replace('/', "%2F"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data").display().to_string();
        let _ = self.command("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]).stdout(Stdio::null()).status();
    }
}
