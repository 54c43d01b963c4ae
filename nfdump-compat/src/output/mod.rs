//! What is printed: numbers, times, addresses, the listing's fields and formats, the summary.
//!
//! Everything here appends bytes to a buffer; nothing reads a clock, the environment or a file.

/// Appends formatted text.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {
        $out.extend_from_slice(format!($($text)*).as_bytes())
    };
}
pub(crate) use put;

pub mod address;
pub mod columns;
pub mod csv;
pub mod events;
pub mod fields;
pub mod filters;
pub mod format;
pub mod json;
pub mod known;
pub mod number;
pub mod payload;
pub mod pipe;
pub mod protocols;
pub mod raw;
pub mod row;
pub mod style;
pub mod summary;
pub mod time;
pub mod values;
pub mod versions;
