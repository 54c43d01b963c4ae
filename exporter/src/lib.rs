//! Packets in, flows out: capture, dissection, metering and the sinks of `t2x`.
pub mod capture;
pub mod meter;
