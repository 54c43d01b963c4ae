//! Wrong usage of a command line, told in one line.

/// Clap's sentence about the command line of `program` and its tips, without the usage below.
#[must_use]
pub fn one_line(program: &str, error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:"))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more"))
        .collect();
    let text = lines.join("; ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    format!("{text} ({program} --help tells more)")
}
