//! NetFlow v1, v5, v7, v9 and IPFIX on the wire, without I/O and without a clock.
//!
//! Bytes, a sender and a time go in; typed events ([`session`]) or finished
//! messages ([`encoder`]) come out. Nothing here opens a socket, reads a file
//! or asks the system for the time.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod encoder;
pub mod error;
mod fixed;
pub mod framing;
mod ipfix;
pub mod limits;
pub mod reader;
pub mod registry;
pub mod rules;
pub mod session;
pub mod structured;
pub mod template;
mod v9;
pub mod value;
mod writer;

pub use fixed::v5_record;

#[cfg(test)]
mod testing;
