//! Tiles of the web's map: spherical Mercator on a square, halved per zoom level (OGC WebMercatorQuad, XYZ addresses).
//!
//! OGC Two Dimensional Tile Matrix Set, <https://docs.ogc.org/is/17-083r4/17-083r4.html>, annex D.

use std::f64::consts::PI;

/// Pixels per edge.
pub const TILE_SIZE: usize = 256;
/// A pixel is 15 cm on the equator there: deeper zooms show nothing of any weather model.
pub const MAX_ZOOM: u32 = 22;

/// An address outside the scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("zoom {0} is above {MAX_ZOOM}")]
    Zoom(u32),
    #[error("{axis} {found} is outside 0..{}, the tiles of zoom {zoom}", (1u64 << zoom) - 1)]
    Outside { axis: &'static str, found: u32, zoom: u32 },
}

/// One tile: zoom level, column from the date line eastward, row from the north.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    zoom: u32,
    x: u32,
    y: u32,
}

impl TileId {
    pub fn new(zoom: u32, x: u32, y: u32) -> Result<Self, TileError> {
        if zoom > MAX_ZOOM {
            return Err(TileError::Zoom(zoom));
        }
        for (axis, found) in [("x", x), ("y", y)] {
            if found >= 1 << zoom {
                return Err(TileError::Outside { axis, found, zoom });
            }
        }
        Ok(Self { zoom, x, y })
    }

    pub fn zoom(self) -> u32 {
        self.zoom
    }

    pub fn x(self) -> u32 {
        self.x
    }

    pub fn y(self) -> u32 {
        self.y
    }

    /// Degrees east of the centres of pixel column `column`, in -180..180.
    pub fn longitude(self, column: usize) -> f64 {
        self.fraction(self.x, column) * 360.0 - 180.0
    }

    /// Degrees north of the centres of pixel row `row`.
    pub fn latitude(self, row: usize) -> f64 {
        (PI * (1.0 - 2.0 * self.fraction(self.y, row))).sinh().atan().to_degrees()
    }

    /// Where the centre of a pixel lies along the whole map, 0 to 1.
    fn fraction(self, tile: u32, pixel: usize) -> f64 {
        (f64::from(tile) + (pixel as f64 + 0.5) / TILE_SIZE as f64) / f64::from(1u32 << self.zoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_outside_the_scheme_are_refused() {
        assert!(TileId::new(0, 0, 0).is_ok() && TileId::new(22, 4_194_303, 4_194_303).is_ok());
        assert_eq!(TileId::new(23, 0, 0), Err(TileError::Zoom(23)));
        assert_eq!(TileId::new(u32::MAX, 0, 0), Err(TileError::Zoom(u32::MAX)));
        let error = TileId::new(2, 1, 4).unwrap_err();
        assert_eq!(error.to_string(), "y 4 is outside 0..3, the tiles of zoom 2");
    }

    #[test]
    fn corners_lie_where_the_standard_puts_them() {
        let world = TileId::new(0, 0, 0).unwrap();
        // half a pixel inside the map's edge at 85.0511287798066°
        let edge = |pixel: f64| (PI * (1.0 - 2.0 * pixel / 256.0)).sinh().atan().to_degrees();
        assert!((edge(0.0) - 85.051_128_779_806_6).abs() < 1e-12);
        assert!((world.latitude(0) - edge(0.5)).abs() < 1e-12);
        assert!((world.latitude(127) + world.latitude(128)).abs() < 1e-12);
        assert!((world.longitude(0) + 180.0 - 360.0 / 512.0).abs() < 1e-12);
        // https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames: z 7, x 63, y 42 begins at 2.8125 °W, 52.48 °N
        let tile = TileId::new(7, 63, 42).unwrap();
        assert!((tile.longitude(0) - (-2.8125 + 2.8125 / 512.0)).abs() < 1e-9);
        assert!(tile.latitude(0) < 52.482_780_222_078_2 && tile.latitude(0) > 52.476);
    }
}
