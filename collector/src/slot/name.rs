//! When slots begin and what their files are called: nfcapd's rules.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Begin of the slot that `now_s` falls into, seconds since 1970. Slots are aligned in UTC, as nfcapd's.
#[must_use]
pub fn slot_start(now_s: i64, interval_s: u32) -> i64 {
    now_s - now_s.rem_euclid(i64::from(interval_s.max(1)))
}

/// `nfcapd.YYYYmmddHHMM` in local time, with seconds if slots are shorter than a minute.
#[must_use]
pub fn file_name(start_s: i64, interval_s: u32, zone: &TimeZone) -> String {
    let format = if interval_s < 60 {
        "nfcapd.%Y%m%d%H%M%S"
    } else {
        "nfcapd.%Y%m%d%H%M"
    };
    local(start_s, zone).strftime(format).to_string()
}

/// The sub directory of a slot by nfcapd's scheme number (`-S`), empty for 0.
#[must_use]
pub fn sub_directory(scheme: u8, start_s: i64, zone: &TimeZone) -> String {
    let format = match scheme {
        1 => "%Y/%m/%d",
        2 => "%Y/%m/%d/%H",
        3 => "%Y/%W/%u",
        4 => "%Y/%W/%u/%H",
        5 => "%Y/%j",
        6 => "%Y/%j/%H",
        7 => "%Y-%m-%d",
        8 => "%Y-%m-%d/%H",
        _ => return String::new(),
    };
    local(start_s, zone).strftime(format).to_string()
}

fn local(start_s: i64, zone: &TimeZone) -> jiff::ZonedDateTime {
    Timestamp::from_second(start_s)
        .unwrap_or_default()
        .to_zoned_datetime(zone.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05Z, a Friday.
    const TIME: i64 = 1_767_323_045;

    #[test]
    fn slots_are_aligned_in_utc() {
        assert_eq!(slot_start(TIME, 300), 1_767_322_800);
        assert_eq!(slot_start(1_767_322_800, 300), 1_767_322_800);
        assert_eq!(slot_start(TIME, 1), TIME);
        assert_eq!(slot_start(-1, 300), -300);
    }

    #[test]
    fn names_are_local_time() {
        let start = slot_start(TIME, 300);
        assert_eq!(file_name(start, 300, &TimeZone::UTC), "nfcapd.202601020300");
        assert_eq!(file_name(TIME, 59, &TimeZone::UTC), "nfcapd.20260102030405");
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(file_name(start, 300, &berlin), "nfcapd.202601020400");
        // Summer time: 2026-07-01T00:00Z.
        assert_eq!(
            file_name(1_782_864_000, 300, &berlin),
            "nfcapd.202607010200"
        );
    }

    #[test]
    fn sub_directories_follow_the_schemes() {
        let name = |scheme| sub_directory(scheme, TIME, &TimeZone::UTC);
        // The first days of 2026 lie before its first Monday: week 00 by %W.
        let want = [
            "",
            "2026/01/02",
            "2026/01/02/03",
            "2026/00/5",
            "2026/00/5/03",
            "2026/002",
            "2026/002/03",
            "2026-01-02",
            "2026-01-02/03",
        ];
        for (scheme, want) in (0..).zip(want) {
            assert_eq!(name(scheme), want, "-S {scheme}");
        }
    }
}
