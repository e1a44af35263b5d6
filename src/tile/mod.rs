//! A window of a field → a tile.
//!
//! ```text
//!  TileId ──► Raster ──► Footprint (which rows and columns, and how they blend) ──► window of the field ──► sample
//!                                                                                                              │
//!                                       Style (range, palette by variable and level) ──► PNG, WebP   .f32, .i16 ◄──────────┘
//! ```
//!
//! Both axes of a latitude-longitude grid are functions of one axis of the tile, so that the exact projection costs one
//! search per pixel row and one per pixel column, not one per pixel. On every other grid it is one per pixel.

mod contour;
mod footprint;
mod image;
mod legend;
mod legend_image;
mod mercator;
mod palette;
mod picture;
mod quantised;
mod raster;
mod raw;
mod style;

pub use contour::{Contour, contours};
pub use footprint::{ColumnRun, Columns, Footprint, Window};
pub use image::{EncodeError, encode_png, encode_rgba, transparent_png};
pub use legend::Legend;
pub use legend_image::{LEGEND_SIZE, legend_png};
pub use mercator::{MAX_ZOOM, TILE_SIZE, TileError, TileId, TileMatrixSet};
pub use palette::Palette;
pub use picture::{Picture, PictureFormat};
pub use quantised::{QUANTISED_HEADER_LEN, encode_quantised};
pub use raster::{MERCATOR_EDGE, Raster};
pub use raw::{RAW_HEADER_LEN, encode_raw};
pub use style::{Display, Range, Style, interval_of};
