//! `t2x config`: what is in force, as a configuration file that says the same, with who gave it behind each line.

use std::fmt::{self, Display, Formatter};

use super::resolve::{InForce, Resolution};
use super::setting::Set;

impl Display for Resolution {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.in_force.iter().map(line).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max();
        for (line, origin) in &lines {
            writeln!(f, "{line:width$}  # {origin}", width = width.unwrap_or(0))?;
        }
        Ok(())
    }
}

/// The setting, and where its value comes from. One without a value is a comment.
fn line(one: &InForce) -> (String, String) {
    let name = one.setting.name;
    match &one.value {
        Some(value) => (
            format!(
                "{name} = {}",
                toml(one.setting.set, &value.to_string_lossy())
            ),
            one.origin.to_string(),
        ),
        None => {
            let origin = match one.setting.default.text() {
                "" => "not set".to_owned(),
                text => format!("default: {text}"),
            };
            (format!("# {name}"), origin)
        }
    }
}

/// A value as TOML: numbers and flags plain, everything else as a string.
fn toml(set: Set, value: &str) -> String {
    let is_number = value
        .parse::<u32>()
        .is_ok_and(|number| number.to_string() == value);
    match set {
        Set::Flag(_) => match value {
            "yes" | "true" | "1" => "true".to_owned(),
            _ => "false".to_owned(),
        },
        Set::Text(_) if is_number => value.to_owned(),
        Set::Text(_) | Set::Choice(..) | Set::Path(_) => quoted(value),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
