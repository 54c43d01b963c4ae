//! Times and durations: local time from Unix milliseconds, durations in nfdump's `12d 03:04:05.678` or in plain seconds.

use super::number::{align_right, push_u64, push_zero_padded};
use jiff::{Timestamp, tz::TimeZone};

/// Writes Unix times as local time. Looks the UTC offset up once per period between two clock changes.
#[derive(Clone, Debug)]
pub struct LocalTime {
    zone: TimeZone,
    /// Seconds for which `offset` holds: from (inclusive), to (exclusive).
    valid: (i64, i64),
    offset: i64,
    day: i64,
    date: Vec<u8>,
}

impl LocalTime {
    /// A writer for `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            valid: (0, 0),
            offset: 0,
            day: i64::MIN,
            date: Vec::new(),
        }
    }

    /// Appends `YYYY-MM-DD HH:MM:SS` for Unix seconds.
    pub fn push_seconds(&mut self, out: &mut Vec<u8>, seconds: u64) {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        if seconds < self.valid.0 || seconds >= self.valid.1 {
            self.look_up(seconds);
        }
        let local = seconds + self.offset;
        let day = local.div_euclid(86_400);
        if day != self.day {
            self.day = day;
            self.date.clear();
            push_date(&mut self.date, day);
        }
        out.extend_from_slice(&self.date);
        let second = local.rem_euclid(86_400) as u64;
        for (separator, part) in [
            (b' ', second / 3600),
            (b':', second / 60 % 60),
            (b':', second % 60),
        ] {
            out.push(separator);
            push_zero_padded(out, part, 2);
        }
    }

    /// Appends `YYYY-MM-DD HH:MM:SS.mmm` for Unix milliseconds.
    pub fn push_ms(&mut self, out: &mut Vec<u8>, ms: u64) {
        self.push_seconds(out, ms / 1000);
        out.push(b'.');
        push_zero_padded(out, ms % 1000, 3);
    }

    fn look_up(&mut self, seconds: i64) {
        let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        self.offset = i64::from(self.zone.to_offset(at).seconds());
        let after = Timestamp::from_second(seconds.saturating_add(1)).unwrap_or(Timestamp::MAX);
        let from = self
            .zone
            .preceding(after)
            .next()
            .map_or(i64::MIN, |change| change.timestamp().as_second());
        let to = self
            .zone
            .following(at)
            .next()
            .map_or(i64::MAX, |change| change.timestamp().as_second());
        self.valid = (from, to);
    }
}

/// Civil date of a day number counted from 1970-01-01 (proleptic Gregorian calendar).
fn push_date(out: &mut Vec<u8>, day: i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    push_zero_padded(out, year.unsigned_abs(), 4);
    out.push(b'-');
    push_zero_padded(out, month.unsigned_abs(), 2);
    out.push(b'-');
    push_zero_padded(out, day_of_month.unsigned_abs(), 2);
}

/// Appends seconds with three decimals (`%W.3f`), right-aligned in `width` columns.
pub fn push_duration_seconds(out: &mut Vec<u8>, ms: u64, width: usize) {
    let start = out.len();
    if ms < 1 << 53 {
        push_u64(out, ms / 1000);
        out.push(b'.');
        push_zero_padded(out, ms % 1000, 3);
    } else {
        out.extend_from_slice(format!("{:.3}", ms as f64 / 1000.0).as_bytes());
    }
    align_right(out, start, width);
}

/// Appends a duration as `    HH:MM:SS.mmm` or `DDd HH:MM:SS.mmm` (16 columns below 100 days).
pub fn push_duration_clock(out: &mut Vec<u8>, ms: u64) {
    const FIRST_OVERFLOW_DAYS: u64 = 24_855;
    let seconds = ms / 1000;
    let days = seconds / 86_400;
    if days >= FIRST_OVERFLOW_DAYS {
        push_overflowing_clock(out, ms);
        return;
    }
    if days == 0 {
        out.extend_from_slice(b"    ");
    } else {
        let start = out.len();
        push_u64(out, days);
        align_right(out, start, 2);
        out.extend_from_slice(b"d ");
    }
    push_zero_padded(out, seconds / 3600 % 24, 2);
    out.push(b':');
    push_zero_padded(out, seconds / 60 % 60, 2);
    out.push(b':');
    push_zero_padded(out, seconds % 60, 2);
    out.push(b'.');
    push_zero_padded(out, ms % 1000, 3);
}

/// Durations that no flow has, for example last before first: nfdump 1.7.1 computes them in 32-bit integers and prints what
/// the overflow leaves; the same arithmetic here gives the same text.
fn push_overflowing_clock(out: &mut Vec<u8>, ms: u64) {
    let mut rest = ms as f64 / 1000.0;
    let mut part = |unit: i32| {
        let count = to_int(rest / f64::from(unit));
        rest -= f64::from(count.wrapping_mul(unit));
        count
    };
    let (days, hours, minutes) = (part(86_400), part(3600), part(60));
    out.extend_from_slice(format!("{days:>2}d {hours:02}:{minutes:02}:{rest:06.3}").as_bytes());
}

fn to_int(value: f64) -> i32 {
    if value > f64::from(i32::MAX) || value < f64::from(i32::MIN) {
        i32::MIN
    } else {
        value as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Durations printed by nfdump 1.7.1 (with flows of that length).
    #[test]
    fn durations_as_nfdump() {
        for (ms, expected) in [
            (0, "    00:00:00.000"),
            (999, "    00:00:00.999"),
            (86_399_999, "    23:59:59.999"),
            (86_400_000, " 1d 00:00:00.000"),
            (8_640_000_000, "100d 00:00:00.000"),
            (1_728_000_000_000, "20000d 00:00:00.000"),
            (
                u64::MAX,
                "-2147483648d -2147483648:-2147483648:18446744073709552.000",
            ),
            (
                2_280_620_707_200_000,
                "26396073d 633507676:-2147483648:2280627634752.000",
            ),
        ] {
            assert_eq!(text(|out| push_duration_clock(out, ms)), expected);
        }
        assert_eq!(
            text(|out| push_duration_seconds(out, 3_599_999, 16)),
            "        3599.999"
        );
        assert_eq!(
            text(|out| push_duration_seconds(out, u64::MAX, 16)),
            "18446744073709552.000"
        );
    }

    #[test]
    fn local_time_across_a_clock_change() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a valid zone");
        let mut time = LocalTime::new(zone);
        for (ms, expected) in [
            (1_258_544_215_037, "2009-11-18 12:36:55.037"),
            (1_269_737_999_999, "2010-03-28 01:59:59.999"),
            (1_269_738_000_000, "2010-03-28 03:00:00.000"),
            (0, "1970-01-01 01:00:00.000"),
            (1_709_164_800_000, "2024-02-29 01:00:00.000"),
            (253_402_300_800_000, "10000-01-01 01:00:00.000"),
            (1_269_738_000_001, "2010-03-28 03:00:00.001"),
        ] {
            assert_eq!(text(|out| time.push_ms(out, ms)), expected);
        }
    }

    #[test]
    fn the_far_future_does_not_overflow() {
        let mut time = LocalTime::new(TimeZone::UTC);
        assert_eq!(
            text(|out| time.push_ms(out, 1 << 63)),
            "292278994-08-17 07:12:55.808"
        );
        assert!(!text(|out| time.push_seconds(out, u64::MAX)).is_empty());
    }
}
