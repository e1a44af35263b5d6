//! Zipped Zarr stores: `cargo +nightly fuzz run zarr`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr_fuzz::{inspect::inspect, scratch, zips};

fuzz_target!(|data: &[u8]| inspect(&scratch::file("store.zip", data)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { zips::mutate(data, size, max_size, seed) });
