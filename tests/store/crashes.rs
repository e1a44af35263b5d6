//! A writer that stops anywhere leaves what readers may trust, and what another writer goes on from to the same bytes.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use vejr::location::Location;
use vejr::store::{Encoding, ForecastReader, ForecastSpec, RunState, StoreError};

use crate::forecast::{LARGE, SMALL, STEPS, check_published, complete, contents, ensemble, spec};

/// A store that stops working after some changes.
#[derive(Debug)]
struct Failing {
    inner: Arc<InMemory>,
    changes_left: AtomicUsize,
    /// Whether the change at which it stops is still made, and only the answer lost.
    answer_lost: bool,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing store")
    }
}

enum Change {
    Made,
    MadeUnanswered,
    Refused,
}

impl Failing {
    fn change(&self) -> Change {
        let one_less = |left: usize| left.checked_sub(1);
        match self.changes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(1) if self.answer_lost => Change::MadeUnanswered,
            Ok(_) => Change::Made,
            Err(_) => Change::Refused,
        }
    }
}

fn stopped<T>() -> Result<T> {
    Err(Error::Generic { store: "failing", source: "it stopped".into() })
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.change() {
            Change::Made => self.inner.put_opts(location, payload, options).await,
            Change::MadeUnanswered => self.inner.put_opts(location, payload, options).await.and_then(|_| stopped()),
            Change::Refused => stopped(),
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        stopped()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let mut allowed = true;
        let decided: Vec<_> = futures::executor::block_on(locations.collect::<Vec<_>>())
            .into_iter()
            .map(|location| {
                allowed = allowed && !matches!(self.change(), Change::Refused);
                if allowed { location } else { stopped() }
            })
            .collect();
        self.inner.delete_stream(stream::iter(decided).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        stopped()
    }
}

async fn complete_over(inner: &Arc<InMemory>, changes: usize, answer_lost: bool, spec: &ForecastSpec) -> bool {
    let failing = Failing { inner: inner.clone(), changes_left: AtomicUsize::new(changes), answer_lost };
    match complete(&Location::new(Arc::new(failing), "failing"), spec).await {
        Ok(()) => true,
        Err(StoreError::Storage { .. }) => false,
        Err(other) => panic!("after {changes} changes: {other}"),
    }
}

/// At every single change, in both ways.
#[tokio::test(flavor = "multi_thread")]
async fn at_every_change_of_the_store() {
    for (encoding, members) in [(Encoding::Float32, 1), (Encoding::Packed, 1), (Encoding::Packed, 3)] {
        let spec = ensemble(SMALL, encoding, "crash", members);
        let whole = Location::parse("memory://").unwrap();
        complete(&whole, &spec).await.unwrap();
        let whole = contents(&whole).await;
        for answer_lost in [false, true] {
            let mut changes = 0;
            loop {
                let inner = Arc::new(InMemory::new());
                let location = Location::new(inner.clone(), "memory");
                let finished = complete_over(&inner, changes, answer_lost, &spec).await;
                match check_published(&location, &spec).await {
                    Ok(_) => {}
                    Err(StoreError::NotFound(_)) => assert!(changes <= 1, "the manifest comes first"),
                    Err(other) => panic!("after {changes} changes: {other}"),
                }
                // half the resumptions are interrupted, too
                if changes % 2 == 0 {
                    complete_over(&inner, changes / 2 + 1, answer_lost, &spec).await;
                    check_published(&location, &spec).await.unwrap();
                }
                complete(&location, &spec).await.unwrap();
                assert_eq!(check_published(&location, &spec).await.unwrap(), STEPS);
                assert!(contents(&location).await == whole, "after {changes} changes");
                if finished && !answer_lost {
                    break;
                }
                if answer_lost && changes > 200 * members {
                    break;
                }
                changes += 1;
            }
            assert!(changes > 60, "{changes}");
        }
    }
}

/// Replacing a forecast that is done, stopped at every change: never old values under the new name, nor the other way.
#[tokio::test(flavor = "multi_thread")]
async fn while_overwriting() {
    let old = spec(SMALL, Encoding::Float32, "old");
    let mut new = spec(SMALL, Encoding::Packed, "new");
    new.outputs.truncate(3);
    let fresh = Location::parse("memory://").unwrap();
    complete(&fresh, &new).await.unwrap();
    for changes in 0..120 {
        let inner = Arc::new(InMemory::new());
        let location = Location::new(inner.clone(), "memory");
        complete(&location, &old).await.unwrap();
        let failing = Failing { inner, changes_left: AtomicUsize::new(changes), answer_lost: false };
        let failing = Location::new(Arc::new(failing), "failing");
        let _ = vejr::store::ForecastWriter::create_or_resume(&failing, new.clone(), true).await;
        let reader = ForecastReader::open(&location).await.unwrap();
        if reader.manifest().run_key == "old" {
            assert_eq!(changes, 0);
            assert_eq!(check_published(&location, &old).await.unwrap(), STEPS);
        } else {
            assert_eq!(check_published(&location, &new).await.unwrap(), 0);
            complete(&location, &new).await.unwrap();
            assert!(contents(&location).await == contents(&fresh).await, "after {changes} changes");
        }
    }
}

const CHILD: &str = "crashes::writing_child";
const CHILD_FOLDER: &str = "VEJR_TEST_CHILD_FOLDER";

/// What the tests below start and kill; by itself it does nothing.
#[test]
fn writing_child() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(complete(&Location::parse(&folder).unwrap(), &spec(LARGE, Encoding::Packed, "killed"))).unwrap();
}

/// Real processes on a real disk, killed at moments spread over the run, while a reader polls.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9() {
    let spec = spec(LARGE, Encoding::Packed, "killed");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Location::parse(folder.path().join(name).to_str().unwrap()).unwrap();
    let started = std::time::Instant::now();
    complete(&at("whole"), &spec).await.unwrap();
    let whole_run = started.elapsed();
    let whole = contents(&at("whole")).await;
    let start = |name: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact"])
            .env(CHILD_FOLDER, folder.path().join(name))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let (mut kills, mut polls, mut partial) = (0, 0, 0);
    for run in 0..10 {
        let name = format!("run{run}");
        let location = at(&name);
        // until it is done: each attempt is given a little longer than the one before
        for attempt in 0.. {
            let mut child = start(&name);
            let deadline =
                std::time::Instant::now() + whole_run.mul_f64(0.13 * f64::from(run + 1) * f64::from(attempt + 1) / 4.0);
            let finished = loop {
                match check_published(&location, &spec).await {
                    Ok(steps) => {
                        polls += 1;
                        partial += usize::from(steps > 0 && steps < STEPS);
                    }
                    Err(StoreError::NotFound(_)) => {}
                    Err(other) => panic!("a reader saw a partial step: {other}"),
                }
                if let Some(status) = child.try_wait().unwrap() {
                    break status.success();
                }
                if std::time::Instant::now() > deadline {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    kills += 1;
                    break false;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            if finished {
                break;
            }
        }
        assert_eq!(ForecastReader::open(&location).await.unwrap().manifest().state, RunState::Done);
        assert!(contents(&location).await == whole, "bit for bit what an undisturbed run writes");
        let left =
            std::process::Command::new("find").arg(location.local_folder().unwrap()).args(["-name", "*#*"]).output();
        assert!(left.unwrap().stdout.is_empty(), "no unfinished files stay");
    }
    println!("{kills} kills, {polls} polls, {partial} of them of an unfinished forecast");
    assert!(kills >= 20, "{kills}");
}

/// The lock of a killed process is no lock; that of a living one is.
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_dies_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("f").to_str().unwrap()).unwrap();
    let spec = spec(LARGE, Encoding::Packed, "killed");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact"])
        .env(CHILD_FOLDER, location.local_folder().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while ForecastReader::open(&location).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = complete(&location, &spec).await;
    assert!(matches!(second, Err(StoreError::Busy(_))), "{second:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    complete(&location, &spec).await.unwrap();
    assert_eq!(check_published(&location, &spec).await.unwrap(), STEPS);
}

/// A disk of 3 MiB, as root; elsewhere this cannot be shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount("size=3m") {
        eprintln!("SKIPPED: may not mount a small disk here");
        return;
    }
    let location = Location::parse(disk.join("f.zarr").to_str().unwrap()).unwrap();
    let spec = spec(LARGE, Encoding::Packed, "full");
    let full = complete(&location, &spec).await;
    let published = check_published(&location, &spec).await;
    let grown = mount("remount,size=64m");
    let resumed = complete(&location, &spec).await;
    let all = check_published(&location, &spec).await;
    Command::new("umount").arg(&disk).status().unwrap();
    let error = full.unwrap_err();
    assert!(matches!(error, StoreError::Storage { .. }) && error.to_string().contains("space"), "{error}");
    let published = published.unwrap();
    assert!((1..STEPS).contains(&published), "{published} steps fitted");
    assert!(grown);
    resumed.unwrap();
    assert_eq!(all.unwrap(), STEPS);
}

/// Everything that a crash test relies on: a store that fails is noticed.
#[tokio::test]
async fn the_failing_store_fails() {
    let inner = Arc::new(InMemory::new());
    let failing = Failing { inner, changes_left: AtomicUsize::new(1), answer_lost: true };
    assert!(failing.put(&Path::from("a"), "x".into()).await.is_err());
    assert!(failing.put(&Path::from("b"), "x".into()).await.is_err());
    let listed: Vec<_> = failing.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
}
