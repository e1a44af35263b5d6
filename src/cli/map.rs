//! A small picture of a field on latitudes and longitudes: whether a grid lies where it should, and the right way up, is
//! seen at once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::atmos::Grid;
use crate::tile::{EncodeError, Palette, encode_rgba};

/// Columns of a picture in the terminal, and pixels of one in a file.
const TERMINAL_WIDTH: usize = 72;
const FILE_WIDTH: usize = 720;
/// Pictures are no higher, as a part of their width.
const TALLEST: f64 = 1.0;
/// From low to high where there are no colours.
const SHADES: [char; 4] = ['░', '▒', '▓', '█'];
/// Of a place where the value is missing.
const MISSING: char = '·';

/// A field, and what is said above its picture.
pub struct Shown<'a> {
    pub title: String,
    pub grid: &'a Grid,
    pub values: &'a [f32],
    pub low: f32,
    pub high: f32,
}

/// `None` outside the grid; NaN where the value is missing. Rows from the north.
struct Picture {
    width: usize,
    height: usize,
    values: Vec<Option<f32>>,
}

impl Shown<'_> {
    /// West, south, east and north; around the globe where the grid goes around.
    fn extent(&self) -> [f64; 4] {
        let [west, south, east, north] = self.grid.bounds();
        let east = if self.grid.is_global_in_longitude() { west + 360.0 } else { east };
        let least = |low: f64, high: f64| if high - low < 1e-3 { (low - 0.5, high + 0.5) } else { (low, high) };
        let ((west, east), (south, north)) = (least(west, east), least(south, north));
        [west, south.max(-90.0), east, north.min(90.0)]
    }

    fn picture(&self, width: usize) -> Picture {
        let [west, south, east, north] = self.extent();
        let (across, down) = (east - west, north - south);
        let shape = down / (across * (0.5 * (south + north)).to_radians().cos().max(0.2));
        // an even number: two pixels are one character
        let height = ((width as f64 * shape.min(TALLEST)) as usize / 2 * 2).max(4);
        let columns = self.grid.shape().1;
        let at = |pixel: usize| {
            let (row, column) = (pixel / width, pixel % width);
            let latitude = north - down * (row as f64 + 0.5) / height as f64;
            let longitude = west + across * (column as f64 + 0.5) / width as f64;
            let (row, column) = self.grid.nearest(latitude, longitude)?;
            self.values.get(row * columns + column).copied()
        };
        Picture { width, height, values: (0..width * height).into_par_iter().map(at).collect() }
    }

    /// Where in the range a value is, 0 to 1.
    fn position(&self, value: f32) -> f32 {
        let span = self.high - self.low;
        if span > 0.0 { ((value - self.low) / span).clamp(0.0, 1.0) } else { 0.5 }
    }

    fn color(&self, value: Option<f32>) -> [u8; 4] {
        let ramp = Palette::Sequential.ramp();
        match value {
            None => [0; 4],
            Some(value) if value.is_nan() => [128, 128, 128, 255],
            Some(value) => ramp[(self.position(value) * (ramp.len() - 1) as f32) as usize],
        }
    }

    /// For standard output: in colours on a terminal, two pixels in a character; else in shades.
    pub fn text(&self) -> String {
        let [west, south, east, north] = self.extent();
        let picture = self.picture(TERMINAL_WIDTH);
        let pixel = |row: usize, column: usize| picture.values[row * picture.width + column];
        let colors = std::io::stdout().is_terminal();
        let mut text = format!("{}\n{:.2} °N\n", self.title, north);
        for row in (0..picture.height).step_by(2) {
            for column in 0..picture.width {
                let (upper, lower) = (pixel(row, column), pixel(row + 1, column));
                if colors {
                    text += &colored(self.color(upper), self.color(lower));
                } else {
                    text.push(match upper.or(lower) {
                        None => ' ',
                        Some(value) if value.is_nan() => MISSING,
                        Some(value) => SHADES[((self.position(value) * 4.0) as usize).min(3)],
                    });
                }
            }
            let trimmed = text.trim_end_matches(' ').len();
            text.truncate(trimmed);
            text.push('\n');
        }
        let (left, right) = (format!("{west:.2} °E"), format!("{east:.2} °E"));
        let between = picture.width.saturating_sub(left.chars().count() + right.chars().count()).max(1);
        text + &format!("{south:.2} °N\n{left}{}{right}", " ".repeat(between))
    }

    pub fn png(&self) -> Result<Vec<u8>, EncodeError> {
        let picture = self.picture(FILE_WIDTH);
        let pixels: Vec<u8> = picture.values.iter().flat_map(|value| self.color(*value)).collect();
        encode_rgba(&pixels, (picture.width, picture.height))
    }
}

/// A character of two pixels, one above the other.
fn colored(upper: [u8; 4], lower: [u8; 4]) -> String {
    let part = |kind: u8, [r, g, b, a]: [u8; 4]| match a {
        0 => String::new(),
        _ => format!("\x1b[{kind};2;{r};{g};{b}m"),
    };
    match (upper[3], lower[3]) {
        (0, 0) => " ".to_owned(),
        (0, _) => format!("{}▄\x1b[0m", part(38, lower)),
        _ => format!("{}{}▀\x1b[0m", part(38, upper), part(48, lower)),
    }
}

/// The file of the picture number `n` of several: `map.png`, `map-2.png`, …
pub fn file(path: &Path, n: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match n {
        0 => path.to_owned(),
        n => path.with_file_name(format!("{stem}-{}.png", n + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn north_is_up_and_outside_is_blank() {
        let grid = Grid::new(vec![60.0, 50.0, 40.0], vec![0.0, 10.0, 20.0, 30.0]).unwrap();
        let values = [4.0, 4.0, 4.0, 4.0, 2.0, f32::NAN, 2.0, 2.0, 1.0, 1.0, 1.0, 3.0];
        let shown = Shown { title: "t".to_owned(), grid: &grid, values: &values, low: 1.0, high: 4.0 };
        let text = shown.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1]), ("t", "60.00 °N"));
        assert!(lines[2].chars().all(|shade| shade == '█'), "{text}");
        let south: Vec<char> = lines[lines.len() - 3].chars().collect();
        assert!(south[0] == '░' && south[TERMINAL_WIDTH - 1] == '▓', "{text}");
        assert!(text.contains(MISSING) && lines[lines.len() - 1].ends_with("30.00 °E"), "{text}");
        assert!(shown.png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn points_far_apart_are_no_area() {
        let (latitude, longitude): (Vec<f64>, Vec<f64>) = (0..18)
            .map(|n| {
                let (south, west) = if n < 9 { (0.0, 0.0) } else { (50.0, 90.0) };
                (south + 0.5 * f64::from(n % 3), west + 0.5 * f64::from(n / 3 % 3))
            })
            .unzip();
        let grid = Grid::points(latitude, longitude).unwrap();
        let shown = Shown { title: String::new(), grid: &grid, values: &[1.0; 18], low: 1.0, high: 4.0 };
        let picture = shown.picture(100);
        assert!(picture.values.iter().any(Option::is_none));
    }

    #[test]
    fn several_pictures_have_several_files() {
        let path = Path::new("a/map.png");
        assert_eq!([file(path, 0), file(path, 1)], [PathBuf::from("a/map.png"), PathBuf::from("a/map-2.png")]);
    }
}
