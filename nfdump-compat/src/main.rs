//! `t2report`.
fn main() {}
