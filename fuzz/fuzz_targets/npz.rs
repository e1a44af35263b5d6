//! GraphCast's parameters: `cargo +nightly fuzz run npz`. None may panic, run out of memory, or hang.

#![no_main]

use std::path::Path;
use std::sync::Once;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr::import::{Kind, Params, import};
use vejr_fuzz::{scratch, zips};

/// Files that belong to the parameters.
fn statistics() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/graphcast/no_precipitation");
    for name in ["diffs_stddev_by_level.nc", "mean_by_level.nc", "stddev_by_level.nc"] {
        scratch::file(name, &std::fs::read(fixture.join(name)).expect("a fixture of the tests"));
    }
}

static BEGINNING: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    BEGINNING.call_once(statistics);
    let (parameters, package) = (scratch::file("params.npz", data), scratch::folder().join("package"));
    if let Err(error) = import(&parameters, &package, &Params::default(), Some(Kind::GraphCast)) {
        drop(error.to_string());
    }
    let _ = std::fs::remove_dir_all(&package);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { zips::mutate(data, size, max_size, seed) });
