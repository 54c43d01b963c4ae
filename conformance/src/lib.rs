//! Exporters and collectors judged by the rules of NetFlow and IPFIX: the parts of `t2check`.
//!
//! The sentences of the rules stand in [`protocol::rules`]; here is who they bind, how they are observed, and
//! what a message, or a device, makes of them.

pub mod catalogue;
pub mod cli;
pub mod collector;
pub mod context;
pub mod explain;
pub mod file;
pub mod inspection;
pub mod known;
pub mod live;
pub mod load;
pub mod matrix;
pub mod metering;
mod numbering;
pub mod process;
pub mod proxy;
pub mod report;
pub mod run;
pub mod vectors;
pub mod verdict;
pub mod watch;
pub mod wire;

#[cfg(test)]
mod faulty;
