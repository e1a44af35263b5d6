//! NetCDF files of any bytes: `cargo +nightly fuzz run netcdf`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr_fuzz::{hdf5, inspect::inspect, panics, scratch};

fuzz_target!(
    // the library's panics are damaged files
    init: panics::note(),
    |data: &[u8]| panics::none_uncaught(|| inspect(&scratch::file("file.nc", data)))
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { hdf5::mutate(data, size, max_size, seed) });
