//! What becomes of finished flows. Sinks make messages and lines of them; sockets are not known here.

mod json;
pub mod netflow;
pub mod options;
pub mod profile;
pub mod text;
