//! When a flow began and ended, out of whatever the exporter says about it.

use super::elements::Time;

/// 2^32 ms, the period of `sysUpTime`.
const UPTIME_WRAP_MS: i64 = 1 << 32;
/// Seconds from 1900 (NTP) to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;
/// 2036-02-07T06:28:16Z, where NTP's 32 bits of seconds start again (RFC 4330 section 3: era by the top bit).
const NTP_ERA_S: u64 = 1 << 32;

/// What the header of the message knows.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Export time, milliseconds since 1970.
    pub export_ms: i64,
    /// `sysUpTime` at the export time; `None` for IPFIX.
    pub uptime_ms: Option<u32>,
    /// When the exporter started, milliseconds since 1970, from an options record.
    pub system_init_ms: Option<i64>,
}

/// The times that one record mentions.
#[derive(Clone, Copy, Default, Debug)]
pub struct Times {
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    event_ms: Option<i64>,
    first_uptime: Option<u32>,
    last_uptime: Option<u32>,
    system_init_ms: Option<i64>,
    duration_ms: Option<i64>,
}

impl Times {
    /// Takes one element's value.
    pub fn set(&mut self, what: Time, value: u64, clock: &Clock) {
        let ms = i64::try_from(value).unwrap_or(i64::MAX);
        let seconds = ms.saturating_mul(1000);
        match what {
            // The low 32 bits count, whatever the length.
            Time::FirstUptime => self.first_uptime = Some(value as u32),
            Time::LastUptime => self.last_uptime = Some(value as u32),
            Time::FirstSeconds => self.first_ms = Some(seconds),
            Time::LastSeconds => self.last_ms = Some(seconds),
            Time::FirstMillis => self.first_ms = Some(ms),
            Time::LastMillis => self.last_ms = Some(ms),
            Time::FirstNtp => self.first_ms = Some(ntp_ms(value)),
            Time::LastNtp => self.last_ms = Some(ntp_ms(value)),
            Time::FirstDelta => self.first_ms = Some(clock.export_ms.saturating_sub(ms / 1000)),
            Time::LastDelta => self.last_ms = Some(clock.export_ms.saturating_sub(ms / 1000)),
            Time::SystemInit => self.system_init_ms = Some(ms),
            Time::DurationMillis => self.duration_ms = Some(ms),
            Time::DurationMicros => self.duration_ms = Some(ms / 1000),
            Time::EventSeconds => self.event_ms = Some(seconds),
            Time::EventMillis => self.event_ms = Some(ms),
            Time::EventNtp => self.event_ms = Some(ntp_ms(value)),
        }
    }

    /// First and last millisecond of the flow. A flow whose end is not told ends with the event that its record reports.
    /// A record that says nothing gets the time of the event, else the export time: it was seen then at the latest
    /// (nfcapd 1.7.1 leaves 1970).
    #[must_use]
    pub fn flow(&self, clock: &Clock) -> (u64, u64) {
        let (mut first, mut last) = self.by_uptime(clock);
        first = self.first_ms.or(first);
        last = self.last_ms.or(last);
        let (first, last) = match (first, last) {
            (Some(first), Some(last)) => (first, last),
            (Some(first), None) => (first, self.end_of(first)),
            (None, Some(last)) => (last.saturating_sub(self.duration()), last),
            (None, None) => {
                let seen = self.event_ms.unwrap_or(clock.export_ms);
                (seen.saturating_sub(self.duration()), seen)
            }
        };
        (to_unsigned(first), to_unsigned(last))
    }

    fn end_of(&self, first: i64) -> i64 {
        match (self.duration_ms, self.event_ms) {
            (Some(duration), _) => first.saturating_add(duration),
            (None, Some(event)) => event.max(first),
            (None, None) => first,
        }
    }

    /// How long the flow lasted: as told, or as the difference of two uptimes that nothing else is known about.
    fn duration(&self) -> i64 {
        match (self.duration_ms, self.first_uptime, self.last_uptime) {
            (Some(duration), _, _) => duration,
            (None, Some(first), Some(last)) => {
                i64::from(last.wrapping_sub(first).cast_signed()).max(0)
            }
            _ => 0,
        }
    }

    /// When the event that a record reports happened.
    #[must_use]
    pub fn event(&self) -> Option<u64> {
        self.event_ms.map(to_unsigned)
    }

    /// Times as milliseconds since the exporter's start. The 32-bit counter starts again every 49.7 days: a time more than
    /// half a period ahead of the header's belongs to the period before, and so does a start that is later than its end.
    #[must_use]
    pub fn by_uptime(&self, clock: &Clock) -> (Option<i64>, Option<i64>) {
        let boot = match (
            clock.uptime_ms,
            self.system_init_ms.or(clock.system_init_ms),
        ) {
            (Some(uptime), _) => clock.export_ms.saturating_sub(i64::from(uptime)),
            (None, Some(init)) => init,
            (None, None) => return (None, None),
        };
        let absolute = |value: u32| {
            let ms = boot.saturating_add(i64::from(value));
            match clock.uptime_ms {
                // A header that always says 0 (Tranalyzer's) has no counter to compare with.
                Some(uptime)
                    if uptime != 0 && i64::from(value) - i64::from(uptime) > UPTIME_WRAP_MS / 2 =>
                {
                    ms - UPTIME_WRAP_MS
                }
                _ => ms,
            }
        };
        let last = self.last_uptime.map(absolute);
        let first = self.first_uptime.map(absolute).map(|first| match last {
            Some(last) if first > last && first - last > UPTIME_WRAP_MS / 2 => {
                first - UPTIME_WRAP_MS
            }
            _ => first,
        });
        (first, last)
    }
}

/// A 64-bit NTP time stamp as milliseconds since 1970, the fraction cut; what is before 1970 is 1970.
fn ntp_ms(stamp: u64) -> i64 {
    ntp_ns(stamp).max(0) / 1_000_000
}

/// A 64-bit NTP time stamp as nanoseconds since 1970, the fraction rounded.
#[must_use]
pub fn ntp_ns(stamp: u64) -> i64 {
    let (seconds, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let seconds = if seconds < NTP_ERA_S / 2 {
        seconds + NTP_ERA_S
    } else {
        seconds
    };
    // At most 2^32 + 2^31 s less 70 years: far below the width.
    let seconds = seconds.cast_signed() - NTP_TO_UNIX_S.cast_signed();
    let fraction = (fraction * 1_000_000_000 + (1 << 31)) >> 32;
    seconds * 1_000_000_000 + fraction.cast_signed()
}

fn to_unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: i64 = 1_700_000_000_000;

    fn flow(clock: &Clock, values: &[(Time, u64)]) -> (u64, u64) {
        let mut times = Times::default();
        for &(what, value) in values {
            times.set(what, value, clock);
        }
        times.flow(clock)
    }

    fn v9(uptime_ms: u32) -> Clock {
        Clock {
            export_ms: EXPORT,
            uptime_ms: Some(uptime_ms),
            system_init_ms: None,
        }
    }

    const IPFIX: Clock = Clock {
        export_ms: EXPORT,
        uptime_ms: None,
        system_init_ms: None,
    };

    #[test]
    fn uptime_counts_from_the_headers_boot_time() {
        let got = flow(
            &v9(1_000_000),
            &[(Time::FirstUptime, 900_000), (Time::LastUptime, 950_000)],
        );
        assert_eq!(got, (1_699_999_900_000, 1_699_999_950_000));
    }

    #[test]
    fn uptime_wraps_after_49_days() {
        // The flow began 16 ms before the counter started again and ended 500 ms after; the header says 1000 ms.
        let got = flow(
            &v9(1000),
            &[(Time::FirstUptime, 0xffff_fff0), (Time::LastUptime, 500)],
        );
        assert_eq!(got, (1_700_000_000_000 - 1016, 1_700_000_000_000 - 500));
        // Both before the new start.
        let got = flow(
            &v9(1000),
            &[
                (Time::FirstUptime, 0xffff_ff00),
                (Time::LastUptime, 0xffff_ff10),
            ],
        );
        assert_eq!(got, (1_700_000_000_000 - 1256, 1_700_000_000_000 - 1240));
    }

    #[test]
    fn tranalyzers_header_without_uptime_takes_any_offset() {
        let days_30 = 30 * 86_400_000;
        let got = flow(
            &v9(0),
            &[(Time::FirstUptime, 1), (Time::LastUptime, days_30)],
        );
        assert_eq!(got, (1_700_000_000_001, 1_700_000_000_000 + days_30));
    }

    #[test]
    fn ipfix_uptime_needs_the_system_init_time() {
        let values = [(Time::FirstUptime, 10), (Time::LastUptime, 20)];
        // Without it the length at least is known.
        assert_eq!(flow(&IPFIX, &values), (EXPORT as u64 - 10, EXPORT as u64));
        assert_eq!(
            flow(
                &IPFIX,
                &[values[0], values[1], (Time::SystemInit, 1_600_000_000_000)]
            ),
            (1_600_000_000_010, 1_600_000_000_020)
        );
        let known = Clock {
            system_init_ms: Some(1_500_000_000_000),
            ..IPFIX
        };
        assert_eq!(
            flow(&known, &values),
            (1_500_000_000_010, 1_500_000_000_020)
        );
    }

    #[test]
    fn absolute_forms() {
        assert_eq!(
            flow(
                &IPFIX,
                &[
                    (Time::FirstSeconds, 1_600_000_000),
                    (Time::LastSeconds, 1_600_000_001)
                ]
            ),
            (1_600_000_000_000, 1_600_000_001_000)
        );
        assert_eq!(
            flow(&IPFIX, &[(Time::FirstMillis, 5), (Time::DurationMillis, 7)]),
            (5, 12)
        );
        assert_eq!(
            flow(
                &IPFIX,
                &[(Time::LastMillis, 50), (Time::DurationMicros, 7000)]
            ),
            (43, 50)
        );
        assert_eq!(
            flow(
                &IPFIX,
                &[(Time::FirstDelta, 2_000_999), (Time::LastDelta, 0)]
            ),
            (EXPORT as u64 - 2000, EXPORT as u64)
        );
        // 2026-01-02T03:04:05.5Z; NTP counts from 1900.
        let ntp = ((1_767_323_045_u64 + 2_208_988_800) << 32) | 0x8000_0000;
        assert_eq!(
            flow(&IPFIX, &[(Time::FirstNtp, ntp), (Time::LastNtp, ntp)]),
            (1_767_323_045_500, 1_767_323_045_500)
        );
    }

    #[test]
    fn ntp_goes_on_after_2036() {
        assert_eq!(ntp_ms(0), 2_085_978_496_000);
        // 1968-01-20, the first second of the era that ends in 2036, lies before 1970.
        assert_eq!(ntp_ms(1 << 63), 0);
    }

    #[test]
    fn an_event_is_the_time_of_a_record_that_has_no_other() {
        assert_eq!(flow(&IPFIX, &[(Time::EventMillis, 99)]), (99, 99));
        assert_eq!(
            flow(
                &IPFIX,
                &[
                    (Time::EventMillis, 99),
                    (Time::FirstMillis, 1),
                    (Time::LastMillis, 2)
                ]
            ),
            (1, 2)
        );
        // A firewall's record: begin of the connection and what happens now.
        assert_eq!(
            flow(&IPFIX, &[(Time::FirstMillis, 9), (Time::EventMillis, 99)]),
            (9, 99)
        );
        assert_eq!(flow(&IPFIX, &[]), (EXPORT as u64, EXPORT as u64));
    }

    #[test]
    fn absurd_values_saturate() {
        let (first, last) = flow(
            &v9(5),
            &[(Time::FirstSeconds, u64::MAX), (Time::LastDelta, u64::MAX)],
        );
        assert_eq!((first, last), (i64::MAX as u64, 0));
    }
}
