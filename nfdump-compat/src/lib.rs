//! nfcapd files and nfdump's reports, compatible with nfdump 1.7.1.

pub mod field;
pub mod file;
pub mod record;
