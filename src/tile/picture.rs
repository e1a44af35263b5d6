//! Colours for values, layer over layer: WebP tiles, and maps of several fields.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyleBuilder;
use embedded_graphics::mono_font::iso_8859_1::FONT_6X10 as FONT;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, RgbColor, Size};
use embedded_graphics::text::{Baseline, Text};
use image_webp::{ColorType, WebPEncoder};
use png::{BitDepth, Compression, Encoder, Filter};

use super::image::EncodeError;
use super::legend_image::latin;
use super::palette::entry;
use super::style::Style;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    Png,
    /// Lossless.
    WebP,
}

impl PictureFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

/// Pixels with red, green, blue and opacity, rows first from the north-west.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    /// Nothing yet: all transparent.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: vec![[0; 4]; width * height] }
    }

    /// Lays a field over what is there.
    pub fn paint(&mut self, values: &[f32], style: &Style) {
        let (low, high) = (style.range.low as f32, style.range.high as f32);
        let colors = style.palette.colors();
        for (pixel, &value) in self.pixels.iter_mut().zip(values) {
            let color = colors[usize::from(entry(value, low, high))];
            *pixel = if color[3] == 255 || pixel[3] == 0 { color } else { over(color, *pixel) };
        }
    }

    /// Writes a text over what is there, line by line from the top, as much as there is room for.
    pub fn write(&mut self, text: &str) {
        const MARGIN: usize = 4;
        let letter = FONT.character_size;
        let room = self.width.saturating_sub(2 * MARGIN) / letter.width as usize;
        let style = MonoTextStyleBuilder::new().font(&FONT).text_color(Rgb888::BLACK).background_color(Rgb888::WHITE);
        for (number, line) in lines(&latin(text), room).iter().enumerate() {
            let top = (MARGIN + number * letter.height as usize) as i32;
            // drawing on a picture cannot fail
            let _ = Text::with_baseline(line, Point::new(MARGIN as i32, top), style.build(), Baseline::Top).draw(self);
        }
    }

    /// The file: with its opacity, or on a background.
    pub fn encode(mut self, format: PictureFormat, background: Option<[u8; 3]>) -> Result<Vec<u8>, EncodeError> {
        if let Some([r, g, b]) = background {
            self.pixels.iter_mut().for_each(|pixel| *pixel = over(*pixel, [r, g, b, 255]));
        }
        let (width, height) = (self.width as u32, (self.pixels.len() / self.width.max(1)) as u32);
        let bytes = self.pixels.as_flattened();
        let mut file = Vec::with_capacity(bytes.len() / 8);
        match format {
            PictureFormat::WebP => {
                // a palette would be smaller still, and this encoder has none
                WebPEncoder::new(&mut file).encode(bytes, width, height, ColorType::Rgba8)?;
            }
            PictureFormat::Png => {
                let mut encoder = Encoder::new(&mut file, width, height);
                encoder.set_color(png::ColorType::Rgba);
                encoder.set_depth(BitDepth::Eight);
                encoder.set_compression(Compression::Fast);
                encoder.set_filter(Filter::Sub);
                let mut writer = encoder.write_header()?;
                writer.write_image_data(bytes)?;
                writer.finish()?;
            }
        }
        Ok(file)
    }
}

impl OriginDimensions for Picture {
    fn size(&self) -> Size {
        Size::new(self.width as u32, (self.pixels.len() / self.width.max(1)) as u32)
    }
}

impl DrawTarget for Picture {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let (Ok(column), Ok(row)) = (usize::try_from(point.x), usize::try_from(point.y)) else { continue };
            if column < self.width
                && let Some(pixel) = self.pixels.get_mut(row * self.width + column)
            {
                *pixel = [color.r(), color.g(), color.b(), 255];
            }
        }
        Ok(())
    }
}

/// Lines of at most so many letters, broken between words where that is possible.
fn lines(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(room.max(1)) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.len() <= room => {
                    line.push(' ');
                    line.extend(piece);
                }
                _ => lines.push(piece.iter().collect()),
            }
        }
    }
    lines
}

/// One colour over another (Porter and Duff 1984, <https://doi.org/10.1145/800031.808606>).
fn over(top: [u8; 4], bottom: [u8; 4]) -> [u8; 4] {
    let part = |alpha: u8| f32::from(alpha) / 255.0;
    let (front, back) = (part(top[3]), part(bottom[3]) * (1.0 - part(top[3])));
    let opacity = front + back;
    if opacity <= 0.0 {
        return [0; 4];
    }
    let blend = |n: usize| ((f32::from(top[n]) * front + f32::from(bottom[n]) * back) / opacity).round() as u8;
    [blend(0), blend(1), blend(2), (opacity * 255.0).round() as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{Level, Variable, known_variable};

    #[test]
    fn a_text_has_as_many_lines_as_it_needs() {
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert!(lines("", 9).is_empty());
        let mut picture = Picture::new(40, 30);
        picture.write("a long message that has no room in forty pixels");
        let dark = picture.pixels.iter().filter(|pixel| **pixel == [0, 0, 0, 255]).count();
        assert!(dark > 20, "{dark}");
        // smaller than a letter
        Picture::new(1, 1).write("a");
    }

    #[test]
    fn layers_lie_over_each_other_and_both_formats_keep_every_pixel() {
        let cloud = Style::conventional(&Variable::from(known_variable("tcc").unwrap()), Level::Surface).unwrap();
        let t = Style::conventional(&Variable::from(known_variable("t2m").unwrap()), Level::Surface).unwrap();
        let mut picture = Picture::new(2, 1);
        picture.paint(&[280.0, f32::NAN], &t);
        let below = picture.pixels.clone();
        assert_eq!((below[0][3], below[1]), (255, [0; 4]));
        picture.paint(&[0.0, 1.0], &cloud);
        assert_eq!(picture.pixels[0], below[0], "a clear sky hides nothing");
        assert!(picture.pixels[1][3] > 200);
        let expected = picture.pixels.clone();
        let mut webp = image_webp::WebPDecoder::new(std::io::Cursor::new(
            picture.clone().encode(PictureFormat::WebP, None).unwrap(),
        ))
        .unwrap();
        let mut bytes = vec![0; webp.output_buffer_size().unwrap()];
        webp.read_image(&mut bytes).unwrap();
        assert_eq!(bytes, expected.as_flattened());
        let png = picture.encode(PictureFormat::Png, Some([255, 0, 0])).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert!(bytes[3] == 255 && bytes[7] == 255 && bytes[4] > bytes[5], "{bytes:?}");
    }
}
