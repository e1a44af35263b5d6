//! Whether a device still computes: a small product, again and again, which must come out right and in time.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use candle_core::{Device, Tensor};

/// How a device is looked at.
#[derive(Clone)]
pub struct HealthCheck {
    /// Between two looks.
    pub every: Duration,
    /// A probe that takes longer finds a device that does not work. It waits behind whatever the device is at, so this is
    /// longer than a model's step.
    pub deadline: Duration,
    pub probe: Arc<Probe>,
}

type Probe = dyn Fn(&Device) -> Result<(), String> + Send + Sync;

impl Default for HealthCheck {
    fn default() -> Self {
        let (every, deadline) = (Duration::from_secs(30), Duration::from_secs(120));
        Self { every, deadline, probe: Arc::new(probe) }
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck").field("every", &self.every).field("deadline", &self.deadline).finish()
    }
}

/// A device that is looked at as long as this lives.
#[derive(Debug, Clone)]
pub struct DeviceWatch(Arc<State>);

#[derive(Debug)]
struct State {
    problem: Mutex<Option<String>>,
    /// Disconnected when nobody watches any more, which ends the thread at once.
    _watched: mpsc::SyncSender<()>,
}

impl DeviceWatch {
    /// The first look is taken at once; until it is done the device is taken to be well.
    pub fn start(device: Device, check: HealthCheck) -> std::io::Result<Self> {
        let (sender, watched) = mpsc::sync_channel(0);
        let state = Arc::new(State { problem: Mutex::new(None), _watched: sender });
        let weak = Arc::downgrade(&state);
        let looking = move || look(&device, &check, &weak, &watched);
        std::thread::Builder::new().name("vejr-health".to_owned()).spawn(looking)?;
        Ok(Self(state))
    }

    /// Why the device is of no use now; `None` as long as it works.
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn look(device: &Device, check: &HealthCheck, state: &Weak<State>, watched: &mpsc::Receiver<()>) {
    let tell = |problem: Option<String>| {
        let Some(state) = state.upgrade() else { return };
        *state.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    };
    let gone = |pause: Duration| watched.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
    loop {
        let (done, outcome) = mpsc::channel();
        let (probe, probed) = (check.probe.clone(), device.clone());
        // on a thread of its own: a call of a broken driver may never return
        let started = std::thread::Builder::new().name("vejr-probe".to_owned()).spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| probe(&probed)));
            // nobody waits any more where the process ends
            let _ = done.send(outcome.unwrap_or_else(|_| Err("a small product panicked".to_owned())));
        });
        match started {
            Err(error) => tell(Some(format!("no thread for a look at the device: {error}"))),
            Ok(_) => {
                let mut found = outcome.recv_timeout(check.deadline);
                if found == Err(RecvTimeoutError::Timeout) {
                    tell(Some(format!("a small product was not done within {:?}", check.deadline)));
                    // another probe would only wait behind this one
                    while found == Err(RecvTimeoutError::Timeout) {
                        if gone(Duration::ZERO) {
                            return;
                        }
                        found = outcome.recv_timeout(Duration::from_secs(1).min(check.every));
                    }
                }
                tell(found.unwrap_or_else(|_| Err("the look at the device ended early".to_owned())).err());
            }
        }
        if gone(check.every) {
            return;
        }
    }
}

/// Edge of the product.
const EDGE: usize = 64;

/// A product of small whole numbers, which is exact in every precision that a device multiplies in.
fn probe(device: &Device) -> Result<(), String> {
    let factor = |i: usize, j: usize, of: usize| ((i * 7 + j * 3) % of) as f32;
    let matrix = |of: usize| -> Vec<f32> { (0..EDGE * EDGE).map(|n| factor(n / EDGE, n % EDGE, of)).collect() };
    let (a, b) = (matrix(5), matrix(7));
    let product = || -> candle_core::Result<Vec<f32>> {
        let a = Tensor::from_slice(&a, (EDGE, EDGE), device)?;
        let b = Tensor::from_slice(&b, (EDGE, EDGE), device)?;
        a.matmul(&b)?.flatten_all()?.to_vec1()
    };
    let found = product().map_err(|error| format!("a small product failed: {error}"))?;
    let expected = (0..EDGE * EDGE).map(|n| (0..EDGE).map(|k| a[n / EDGE * EDGE + k] * b[k * EDGE + n % EDGE]).sum());
    let wrong = found.iter().zip(expected).find(|(found, expected): &(&f32, f32)| *found != expected);
    match wrong {
        Some((found, expected)) => Err(format!("a small product came out wrong: {found} in place of {expected}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn watch(probe: impl Fn(&Device) -> Result<(), String> + Send + Sync + 'static) -> DeviceWatch {
        let (every, deadline) = (Duration::from_millis(5), Duration::from_millis(100));
        DeviceWatch::start(Device::Cpu, HealthCheck { every, deadline, probe: Arc::new(probe) }).unwrap()
    }

    fn wait(what: &str, until: impl Fn() -> bool) {
        let begin = Instant::now();
        while !until() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn this_machine_multiplies() {
        probe(&Device::Cpu).unwrap();
    }

    #[test]
    fn a_device_is_ill_until_a_probe_goes_well_again() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = looks.clone();
        let watch = watch(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0..3 => Ok(()),
            3..6 => Err("no device".to_owned()),
            6 => panic!("a driver's bug"),
            7 => {
                std::thread::sleep(Duration::from_millis(300));
                Ok(())
            }
            _ => Ok(()),
        });
        wait("it fails", || watch.problem().is_some_and(|problem| problem == "no device"));
        wait("it panics", || watch.problem().is_some_and(|problem| problem.contains("panicked")));
        wait("it hangs", || watch.problem().is_some_and(|problem| problem.contains("not done within")));
        wait("it is well", || watch.problem().is_none());
        drop(watch);
        std::thread::sleep(Duration::from_millis(50));
        let after = looks.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(looks.load(Ordering::SeqCst), after, "nobody looks at what nobody watches");
    }
}
