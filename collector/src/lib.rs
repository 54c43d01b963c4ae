//! Listeners, sessions, mapping and slot files of `t2collect`.
//!
//! A datagram goes [`listen`] → `protocol::session` → [`map`] → [`slot`]; [`store`] is where the last three meet,
//! [`workers`] are the threads that do this, and [`run`] is the loop that drives them.

pub mod board;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod expire;
pub mod explain;
pub mod json;
pub mod knowledge;
pub mod launcher;
pub mod limits;
pub mod listen;
pub mod log;
pub mod map;
pub mod merge;
pub mod metrics;
pub mod nfcapd;
pub mod replay;
pub mod run;
pub mod settings;
pub mod slot;
pub mod state;
pub mod store;
pub mod systemd;
pub mod workers;
