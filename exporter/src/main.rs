//! `t2x`.
fn main() {}
