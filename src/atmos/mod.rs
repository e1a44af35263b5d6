//! The vocabulary: what every floor above agrees on. Imports nothing of ours.
//!
//! | type | is |
//! |---|---|
//! | [`Variable`] | a physical quantity: short name, CF standard name, canonical units |
//! | [`Level`] | where in the vertical |
//! | [`Grid`] | where on the Earth |
//! | [`Projection`] | how the Earth is laid on a plane |
//! | [`ReferenceTime`], [`LeadTime`], [`ValidTime`] | when: three types, because `valid = reference + lead` is the field's classic mix-up |
//! | [`Field`] | one variable on one level at one valid time, on the host |
//! | [`Analysis`] | fields at one or more valid times, on one grid |

mod analysis;
mod field;
mod grid;
mod level;
mod projection;
mod time;
mod variable;

pub use analysis::{Analysis, FieldKey};
pub use field::{Field, FieldError};
pub use grid::{Axes, Between, Coordinates, Grid, GridError, GridKind};
pub use level::{Level, LevelParseError};
pub use projection::{
    Attribute, Attributes, DEFAULT_EARTH_RADIUS, Earth, Method, Projection, ProjectionError, TrueScale,
};
pub use time::{LeadTime, ReferenceTime, TimeParseError, ValidTime};
pub use variable::{KNOWN_VARIABLES, KnownVariable, Variable, known_variable, known_variables};
