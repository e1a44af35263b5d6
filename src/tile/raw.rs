//! Values → `.f32`: numbers for programs, and for the value under the cursor.
//!
//! | bytes | type, little-endian | is |
//! |---|---|---|
//! | 0..4 | 4 × u8 | `VEJR` |
//! | 4..6 | u16 | version, 1 |
//! | 6..8 | u16 | length of this header, 32 |
//! | 8..10, 10..12 | u16 | width, height |
//! | 12..16, 16..20, 20..24 | u32 | zoom, x, y |
//! | 24..28, 28..32 | f32 | lowest and highest finite value, NaN where there is none |
//! | 32.. | f32 | the values from the north-west, rows first, in the variable's units; NaN where missing |

use super::mercator::TileId;

pub const RAW_HEADER_LEN: usize = 32;

/// A tile of `size`² values, row-major from the north-west.
pub fn encode_raw(samples: &[f32], tile: TileId, size: usize) -> Vec<u8> {
    let finite = || samples.iter().copied().filter(|value| value.is_finite());
    let low = finite().reduce(f32::min).unwrap_or(f32::NAN);
    let high = finite().reduce(f32::max).unwrap_or(f32::NAN);
    let size = (size as u16).to_le_bytes();
    let mut bytes = Vec::with_capacity(RAW_HEADER_LEN + 4 * samples.len());
    bytes.extend(b"VEJR");
    bytes.extend(1u16.to_le_bytes());
    bytes.extend((RAW_HEADER_LEN as u16).to_le_bytes());
    bytes.extend(size);
    bytes.extend(size);
    for number in [tile.zoom(), tile.x(), tile.y()] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [low, high] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(samples.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::TILE_SIZE;

    #[test]
    fn the_header_says_what_follows() {
        let mut samples = vec![1.5f32; TILE_SIZE * TILE_SIZE];
        samples[7] = -2.0;
        samples[8] = f32::NAN;
        let bytes = encode_raw(&samples, TileId::new(3, 5, 2).unwrap(), TILE_SIZE);
        assert_eq!(bytes.len(), 32 + 4 * 65_536);
        assert_eq!(&bytes[..12], b"VEJR\x01\0\x20\0\0\x01\0\x01");
        assert_eq!(&bytes[12..24], [3, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[24..32], [(-2f32).to_le_bytes(), 1.5f32.to_le_bytes()].concat());
        assert_eq!(bytes[32 + 28..32 + 32], (-2f32).to_le_bytes());
    }
}
