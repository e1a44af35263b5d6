//! Reads all known fields of the first time of NetCDF files, as `vejr forecast` does, and prints what it took.
//!
//!     cargo bench --bench ingest -- FILE…
//!
//! `benches/ingest.py` compares it with xarray.

use std::path::PathBuf;
use std::time::Instant;

use vejr::ingest::{Inventory, Isolation, Recognition, Request};

/// As `vejr` itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; 36] = b"dirty_decay_ms:-1,muzzy_decay_ms:-1\0";

fn main() {
    let files: Vec<PathBuf> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).map(Into::into).collect();
    if files.is_empty() {
        println!("nothing to read: cargo bench --bench ingest -- FILE…");
        return;
    }
    let isolation = Isolation::Process { program: env!("CARGO_BIN_EXE_vejr").into() };
    let start = Instant::now();
    let inventory = Inventory::open(&files, &isolation).unwrap_or_else(|error| panic!("{error}"));
    let known = inventory.variables().filter_map(|(_, variable)| match &variable.recognition {
        Recognition::Known { variable: ours, .. } => Some((ours.clone(), variable.levels.clone())),
        _ => None,
    });
    let fields =
        known.flat_map(|(ours, levels)| levels.into_iter().map(move |level| (ours.clone(), level).into())).collect();
    let request = Request { fields, times: inventory.times()[..1].to_vec(), grid: None };
    let (stacks, grid) = inventory.read_stacked(&request).unwrap_or_else(|error| panic!("{error}"));
    let sum: f64 = stacks[0].iter().map(|value| f64::from(*value)).sum();
    println!(
        r#"{{"seconds": {:.4}, "fields": {}, "grid": "{grid}", "mean": {:.6e}}}"#,
        start.elapsed().as_secs_f64(),
        request.fields.len(),
        sum / stacks[0].len() as f64,
    );
}
