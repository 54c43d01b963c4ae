//! `t2check collector`: any collector judged by what it stored.
//!
//! A case ([`script`]) is written in octets; [`assemble`] fills in what is known only at the run; [`sender`] sends it
//! to a [`subject`], which is started and watched as a [`process`](crate::process), or runs already; [`observe`] reads what it stored
//! into [`stored`] records; [`judge`] compares; [`run`] puts the verdicts together.

pub mod assemble;
pub mod certificates;
pub mod exposition;
pub mod json;
pub mod judge;
pub mod observe;
pub mod options;
pub mod run;
pub mod script;
pub mod sender;
pub mod stored;
pub mod subject;
mod text;
pub mod token;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod tests;
