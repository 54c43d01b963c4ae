//! What every long-running program needs at its edge: its configuration file, a place where its counters are read,
//! TLS from PEM files, and giving up the rights it started with.

pub mod config_file;
pub mod metrics;
pub mod tls;
pub mod user;
