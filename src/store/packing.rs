//! Values as integers: CF `scale_factor` and `add_offset` (CF-1.11, section 8.1).

use super::spec::Output;

/// How one variable is packed: `value = integer × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Packing {
    pub scale: f64,
    pub offset: f64,
    pub width: Width,
}

/// Size of the integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Bits16,
    Bits32,
}

impl Packing {
    /// 16 bits where the output's range fits at its precision, else 32. The offset is a multiple of the precision, so
    /// that the stored values of all variables with one precision are on one raster (0.01 K, not 0.003 K + n × 0.01 K).
    pub fn of(output: &Output) -> Self {
        let (low, high) = output.range;
        let scale = output.precision;
        let offset = ((low / 2.0 + high / 2.0) / scale).round() * scale;
        let steps = (high / 2.0 - low / 2.0) / scale + 1.0;
        let width = if steps < f64::from(i16::MAX) { Width::Bits16 } else { Width::Bits32 };
        Self { scale, offset, width }
    }

    /// Stored where the value is missing; no value is packed to it.
    pub fn fill(self) -> i32 {
        match self.width {
            Width::Bits16 => i32::from(i16::MIN),
            Width::Bits32 => i32::MIN,
        }
    }

    fn largest(self) -> i32 {
        match self.width {
            Width::Bits16 => i32::from(i16::MAX),
            Width::Bits32 => i32::MAX,
        }
    }

    /// `None` where the value is out of reach: nothing is ever wrapped or clipped.
    pub fn pack(self, value: f32) -> Option<i32> {
        if value.is_nan() {
            return Some(self.fill());
        }
        let packed = ((f64::from(value) - self.offset) / self.scale).round();
        (packed.abs() <= f64::from(self.largest())).then_some(packed as i32)
    }

    pub fn unpack(self, packed: i32) -> f32 {
        if packed == self.fill() { f32::NAN } else { (f64::from(packed) * self.scale + self.offset) as f32 }
    }

    /// Lowest and highest value that fits.
    pub fn reach(self) -> (f64, f64) {
        let half = f64::from(self.largest()) * self.scale;
        (self.offset - half, self.offset + half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{KNOWN_VARIABLES, Level, Variable};

    fn output(range: (f64, f64), precision: f64) -> Output {
        Output { variable: Variable::new("x", "", "", "1"), levels: vec![Level::Surface], precision, range }
    }

    #[test]
    fn packing_keeps_the_precision_and_refuses_what_does_not_fit() {
        for (range, precision, width) in [
            ((150.0, 350.0), 0.01, Width::Bits16),
            ((30_000.0, 120_000.0), 1.0, Width::Bits32),
            ((-250.0, 250.0), 0.01, Width::Bits16),
            ((0.0, 65_531.9), 1.0, Width::Bits16),
            ((0.0, 65_533.0), 1.0, Width::Bits32),
        ] {
            let packing = Packing::of(&output(range, precision));
            assert_eq!(packing.width, width, "{range:?}");
            for i in 0..=1000 {
                let value = (range.0 + (range.1 - range.0) * f64::from(i) / 1000.0) as f32;
                let back = packing.unpack(packing.pack(value).unwrap());
                let error = f64::from((back - value).abs());
                assert!(error <= 0.5001 * precision + f64::from(value.abs()) * 1e-7, "{value} {back}");
                assert_eq!(packing.pack(back), packing.pack(value), "packing again changes nothing");
            }
            let (low, high) = packing.reach();
            assert!(low <= range.0 && range.1 <= high);
            assert!(packing.unpack(packing.pack(f32::NAN).unwrap()).is_nan());
            for far in [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, (high + 2.0 * precision) as f32] {
                if f64::from(far) > high || f64::from(far) < low {
                    assert_eq!(packing.pack(far), None, "{far}");
                }
            }
        }
    }

    #[test]
    fn every_known_variable_can_be_packed() {
        for known in KNOWN_VARIABLES {
            let packing = Packing::of(&output(known.plausible, known.precision));
            let (low, high) = packing.reach();
            assert!(low <= known.plausible.0 && known.plausible.1 <= high, "{}", known.name);
        }
    }
}
