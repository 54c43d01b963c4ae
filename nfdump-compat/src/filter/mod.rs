//! The filter language of nfdump 1.7.1, and what later versions added to it: text in, a program over flow records out.
//!
//! Opens no file and asks no name server: what `@include` and host names stand for is handed in through [`Outside`].

mod address;
mod explain;
mod lexer;
mod names;
mod parse;
mod program;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod value;

pub use names::FORWARDING_STATUS;
pub use program::{Context, Filter, Match};

use std::net::IpAddr;

/// What a filter cannot know by itself.
pub trait Outside {
    /// The text of an included file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn include(&mut self, path: &str) -> Result<String, String>;

    /// The addresses of a host name; none if it cannot be resolved.
    fn resolve(&mut self, name: &str) -> Vec<IpAddr>;

    /// A time in ISO 8601, local if it names no zone, in Unix milliseconds; none if it is no time.
    fn time(&mut self, text: &str) -> Option<u64>;
}

/// Whose rules hold where versions of nfdump disagree about the same words. Words that only later versions have follow
/// their rules always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// nfdump 1.7.1: a field that a record does not have is 0, and negated flags are any of them.
    #[default]
    V1_7_1,
    /// From nfdump 1.7.2 on: a test of a field that a record does not have fails.
    Later,
}

/// A filter that cannot be used: where, why, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message} at '{word}'{}", place(.file.as_deref(), *.line), hint(.expected))]
pub struct FilterError {
    /// The file, of a filter from a file.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, in nfdump's words where it says the same.
    pub message: String,
    /// The offending word; empty at the end of the filter.
    pub word: String,
    /// What could stand there; empty if the message says it.
    pub expected: &'static str,
}

fn place(file: Option<&str>, line: usize) -> String {
    match file {
        Some(file) => format!("File '{file}' line {line}"),
        None => format!("Line {line}"),
    }
}

fn hint(expected: &str) -> String {
    if expected.is_empty() {
        String::new()
    } else {
        format!("\nexpected: {expected}")
    }
}

impl Filter {
    /// Compiles a filter; `file` names where the text is from. A text without any word lets everything pass.
    ///
    /// # Errors
    /// [`FilterError`] at the first word that cannot stand where it stands.
    pub fn parse(
        text: &str,
        file: Option<&str>,
        dialect: Dialect,
        outside: &mut dyn Outside,
    ) -> Result<Self, FilterError> {
        parse::parse(text, file, dialect, outside)
    }
}
