//! Packets in, flows out: capture, dissection, metering and the sinks of `t2x`.
pub mod capture;
pub mod cli;
pub mod config;
pub mod dissect;
pub mod export;
pub mod inputs;
pub mod meter;
pub mod metrics;
pub mod monitor;
mod pass;
pub mod progress;
pub mod report;
pub mod run;
pub mod send;
pub mod signals;
pub mod sink;
pub mod text_files;
mod watch;
