//! A window of a field → a tile.
//!
//! ```text
//!  TileId ──► Mercator ──► Footprint (which rows and columns, and how they blend) ──► window of the field ──► sample
//!                                                                                                              │
//!                                       Style (range, palette by variable and level) ──► PNG   .f32 ◄──────────┘
//! ```
//!
//! Both axes of a latitude-longitude grid are functions of one axis of the tile, so that the exact projection costs one
//! search per pixel row and one per pixel column, not one per pixel. On every other grid it is one per pixel.

mod footprint;
mod image;
mod legend;
mod mercator;
mod palette;
mod raw;
mod style;

pub use footprint::{Columns, Footprint, Window};
pub use image::{EncodeError, encode_png, encode_rgba, transparent_png};
pub use legend::Legend;
pub use mercator::{MAX_ZOOM, TILE_SIZE, TileError, TileId};
pub use palette::Palette;
pub use raw::{RAW_HEADER_LEN, encode_raw};
pub use style::{Display, Range, Style};
