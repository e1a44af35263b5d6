//! Files → [`Analysis`](crate::atmos::Analysis): reading, naming, units, axes.
//!
//! [`Inventory::open`] looks at metadata and coordinates of all files and says what they hold; [`Inventory::read`] reads
//! what a request names, in our units and order. Both report every problem of all files at once.
//!
//! A variable is recognised by its CF attributes (`standard_name`, vertical coordinate, units), then by the short names
//! that producers use ([`lexicon`]), or asked for by the very name that it has in the file.
//!
//! From below: `dataset` (arrays with dimensions and attributes, of any format) → `values` (what stored numbers mean) →
//! `axis`, `coordinates`, `horizontal` (where a variable lies) → `file` (what it is) → `matching`, `reading` → [`Inventory`].
//!
//! Nothing in a file is believed unseen: lengths are checked before memory is asked for, a classic header is checked
//! against the size of its file, and what makes the library below panic, crash or hang is a damaged file here
//! ([`Isolation`]).

mod axis;
mod calendar;
mod coordinates;
mod dataset;
mod error;
mod field;
mod file;
mod horizontal;
mod inventory;
pub mod lexicon;
mod matching;
mod reading;
mod units;
mod values;

pub use calendar::{CfTime, decode as decode_times, is_time_units};
pub use dataset::{Array, Attribute, Attributes, Dataset, ElementType, Isolation, READ_APART, read_apart};
pub use error::{IngestError, Problem};
pub use field::Range;
pub use file::{Recognition, SourceFile, SourceVariable};
pub use inventory::{Inventory, Request, Wanted};
pub use units::{Conversion, conversion, conversion_to};
