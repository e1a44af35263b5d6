//! GRIB files of any bytes: `cargo +nightly fuzz run grib`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vejr_fuzz::{inspect::inspect, scratch};

fuzz_target!(|data: &[u8]| inspect(&scratch::file("messages.grib", data)));
