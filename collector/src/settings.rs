//! Configuration files in TOML: the long options of a program are the keys, so that a file can say what a command line
//! can, and nothing else. Whatever the command line says itself comes first.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use service::config_file::{self, Fault, ListEntry, similar};

/// What is wrong with a configuration file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1; 0: the whole file.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.what),
        }
    }
}

impl std::error::Error for SettingsError {}

/// The arguments that the file adds to a command line that says `given`. A key counts neither when the command line or
/// the environment has it (`given`, or listed in `overridden` by its long name), nor when they have something that it
/// contradicts.
///
/// # Errors
/// The file cannot be read, is no TOML, or has keys or values that are no options of `command`.
pub fn arguments(
    command: &Command,
    given: &ArgMatches,
    overridden: &[&str],
    path: &Path,
) -> Result<Vec<OsString>, SettingsError> {
    let error = |line, what| SettingsError {
        path: path.to_owned(),
        line,
        what,
    };
    let text = config_file::text(path).map_err(|what| error(0, what))?;
    let entries =
        config_file::toml_lists(&text).map_err(|faults| match faults.into_iter().next() {
            Some(Fault { line, what }) => error(line, what),
            None => error(0, "no TOML".to_owned()),
        })?;
    let mut arguments = Vec::new();
    for entry in &entries {
        let wrong = |what| error(entry.line, what);
        let name = entry.key.as_str();
        let argument = find(command, name)
            .ok_or_else(|| wrong(format!("unknown setting '{name}'{}", meant(command, name))))?;
        let words = words(argument, entry).map_err(wrong)?;
        check(command, name, &words).map_err(wrong)?;
        if !overridden.contains(&name) && !is_given(command, given, argument) {
            arguments.extend(words.into_iter().map(OsString::from));
        }
    }
    Ok(arguments)
}

/// Options that may stand in a file: those with a long name that do not ask for something else than running.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        let no_setting = matches!(argument.get_long(), Some("config" | "check-config"));
        let action = argument.get_action();
        let shows = matches!(
            action,
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        argument.get_long().is_some() && !no_setting && !shows
    })
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    settings(command).find(|argument| argument.get_long() == Some(name))
}

/// The setting that was probably meant.
fn meant(command: &Command, name: &str) -> String {
    match similar(name, settings(command).filter_map(Arg::get_long)) {
        Some(known) => format!(", did you mean '{known}'?"),
        None => String::new(),
    }
}

/// What the command line would have to say for a value.
fn words(argument: &Arg, entry: &ListEntry) -> Result<Vec<String>, String> {
    let name = &entry.key;
    let word = |value: &String| format!("--{name}={value}");
    match (argument.get_action(), entry.values.as_slice()) {
        (ArgAction::SetTrue, [value]) if value == "true" => Ok(vec![format!("--{name}")]),
        (ArgAction::SetTrue, [value]) if value == "false" => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err(format!("'{name}' is to be true or false")),
        (ArgAction::Append, values) => Ok(values.iter().map(word).collect()),
        (_, [value]) => Ok(vec![word(value)]),
        _ => Err(format!("'{name}' has one value, not a list")),
    }
}

/// Whether each value is one that the option takes.
fn check(command: &Command, name: &str, words: &[String]) -> Result<(), String> {
    for word in words {
        let line = [command.get_name(), word];
        let Err(error) = command.clone().try_get_matches_from(line) else {
            continue;
        };
        // What it needs or contradicts is judged with the whole command line.
        let alone = [
            ErrorKind::InvalidValue,
            ErrorKind::ValueValidation,
            ErrorKind::WrongNumberOfValues,
            ErrorKind::TooManyValues,
            ErrorKind::NoEquals,
        ];
        if alone.contains(&error.kind()) {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            return Err(format!("'{name}': {first}"));
        }
    }
    Ok(())
}

/// Whether the command line or the environment has the option, or one that it contradicts.
fn is_given(command: &Command, given: &ArgMatches, argument: &Arg) -> bool {
    let said = |argument: &Arg| {
        matches!(
            given.value_source(argument.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    let contradicts = |other: &Arg| {
        let conflicts = |a: &Arg, b: &Arg| {
            command
                .get_arg_conflicts_with(a)
                .iter()
                .any(|c| c.get_id() == b.get_id())
        };
        said(other) && (conflicts(argument, other) || conflicts(other, argument))
    };
    said(argument) || command.get_arguments().any(contradicts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn program() -> Command {
        Command::new("program")
            .arg(Arg::new("config").long("config"))
            .arg(
                Arg::new("port")
                    .long("port")
                    .short('p')
                    .value_parser(clap::value_parser!(u16)),
            )
            .arg(Arg::new("dir").long("directory").short('w'))
            .arg(
                Arg::new("source")
                    .long("source")
                    .short('n')
                    .action(ArgAction::Append)
                    .conflicts_with("dir"),
            )
            .arg(Arg::new("utc").long("utc").action(ArgAction::SetTrue))
    }

    fn with(line: &str, file: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let given =
            program().get_matches_from(std::iter::once("program").chain(line.split_whitespace()));
        arguments(&program(), &given, &[], &path)
            .map(|words| {
                words
                    .into_iter()
                    .map(|w| w.into_string().unwrap())
                    .collect()
            })
            .map_err(|error| {
                let text = error.to_string();
                text.rsplit_once('/').unwrap().1.to_owned()
            })
    }

    #[test]
    fn the_command_line_comes_first() {
        let file = "# comment\nport = 2055\nutc = true\nsource = [\"a,1\", \"b\"]\n";
        assert_eq!(
            with("", file).unwrap(),
            ["--port=2055", "--utc", "--source=a,1", "--source=b"]
        );
        assert_eq!(with("-p 1 -n x", file).unwrap(), ["--utc"]);
        assert_eq!(with("-w /tmp", file).unwrap(), ["--port=2055", "--utc"]);
        assert_eq!(with("", "utc = false").unwrap(), [""; 0]);
    }

    #[test]
    fn errors_have_a_line_and_a_suggestion() {
        let say = |file| with("", file).unwrap_err();
        assert_eq!(
            say("\nprot = 1"),
            "c.toml:2: unknown setting 'prot', did you mean 'port'?"
        );
        assert_eq!(say("xyzzy = 1"), "c.toml:1: unknown setting 'xyzzy'");
        assert_eq!(say("config = 'x'"), "c.toml:1: unknown setting 'config'");
        assert_eq!(say("utc = 1"), "c.toml:1: 'utc' is to be true or false");
        assert_eq!(
            say("port = [1, 2]"),
            "c.toml:1: 'port' has one value, not a list"
        );
        assert!(say("[port]\nx = 1").starts_with("c.toml:1: port: a text, a number"));
        assert!(
            say("utc = true\nport = 70000").starts_with("c.toml:2: 'port': invalid value '70000'")
        );
        assert!(say("port = 1\nport = 2").starts_with("c.toml:2: "));
        assert!(say("port = ").starts_with("c.toml:1: "));
        let missing = arguments(
            &program(),
            &program().get_matches_from(["program"]),
            &[],
            Path::new("/no/such"),
        );
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .starts_with("/no/such: cannot read")
        );
    }
}
