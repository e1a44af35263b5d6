//! Where workers run, beside the threads of a server: on the nodes of a site's own engine.
//!
//! The ledger is the truth about runs; an engine's jobs only bring workers to them. A job that is lost, killed or forgotten
//! costs a lease, never a run: what is left to do is looked up again, and jobs are submitted until there are enough.

mod slurm;

pub use slurm::{SlurmPlacement, SlurmSettings};
