//! Building blocks that architectures share.

pub mod gnn;
pub mod graph;
pub mod halo;
pub mod spherical;
