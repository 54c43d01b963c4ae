//! What a setting is: one row of the [table](super::table) that command line, environment and configuration files
//! are read by.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::cli::{
    ExportTime, ProfileKind, Rate, ReportForm, SampleMode, SinkKind, SocketType, TimeRule, Version,
};
use crate::config::Split;
use crate::dissect::Tunnel;
use crate::inputs::Rotation;
use crate::meter::{Metric, TcpTimeouts};
use crate::sink::text::Layout;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The long option, and the key in a configuration file.
    pub name: &'static str,
    /// The short option.
    pub short: Option<char>,
    /// Tranalyzer's name for it.
    pub t2: Option<T2Name>,
    /// What stands for the value in the help.
    pub value: &'static str,
    /// What holds when nobody sets it.
    pub default: Fallback,
    /// The part of the help that it belongs to.
    pub heading: Option<&'static str>,
    /// What it does. The default is told behind it.
    pub help: &'static str,
    /// Only one setting of a group can be given; a stronger place takes the whole group over.
    pub group: Option<&'static str>,
    /// It may be given several times.
    pub repeated: bool,
    /// Arguments without an option's name.
    pub words: bool,
    /// How a value is read.
    pub set: Set,
}

/// A row says what is different from this.
pub const SETTING: Setting = Setting {
    name: "",
    short: None,
    t2: None,
    value: "",
    default: Fallback::Nothing(""),
    heading: None,
    help: "",
    group: None,
    repeated: false,
    words: false,
    set: Set::Text(|_, _| Ok(())),
};

/// A name of Tranalyzer's.
#[derive(Debug)]
pub struct T2Name {
    /// The name in its configuration files.
    pub name: &'static str,
    /// The environment variable of that name counts, too.
    pub variable: bool,
    /// Its values that are called otherwise here.
    pub values: &'static [(&'static str, &'static str)],
}

/// A name of Tranalyzer's that is also read from the environment.
pub const fn t2(name: &'static str) -> Option<T2Name> {
    Some(T2Name {
        name,
        variable: true,
        values: &[],
    })
}

/// What holds when nobody sets something.
#[derive(Debug)]
pub enum Fallback {
    /// This value.
    Is(&'static str),
    /// What follows from the settings above it in the table, and how to say so.
    Follows(fn(&Settings) -> &'static str, &'static str),
    /// No value; what that means, if it is worth a word.
    Nothing(&'static str),
}

impl Fallback {
    /// For the help.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Fallback::Is(text) | Fallback::Follows(_, text) | Fallback::Nothing(text) => text,
        }
    }
}

/// Keeps a value, or says what is expected instead.
type Keep = fn(&mut Settings, &str) -> Result<(), String>;

/// How a value is read.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// Any text that the function takes.
    Text(Keep),
    /// One of some words.
    Choice(fn() -> Vec<PossibleValue>, Keep),
    /// A path, which need not be text.
    Path(fn(&mut Settings, PathBuf)),
    /// yes or no; the option alone is yes.
    Flag(fn(&mut Settings, bool)),
}

impl Setting {
    /// Reads `value` into `settings`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn read(&self, settings: &mut Settings, value: &OsStr) -> Result<(), String> {
        if let Set::Path(keep) = self.set {
            if value.is_empty() {
                return Err("a path expected".to_owned());
            }
            keep(settings, Path::new(value).to_owned());
            return Ok(());
        }
        let text = value
            .to_str()
            .ok_or_else(|| "text in UTF-8 expected".to_owned())?;
        match self.set {
            Set::Text(keep) | Set::Choice(_, keep) => keep(settings, text),
            Set::Flag(keep) => {
                keep(settings, parse_flag(text)?);
                Ok(())
            }
            Set::Path(_) => Ok(()),
        }
    }
}

/// `yes` or `no`, also as TOML and Tranalyzer write them.
pub(super) fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err("yes or no expected".to_owned()),
    }
}

/// Puts what was read in its place.
pub(super) fn put<T>(place: &mut T, read: Result<T, String>) -> Result<(), String> {
    *place = read?;
    Ok(())
}

/// The words of a choice.
pub(super) fn words<T: ValueEnum>() -> Vec<PossibleValue> {
    T::value_variants()
        .iter()
        .filter_map(T::to_possible_value)
        .collect()
}

/// One of the words of `T`.
pub(super) fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let words = words::<T>();
        let names: Vec<_> = words.iter().map(PossibleValue::get_name).collect();
        format!("one of {} expected", names.join(", "))
    })
}

/// Several of the words of `T`, with commas between them.
pub(super) fn choices<T: ValueEnum>(text: &str) -> Result<Vec<T>, String> {
    text.split(',').map(|word| choice(word.trim())).collect()
}

/// The values of all settings, before it is checked what they mean together. What it holds of itself does not count:
/// every setting with a default is set from the table.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // The table says what each is.
pub struct Settings {
    pub read: Option<PathBuf>,
    pub read_list: Option<PathBuf>,
    pub follow: Option<Rotation>,
    pub interface: Option<String>,
    pub filter: Option<String>,
    pub filter_file: Option<PathBuf>,

    pub write: Option<PathBuf>,
    pub split: Option<Split>,
    pub sink: Vec<SinkKind>,
    pub report: ReportForm,
    pub log_file: bool,
    pub packet_mode: bool,

    pub socket_addr: String,
    pub socket_port: u16,
    pub socket_type: SocketType,
    pub socket_content: Layout,

    pub buffer: u32,
    pub snap_length: u32,
    pub no_promiscuous: bool,
    pub no_io_buffering: bool,
    pub user: Option<String>,
    pub monitor: Option<Duration>,
    pub monitor_file: bool,
    pub metrics: Option<SocketAddr>,

    pub nf_version: Version,
    pub nf_addr: Vec<(String, Option<u16>)>,
    pub nf_port: u16,
    pub nf_socktype: SocketType,
    pub nf_num4flws: u32,
    pub nf_num6flws: u32,
    pub tls_ca: Option<PathBuf>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub reconnect: Duration,
    pub reconnect_queue: usize,
    pub mtu: u16,
    pub rate: Rate,
    pub profile: ProfileKind,
    pub source_id: u32,
    pub template_refresh: u32,
    pub template_refresh_messages: u32,
    pub export_time: ExportTime,
    pub biflow: bool,
    pub mpls: u8,
    pub link_flows: bool,
    pub options_data: bool,
    pub time_rule: TimeRule,

    pub bytes: Option<Metric>,
    pub idle_timeout: Duration,
    pub active_timeout: Option<Duration>,
    pub tcp_timeouts: TcpTimeouts,
    pub hash_factor: u16,
    pub tunnel: Tunnel,
    pub sample: Option<u32>,
    pub sample_mode: SampleMode,
    pub sample_seed: u64,
}
