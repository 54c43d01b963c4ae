//! The table of settings. A row is all it takes to have a new one: option, configuration file, environment, help,
//! `t2x config` and the suggestions for misspelt names read it from here.

mod flows;
mod input;
mod live;
mod netflow;
mod output;
mod socket;

use super::setting::Setting;

/// The parts of the table, in the order of the help. A default that follows from another setting stands below it.
static PARTS: [&[Setting]; 6] = [
    &input::SETTINGS,
    &output::SETTINGS,
    &live::SETTINGS,
    &netflow::SETTINGS,
    &socket::SETTINGS,
    &flows::SETTINGS,
];

/// All settings.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    PARTS.into_iter().flatten()
}

/// The setting that is called `name` here.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// The setting that Tranalyzer calls `name`.
#[must_use]
pub fn by_t2_name(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.t2.as_ref().is_some_and(|t2| t2.name == name))
}
