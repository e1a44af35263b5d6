//! One set of threads.

/// Has all parallel work done by Rayon's threads. Candle has some of its own for large element-wise operations, which wait by
/// counting: they take the processor from whoever would publish meanwhile, and wait long where somebody else has it.
///
/// To be called before there is a second thread. What the environment says already, holds.
pub fn leave_threads_to_rayon() {
    const CANDLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(CANDLE).is_none() {
        // SAFETY: there is no other thread that could read the environment
        unsafe { std::env::set_var(CANDLE, "1") }
    }
}
