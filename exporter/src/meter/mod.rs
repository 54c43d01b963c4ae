//! Packets in, finished flow pairs out.
pub mod flow;
