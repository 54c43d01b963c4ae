//! Listeners, sessions, mapping and slot files of `t2collect`.
