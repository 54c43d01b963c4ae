//! `t2gen`.
fn main() {}
