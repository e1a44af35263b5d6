//! Numbers as they are stored → numbers as they are meant: packing, missing values, valid ranges (CF 2.5.1, 8.1).

use netcdf::AttributeValue;
use netcdf::types::{FloatType, IntType, NcVariableType};

/// The netCDF library's own fill value for floating point, 9.969e36: whatever is as large was never written.
const NEVER_WRITTEN: f64 = 9.9e36;

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

/// Attribute as text; CF says strings, files hold arrays of them too.
pub fn text(variable: &netcdf::Variable<'_>, name: &str) -> Option<String> {
    match variable.attribute_value(name)?.ok()? {
        AttributeValue::Str(text) => Some(text.trim_end_matches('\0').trim().to_owned()),
        AttributeValue::Strs(texts) => texts.first().map(|text| text.trim().to_owned()),
        other => numbers_of(other).first().map(ToString::to_string),
    }
}

/// Attribute as numbers; empty where it is none.
fn numbers(variable: &netcdf::Variable<'_>, name: &str) -> Vec<f64> {
    variable.attribute_value(name).and_then(Result::ok).map(numbers_of).unwrap_or_default()
}

fn numbers_of(value: AttributeValue) -> Vec<f64> {
    use AttributeValue as V;
    match value {
        V::Uchar(v) => vec![v.into()],
        V::Schar(v) => vec![v.into()],
        V::Ushort(v) => vec![v.into()],
        V::Short(v) => vec![v.into()],
        V::Uint(v) => vec![v.into()],
        V::Int(v) => vec![v.into()],
        V::Ulonglong(v) => vec![v as f64],
        V::Longlong(v) => vec![v as f64],
        V::Float(v) => vec![v.into()],
        V::Double(v) => vec![v],
        V::Uchars(v) => v.into_iter().map(f64::from).collect(),
        V::Schars(v) => v.into_iter().map(f64::from).collect(),
        V::Ushorts(v) => v.into_iter().map(f64::from).collect(),
        V::Shorts(v) => v.into_iter().map(f64::from).collect(),
        V::Uints(v) => v.into_iter().map(f64::from).collect(),
        V::Ints(v) => v.into_iter().map(f64::from).collect(),
        V::Ulonglongs(v) => v.into_iter().map(|v| v as f64).collect(),
        V::Longlongs(v) => v.into_iter().map(|v| v as f64).collect(),
        V::Floats(v) => v.into_iter().map(f64::from).collect(),
        V::Doubles(v) => v,
        V::Str(text) => text.trim().parse().into_iter().collect(),
        V::Strs(_) => Vec::new(),
    }
}

impl Decoding {
    /// From the attributes of a variable; the error names the attribute that makes no sense.
    pub fn of(variable: &netcdf::Variable<'_>) -> Result<Self, String> {
        let one = |name: &str, default: f64| -> Result<f64, String> {
            match numbers(variable, name)[..] {
                [] if variable.attribute_value(name).is_none() => Ok(default),
                [value] if value.is_finite() => Ok(value),
                ref other => Err(format!("{name} = {other:?}")),
            }
        };
        let float = matches!(variable.vartype(), NcVariableType::Float(_));
        let unsigned = text(variable, "_Unsigned").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let wrap = match variable.vartype() {
            NcVariableType::Int(IntType::I8) if unsigned => Some(256.0),
            NcVariableType::Int(IntType::I16) if unsigned => Some(65_536.0),
            NcVariableType::Int(IntType::I32) if unsigned => Some(4_294_967_296.0),
            _ => None,
        };
        let wrapped = |value: f64| if value < 0.0 { value + wrap.unwrap_or(0.0) } else { value };
        let mut missing = numbers(variable, "_FillValue");
        missing.extend(numbers(variable, "missing_value"));
        if missing.is_empty() {
            missing.extend(default_fill(&variable.vartype(), unsigned));
        }
        let storable = |value: &f64| float || (value.fract() == 0.0 && value.abs() < 1e19);
        let (missing, unpacked_missing): (Vec<f64>, Vec<f64>) = missing.into_iter().partition(storable);
        let range = numbers(variable, "valid_range");
        let is_float = |name: &str| {
            use AttributeValue as V;
            matches!(
                variable.attribute_value(name),
                Some(Ok(V::Float(_) | V::Floats(_) | V::Double(_) | V::Doubles(_)))
            )
        };
        let valid_is_unpacked = !float && ["valid_range", "valid_min", "valid_max"].into_iter().any(is_float);
        let low = numbers(variable, "valid_min").first().or(range.first()).copied().unwrap_or(f64::NEG_INFINITY);
        let high = numbers(variable, "valid_max").first().or(range.get(1)).copied().unwrap_or(f64::INFINITY);
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

    /// The meaning of one stored number; NaN where it is missing.
    pub fn decode(&self, stored: f64) -> f64 {
        let stored = if stored < 0.0 { stored + self.wrap.unwrap_or(0.0) } else { stored };
        let missing = self.missing.iter().any(|&fill| stored == fill || (self.float && same_in_float32(stored, fill)));
        let value = stored * self.scale + self.offset;
        let limited = if self.valid_is_unpacked { value } else { stored };
        let invalid = limited < self.valid.0 || limited > self.valid.1;
        if missing || invalid || (self.float && stored.abs() >= NEVER_WRITTEN) {
            return f64::NAN;
        }
        if self.unpacked_missing.iter().any(|&fill| same_in_float32(value, fill)) { f64::NAN } else { value }
    }
}

/// What the netCDF library writes where nobody has written, for integers of two bytes and more; floating point is told by
/// its size ([`NEVER_WRITTEN`]).
fn default_fill(kind: &NcVariableType, unsigned: bool) -> Option<f64> {
    match kind {
        NcVariableType::Int(IntType::I16) if !unsigned => Some(-32_767.0),
        NcVariableType::Int(IntType::I32) if !unsigned => Some(-2_147_483_647.0),
        NcVariableType::Int(IntType::I64) => Some(-9_223_372_036_854_775_806.0),
        NcVariableType::Int(IntType::U16) => Some(65_535.0),
        NcVariableType::Int(IntType::U32) => Some(4_294_967_295.0),
        NcVariableType::Int(IntType::U64) => Some(18_446_744_073_709_551_614.0),
        _ => None,
    }
}

/// A fill value is often written in another precision than the data.
fn same_in_float32(a: f64, b: f64) -> bool {
    a as f32 == b as f32
}

/// Reads stored numbers of any numeric type.
pub fn read_stored(variable: &netcdf::Variable<'_>, start: &[usize], count: &[usize]) -> Result<Vec<f64>, String> {
    fn get<T: netcdf::NcTypeDescriptor + Copy + Into<f64>>(
        variable: &netcdf::Variable<'_>,
        start: &[usize],
        count: &[usize],
    ) -> Result<Vec<f64>, String> {
        let values: Vec<T> = variable.get_values((start, count)).map_err(|error| error.to_string())?;
        Ok(values.into_iter().map(Into::into).collect())
    }
    let long = |error: netcdf::Error| error.to_string();
    match variable.vartype() {
        NcVariableType::Float(FloatType::F32) => get::<f32>(variable, start, count),
        NcVariableType::Float(FloatType::F64) => get::<f64>(variable, start, count),
        NcVariableType::Int(IntType::I8) => get::<i8>(variable, start, count),
        NcVariableType::Int(IntType::U8) => get::<u8>(variable, start, count),
        NcVariableType::Int(IntType::I16) => get::<i16>(variable, start, count),
        NcVariableType::Int(IntType::U16) => get::<u16>(variable, start, count),
        NcVariableType::Int(IntType::I32) => get::<i32>(variable, start, count),
        NcVariableType::Int(IntType::U32) => get::<u32>(variable, start, count),
        NcVariableType::Int(IntType::I64) => {
            let values: Vec<i64> = variable.get_values((start, count)).map_err(long)?;
            Ok(values.into_iter().map(|value| value as f64).collect())
        }
        NcVariableType::Int(IntType::U64) => {
            let values: Vec<u64> = variable.get_values((start, count)).map_err(long)?;
            Ok(values.into_iter().map(|value| value as f64).collect())
        }
        other => Err(format!("values of type {other:?}")),
    }
}

/// Whether a variable holds numbers.
pub fn is_numeric(variable: &netcdf::Variable<'_>) -> bool {
    matches!(variable.vartype(), NcVariableType::Float(_) | NcVariableType::Int(_))
}
