//! Numbers as they are stored → numbers as they are meant: packing, missing values, valid ranges (CF 2.5.1, 8.1).

use super::dataset::{Array, Dataset, ElementType, Number, each};

/// The netCDF library's own fill value for floating point, 9.969e36: whatever is as large was never written.
pub const NEVER_WRITTEN: f64 = 9.9e36;

/// How the stored numbers of one variable are to be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    scale: f64,
    offset: f64,
    /// Stored numbers that mean "missing".
    missing: Vec<f64>,
    /// Unpacked numbers that mean it: some producers give the fill value of the data, not that of the packed integers.
    unpacked_missing: Vec<f64>,
    /// Lowest and highest number that is valid: stored, or unpacked where the limits have the unpacked type (NUG, appendix A).
    valid: (f64, f64),
    valid_is_unpacked: bool,
    /// Add this to negative stored numbers: `_Unsigned` data in a signed type.
    wrap: Option<f64>,
    float: bool,
}

impl Decoding {
    /// From the attributes of an array; the error names the attribute that makes no sense.
    pub fn of(array: &Array) -> Result<Self, String> {
        let attributes = &array.attributes;
        let one = |name: &str, default: f64| -> Result<f64, String> {
            match attributes.numbers(name)[..] {
                [] if !attributes.contains(name) => Ok(default),
                [value] if value.is_finite() => Ok(value),
                ref other => Err(format!("{name} = {other:?}")),
            }
        };
        let float = array.kind.is_float();
        let unsigned = array.text("_Unsigned").eq_ignore_ascii_case("true");
        let wrap = match array.kind {
            ElementType::I8 if unsigned => Some(256.0),
            ElementType::I16 if unsigned => Some(65_536.0),
            ElementType::I32 if unsigned => Some(4_294_967_296.0),
            _ => None,
        };
        let wrapped = |value: f64| if value < 0.0 { value + wrap.unwrap_or(0.0) } else { value };
        let mut missing = attributes.numbers("_FillValue");
        missing.extend(attributes.numbers("missing_value"));
        if missing.is_empty() {
            missing.extend(default_fill(array.kind, unsigned));
        }
        let storable = |value: &f64| float || (value.fract() == 0.0 && value.abs() < 1e19);
        let (missing, unpacked_missing): (Vec<f64>, Vec<f64>) = missing.into_iter().partition(storable);
        let range = attributes.numbers("valid_range");
        let valid_is_unpacked =
            !float && ["valid_range", "valid_min", "valid_max"].into_iter().any(|name| attributes.is_float(name));
        let low = attributes.numbers("valid_min").first().or(range.first()).copied().unwrap_or(f64::NEG_INFINITY);
        let high = attributes.numbers("valid_max").first().or(range.get(1)).copied().unwrap_or(f64::INFINITY);
        let (scale, offset) = (one("scale_factor", 1.0)?, one("add_offset", 0.0)?);
        if scale == 0.0 {
            return Err("scale_factor = 0".to_owned());
        }
        let valid = match low <= high {
            true if valid_is_unpacked => (low, high),
            true => (wrapped(low), wrapped(high)),
            // limits that exclude everything, or are NaN
            false => (f64::NEG_INFINITY, f64::INFINITY),
        };
        Ok(Self {
            scale,
            offset,
            missing: missing.into_iter().map(wrapped).collect(),
            unpacked_missing,
            valid,
            valid_is_unpacked,
            wrap,
            float,
        })
    }

    /// Single-precision numbers that mean "missing", where that is all there is to decode: neither packing nor limits.
    pub fn as_it_is(&self) -> Option<[f32; 2]> {
        let unlimited = self.valid == (f64::NEG_INFINITY, f64::INFINITY);
        let unpacked = self.scale == 1.0 && self.offset == 0.0 && self.wrap.is_none();
        match *self.missing.as_slice() {
            _ if !(self.float && unlimited && unpacked && self.unpacked_missing.is_empty()) => None,
            [] => Some([f32::NAN; 2]),
            [one] => Some([one as f32; 2]),
            [one, two] => Some([one as f32, two as f32]),
            _ => None,
        }
    }

    /// The meaning of stored numbers; NaN where one is missing.
    pub fn decoder(&self) -> impl Fn(f64) -> f64 + '_ {
        let Self { scale, offset, ref missing, ref unpacked_missing, valid: (low, high), valid_is_unpacked, .. } =
            *self;
        let wrap = self.wrap.unwrap_or(0.0);
        let never_written = if self.float { NEVER_WRITTEN } else { f64::INFINITY };
        // most files have at most two; no number equals NaN
        let first = |n: usize| missing.get(n).copied().unwrap_or(f64::NAN);
        let (one, two) = (first(0), first(1));
        let (one32, two32) = if self.float { (one as f32, two as f32) } else { (f32::NAN, f32::NAN) };
        let more = missing.get(2..).unwrap_or_default();
        let rare = !more.is_empty() || !unpacked_missing.is_empty();
        let float = self.float;
        // no branches where there need be none: the compiler then works on several numbers at once
        move |stored| {
            let stored = if stored < 0.0 { stored + wrap } else { stored };
            let value = stored * scale + offset;
            let limited = if valid_is_unpacked { value } else { stored };
            let stored32 = stored as f32;
            let missing = (stored == one) | (stored == two) | (stored32 == one32) | (stored32 == two32);
            let invalid = (limited < low) | (limited > high) | (stored.abs() >= never_written);
            let value = if missing | invalid { f64::NAN } else { value };
            if rare {
                let is = |fill: &f64| stored == *fill || (float && same_in_float32(stored, *fill));
                let unpacked = |fill: &f64| same_in_float32(value, *fill);
                return if more.iter().any(is) || unpacked_missing.iter().any(unpacked) { f64::NAN } else { value };
            }
            value
        }
    }
}

/// What the netCDF library writes where nobody has written, for integers of two bytes and more; floating point is told by
/// its size ([`NEVER_WRITTEN`]).
fn default_fill(kind: ElementType, unsigned: bool) -> Option<f64> {
    match kind {
        ElementType::I16 if !unsigned => Some(-32_767.0),
        ElementType::I32 if !unsigned => Some(-2_147_483_647.0),
        ElementType::I64 => Some(-9_223_372_036_854_775_806.0),
        ElementType::U16 => Some(65_535.0),
        ElementType::U32 => Some(4_294_967_295.0),
        ElementType::U64 => Some(18_446_744_073_709_551_614.0),
        _ => None,
    }
}

/// A fill value is often written in another precision than the data.
fn same_in_float32(a: f64, b: f64) -> bool {
    a as f32 == b as f32
}

/// All values of an array, decoded.
pub fn read_decoded(dataset: &Dataset, array: &Array) -> Result<Vec<f64>, String> {
    let shape = array.shape();
    read_decoded_at(dataset, array, &vec![0; shape.len()], &shape)
}

/// A block of values, decoded, row-major; missing ones are NaN.
pub fn read_decoded_at(dataset: &Dataset, array: &Array, start: &[usize], count: &[usize]) -> Result<Vec<f64>, String> {
    let decoding = Decoding::of(array)?;
    let decode = decoding.decoder();
    let numbers = dataset.read(array, start, count)?;
    Ok(each!(&numbers, values => values.iter().map(|value| decode(value.number())).collect()))
}
