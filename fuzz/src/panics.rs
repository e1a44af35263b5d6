//! Panics that are caught where they are expected are no crashes: without this, each ends the process where it begins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

static LAST: Mutex<String> = Mutex::new(String::new());

/// For `init` of a target: keeps what a panic says.
pub fn note() {
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        *LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = format!("{panic}\n{trace}");
    }));
}

/// Ends the process with a panic that nobody catches.
pub fn none_uncaught(run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        eprintln!("{}", LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        std::process::abort();
    }
}
