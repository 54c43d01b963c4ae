//! What `t2gen` writes, judged by readers that share no code with it.
#![allow(clippy::unwrap_used, missing_docs)]

mod frames;
mod reader;
mod replica;
