//! Values → PNG, with indexed colours.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::palette::entry;
use super::style::Style;

/// A library refused; it does so only for pictures whose size does not match their data.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("encoding a picture as PNG failed: {0}")]
    Png(#[from] png::EncodingError),
    #[error("encoding a picture as WebP failed: {0}")]
    WebP(#[from] image_webp::EncodingError),
}

/// A picture of values, `width` in a row, row-major from the north-west, as PNG.
pub fn encode_png(samples: &[f32], width: usize, style: &Style) -> Result<Vec<u8>, EncodeError> {
    let (low, high) = (style.range.low as f32, style.range.high as f32);
    let entries: Vec<u8> = samples.iter().map(|&value| entry(value, low, high)).collect();
    encode(&entries, width, style)
}

/// A picture of `width` × `height` pixels that shows nothing: it lies outside the grid.
pub fn transparent_png(width: usize, height: usize, style: &Style) -> Result<Vec<u8>, EncodeError> {
    encode(&vec![0; width * height], width, style)
}

/// A picture of any size, four bytes a pixel, row-major from the north-west, as PNG.
pub fn encode_rgba(pixels: &[u8], (width, height): (usize, usize)) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn encode(entries: &[u8], width: usize, style: &Style) -> Result<Vec<u8>, EncodeError> {
    let colors = style.palette.colors();
    let mut bytes = Vec::with_capacity(entries.len() / 4);
    let mut encoder = Encoder::new(&mut bytes, width as u32, (entries.len() / width.max(1)) as u32);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(colors.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect::<Vec<u8>>());
    // tRNS may end with the last entry that is not opaque
    let opaque_from = colors.iter().rposition(|color| color[3] != 255).map_or(0, |last| last + 1);
    encoder.set_trns(colors[..opaque_from].iter().map(|color| color[3]).collect::<Vec<u8>>());
    encoder.set_compression(Compression::Fast);
    // Neighbours in a row differ by a step or two: their differences compress to almost nothing.
    encoder.set_filter(Filter::Sub);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(entries)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{Level, Variable, known_variable};
    use crate::tile::TILE_SIZE;

    #[test]
    fn a_tile_decodes_to_the_colours_of_its_values() {
        let variable = Variable::from(known_variable("t").unwrap());
        let style = Style::conventional(&variable, Level::Pressure(500.0)).unwrap();
        let mut samples: Vec<f32> =
            (0..TILE_SIZE * TILE_SIZE).map(|i| 210.0 + 75.0 * i as f32 / (TILE_SIZE * TILE_SIZE) as f32).collect();
        samples[0] = f32::NAN;
        let bytes = encode_png(&samples, TILE_SIZE, &style).unwrap();
        assert!(bytes.len() < 16_384, "{} bytes", bytes.len());
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        for (pixel, &value) in pixels.chunks_exact(4).zip(&samples) {
            let expected =
                style.palette.colors()[usize::from(entry(value, style.range.low as f32, style.range.high as f32))];
            assert_eq!(pixel, expected);
        }
        assert_eq!(pixels[3], 0);
        assert!(transparent_png(TILE_SIZE, TILE_SIZE, &style).unwrap().len() < 2_048);
    }
}
