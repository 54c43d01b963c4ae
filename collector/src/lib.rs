//! Listeners, sessions, mapping and slot files of `t2collect`.
//!
//! A datagram goes [`listen`] → `protocol::session` → [`map`] → [`slot`]; [`store`] is where the last three meet and
//! [`run`] is the loop that drives them.

pub mod cli;
pub mod config;
pub mod explain;
pub mod json;
pub mod knowledge;
pub mod limits;
pub mod listen;
pub mod log;
pub mod map;
pub mod merge;
pub mod replay;
pub mod run;
pub mod slot;
pub mod state;
pub mod store;
