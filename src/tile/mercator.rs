//! Addresses of tiles, in the two tile matrix sets that are served: WebMercatorQuad, the web's map (spherical Mercator on a
//! square, halved per zoom level; its addresses are those of XYZ), and WorldCRS84Quad (degrees, two squares side by side).
//!
//! OGC Two Dimensional Tile Matrix Set, <https://docs.ogc.org/is/17-083r4/17-083r4.html>, annex D.

use super::raster::{Raster, mercator_latitude};

/// Pixels per edge.
pub const TILE_SIZE: usize = 256;
/// A pixel is 15 cm on the equator there: deeper zooms show nothing of any weather model.
pub const MAX_ZOOM: u32 = 22;

/// How the world is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileMatrixSet {
    WebMercatorQuad,
    WorldCrs84Quad,
}

impl TileMatrixSet {
    pub const ALL: [Self; 2] = [Self::WebMercatorQuad, Self::WorldCrs84Quad];

    /// As OGC's registry names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebMercatorQuad => "WebMercatorQuad",
            Self::WorldCrs84Quad => "WorldCRS84Quad",
        }
    }

    /// Columns and rows of tiles at a zoom level up to [`MAX_ZOOM`].
    pub fn shape(self, zoom: u32) -> (u32, u32) {
        match self {
            Self::WebMercatorQuad => (1 << zoom, 1 << zoom),
            Self::WorldCrs84Quad => (2 << zoom, 1 << zoom),
        }
    }
}

/// An address outside the scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("zoom {0} is above {MAX_ZOOM}")]
    Zoom(u32),
    #[error("{axis} {found} is outside 0..{last}, the tiles of zoom {zoom}")]
    Outside { axis: &'static str, found: u32, last: u32, zoom: u32 },
}

/// One tile: zoom level, column from the date line eastward, row from the north.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    set: TileMatrixSet,
    zoom: u32,
    x: u32,
    y: u32,
}

impl TileId {
    /// Of the web's map.
    pub fn new(zoom: u32, x: u32, y: u32) -> Result<Self, TileError> {
        Self::of(TileMatrixSet::WebMercatorQuad, zoom, x, y)
    }

    pub fn of(set: TileMatrixSet, zoom: u32, x: u32, y: u32) -> Result<Self, TileError> {
        if zoom > MAX_ZOOM {
            return Err(TileError::Zoom(zoom));
        }
        let (columns, rows) = set.shape(zoom);
        for (axis, found, last) in [("x", x, columns - 1), ("y", y, rows - 1)] {
            if found > last {
                return Err(TileError::Outside { axis, found, last, zoom });
            }
        }
        Ok(Self { set, zoom, x, y })
    }

    pub fn set(self) -> TileMatrixSet {
        self.set
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

    /// Its pixels, `size` along each edge.
    pub fn raster(self, size: usize) -> Raster {
        let (columns, rows) = self.set.shape(self.zoom);
        // where the centre of a pixel lies along the whole map, 0 to 1
        let fractions = |tile: u32, tiles: u32| {
            (0..size).map(move |pixel| (f64::from(tile) + (pixel as f64 + 0.5) / size as f64) / f64::from(tiles))
        };
        let latitude = |fraction: f64| match self.set {
            TileMatrixSet::WebMercatorQuad => mercator_latitude(1.0 - 2.0 * fraction),
            TileMatrixSet::WorldCrs84Quad => 90.0 - 180.0 * fraction,
        };
        Raster {
            latitudes: fractions(self.y, rows).map(latitude).collect(),
            longitudes: fractions(self.x, columns).map(|fraction| fraction * 360.0 - 180.0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn addresses_outside_the_scheme_are_refused() {
        assert!(TileId::new(0, 0, 0).is_ok() && TileId::new(22, 4_194_303, 4_194_303).is_ok());
        assert_eq!(TileId::new(23, 0, 0), Err(TileError::Zoom(23)));
        assert_eq!(TileId::new(u32::MAX, 0, 0), Err(TileError::Zoom(u32::MAX)));
        let error = TileId::new(2, 1, 4).unwrap_err();
        assert_eq!(error.to_string(), "y 4 is outside 0..3, the tiles of zoom 2");
        assert!(TileId::of(TileMatrixSet::WorldCrs84Quad, 0, 1, 0).is_ok());
        assert!(TileId::of(TileMatrixSet::WorldCrs84Quad, 0, 2, 0).is_err());
        assert!(TileId::of(TileMatrixSet::WorldCrs84Quad, 0, 0, 1).is_err());
    }

    #[test]
    fn corners_lie_where_the_standard_puts_them() {
        let world = TileId::new(0, 0, 0).unwrap().raster(TILE_SIZE);
        // half a pixel inside the map's edge at 85.0511287798066°
        let edge = |pixel: f64| (PI * (1.0 - 2.0 * pixel / 256.0)).sinh().atan().to_degrees();
        assert!((edge(0.0) - 85.051_128_779_806_6).abs() < 1e-12);
        assert!((world.latitudes[0] - edge(0.5)).abs() < 1e-12);
        assert!((world.latitudes[127] + world.latitudes[128]).abs() < 1e-12);
        assert!((world.longitudes[0] + 180.0 - 360.0 / 512.0).abs() < 1e-12);
        // https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames: z 7, x 63, y 42 begins at 2.8125 °W, 52.48 °N
        let tile = TileId::new(7, 63, 42).unwrap().raster(TILE_SIZE);
        assert!((tile.longitudes[0] - (-2.8125 + 2.8125 / 512.0)).abs() < 1e-9);
        assert!(tile.latitudes[0] < 52.482_780_222_078_2 && tile.latitudes[0] > 52.476);
        let east = TileId::of(TileMatrixSet::WorldCrs84Quad, 0, 1, 0).unwrap().raster(512);
        assert!((east.longitudes[0] - 180.0 / 1024.0).abs() < 1e-12);
        assert!((east.latitudes[511] + 90.0 - 180.0 / 1024.0).abs() < 1e-12);
    }
}
