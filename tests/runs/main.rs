//! Runs that are asked for once arrive once, whole, whatever is killed on the way.

mod clients;
mod ensembles;
mod kills;
mod leases;
mod limits;
#[path = "../common/postgres.rs"]
mod postgres;
mod site;
