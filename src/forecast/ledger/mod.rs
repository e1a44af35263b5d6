//! The ledger: which runs there are, who holds them, and what became of them.
//!
//! It is the truth about runs. One machine has it in a file (SQLite: write-ahead log, every commit on the disk before it is
//! told); many machines share one in PostgreSQL. Both speak the same SQL, here and in `migrations/`.
//!
//! - The clock is the database's: machines that share a ledger need not agree about the time.
//! - A worker holds a part of a run by a **lease** with a **fencing token** that grows with every lease. Whatever a worker
//!   tells the ledger counts only with the newest token.
//! - Every change of a run is one transaction, and an event in it, numbered without gaps: watchers miss nothing.
//! - Each transaction begins with a write. SQLite would else let two begin as readers, and refuse one as a writer.

mod admit;
mod awaited;
mod crowd;
mod lease;
mod outlook;
mod query;
mod record;
mod retire;

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Executor, Row, Transaction};

pub use admit::{Admission, Entering, NewRun};
pub use awaited::{Awaited, AwaitedState};
pub use lease::Lease;
pub use query::{OpenRun, QueueDepth, RunFilter};
pub use record::{Attempt, EventKind, RunEvent, RunFault, RunPhase, RunRecord, RunRequest};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/forecast/ledger/migrations");

/// For a connection to become free, or a lock.
const PATIENCE: Duration = Duration::from_secs(10);
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                               PRAGMA cache_size = -512; PRAGMA foreign_keys = ON;";
/// A machine that stops in the middle of a transaction, or is cut off there, must not keep the others from its rows: the
/// database ends the transaction. Whoever waits for a row waits as long as [`PATIENCE`].
const POSTGRES_SETTINGS: &str = "SET idle_in_transaction_session_timeout = '3s'; SET statement_timeout = '10s'";

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{url:?} is no ledger: {reason}; expected sqlite:FILE or postgres://USER@HOST/DATABASE")]
    Url { url: String, reason: String },
    #[error("the ledger {url} cannot be opened: {source}; does it exist, and may this user write there?")]
    Open { url: String, source: sqlx::Error },
    #[error("the ledger {url} has another layout: {source}; was it made by a newer vejr?")]
    Migrate { url: String, source: sqlx::migrate::MigrateError },
    #[error("the ledger does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the ledger's row of run {run_key} cannot be read: {what}")]
    Corrupt { run_key: String, what: String },
    #[error("{limit} runs are waiting already; try again later")]
    QueueFull { limit: u64 },
    #[error("{client} has {limit} runs waiting already; try again later")]
    ShareFull { client: String, limit: u64 },
    #[error("request {request_id:?} asked for another run before: {run_key}")]
    RequestIdTaken { request_id: String, run_key: String },
    #[error("there is no run {0}")]
    NotFound(String),
    /// Somebody else has the part now, or the run was cancelled.
    #[error("the lease is lost")]
    LeaseLost,
}

/// A connection to the ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: AnyPool,
    dialect: Dialect,
    entering: admit::EnteringRuns,
    /// Requests before anything is written, and those that are to be written down: all that come at the same moment at once, on
    /// one connection.
    questions: crowd::Crowd<outlook::Question>,
    applicants: crowd::Crowd<admit::Applicant>,
}

/// What the two databases spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Milliseconds since 1970.
    fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS BIGINT)",
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// SQLite has one writer at a time, and each connection a cache of its own.
    fn connections(self) -> u32 {
        match self {
            Self::Sqlite => 4,
            Self::Postgres => 8,
        }
    }

    /// What every connection begins with.
    fn settings(self) -> &'static str {
        match self {
            Self::Sqlite => SQLITE_SETTINGS,
            Self::Postgres => POSTGRES_SETTINGS,
        }
    }
}

impl Ledger {
    /// Opens the ledger, and brings its layout up to date. `sqlite:FILE` is made where it is missing.
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        let wrong = |reason: String| LedgerError::Url { url: without_password(url), reason };
        let (dialect, full) = match url.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() && !file.contains('?') => {
                let file = std::path::absolute(file).map_err(|error| wrong(error.to_string()))?;
                (Dialect::Sqlite, format!("sqlite://{}?mode=rwc", encoded(&file.to_string_lossy())))
            }
            Some(("postgres" | "postgresql", _)) => (Dialect::Postgres, url.to_owned()),
            _ => return Err(wrong("it names no kind of database that is known here".to_owned())),
        };
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(&full).map_err(|error| wrong(error.to_string()))?;
        let pool = AnyPoolOptions::new()
            .max_connections(dialect.connections())
            // a file's are open from the beginning: a crowd then needs no memory for them
            .min_connections(if dialect == Dialect::Sqlite { dialect.connections() } else { 0 })
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(dialect.settings()).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(|source| LedgerError::Open { url: without_password(url), source })?;
        let migrated = MIGRATIONS.run(&pool).await;
        migrated.map_err(|source| LedgerError::Migrate { url: without_password(url), source })?;
        let (entering, questions, applicants) = Default::default();
        Ok(Self { pool, dialect, entering, questions, applicants })
    }

    /// Whether it answers.
    pub async fn probe(&self) -> Result<(), LedgerError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A statement in which `{now}` stands for the database's clock. Statements are our own texts: values are always bound.
    fn sql(&self, text: &str) -> sqlx::AssertSqlSafe<String> {
        sqlx::AssertSqlSafe(text.replace("{now}", self.dialect.now()))
    }

    /// Changes the state of a run and tells of it.
    async fn tell(
        &self,
        transaction: &mut Transaction<'_, Any>,
        run_key: &str,
        change: Change<'_>,
    ) -> Result<(), LedgerError> {
        let Change { kind, phase, fault, reason, detail } = change;
        let row = sqlx::query(self.sql(
            "UPDATE runs SET state = $2, fault = $3, reason = $4, events = events + 1, changed = {now} \
             WHERE run_key = $1 RETURNING events",
        ))
        .bind(run_key)
        .bind(phase.name())
        .bind(fault.map_or("", RunFault::name))
        .bind(reason)
        .fetch_one(&mut **transaction)
        .await?;
        let number: i64 = row.try_get("events")?;
        sqlx::query(self.sql(
            "INSERT INTO events (run_key, number, time, kind, state, steps, detail) VALUES ($1, $2, {now}, $3, $4, \
             (SELECT MIN(steps_complete) FROM parts WHERE run_key = $1), $5)",
        ))
        .bind(run_key)
        .bind(number)
        .bind(kind.name())
        .bind(phase.name())
        .bind(detail)
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

/// A change of a run's state, and what watchers are told.
struct Change<'a> {
    kind: EventKind,
    phase: RunPhase,
    fault: Option<RunFault>,
    reason: &'a str,
    detail: &'a str,
}

impl<'a> Change<'a> {
    fn to(phase: RunPhase, detail: &'a str) -> Self {
        Self { kind: EventKind::State, phase, fault: None, reason: "", detail }
    }

    /// It runs, and a step is there for readers.
    fn step() -> Self {
        Self { kind: EventKind::Step, ..Self::to(RunPhase::Running, "") }
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// A path as a part of a URL.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'/' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A URL that may be printed.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let user = &url[scheme + 3..at];
            format!("{}{}{}", &url[..scheme + 3], user.split(':').next().unwrap_or_default(), &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(without_password("postgres://vejr:hunter2@db/runs"), "postgres://vejr@db/runs");
        assert_eq!(without_password("sqlite:runs.sqlite"), "sqlite:runs.sqlite");
    }
}
