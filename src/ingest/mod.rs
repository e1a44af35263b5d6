//! Files → `Analysis`: reading, naming, units, axes.
