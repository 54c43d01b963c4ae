//! `t2collect`.
fn main() {}
