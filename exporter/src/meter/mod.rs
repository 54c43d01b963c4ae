//! Packets in, finished flow pairs out.

mod config;
pub mod flow;
pub mod status;

pub use config::{MeterConfig, MeterStats, TcpTimeouts};
pub use flow::{
    EndReason, Endpoints, Flow, FlowSink, MAX_MAC_PAIRS, MacPair, Octets, TextFeatures,
};
