//! nfcapd files and nfdump's reports, compatible with nfdump 1.7.1.

pub mod aggregate;
pub mod diff;
pub mod dns;
pub mod field;
pub mod file;
pub mod filter;
pub mod geo;
pub mod groups;
pub mod handshake;
pub mod names;
pub mod output;
pub mod query;
pub mod record;
pub mod stat;
pub mod usage;
