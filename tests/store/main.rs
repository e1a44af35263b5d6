//! The store keeps its promises on every kind of storage: a local folder, memory, and a real S3 server.

mod clients;
mod conformance;
mod crashes;
mod damage;
mod ensemble;
mod forecast;
mod grids;
mod locations;
#[path = "../common/python.rs"]
mod python;
#[path = "../common/s3.rs"]
mod s3;
mod speed;
