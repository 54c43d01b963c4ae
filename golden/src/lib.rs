//! Generators of captures and flow files (the program `t2gen`), and what the golden tests and the tests against other people's
//! programs share.

pub mod flows;
pub mod frames;
pub mod harness;
pub mod packet;
mod random;
pub mod replica;
pub mod tutorial;
