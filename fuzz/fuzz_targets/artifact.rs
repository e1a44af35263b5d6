//! Inference artifacts: `cargo +nightly fuzz run artifact`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr::import::{Params, import};
use vejr_fuzz::{scratch, zips};

fuzz_target!(|data: &[u8]| {
    let (artifact, package) = (scratch::file("artifact.zip", data), scratch::folder().join("package"));
    if let Err(error) = import(&artifact, &package, &Params::default(), None) {
        drop(error.to_string());
    }
    let _ = std::fs::remove_dir_all(&package);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { zips::mutate(data, size, max_size, seed) });
