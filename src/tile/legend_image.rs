//! A legend as a picture: the ramp from top to bottom, its labels beside it, the units above.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_6X10;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Primitive, RgbColor, Size};
use embedded_graphics::primitives::{Line, PrimitiveStyle};
use embedded_graphics::text::Text;
use png::{BitDepth, ColorType, Encoder};

use super::image::EncodeError;
use super::legend::Legend;
use super::style::Style;

/// Width and height, pixels.
pub const LEGEND_SIZE: (u32, u32) = (96, 240);
/// The ramp: left edge, width, first row, rows.
const RAMP: (i32, i32, i32, i32) = (8, 18, 22, 208);

struct Canvas {
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    fn set(&mut self, x: i32, y: i32, color: [u8; 3]) {
        let (Ok(column), Ok(row)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if column < LEGEND_SIZE.0 as usize && row < LEGEND_SIZE.1 as usize {
            self.pixels[row * LEGEND_SIZE.0 as usize + column] = color;
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(LEGEND_SIZE.0, LEGEND_SIZE.1)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            self.set(point.x, point.y, [color.r(), color.g(), color.b()]);
        }
        Ok(())
    }
}

/// A legend on white.
pub fn legend_png(style: &Style) -> Result<Vec<u8>, EncodeError> {
    let legend = Legend::new(style);
    let mut canvas = Canvas { pixels: vec![[255; 3]; (LEGEND_SIZE.0 * LEGEND_SIZE.1) as usize] };
    let (left, width, top, rows) = RAMP;
    let ramp = style.palette.ramp();
    for row in 0..rows {
        // highest on top
        let [r, g, b, a] = ramp[(rows - 1 - row) as usize * (ramp.len() - 1) / (rows - 1) as usize];
        let on_white = |channel: u8| ((u16::from(channel) * u16::from(a) + 255 * (255 - u16::from(a))) / 255) as u8;
        for column in 0..width {
            canvas.set(left + column, top + row, [on_white(r), on_white(g), on_white(b)]);
        }
    }
    let font = MonoTextStyle::new(&FONT_6X10, Rgb888::BLACK);
    let line = PrimitiveStyle::with_stroke(Rgb888::BLACK, 1);
    // drawing on this canvas cannot fail
    let _ = Text::new(&latin(&legend.units), Point::new(left, 14), font).draw(&mut canvas);
    for &tick in &legend.ticks {
        let position = (tick - legend.low) / (legend.high - legend.low);
        let row = top + rows - 1 - (position * f64::from(rows - 1)).round() as i32;
        let right = left + width;
        let _ = Line::new(Point::new(right, row), Point::new(right + 3, row)).into_styled(line).draw(&mut canvas);
        let _ = Text::new(&tick.to_string(), Point::new(right + 7, row + 3), font).draw(&mut canvas);
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, LEGEND_SIZE.0, LEGEND_SIZE.1);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(canvas.pixels.as_flattened())?;
    writer.finish()?;
    Ok(file)
}

/// What the font has: raised signs and digits become plain ones.
pub(super) fn latin(text: &str) -> String {
    let plain = |c: char| match c {
        '⁻' => '-',
        '⁰' => '0',
        '⁴'..='⁹' => char::from(b'4' + (c as u32 - '⁴' as u32) as u8),
        c if (c as u32) < 256 => c,
        _ => '?',
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{Level, Variable, known_variable};

    #[test]
    fn a_legend_has_its_ramp_its_units_and_a_label_per_tick() {
        let style = Style::conventional(&Variable::from(known_variable("t").unwrap()), Level::Pressure(500.0)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(legend_png(&style).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), LEGEND_SIZE);
        let at = |x: usize, y: usize| &pixels[(y * LEGEND_SIZE.0 as usize + x) * 3..][..3];
        let ramp = style.palette.ramp();
        assert_eq!(at(12, RAMP.2 as usize), &ramp[ramp.len() - 1][..3]);
        assert_eq!(at(12, (RAMP.2 + RAMP.3 - 1) as usize), &ramp[0][..3]);
        let dark = |rows: std::ops::Range<usize>, from: usize| {
            rows.flat_map(|y| (from..96).map(move |x| (x, y))).filter(|&(x, y)| at(x, y) == [0, 0, 0]).count()
        };
        assert!(dark(0..20, 0) > 10, "units");
        assert!(dark(20..240, 28) > 60, "labels");
        assert_eq!(latin("10⁻⁵ s⁻¹ °C"), "10-5 s-¹ °C");
    }
}
