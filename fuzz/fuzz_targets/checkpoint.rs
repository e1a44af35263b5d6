//! Checkpoints of any bytes: `cargo +nightly fuzz run checkpoint`. None may panic, run out of memory, or hang.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use vejr::model::checkpoint::{Checkpoint, Value};
use vejr_fuzz::zips;

/// Values looked at, and how deep: they may hold themselves.
const MOST: usize = 1_000;
const DEEPEST: usize = 16;
/// Elements of a tensor that is read.
const LARGEST: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(checkpoint) = Checkpoint::from_reader(Cursor::new(data.to_vec())) else { return };
    let mut due: Vec<(usize, Value<'_>)> = vec![(0, checkpoint.root())];
    let mut seen = 0;
    while let Some((depth, value)) = due.pop() {
        seen += 1;
        if seen > MOST {
            break;
        }
        let _ =
            (value.kind_name(), value.class_name(), value.as_str(), value.as_i64(), value.as_f64(), value.as_bool());
        if let Some(tensor) = value.tensor().filter(|tensor| tensor.elements() <= LARGEST) {
            if let Ok(numbers) = checkpoint.read_f32(&tensor) {
                assert_eq!(numbers.len(), tensor.elements());
            }
            let _ = checkpoint.read_i64(&tensor);
        }
        if depth < DEEPEST {
            due.extend(value.items().take(MOST).map(|item| (depth + 1, item)));
            due.extend(value.entries().take(MOST).flat_map(|(key, value)| [(depth + 1, key), (depth + 1, value)]));
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { zips::mutate(data, size, max_size, seed) });
