//! Model packages and networks.

pub mod arch;
pub mod layers;
