//! Parse, validate, call one function.

use std::process::ExitCode;

/// Every tensor operation allocates its result anew. With memory handed back to the system in between, page faults cost
/// more than the arithmetic; so freed pages are kept.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; 36] = b"dirty_decay_ms:-1,muzzy_decay_ms:-1\0";

fn main() -> ExitCode {
    vejr::device::leave_threads_to_rayon();
    vejr::cli::main()
}
