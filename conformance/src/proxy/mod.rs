//! `t2check proxy`: a relay between exporter and collector that does to messages what networks and devices do, with a
//! seed, by a script, and with a balance: what came in is what was delivered and what was done to it.
//!
//! [`faults`] decides, without a socket or a clock of its own; [`content`] rewrites messages; [`relay`] moves them.

pub mod content;
pub mod faults;
pub mod options;
pub mod relay;
