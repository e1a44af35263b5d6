//! How many requests of one connection are at work at once. The others wait before anything is made for them but their heads: a
//! crowd on one connection costs what it waits with, and not all that it will need.

use std::pin::Pin;
use std::sync::Arc;

use hyper::service::Service;
use tokio::sync::Semaphore;

/// More than a browser asks for at once, and enough for a proxy to keep all cores at work.
const LEAST_AT_WORK: usize = 32;
const AT_WORK_PER_CORE: usize = 4;

/// A service whose requests take turns until they have an answer; its body then comes by itself.
pub struct InTurn<S> {
    service: S,
    turns: Arc<Semaphore>,
}

impl<S> InTurn<S> {
    pub fn new(service: S) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Semaphore::new((AT_WORK_PER_CORE * cores).max(LEAST_AT_WORK));
        Self { service, turns: Arc::new(turns) }
    }
}

impl<R, S> Service<R> for InTurn<S>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn call(&self, request: R) -> Self::Future {
        let (service, turns) = (self.service.clone(), self.turns.clone());
        Box::pin(async move {
            // the semaphore is never closed
            let _turn = turns.acquire().await;
            service.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Counts how many requests are at work, and the most that were.
    #[derive(Clone, Default)]
    struct Slow(Arc<(AtomicUsize, AtomicUsize)>);

    impl Service<usize> for Slow {
        type Response = usize;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<usize, Infallible>> + Send>>;

        fn call(&self, request: usize) -> Self::Future {
            let counters = self.0.clone();
            Box::pin(async move {
                let at_work = counters.0.fetch_add(1, Ordering::SeqCst) + 1;
                counters.1.fetch_max(at_work, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
                counters.0.fetch_sub(1, Ordering::SeqCst);
                Ok(request)
            })
        }
    }

    #[tokio::test]
    async fn a_crowd_takes_turns() {
        let slow = Slow::default();
        let service = InTurn::new(slow.clone());
        let answers = futures::future::join_all((0..500).map(|n| service.call(n))).await;
        let Ok(answers) = answers.into_iter().collect::<Result<Vec<_>, _>>();
        assert_eq!(answers, (0..500).collect::<Vec<_>>());
        let places = service.turns.available_permits();
        assert_eq!((slow.0.0.load(Ordering::SeqCst), slow.0.1.load(Ordering::SeqCst)), (0, places));
    }
}
