//! Messages on stderr: set-up of `tracing`, and limits so that no sender can flood the log.

use jiff::{Timestamp, ZonedDateTime};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Form {
    /// As `journal` if stderr goes to the journal, else as `text`
    #[default]
    Auto,
    /// Local time, level, message
    Text,
    /// A priority as systemd's journal reads it (`<4>`) and the message
    Journal,
    /// An object with time, level and message
    Json,
}

/// Local time to the second, as in other collectors' logs.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// Changes how much is said while the program runs.
#[derive(Clone, Debug)]
pub struct Verbosity(reload::Handle<LevelFilter, Registry>);

impl Verbosity {
    /// As so many `-v` ask for.
    pub fn set(&self, verbose: u8) {
        // It fails only when there is no subscriber any more.
        let _ = self.0.reload(level(verbose));
    }
}

fn level(verbose: u8) -> LevelFilter {
    match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Sends log messages to stderr, or to syslog from the background: notices and worse, `-v` details, `-vv` everything.
#[must_use]
pub fn init(verbose: u8, form: Form) -> Verbosity {
    let (filter, handle) = reload::Layer::new(level(verbose));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = Layer::new()
        .with_writer(crate::daemon::LogWriter)
        .with_ansi(false);
    let is_journal = form == Form::Auto && std::env::var_os("JOURNAL_STREAM").is_some();
    // A second initialisation (tests) keeps the first.
    let _ = match form {
        Form::Journal => registry.with(lines.event_format(Journal)).try_init(),
        Form::Auto if is_journal => registry.with(lines.event_format(Journal)).try_init(),
        Form::Json => registry.with(lines.event_format(Json)).try_init(),
        Form::Auto | Form::Text => registry
            .with(lines.with_target(false).with_timer(LocalTime))
            .try_init(),
    };
    Verbosity(handle)
}

/// `<N>message`, N as in syslog.
struct Journal;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static>
    FormatEvent<S, N> for Journal
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let message = message(context, event)?.replace('\n', " ");
        writeln!(writer, "<{priority}>{message}")
    }
}

/// One object a line.
struct Json;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static>
    FormatEvent<S, N> for Json
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let line = serde_json::json!({
            "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "level": event.metadata().level().as_str(),
            "message": message(context, event)?,
        });
        writeln!(writer, "{line}")
    }
}

fn message<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static>(
    context: &FmtContext<'_, S, N>,
    event: &Event<'_>,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    context.format_fields(Writer::new(&mut text), event)?;
    Ok(text)
}

/// At most `burst` messages a minute of one kind; the rest is counted and told with the next that may pass.
#[derive(Clone, Debug)]
pub struct RateLimit {
    burst: u32,
    window_start_ms: u64,
    shown: u32,
    suppressed: u64,
}

impl RateLimit {
    const WINDOW_MS: u64 = 60_000;

    /// A limit of `burst` messages a minute.
    #[must_use]
    pub fn new(burst: u32) -> Self {
        Self {
            burst,
            window_start_ms: 0,
            shown: 0,
            suppressed: 0,
        }
    }

    /// Whether a message may be shown now, and how many were held back before it.
    pub fn pass(&mut self, now_ms: u64) -> Option<Suppressed> {
        // A clock that went backwards opens a new window, too.
        if now_ms.abs_diff(self.window_start_ms) >= Self::WINDOW_MS {
            self.window_start_ms = now_ms;
            self.shown = 0;
        }
        if self.shown >= self.burst {
            self.suppressed += 1;
            return None;
        }
        self.shown += 1;
        Some(Suppressed(std::mem::take(&mut self.suppressed)))
    }
}

/// How many messages like this were held back; empty text when none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suppressed(pub u64);

impl std::fmt::Display for Suppressed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, " ({n} more like this were not shown)"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_burst_a_minute_passes_and_the_rest_is_counted() {
        let mut limit = RateLimit::new(2);
        assert_eq!(limit.pass(100_000).unwrap(), Suppressed(0));
        assert_eq!(limit.pass(100_001).unwrap(), Suppressed(0));
        assert_eq!(limit.pass(100_002), None);
        assert_eq!(limit.pass(159_999), None);
        let passed = limit.pass(160_000).unwrap();
        assert_eq!(passed.to_string(), " (2 more like this were not shown)");
    }
}
