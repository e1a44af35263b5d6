//! Many who come at the same moment: the database is asked once for all of them.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Ledger, LedgerError};

/// Served together at most.
const MOST_AT_ONCE: usize = 256;

/// Those who come at the same moment are served together: whoever comes while nobody is being served begins to serve, and goes on
/// until nobody is left.
pub(super) struct Crowd<T>(Arc<Mutex<Coming<T>>>);

struct Coming<T> {
    waiting: Vec<T>,
    /// Somebody serves whoever comes.
    served: bool,
}

impl<T: Send + 'static> Crowd<T> {
    /// `serve` gets so many at a time. Those whom it gives no answer, since it failed, must ask for themselves.
    pub fn join<F>(&self, ledger: &Ledger, one: T, serve: impl Fn(Ledger, Vec<T>) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), LedgerError>> + Send + 'static,
    {
        let first = self.coming(|coming| {
            coming.waiting.push(one);
            !std::mem::replace(&mut coming.served, true)
        });
        if !first {
            return;
        }
        let (crowd, ledger) = (self.clone(), ledger.clone());
        tokio::spawn(async move {
            loop {
                // let those come who come at the same moment
                tokio::task::yield_now().await;
                let together = crowd.coming(|coming| {
                    let number = coming.waiting.len().min(MOST_AT_ONCE);
                    coming.served = number > 0;
                    coming.waiting.drain(..number).collect::<Vec<_>>()
                });
                if together.is_empty() {
                    return;
                }
                // by itself: what goes wrong there must not keep the next ones waiting
                if let Ok(Err(error)) = tokio::spawn(serve(ledger.clone(), together)).await {
                    tracing::debug!(%error, "each asks for itself");
                }
            }
        });
    }

    fn coming<R>(&self, with: impl FnOnce(&mut Coming<T>) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Crowd<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Coming { waiting: Vec::new(), served: false })))
    }
}

impl<T> std::fmt::Debug for Crowd<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crowd")
    }
}
