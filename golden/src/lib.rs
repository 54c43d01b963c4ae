//! Generators of captures (the program `t2gen`), and what the golden tests and the tests against other people's
//! programs share.

pub mod frames;
pub mod harness;
pub mod packet;
pub mod replica;
pub mod tutorial;
