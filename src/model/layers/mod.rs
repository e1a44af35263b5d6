//! Building blocks that architectures share.

pub mod spherical;
