//! Colours of a map: 253 steps of a ramp, one colour below it, one above it, and transparency for what is missing.
//!
//! 256 entries make an indexed PNG: a quarter of the bytes to compress, and no step is wider than forecasters can see.

use std::sync::OnceLock;

use colorgrad::{BlendMode, Gradient, GradientBuilder, LinearGradient};

/// Entry of a missing value.
const MISSING: u8 = 0;
const UNDER: u8 = 1;
const RAMP_START: u8 = 2;
const RAMP_STEPS: usize = 253;
const OVER: u8 = 255;

/// Which colours; each is what its kind of field is usually shown in, evenly spaced to the eye (Oklab) between its stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// Violet and blue for cold, through a pale middle, to red for warm: what weather maps have always used.
    Temperature,
    /// Blue for negative, near-white at zero, red for positive.
    Diverging,
    /// Pale to dark: speeds.
    Speed,
    /// Violet for low, near-white in the middle, orange for high.
    Pressure,
    /// Dark blue to yellow: heights of a pressure level.
    Height,
    /// Brown for dry to green-blue for moist.
    Humidity,
    /// Transparent below the lowest amount, then blue to violet.
    Precipitation,
    /// Transparent for clear sky to grey.
    Cloud,
    /// Round the compass, so that 0 and 360 are one colour: north blue, east green, south yellow, west red.
    Direction,
    /// Whatever has no convention: viridis.
    Sequential,
}

const ALL: [Palette; 10] = [
    Palette::Temperature,
    Palette::Diverging,
    Palette::Speed,
    Palette::Pressure,
    Palette::Height,
    Palette::Humidity,
    Palette::Precipitation,
    Palette::Cloud,
    Palette::Direction,
    Palette::Sequential,
];

impl Palette {
    fn stops(self) -> &'static [&'static str] {
        match self {
            Self::Temperature => &[
                "#3b1a63", "#5b46a8", "#3f7fce", "#6fb9dc", "#bfe3d8", "#f4f0c4", "#f9cf77", "#ee8b45", "#cf4232",
                "#7d0f2a",
            ],
            Self::Diverging => &["#123a7c", "#3f7fbe", "#9cc4e0", "#f3f3f0", "#f0b59b", "#cf5b4b", "#7d1230"],
            Self::Speed => &["#f1f5ef", "#b5dcd3", "#5fb3c3", "#3579b4", "#4d419b", "#57146b", "#2d0538"],
            Self::Pressure => &["#3c1d6e", "#7a66b0", "#bcb4da", "#f4f2ef", "#f2c58b", "#d5812d", "#843c06"],
            Self::Height => &["#1f1a55", "#31539b", "#3a8bb0", "#5dbb9b", "#b3db7a", "#f7e98a"],
            Self::Humidity => &["#6b4211", "#b98a45", "#e9dcb9", "#c3e2d3", "#4ba59c", "#0c5a66", "#06304d"],
            Self::Precipitation => &["#cfe8f7", "#7fbfe8", "#3786cf", "#2a4fb0", "#6a2fa8", "#b0219a", "#f0468a"],
            Self::Cloud => &["#ffffff00", "#8b95a3e6"],
            Self::Direction => &["#4a6fd0", "#3fa796", "#d9c84a", "#c65a6d", "#4a6fd0"],
            Self::Sequential => &["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"],
        }
    }

    /// Whether values below the range are not drawn: no rain is no colour.
    fn hides_under(self) -> bool {
        matches!(self, Self::Precipitation | Self::Cloud)
    }

    /// RGBA of all entries.
    pub fn colors(self) -> &'static [[u8; 4]; 256] {
        static COLORS: OnceLock<Vec<[[u8; 4]; 256]>> = OnceLock::new();
        let all = COLORS.get_or_init(|| ALL.iter().map(|palette| palette.compute()).collect());
        &all[ALL.iter().position(|&palette| palette == self).unwrap_or(ALL.len() - 1)]
    }

    fn compute(self) -> [[u8; 4]; 256] {
        let gradient: LinearGradient = GradientBuilder::new()
            .html_colors(self.stops())
            .mode(BlendMode::Oklab)
            .build()
            .expect("the stops are colours, two or more");
        let mut colors = [[0; 4]; 256];
        for step in 0..RAMP_STEPS {
            let position = step as f32 / (RAMP_STEPS - 1) as f32;
            colors[usize::from(RAMP_START) + step] = gradient.at(position).to_rgba8();
        }
        // Beyond the range the end's colour goes on, darker, so that saturation shows.
        let dim = |channel: u8| (u16::from(channel) * 7 / 10) as u8;
        let darker = |[r, g, b, a]: [u8; 4]| [dim(r), dim(g), dim(b), a];
        colors[usize::from(OVER)] = darker(colors[usize::from(OVER) - 1]);
        if !self.hides_under() {
            colors[usize::from(UNDER)] = darker(colors[usize::from(RAMP_START)]);
        }
        colors
    }

    /// The ramp alone, lowest first.
    pub fn ramp(self) -> &'static [[u8; 4]] {
        &self.colors()[usize::from(RAMP_START)..][..RAMP_STEPS]
    }

    pub fn under(self) -> [u8; 4] {
        self.colors()[usize::from(UNDER)]
    }

    pub fn over(self) -> [u8; 4] {
        self.colors()[usize::from(OVER)]
    }
}

/// Entry for a value, where the ramp spans `low` to `high`.
pub(super) fn entry(value: f32, low: f32, high: f32) -> u8 {
    if value.is_nan() {
        return MISSING;
    }
    if value < low {
        return UNDER;
    }
    if value > high {
        return OVER;
    }
    // low ≤ value ≤ high: the quotient is 0 to 1, or NaN where they are one point, and then the cast gives 0
    let position = (value - low) / (high - low) * RAMP_STEPS as f32;
    RAMP_START + (position as usize).min(RAMP_STEPS - 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_the_range_and_what_is_beyond() {
        let at = |value| entry(value, 200.0, 300.0);
        assert_eq!(at(f32::NAN), 0);
        assert_eq!((at(199.9), at(f32::NEG_INFINITY)), (1, 1));
        assert_eq!((at(300.1), at(f32::INFINITY)), (255, 255));
        assert_eq!((at(200.0), at(300.0), at(250.0)), (2, 254, 128));
        assert_eq!(entry(5.0, 5.0, 5.0), 2);
    }

    #[test]
    fn every_palette_shows_its_range_and_hides_what_is_missing() {
        for palette in ALL {
            let colors = palette.colors();
            assert_eq!(colors[0][3], 0, "{palette:?}");
            assert_eq!(palette.over()[3], palette.ramp()[RAMP_STEPS - 1][3]);
            assert_eq!(palette.under()[3] == 0, palette.hides_under());
            let different = palette.ramp().windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(different > 150, "{palette:?} has {different} steps");
        }
    }
}
