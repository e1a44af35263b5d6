//! Files → [`Analysis`](crate::atmos::Analysis): reading, naming, units, axes.
//!
//! [`Inventory::open`] looks at metadata and coordinates of all files and says what they hold; [`Inventory::read`] reads
//! what a request names, in our units and order. Both report every problem of all files at once.
//!
//! A variable is recognised by its CF attributes (`standard_name`, vertical coordinate, units), then by the short names
//! that producers use ([`lexicon`]), or asked for by the very name that it has in the file.

mod axis;
mod calendar;
mod error;
mod file;
mod inventory;
pub mod lexicon;
mod units;
mod values;

pub use error::{IngestError, Problem};
pub use file::{Recognition, SourceFile, SourceVariable};
pub use inventory::{Inventory, Range, Request};
pub use units::{Conversion, conversion};
