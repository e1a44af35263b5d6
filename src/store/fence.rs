//! The right to write, where it can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::StoreError;

/// Stands between a writer that works under a lease and its store: closed unless somebody keeps extending it. Time goes on
/// while the process is stopped or the machine sleeps, so that a writer that wakes too late writes nothing.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    /// Milliseconds of the machine's clock since it was started.
    open_until: Arc<AtomicI64>,
}

fn now() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A moment of a clock that goes on while the process is stopped.
#[derive(Debug, Clone, Copy)]
pub struct Moment(i64);

impl Moment {
    pub fn now() -> Self {
        Self(now())
    }
}

impl Fence {
    /// Open for `duration` from `since`: the moment before the lease was asked for, not when it was granted.
    pub fn open(&self, since: Moment, duration: Duration) {
        let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2);
        self.open_until.store(since.0.saturating_add(duration), Ordering::Release);
    }

    /// Closed for good, unless it is opened again.
    pub fn close(&self) {
        self.open_until.store(0, Ordering::Release);
    }

    pub fn is_open(&self) -> bool {
        now() < self.open_until.load(Ordering::Acquire)
    }

    pub(super) fn check(&self, location: &impl std::fmt::Display) -> Result<(), StoreError> {
        if self.is_open() { Ok(()) } else { Err(StoreError::Fenced(location.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_closed_unless_it_is_kept_open() {
        let fence = Fence::default();
        assert!(!fence.is_open());
        fence.open(Moment::now(), Duration::from_secs(3600));
        assert!(fence.is_open());
        // granted after it had run out
        fence.open(Moment(now() - 2000), Duration::from_secs(1));
        assert!(matches!(fence.check(&"here"), Err(StoreError::Fenced(_))));
        fence.open(Moment::now(), Duration::from_secs(3600));
        fence.close();
        assert!(!fence.is_open());
    }
}
