//! The values of one field: read, decoded, in our order and units; and what can be wrong with them.

use ndarray::Array2;

use super::calendar::CfTime;
use super::file::{Role, SourceVariable};
use super::lexicon;
use super::units::Conversion;
use super::values::read_stored;
use crate::atmos::{Grid, Level, Variable, known_variable};

/// Smallest and largest value, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f32,
    pub high: f32,
    pub valid: usize,
    pub total: usize,
}

impl Range {
    pub(super) const EMPTY: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY, valid: 0, total: 0 };

    pub(super) fn extend(&mut self, values: &Array2<f32>) {
        self.total += values.len();
        for &value in values.iter().filter(|value| !value.is_nan()) {
            self.valid += 1;
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            valid: self.valid + other.valid,
            total: self.total + other.total,
        }
    }
}

/// One field in our order and units, missing values as NaN. `time` and `level` count in the variable's own lists.
pub(super) fn read_field(
    file: &netcdf::File,
    source: &SourceVariable,
    level: usize,
    time: usize,
    conversion: Conversion,
) -> Result<Array2<f32>, String> {
    let steps = source.layout.steps;
    let place = |role: &Role| match role {
        Role::Time => time / steps,
        Role::Step => time % steps,
        Role::Level => level,
        Role::Other | Role::Latitude | Role::Longitude => 0,
    };
    read_at(file, source, source.layout.roles.iter().map(place).collect(), conversion)
}

/// The field that begins at `start`, one index per dimension.
fn read_at(
    file: &netcdf::File,
    source: &SourceVariable,
    start: Vec<usize>,
    conversion: Conversion,
) -> Result<Array2<f32>, String> {
    let layout = &source.layout;
    let variable = file.variable(&source.name).ok_or("the variable is gone: the file has changed")?;
    let lengths: Vec<usize> = variable.dimensions().iter().map(netcdf::Dimension::len).collect();
    if lengths != layout.lengths {
        return Err("other dimensions than before: the file has changed".to_owned());
    }
    let axis = |wanted: Role| layout.roles.iter().position(|role| *role == wanted).ok_or("no horizontal axis");
    let (latitude, longitude) = (axis(Role::Latitude)?, axis(Role::Longitude)?);
    let (source_h, source_w) = (lengths[latitude], lengths[longitude]);
    let mut count = vec![1; lengths.len()];
    (count[latitude], count[longitude]) = (source_h, source_w);
    let stored = read_stored(&variable, &start, &count)?;
    if stored.len() != source_h * source_w {
        return Err(format!("{} values where {} are due", stored.len(), source_h * source_w));
    }
    let at = |row: usize, column: usize| {
        let place = if latitude < longitude { row * source_w + column } else { column * source_h + row };
        layout.decoding.decode(stored[place])
    };
    if let Some((repeat, first)) = layout.repeated {
        let differs = |row: &usize| {
            let (a, b) = (at(*row, repeat), at(*row, first));
            // the packing of both is the same, so that only rounding may differ
            !(a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * a.abs().max(b.abs()))
        };
        if let Some(row) = layout.rows.iter().find(|row| differs(row)) {
            return Err(format!(
                "the first meridian twice with different values ({} and {}, row {row})",
                at(*row, first),
                at(*row, repeat)
            ));
        }
    }
    let ours = |(row, column): (usize, usize)| conversion.apply(at(layout.rows[row], layout.columns[column])) as f32;
    Ok(Array2::from_shape_fn(source.grid.shape(), ours))
}

/// Range of the values at one level over all that is stored, whether it is known when the fields are valid or not.
pub(super) fn range(
    file: &netcdf::File,
    source: &SourceVariable,
    level: usize,
    conversion: Conversion,
) -> Result<Range, String> {
    let layout = &source.layout;
    let mut range = Range::EMPTY;
    let mut start: Vec<usize> = layout.roles.iter().map(|role| if *role == Role::Level { level } else { 0 }).collect();
    loop {
        range.extend(&read_at(file, source, start.clone(), conversion)?);
        // the next place, the last dimension first
        let free = |dimension: &usize| matches!(layout.roles[*dimension], Role::Time | Role::Step | Role::Other);
        let next = (0..start.len()).rev().filter(free).find(|&d| start[d] + 1 < layout.lengths[d]);
        let Some(next) = next else { return Ok(range) };
        start[next] += 1;
        (next + 1..start.len()).filter(free).for_each(|dimension| start[dimension] = 0);
    }
}

/// Where a variable holds a time.
pub(super) fn time_index(source: &SourceVariable, time: crate::atmos::ValidTime) -> Option<usize> {
    source.times.iter().position(|other| *other == CfTime::Real(time))
}

/// Missing values, and values that contradict their unit: what was found, what was expected.
pub(super) fn implausible(
    values: &Array2<f32>,
    variable: &Variable,
    level: Level,
    grid: &Grid,
    units: &str,
) -> Option<(String, String)> {
    if let Some((row, column)) = values.indexed_iter().find(|(_, value)| !value.is_finite()).map(|(place, _)| place) {
        let missing = values.iter().filter(|value| !value.is_finite()).count();
        let (latitude, longitude) = grid.place(row, column);
        let found =
            format!("{missing} of {} values missing, the first at {latitude:.2} °N {longitude:.2} °E", values.len());
        return Some((found, "a complete field".to_owned()));
    }
    let mut range = Range::EMPTY;
    range.extend(values);
    contradicts_unit(range, variable, level, units)
}

/// What is wrong with a range of values that the atmosphere cannot show in the variable's unit, and what was expected.
pub(super) fn contradicts_unit(
    range: Range,
    variable: &Variable,
    level: Level,
    units: &str,
) -> Option<(String, String)> {
    // of a name of the package's own, what CF calls it tells the limits
    let by_standard_name = || lexicon::by_standard_name(&variable.standard_name, &level, None).and_then(known_variable);
    let (low, high) = known_variable(&variable.name).or_else(by_standard_name)?.plausible;
    if range.valid == 0 || (f64::from(range.low) >= low && f64::from(range.high) <= high) {
        return None;
    }
    let units_inside = &variable.units;
    let found = format!("values from {} to {} {units_inside} (from units {units:?})", range.low, range.high);
    Some((found, format!("{low} to {high} {units_inside}; is the unit in the file right?")))
}
