//! Values → `.i16`: numbers at forecasters' precision, at half the bytes of [`super::raw`], and better to compress.
//!
//! | bytes | type, little-endian | is |
//! |---|---|---|
//! | 0..32 | | as in `.f32`, with `VEJQ` for `VEJR`, and 48 for the length of the header |
//! | 32..40, 40..48 | f64 | scale, offset: `value = stored × scale + offset` |
//! | 48.. | i16 | the values from the north-west, rows first; -32768 where missing |
//!
//! The scale is the variable's precision, or coarser where the tile's values span more than the integers do: the header says
//! what it is.

use super::mercator::TileId;
use super::raw::{RAW_HEADER_LEN, encode_raw};

pub const QUANTISED_HEADER_LEN: usize = RAW_HEADER_LEN + 16;
const MISSING: i16 = i16::MIN;
/// Steps between the lowest and the highest integer that is a value.
const STEPS: f64 = 65_534.0;

/// A tile of `size`² values, row-major from the north-west. `precision` is the step that may be lost, 0 where none is known.
pub fn encode_quantised(samples: &[f32], tile: TileId, size: usize, precision: f64) -> Vec<u8> {
    let finite = || samples.iter().copied().filter(|value| value.is_finite()).map(f64::from);
    let low = finite().reduce(f64::min).unwrap_or(0.0);
    let high = finite().reduce(f64::max).unwrap_or(0.0);
    let needed = (high - low) / STEPS;
    let scale = if needed > precision || precision <= 0.0 { needed.max(f64::MIN_POSITIVE) } else { precision };
    // a multiple of the scale, so that equal values of two tiles are equal numbers
    let middle = low + (high - low) / 2.0;
    let offset = if scale > f64::MIN_POSITIVE { (middle / scale).round() * scale } else { middle };
    let mut bytes = encode_raw(samples, tile, size);
    bytes.truncate(RAW_HEADER_LEN);
    bytes[3] = b'Q';
    bytes[6..8].copy_from_slice(&(QUANTISED_HEADER_LEN as u16).to_le_bytes());
    bytes.extend(scale.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|&value| {
        let stored = if value.is_finite() {
            // a cast saturates: half a step beyond the ends, by rounding of the offset
            (((f64::from(value) - offset) / scale).round() as i16).max(MISSING + 1)
        } else {
            MISSING
        };
        stored.to_le_bytes()
    }));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> (f64, Vec<f64>) {
        let number = |at: usize| f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (scale, offset) = (number(32), number(40));
        let values = bytes[QUANTISED_HEADER_LEN..].chunks_exact(2).map(|stored| {
            let stored = i16::from_le_bytes(stored.try_into().unwrap());
            if stored == MISSING { f64::NAN } else { f64::from(stored) * scale + offset }
        });
        (scale, values.collect())
    }

    #[test]
    fn values_come_back_to_half_a_step() {
        let tile = TileId::new(3, 5, 2).unwrap();
        for (low, high, precision, expected) in [
            (250.0, 300.0, 0.01, 0.01),
            (0.0, 1e6, 1.0, 1e6 / STEPS),
            (5.0, 5.0, 0.1, 0.1),
            (-3.0, 4.0, 0.0, 7.0 / STEPS),
        ] {
            let mut samples: Vec<f32> = (0..256).map(|i| (low + (high - low) * f64::from(i) / 255.0) as f32).collect();
            samples[9] = f32::NAN;
            let bytes = encode_quantised(&samples, tile, 16, precision);
            assert_eq!((&bytes[..4], bytes[6], bytes.len()), (&b"VEJQ"[..], 48, 48 + 512));
            let (scale, found) = decode(&bytes);
            assert!((scale / expected - 1.0).abs() < 1e-9, "{scale}");
            for (sample, found) in samples.iter().zip(found) {
                let off = (f64::from(*sample) - found).abs();
                assert!(off <= 0.51 * scale + 1e-6 || (sample.is_nan() && found.is_nan()), "{sample} {found}");
            }
        }
    }
}
