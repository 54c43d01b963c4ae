//! Which value of each setting is in force, and who gave it: option over environment over configuration file over
//! default.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use super::file::ConfigFile;
use super::setting::{Fallback, Setting, Settings};
use super::{UsageError, table};
use crate::cli::Cli;

/// Where a value comes from, the strongest last.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// The environment variable of this name.
    Variable(&'static str),
    /// The command line.
    Option,
}

impl Origin {
    /// How strong it is.
    fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File(..) => 1,
            Origin::Variable(_) => 2,
            Origin::Option => 3,
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::Option => f.write_str("option"),
        }
    }
}

/// A setting and what is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value; `None`: it has none, which is the default then.
    pub value: Option<OsString>,
    /// Who gave it.
    pub origin: Origin,
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// In the order of the table.
    pub in_force: Vec<InForce>,
    /// Their values.
    pub settings: Settings,
}

impl Resolution {
    /// Asks command line, environment (`variable` looks up a name), configuration file and table for every setting.
    ///
    /// # Errors
    /// When a value makes no sense or two exclude each other; for the file, all that is wrong with it.
    pub fn new(
        cli: &Cli,
        variable: &dyn Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let file = match &cli.config {
            Some(path) => Some(ConfigFile::read(path)?),
            None => None,
        };
        let mut in_force: Vec<InForce> = table::all()
            .map(|setting| given(setting, cli, variable, file.as_ref()))
            .collect();
        weaker_of_a_group(&mut in_force)?;
        let mut settings = Settings::default();
        for one in &mut in_force {
            if one.value.is_none() {
                one.value = match one.setting.default {
                    Fallback::Is(text) => Some(text.into()),
                    Fallback::Follows(follow, _) => Some(follow(&settings).into()),
                    Fallback::Nothing(_) => None,
                };
            }
            if let Some(value) = &one.value {
                one.setting
                    .read(&mut settings, value)
                    .map_err(|expected| wrong(one.setting, &one.origin, value, expected))?;
            }
        }
        Ok(Resolution { in_force, settings })
    }
}

/// The strongest of what was said about a setting. An empty variable counts as not set.
fn given(
    setting: &'static Setting,
    cli: &Cli,
    variable: &dyn Fn(&'static str) -> Option<OsString>,
    file: Option<&ConfigFile>,
) -> InForce {
    let by_variable = || {
        let name = setting.t2.as_ref().filter(|t2| t2.variable)?.name;
        let value = variable(name).filter(|value| !value.is_empty())?;
        Some((value, Origin::Variable(name)))
    };
    let by_file = || {
        let file = file?;
        let (value, line) = file.get(setting.name)?;
        Some((value.into(), Origin::File(file.path.clone(), line)))
    };
    let found = cli
        .given(setting.name)
        .map(|value| (value.to_owned(), Origin::Option))
        .or_else(by_variable)
        .or_else(by_file);
    match found {
        Some((value, origin)) => InForce {
            setting,
            value: Some(value),
            origin,
        },
        None => InForce {
            setting,
            value: None,
            origin: Origin::Default,
        },
    }
}

/// Of a group, only what the strongest place says counts. The command line excludes two by itself.
fn weaker_of_a_group(in_force: &mut [InForce]) -> Result<(), UsageError> {
    let groups: Vec<_> = in_force
        .iter()
        .filter(|one| one.value.is_some())
        .filter_map(|one| Some((one.setting, one.setting.group?, one.origin.clone())))
        .collect();
    for one in in_force.iter_mut().filter(|one| one.value.is_some()) {
        let others = groups.iter().filter(|(setting, group, _)| {
            one.setting.group == Some(group) && setting.name != one.setting.name
        });
        for (other, _, origin) in others {
            if origin.rank() > one.origin.rank() {
                one.value = None;
            } else if let (Origin::File(path, line), Origin::File(..)) = (origin, &one.origin) {
                return Err(UsageError::File(vec![format!(
                    "{}:{line}: {} cannot be given with {}",
                    path.display(),
                    other.name,
                    one.setting.name
                )]));
            }
        }
        if one.value.is_none() {
            one.origin = Origin::Default;
        }
    }
    Ok(())
}

fn wrong(setting: &Setting, origin: &Origin, value: &OsStr, expected: String) -> UsageError {
    let value = value.to_string_lossy().into_owned();
    match origin {
        Origin::Variable(name) => UsageError::Environment {
            name,
            value,
            expected,
        },
        Origin::File(path, line) => UsageError::File(vec![format!(
            "{}:{line}: {} = {value}: {expected}",
            path.display(),
            setting.name
        )]),
        Origin::Option | Origin::Default => UsageError::Option {
            name: setting.name,
            value,
            expected,
        },
    }
}
