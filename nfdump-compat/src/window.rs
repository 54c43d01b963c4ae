//! The time window of `-t`: `YYYY/MM/dd.hh:mm:ss`, any tail missing, and perhaps `-` and the same for its end.

use anyhow::Context;
use jiff::{civil::DateTime, tz::TimeZone};
use nfdump_compat::query::Window;

const FORM: &str =
    "YYYY/MM/dd.hh:mm:ss[-YYYY/MM/dd.hh:mm:ss], from the right any part may be missing";

/// Reads a time window in local time. A begin before 1970 (east of Greenwich: in its first hours, too) is negative, in 64 bits.
///
/// # Errors
/// A sentence saying what cannot be a time.
pub fn parse(text: &str) -> anyhow::Result<Window> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (text, None),
    };
    let ms = |text: &str| {
        let seconds = moment(text).with_context(|| format!("{text} is no time: {FORM}"))?;
        anyhow::Ok(seconds * 1000)
    };
    Ok(Window {
        first_ms: ms(first)?.cast_unsigned(),
        last_ms: match last {
            // Before 1970 there are no flows.
            Some(last) => u64::try_from(ms(last)?).unwrap_or(0),
            None => u64::MAX,
        },
    })
}

/// Unix seconds of a local time.
fn moment(text: &str) -> Option<i64> {
    let mut parts = [0, 1, 1, 0, 0, 0_i16];
    let mut rest = text;
    for (index, part) in parts.iter_mut().enumerate() {
        let digits = if index == 0 { 4 } else { 2 };
        let number = rest.get(..digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *part = number.parse().ok()?;
        rest = rest.get(digits..)?;
        if rest.is_empty() {
            break;
        }
        let separator = ["/", "/", ".", ":", ":"].get(index)?;
        rest = rest.strip_prefix(separator)?;
    }
    let [year, month, day, hour, minute, second] = parts;
    let small = |part: i16| i8::try_from(part).ok();
    let time = DateTime::new(
        year,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    );
    let timestamp = TimeZone::system().to_timestamp(time.ok()?).ok()?;
    Some(timestamp.as_second())
}
