//! What is printed: numbers, times, addresses, the listing's fields and formats, the summary.
//!
//! Everything here appends bytes to a buffer; nothing reads a clock, the environment or a file.

pub mod address;
pub mod csv;
pub mod fields;
pub mod format;
pub mod number;
pub mod protocols;
pub mod row;
pub mod style;
pub mod summary;
pub mod time;
pub mod values;
