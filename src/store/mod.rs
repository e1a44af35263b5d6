//! Forecasts in object storage: write a step, read a window, list runs.
//!
//! A published forecast is a Zarr v3 group that `xarray.open_zarr` opens, with its manifest `forecast.json` beside the
//! arrays:
//!
//! ```text
//! f.zarr/
//! ├── forecast.json        the truth: which steps may be read, and what they hold   [Manifest]
//! ├── zarr.json            group metadata, consolidated                             [metadata]
//! ├── t/c/0/3/2/0/0        one object per variable, lead and level (a shard); of an ensemble 0/lead/member/level/0/0
//! ├── latitude/ … lead_time/ …
//! ├── restart/3            the last steps in float32, while a packed forecast is being made
//! ├── statistics/          of an ensemble: mean, spread, quantiles, fractions above a threshold
//! └── series/              after the last step: the same, chunked for reading all leads of a point
//! ```
//!
//! A step is written object by object, then the manifest that lists it: readers trust only what the manifest lists.
//! In a store of many forecasts a group lies at `<model>/<reference time>/<run key>/forecast.zarr`.

mod array;
mod beside;
mod catalog;
mod claim;
mod delete;
mod error;
mod fence;
mod local;
mod manifest;
mod metadata;
mod packing;
mod reader;
mod restart;
mod series;
mod shard;
mod share;
mod spec;
mod statistics;
mod writer;

pub use catalog::{ForecastPath, find_forecasts, list_forecasts};
pub use delete::delete_forecast;
pub use error::StoreError;
pub use fence::{Fence, Moment};
pub use manifest::{EnergyRecord, Manifest, MemberRecord, RunState, StepRecord};
pub use reader::{ChunkSource, ForecastReader};
pub use spec::{Encoding, ForecastSpec, Output};
pub use statistics::{Exceedance, SPREAD, Statistics};
pub use writer::ForecastWriter;

use crate::location::Location;
