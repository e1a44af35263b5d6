//! The pixels of a picture. In every projection that is served, rows of pixels are parallels and columns are meridians.

use std::f64::consts::PI;

/// Half the length of the equator on the sphere of web maps, in metres (EPSG:3857).
pub const MERCATOR_EDGE: f64 = 20_037_508.342_789_244;

/// The places of the centres of pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    /// Degrees north, from the top row.
    pub latitudes: Vec<f64>,
    /// Degrees east, from the left column; any number of turns.
    pub longitudes: Vec<f64>,
}

impl Raster {
    /// Of a window `[west, south, east, north]` of EPSG:3857, in metres.
    pub fn web_mercator([west, south, east, north]: [f64; 4], width: usize, height: usize) -> Self {
        let latitude = |y: f64| mercator_latitude(y / MERCATOR_EDGE);
        let longitude = |x: f64| x / MERCATOR_EDGE * 180.0;
        Self {
            latitudes: centres(north, south, height).map(latitude).collect(),
            longitudes: centres(west, east, width).map(longitude).collect(),
        }
    }

    /// Of a window `[west, south, east, north]` in degrees, equally spaced.
    pub fn plate_carree([west, south, east, north]: [f64; 4], width: usize, height: usize) -> Self {
        Self { latitudes: centres(north, south, height).collect(), longitudes: centres(west, east, width).collect() }
    }

    pub fn width(&self) -> usize {
        self.longitudes.len()
    }

    pub fn height(&self) -> usize {
        self.latitudes.len()
    }
}

/// Degrees north of a position on the map's vertical, -1 at its lower edge to 1 at its upper.
pub(super) fn mercator_latitude(position: f64) -> f64 {
    (PI * position).sinh().atan().to_degrees()
}

fn centres(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |pixel| from + (to - from) * (pixel as f64 + 0.5) / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{TILE_SIZE, TileId};

    #[test]
    fn windows_and_tiles_of_one_place_have_the_same_pixels() {
        let tile = TileId::new(2, 3, 1).unwrap().raster(TILE_SIZE);
        let step = MERCATOR_EDGE / 2.0;
        let window = Raster::web_mercator([step, 0.0, 2.0 * step, step], TILE_SIZE, TILE_SIZE);
        for (ours, theirs) in [(&tile.latitudes, &window.latitudes), (&tile.longitudes, &window.longitudes)] {
            assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9));
        }
        let degrees = Raster::plate_carree([-180.0, -90.0, 180.0, 90.0], 4, 2);
        assert_eq!((degrees.latitudes, degrees.longitudes), (vec![45.0, -45.0], vec![-135.0, -45.0, 45.0, 135.0]));
    }
}
