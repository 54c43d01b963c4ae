//! What goes wrong, said on standard error.

use std::fmt::Display;

/// Says it. Names of files and words from them may hold anything: terminals get no control characters but line feeds.
pub fn say(message: impl Display) {
    let text: String = message
        .to_string()
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '?' } else { c })
        .collect();
    eprintln!("t2report: {text}");
}
