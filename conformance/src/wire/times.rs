//! Times of a record: alone, together, and against the header.

use protocol::registry::{DataType, ie};

use super::layout::Field;
use super::message::Message;
use super::rules::{Desk, R};
use crate::verdict::Verdict;

/// Clocks in headers have whole seconds, and messages take a moment to be made.
const TOLERANCE_MS: i64 = 3000;
const DAY_MS: i64 = 86_400_000;
/// 1980 and 1995: before the one no flow was ever metered, after the other most were.
const YEAR_1980_MS: i64 = 315_532_800_000;
const YEAR_1995_MS: i64 = 788_918_400_000;
/// Between the epochs of NTP and Unix.
const NTP_OFFSET_S: i64 = 2_208_988_800;
const HALF: u32 = 1 << 31;

/// A value and where it stands.
type At<T> = Option<(T, usize)>;

/// The times of one record.
#[derive(Debug, Default)]
pub(super) struct Times {
    first_uptime: At<u32>,
    last_uptime: At<u32>,
    /// Microseconds before the export time.
    first_delta: At<u32>,
    last_delta: At<u32>,
    /// Absolute times by unit: seconds, milliseconds, microseconds, nanoseconds.
    starts: [At<i64>; 4],
    ends: [At<i64>; 4],
}

impl Times {
    /// Takes in a time that counts from another one.
    pub(super) fn relative(&mut self, field: &Field, number: u64, offset: usize) {
        let narrow = u32::try_from(number).ok().map(|number| (number, offset));
        match field.id {
            ie::FLOW_START_SYS_UP_TIME => self.first_uptime = narrow,
            ie::FLOW_END_SYS_UP_TIME => self.last_uptime = narrow,
            ie::FLOW_START_DELTA_MICROSECONDS => self.first_delta = narrow,
            ie::FLOW_END_DELTA_MICROSECONDS => self.last_delta = narrow,
            _ => {}
        }
    }

    /// An absolute time, against the export time.
    pub(super) fn absolute(
        &mut self,
        field: &Field,
        data_type: DataType,
        (raw, length): (u64, usize),
        offset: usize,
        message: &Message<'_>,
        desk: &mut Desk,
    ) {
        if !(ie::FLOW_START_SECONDS..=ie::FLOW_END_NANOSECONDS).contains(&field.id) || raw == 0 {
            return;
        }
        let export_ms = message.export_ms();
        let time_ms = in_ms(data_type, raw);
        let latest = export_ms + DAY_MS;
        let sensible = |time_ms: i64| (YEAR_1995_MS..=latest).contains(&time_ms);
        if length == 8 && export_ms >= YEAR_1995_MS {
            let kept = sensible(time_ms) || !sensible(in_ms(data_type, raw.swap_bytes()));
            desk.judge(R::F01, kept, Verdict::WrongData, offset, 8, || {
                format!(
                    "{} is absurd, and right if its octets are read from last to first",
                    field.name()
                )
            });
            if !kept {
                return;
            }
        }
        let index = usize::from((field.id - ie::FLOW_START_SECONDS) / 2);
        let is_start = field.id.is_multiple_of(2);
        let times = if is_start {
            &mut self.starts
        } else {
            &mut self.ends
        };
        if let Some(slot) = times.get_mut(index) {
            *slot = Some((time_ms, offset));
        }
        if export_ms < YEAR_1995_MS {
            return;
        }
        let absurd = time_ms > latest || time_ms < YEAR_1980_MS;
        let other = absurd.then(|| other_unit(data_type, raw, latest)).flatten();
        desk.judge(
            R::F11,
            other.is_none(),
            Verdict::WrongData,
            offset,
            8,
            || {
                format!(
                    "{} is absurd, and right if read as {}",
                    field.name(),
                    other.unwrap_or("")
                )
            },
        );
        if other.is_none() && time_ms > export_ms + TOLERANCE_MS {
            desk.fault(R::H11, Verdict::Deviation, message.seconds_at(), 4, || {
                format!(
                    "export time is {} ms before {} at octet {offset}",
                    time_ms - export_ms,
                    field.name()
                )
            });
        }
    }

    /// Judges the times of a record together.
    pub(super) fn judge(&self, message: &Message<'_>, desk: &mut Desk) {
        self.judge_uptimes(message, desk);
        self.judge_deltas(message, desk);
        for (start, end) in self.starts.iter().zip(&self.ends) {
            if let (Some((start, at)), Some((end, _))) = (start, end) {
                desk.judge(R::F11, start <= end, Verdict::WrongData, *at, 8, || {
                    format!("the flow begins {} ms after its end", start - end)
                });
            }
        }
    }

    fn judge_uptimes(&self, message: &Message<'_>, desk: &mut Desk) {
        let Some(uptime) = message.uptime_ms else {
            return;
        };
        if let Some((last, at)) = self.last_uptime {
            judge_uptime(last, at, uptime, desk);
        }
        if let (Some((first, at)), Some((last, _)), 9) =
            (self.first_uptime, self.last_uptime, message.version)
        {
            judge_begins_first(R::F14, first, last, at, desk);
        }
    }

    /// RFC 7011 section 5.1, RFC 7012: what is further back is the greater number.
    fn judge_deltas(&self, message: &Message<'_>, desk: &mut Desk) {
        if message.version != 10 {
            return;
        }
        if let (Some((first, at)), Some((last, _))) = (self.first_delta, self.last_delta) {
            desk.judge(R::F12, first >= last, Verdict::WrongData, at, 4, || {
                format!(
                    "the flow begins {first} µs before the export time, and ends {last} µs before it"
                )
            });
        }
        let pairs = [
            (self.first_delta, &self.starts),
            (self.last_delta, &self.ends),
        ];
        for (delta, absolute) in pairs {
            // What is cut to seconds may be a second off on either side.
            let absolute = absolute.iter().flatten().next();
            if let (Some((delta, at)), Some((absolute_ms, _))) = (delta, absolute) {
                let time_ms = message.export_ms() - i64::from(delta) / 1000;
                let apart = (time_ms - absolute_ms).abs();
                desk.judge(
                    R::F12,
                    apart <= TOLERANCE_MS,
                    Verdict::WrongData,
                    at,
                    4,
                    || {
                        format!(
                            "{delta} µs before the export time is {apart} ms from the record's absolute time"
                        )
                    },
                );
            }
        }
    }
}

/// Uptimes of one record: the first packet is not after the last, but for the wrap.
pub(super) fn judge_begins_first(rule: R, first: u32, last: u32, at: usize, desk: &mut Desk) {
    let kept = last.wrapping_sub(first) < HALF;
    desk.judge(rule, kept, Verdict::WrongData, at, 4, || {
        format!(
            "the flow begins {} ms after its end",
            first.wrapping_sub(last)
        )
    });
}

/// A record of NetFlow v5 or v9 against the uptime of its header. After the wrap a time may look larger than the
/// uptime; it then lies less than half the range in the past.
pub(super) fn judge_uptime(last: u32, at: usize, uptime: u32, desk: &mut Desk) {
    let ahead = last.wrapping_sub(uptime);
    let kept = last <= uptime || ahead >= HALF || i64::from(ahead) <= TOLERANCE_MS;
    desk.judge(R::H13, kept, Verdict::Deviation, at, 4, || {
        format!("the flow ends at uptime {last} ms, the header's uptime is {uptime} ms: {ahead} ms in the future, or 49.7 days less in the past")
    });
}

/// Milliseconds since 1970, as the type says (RFC 7011 sections 6.1.7 to 6.1.10).
fn in_ms(data_type: DataType, raw: u64) -> i64 {
    let wide = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    match data_type {
        DataType::DateTimeSeconds => wide(raw.saturating_mul(1000)),
        DataType::DateTimeMilliseconds => wide(raw),
        _ => {
            let seconds = i64::try_from(raw >> 32).unwrap_or(0) - NTP_OFFSET_S;
            // The era that began in 2036.
            let seconds = if raw >> 63 == 0 {
                seconds + (1 << 32)
            } else {
                seconds
            };
            seconds * 1000 + wide(((raw & 0xffff_ffff) * 1000) >> 32)
        }
    }
}

/// The unit in which an absurd time is a sensible one.
fn other_unit(data_type: DataType, raw: u64, latest: i64) -> Option<&'static str> {
    let ms = i64::try_from(raw).unwrap_or(i64::MAX);
    let readings = [
        (
            ms.saturating_mul(1000),
            DataType::DateTimeSeconds,
            "seconds since 1970",
        ),
        (
            ms,
            DataType::DateTimeMilliseconds,
            "milliseconds since 1970",
        ),
        (ms / 1000, DataType::Boolean, "microseconds since 1970"),
        (ms / 1_000_000, DataType::Boolean, "nanoseconds since 1970"),
        (
            in_ms(DataType::DateTimeNanoseconds, raw),
            DataType::DateTimeNanoseconds,
            "an NTP timestamp",
        ),
    ];
    let ntp = |data_type| {
        matches!(
            data_type,
            DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds
        )
    };
    readings
        .into_iter()
        .find(|(time_ms, reading, _)| {
            let own = *reading == data_type || (ntp(*reading) && ntp(data_type));
            !own && (YEAR_1995_MS..=latest).contains(time_ms)
        })
        .map(|(_, _, name)| name)
}
