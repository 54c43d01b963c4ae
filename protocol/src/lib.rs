//! NetFlow v5, v9 and IPFIX on the wire, without I/O and without a clock.
//!
//! Bytes, a sender and a time go in; typed events ([`session`]) or finished
//! messages ([`encoder`]) come out. Nothing here opens a socket, reads a file
//! or asks the system for the time.

#![deny(clippy::indexing_slicing)]

pub mod encoder;
pub mod error;
pub mod framing;
pub mod limits;
pub mod reader;
pub mod registry;
pub mod rules;
pub mod session;
pub mod template;
pub mod value;
mod writer;
