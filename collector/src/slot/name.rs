//! When slots begin and what their files are called: nfcapd's rules.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// When slots begin, how long they are, and how their files are called.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// The zone of names, and of whole hours if `align_local`.
    pub zone: TimeZone,
    /// Seconds a slot lasts.
    pub interval_s: u32,
    /// Slots begin at whole local hours. Otherwise they are aligned in UTC as nfcapd's, which in zones with half hours,
    /// and for slots of several hours, is in the middle of a local one.
    pub align_local: bool,
    /// The offset from UTC stands behind the name.
    pub zone_in_name: bool,
    /// nfcapd's number of a sub directory scheme.
    pub sub_directory: u8,
}

impl Calendar {
    /// Begin of the slot that `now_s` falls into, seconds since 1970.
    #[must_use]
    pub fn slot_start(&self, now_s: i64) -> i64 {
        let offset_s = self.offset_s(now_s);
        let local_s = now_s.saturating_add(offset_s);
        let start_s = now_s.saturating_sub(local_s.rem_euclid(self.interval()));
        // Summer time may have begun or ended since: then that hour was earlier or later.
        let shift = offset_s - self.offset_s(start_s);
        start_s.saturating_add(shift).min(now_s)
    }

    /// End of the slot that begins at `start_s`: one interval later, or so much more or less as summer time takes or
    /// gives meanwhile, so that the next slot begins at a whole hour again.
    #[must_use]
    pub fn slot_end(&self, start_s: i64) -> i64 {
        let interval = self.interval();
        // One that begins where an hour was left out is shorter.
        let into_s = start_s
            .saturating_add(self.offset_s(start_s))
            .rem_euclid(interval);
        let end_s = start_s.saturating_add(interval - into_s);
        let shift = self.offset_s(end_s) - self.offset_s(start_s);
        let shifted_s = end_s - shift;
        // An hour that is left out ends what would go on into it.
        let is_left_out = self.offset_s(shifted_s) != self.offset_s(end_s);
        if shift % interval == 0 || shifted_s <= start_s || is_left_out {
            return end_s;
        }
        shifted_s
    }

    fn interval(&self) -> i64 {
        i64::from(self.interval_s.max(1))
    }

    /// Seconds that whole hours are ahead of UTC's.
    fn offset_s(&self, at_s: i64) -> i64 {
        if !self.align_local {
            return 0;
        }
        self.zone.to_offset(timestamp(at_s)).seconds().into()
    }

    /// `nfcapd.YYYYmmddHHMM` in the zone's time, with seconds if slots are shorter than a minute.
    #[must_use]
    pub fn file_name(&self, start_s: i64) -> String {
        let mut format = "nfcapd.%Y%m%d%H%M".to_owned();
        if self.interval_s < 60 {
            format.push_str("%S");
        }
        if self.zone_in_name {
            format.push_str("%z");
        }
        self.local(start_s).strftime(&format).to_string()
    }

    /// The sub directory of a slot by the scheme (`-S`), empty for 0.
    #[must_use]
    pub fn sub_directory(&self, start_s: i64) -> String {
        let format = match self.sub_directory {
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
        self.local(start_s).strftime(format).to_string()
    }

    /// `YYYYmmddHHMM`, what `%t` of a launched command is.
    #[must_use]
    pub fn stamp(&self, start_s: i64) -> String {
        let name = self.file_name(start_s);
        name.trim_start_matches("nfcapd.").to_owned()
    }

    fn local(&self, start_s: i64) -> jiff::ZonedDateTime {
        timestamp(start_s).to_zoned_datetime(self.zone.clone())
    }
}

fn timestamp(s: i64) -> Timestamp {
    Timestamp::from_second(s).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05Z, a Friday.
    const TIME: i64 = 1_767_323_045;
    const HOUR: i64 = 3600;

    fn calendar(interval_s: u32, zone: &str) -> Calendar {
        Calendar {
            zone: TimeZone::posix(zone).unwrap(),
            interval_s,
            align_local: true,
            zone_in_name: false,
            sub_directory: 0,
        }
    }

    const UTC: &str = "UTC0";
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const INDIA: &str = "IST-5:30";

    #[test]
    fn slots_are_aligned_to_whole_local_hours() {
        assert_eq!(calendar(300, UTC).slot_start(TIME), 1_767_322_800);
        assert_eq!(calendar(300, UTC).slot_start(1_767_322_800), 1_767_322_800);
        assert_eq!(calendar(1, UTC).slot_start(TIME), TIME);
        assert_eq!(calendar(300, UTC).slot_start(-1), -300);
        // 03:04:05Z is 08:34:05 there.
        let india = calendar(3600, INDIA);
        assert_eq!(
            india.file_name(india.slot_start(TIME)),
            "nfcapd.202601020800"
        );
        assert_eq!(calendar(300, INDIA).slot_start(TIME), 1_767_322_800);
        let as_nfcapd = Calendar {
            align_local: false,
            ..calendar(3600, INDIA)
        };
        assert_eq!(as_nfcapd.slot_start(TIME), 1_767_322_800);
        assert_eq!(as_nfcapd.file_name(1_767_322_800), "nfcapd.202601020830");
    }

    #[test]
    fn names_are_local_time() {
        let start = 1_767_322_800;
        assert_eq!(calendar(300, UTC).file_name(start), "nfcapd.202601020300");
        assert_eq!(calendar(59, UTC).file_name(TIME), "nfcapd.20260102030405");
        let berlin = calendar(300, BERLIN);
        assert_eq!(berlin.file_name(start), "nfcapd.202601020400");
        assert_eq!(berlin.stamp(start), "202601020400");
        // Summer time: 2026-07-01T00:00Z.
        assert_eq!(berlin.file_name(1_782_864_000), "nfcapd.202607010200");
        let with_zone = Calendar {
            zone_in_name: true,
            ..berlin
        };
        assert_eq!(with_zone.file_name(start), "nfcapd.202601020400+0100");
    }

    #[test]
    fn sub_directories_follow_the_schemes() {
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
        for (sub_directory, want) in (0..).zip(want) {
            let calendar = Calendar {
                sub_directory,
                ..calendar(300, UTC)
            };
            assert_eq!(calendar.sub_directory(TIME), want, "-S {sub_directory}");
        }
    }

    /// Names of the slots of Berlin from one time to another, each beginning where the one before ends.
    fn names(interval_s: u32, from_s: i64, to_s: i64) -> Vec<String> {
        let calendar = calendar(interval_s, BERLIN);
        let mut start = calendar.slot_start(from_s);
        let mut names = Vec::new();
        while start < to_s {
            let name = calendar.file_name(start);
            names.push(name.strip_prefix("nfcapd.2026").unwrap().to_owned());
            let end = calendar.slot_end(start);
            assert!(end > start);
            assert_eq!(calendar.slot_start(end), end, "{name}");
            assert_eq!(calendar.slot_start(end - 1), start, "{name}");
            start = end;
        }
        names
    }

    #[test]
    fn summer_time_begins_and_ends_at_whole_slots() {
        // 2026-03-29T01:00Z: 02:00 becomes 03:00. 2026-10-25T01:00Z: 03:00 becomes 02:00.
        let (spring, autumn) = (1_774_746_000, 1_792_890_000);
        assert_eq!(
            names(HOUR as u32, spring - 2 * HOUR, spring + 2 * HOUR),
            ["03290000", "03290100", "03290300", "03290400"]
        );
        assert_eq!(
            names(HOUR as u32, autumn - 2 * HOUR, autumn + 2 * HOUR),
            ["10250100", "10250200", "10250200", "10250300"]
        );
    }

    #[test]
    fn slots_of_two_hours_take_the_change_in() {
        let calendar = calendar(7200, BERLIN);
        // 2026-03-29T01:00Z is where 02:00 would have been, and is 03:00.
        let (spring, autumn) = (1_774_746_000, 1_792_890_000);
        assert_eq!(calendar.slot_end(spring - 2 * HOUR), spring);
        assert_eq!(calendar.slot_start(spring + 60), spring);
        assert_eq!(calendar.slot_end(spring), spring + HOUR);
        // From 02:00 to 04:00 it is three hours.
        assert_eq!(calendar.slot_end(autumn - HOUR), autumn + 2 * HOUR);
        assert!(calendar.slot_start(autumn + HOUR) >= autumn - HOUR);
    }

    #[test]
    fn days_are_local_days_of_23_24_or_25_hours() {
        let calendar = calendar(86_400, BERLIN);
        // Midnight of 2026-03-28, -29, -30 in Berlin; of 2026-10-25 and -26.
        let days = [1_774_652_400, 1_774_738_800, 1_774_821_600];
        assert_eq!(calendar.slot_end(days[0]), days[1]);
        assert_eq!(calendar.slot_end(days[1]), days[2]);
        assert_eq!(days[2] - days[1], 23 * HOUR);
        assert_eq!(calendar.slot_start(days[2] - 1), days[1]);
        let autumn = 1_792_879_200;
        assert_eq!(calendar.slot_start(autumn + 25 * HOUR - 1), autumn);
        assert_eq!(calendar.slot_start(autumn + 10), autumn);
        assert_eq!(calendar.slot_end(autumn), autumn + 25 * HOUR);
        assert_eq!(
            calendar.file_name(autumn + 25 * HOUR),
            "nfcapd.202610260000"
        );
    }
}
