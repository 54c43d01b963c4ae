//! `t2x` as a command and as a library, against collectors on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

mod cli;
mod collectors;
mod config;
mod conservation;
mod export;
mod follow;
mod inputs;
mod outputs;
mod packets;
mod progress;
mod report;
mod support;
mod tranalyzer;
