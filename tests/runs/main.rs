//! Runs that are asked for once arrive once, whole, whatever is killed on the way.

mod clients;
mod devices;
mod ensembles;
mod faults;
mod kills;
mod leases;
mod limits;
#[path = "../common/postgres.rs"]
mod postgres;
#[path = "../common/python.rs"]
#[allow(dead_code, reason = "the S3 server is started, and not waited for")]
mod python;
#[path = "../common/s3.rs"]
mod s3;
mod schedule;
mod site;
mod slurm;
mod traces;
mod truth;
