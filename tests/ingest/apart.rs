//! Files and stores in child processes: damaged ones end a child, and nothing else.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vejr::ingest::{Inventory, Isolation};

use crate::*;

/// What `vejr` itself does.
pub fn children() -> Isolation {
    Isolation::Process { program: env!("CARGO_BIN_EXE_vejr").into() }
}

/// A program in place of the child.
fn impostor(folder: &TempDir, script: &str) -> Isolation {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.path().join("impostor");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Isolation::Process { program }
}

fn draft() -> (Draft, PathBuf) {
    let mut draft = Draft::new();
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    draft.data("count", &["latitude", "longitude"], &[7i16; 12], &[("units", "1")]);
    let path = draft.done();
    (draft, path)
}

#[test]
fn a_child_reads_what_this_process_reads() {
    let (_draft, path) = draft();
    let wanted = request(&[("t", Level::Pressure(850.0)), ("t", Level::Pressure(500.0))], &[NOON, "2020-01-05T18:00Z"]);
    let here = Inventory::open(std::slice::from_ref(&path), &Isolation::None).unwrap();
    let apart = Inventory::open(&[path], &children()).unwrap();
    assert_eq!(apart.files()[0].format, here.files()[0].format);
    for ((_, a), (_, b)) in here.variables().zip(apart.variables()) {
        assert_eq!((&a.name, &a.levels, &a.times, &a.units), (&b.name, &b.levels, &b.times, &b.units));
    }
    assert_eq!(apart.read_stacked(&wanted).unwrap().0, here.read_stacked(&wanted).unwrap().0);
    let stacked = here.read_stacked(&wanted).unwrap().0;
    let fields = here.read(&wanted).unwrap();
    let at = |time: usize, level: f64| {
        fields
            .get(fields.valid_times()[time], "t", Level::Pressure(level))
            .unwrap()
            .values()
            .as_slice()
            .unwrap()
            .to_vec()
    };
    assert_eq!(stacked, [[at(0, 850.0), at(0, 500.0)].concat(), [at(1, 850.0), at(1, 500.0)].concat()]);
}

#[test]
fn a_child_that_dies_hangs_or_talks_nonsense_is_a_damaged_file() {
    let (_draft, path) = draft();
    for (script, words) in [
        ("kill -SEGV $$", "signal: 11"),
        ("exit 3", "the process that read it ended"),
        ("exec sleep 60", "did not end within"),
        ("exec >&-; sleep 60", "the process that read it ended"),
        ("head -c 4096 /dev/zero | tr '\\0' 'x'", "answer"),
        ("printf '\\001\\000\\000\\000\\000\\000\\000\\000\\377'; sleep 60", "answer"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let error = Inventory::open(std::slice::from_ref(&path), &impostor(&folder, script)).unwrap_err();
        assert_said(&error, &["draft.nc", words]);
        assert!(start.elapsed() < Duration::from_secs(10), "{script}: {:?}", start.elapsed());
    }
    // a store just as a file
    let store = tempfile::tempdir().unwrap();
    std::fs::write(store.path().join(".zgroup"), "{\"zarr_format\": 2}").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Inventory::open(&[store.path().to_owned()], &impostor(&folder, "kill -SEGV $$")).unwrap_err();
    assert_said(&error, &["signal: 11"]);
    let nowhere = Isolation::Process { program: "/no/such/program".into() };
    assert_said(&Inventory::open(&[path], &nowhere).unwrap_err(), &["no process to read with"]);
}

#[test]
fn one_damaged_file_does_not_keep_the_others_from_being_read() {
    let (_draft, good) = draft();
    let bad = good.with_file_name("bad.nc");
    let mut bytes = std::fs::read(&good).unwrap();
    let length = bytes.len();
    bytes.truncate(length / 2);
    std::fs::write(&bad, bytes).unwrap();
    let (inventory, problems) = Inventory::survey(&[bad, good], &children());
    assert_eq!((inventory.files().len(), problems.len()), (1, 1), "{problems:?}");
}
