//! Model packages, zipped for the fuzzer: `cargo +nightly fuzz run package`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr::model::ModelPackage;
use vejr_fuzz::{scratch, zips};

fuzz_target!(|data: &[u8]| {
    let Some(entries) = zips::unpack(data) else { return };
    match ModelPackage::open(&scratch::unpacked("package", &entries)) {
        Ok(package) => {
            let _ = (package.parameters(), package.grid().to_string(), package.needs_boundary());
            let _ = package.boundary_nodes();
        }
        Err(error) => drop(error.to_string()),
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { zips::mutate(data, size, max_size, seed) });
