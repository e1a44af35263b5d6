//! Plausible before public.

use std::fmt;

use crate::atmos::{Field, ValidTime};
use crate::model::{Channel, ChannelLayout, Role};

/// A value that the atmosphere cannot have.
#[derive(Debug, Clone, PartialEq)]
pub struct Implausible {
    /// Of an ensemble.
    pub member: Option<usize>,
    pub channel: String,
    pub units: String,
    pub valid_time: ValidTime,
    pub value: f32,
    /// Degrees north and east.
    pub place: (f64, f64),
    pub count: usize,
    pub expected: (f64, f64),
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, units, valid_time, value, place: (latitude, longitude), count, expected, .. } = self;
        let (low, high) = expected;
        if let Some(member) = self.member {
            write!(f, "member {member}: ")?;
        }
        write!(
            f,
            "{channel} is {value} {units} at {latitude:.2} °N {longitude:.2} °E, valid {valid_time}; \
             expected {low} to {high} ({count} such value(s) in this field)"
        )
    }
}

/// The first value of each channel that is not finite or lies outside the channel's range; empty when all is well.
/// `fields` are in the layout's order. Of an `analysis`, which has none, diagnostic channels are not looked at.
pub fn check_plausible(fields: &[Field], layout: &ChannelLayout, analysis: bool) -> Vec<Implausible> {
    let mut found = Vec::new();
    let looked_at = |channel: &Channel| !(analysis && channel.role == Role::Diagnostic);
    for (field, channel) in fields.iter().zip(layout.iter()).filter(|(_, channel)| looked_at(channel)) {
        let (low, high) = channel.plausible;
        let inside = |value: f32| f64::from(value) >= low && f64::from(value) <= high && value.is_finite();
        let count = field.values().iter().filter(|value| !inside(**value)).count();
        if count == 0 {
            continue;
        }
        if let Some(((row, column), &value)) = field.values().indexed_iter().find(|(_, value)| !inside(**value)) {
            found.push(Implausible {
                member: None,
                channel: channel.label(),
                units: channel.variable.units.to_string(),
                valid_time: field.valid_time(),
                value,
                place: field.grid().place(row, column),
                count,
                expected: channel.plausible,
            });
        }
    }
    found
}
