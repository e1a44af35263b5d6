//! **vejr** turns a trained machine-learning weather model into an operational forecast service.
//!
//! ```text
//!  NetCDF ──► ingest ──► Analysis ──► State ──► Rollout ──► step ──► store ──► tile ──► serve ──► map, apps
//!             names       host        device    one thread   │       Zarr v3   window    gRPC
//!             units       fields      tensor    per device   └─ bounded queue  → PNG     HTTP
//! ```
//!
//! # Floors
//! A module imports only what stands below it; `tests/floors.rs` fails on an import that climbs.
//!
//! | floor | module | holds |
//! |---|---|---|
//! | 5 | [`cli`] | one file per command |
//! | 4 | [`serve`] | gRPC and HTTP (tiles, OGC EDR, WMS); derived fields; the one place that maps errors to status codes; the map page |
//! | 4 | [`dmi`] | what DMI's infrastructure is built against: its container contract, its stores and paths |
//! | 3 | [`tile`] | a window of a field → a tile: projection, resampling, palette, encoding |
//! | 3 | [`forecast`] | `Rollout` and the run, the ledger of runs, workers, schedules, placement: where all below meet |
//! | 2 | [`import`] | what training leaves behind → packages |
//! | 2 | [`score`] | verification against analyses |
//! | 1 | [`model`] | packages, `State`, `Normalizer`, `StepModel`, layers and architectures |
//! | 1 | [`ingest`] | files → `Analysis`: reading, naming, units, axes |
//! | 1 | [`regrid`] | fields from one grid to another |
//! | 1 | [`store`] | forecasts in object storage: write a step, read a window, list runs |
//! | 0 | [`device`] | devices, groups of them and what they exchange, kernels: the only home of `cfg(cuda)` and `unsafe` |
//! | 0 | [`location`] | where data lie: a folder, or an object store by its URL |
//! | 0 | [`atmos`] | the vocabulary: `Variable`, `Level`, `Grid`, `Field`, `Analysis`, times |
//!
//! `ingest`, `store` and `model` never import each other: they meet in `forecast`. `atmos` imports nothing of ours.
//!
//! # Invariants
//! 1. **Exact**: float32 agrees with the reference implementation to 1e-5 relative L2 per step.
//! 2. **Honest**: nothing falls back silently: not a device, not a precision, not a missing variable, not "latest".
//! 3. **Deterministic**: the same request on the same kind of device gives the same bits.
//! 4. **Never half**: a reader never sees part of a step; after `kill -9` a run resumes from its last published step.
//! 5. **Bounded**: every queue, request and message has a limit, and a full one says so at once.
//! 6. **Hostile input is input**: a damaged file gives an error, never a panic.
//! 7. **Plausible before public**: a step with NaN or unphysical values is never published.
//! 8. **Units are checked at the door**: inside, CF canonical units only; latitudes run north to south, longitudes eastward.
//!
//! # Absent on purpose
//! - No Python and no pickle at run time: checkpoints are converted to packages once.
//! - No storage trait of ours: `Arc<dyn object_store::ObjectStore>` is the seam.
//! - No global state: configuration is validated once, at the top, and handed down.

pub mod atmos;
pub mod cli;
pub mod device;
pub mod dmi;
pub mod forecast;
pub mod import;
pub mod ingest;
pub mod location;
pub mod model;
pub mod regrid;
pub mod score;
pub mod serve;
pub mod store;
pub mod tile;
