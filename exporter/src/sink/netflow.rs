//! Flows in, NetFlow v9 or IPFIX messages out.

use protocol::encoder::{
    EncodeError, Encoder, EncoderConfig, EncoderCounters, ExportVersion, Message, TemplateSpec,
};
use protocol::template::TemplateKind;

use super::profile::{Family, Profile};
use crate::cli::{TimeRule, Version};
use crate::config::NetflowConfig;
use crate::meter::flow::Flow;

/// Template ids: Tranalyzer's, and the first that data templates may have.
const TEMPLATE_IDS: [(Family, u16); 2] = [(Family::V4, 256), (Family::V6, 257)];

/// Makes messages of flows.
#[derive(Debug)]
pub struct NetflowSink {
    encoder: Encoder,
    profile: Profile,
    clock: FlowClock,
}

impl NetflowSink {
    /// `first_ns` is the time of the first packet of the capture, nanoseconds since 1970.
    ///
    /// # Errors
    /// When a message of the configured size has no room for a record and its template.
    pub fn new(config: &NetflowConfig, first_ns: i64) -> Result<Self, EncodeError> {
        let profile = Profile::new(config.profile, config.version, config.metric);
        let templates = TEMPLATE_IDS.iter().zip(config.max_records);
        let templates = templates.map(|(&(family, id), max_records)| TemplateSpec {
            id,
            kind: TemplateKind::Data,
            fields: profile.template(family),
            max_records: max_records as usize,
        });
        let encoder = Encoder::new(
            EncoderConfig {
                version: match config.version {
                    Version::V9 => ExportVersion::V9,
                    Version::Ipfix => ExportVersion::Ipfix,
                },
                domain: config.source_id,
                max_message: config.max_message,
                refresh_messages: config.refresh_messages,
                refresh_interval_ms: u64::try_from(config.refresh_interval.as_millis())
                    .unwrap_or(u64::MAX),
                repeat_templates: true,
                // A second earlier, so that packets that are slightly out of order have a place.
                uptime_base_ms: floor_ms(first_ns) - 1000,
            },
            templates.collect(),
        )?;
        Ok(NetflowSink {
            encoder,
            profile,
            clock: FlowClock::new(config.time_rule, first_ns),
        })
    }

    /// One flow; those of frames without IP have no place in NetFlow and are left out. `now_ms` is the export clock; `out` takes each message that becomes complete.
    ///
    /// # Errors
    /// When the flow makes no record of its template. It is not sent then.
    pub fn flow(
        &mut self,
        now_ms: i64,
        flow: &Flow,
        out: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EncodeError> {
        let template = match Profile::family(flow) {
            Some(Family::V4) => 0,
            Some(Family::V6) => 1,
            None => return Ok(()),
        };
        let first_ms = self.clock.ms(flow.first_ns);
        let last_ms = self.clock.ms(flow.last_ns);
        let profile = &self.profile;
        self.encoder.record(
            template,
            first_ms,
            last_ms,
            now_ms,
            |to| profile.write(flow, first_ms, last_ms, to),
            out,
        )
    }

    /// Sends what waits for more.
    pub fn flush(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.encoder.flush(now_ms, out);
    }

    /// What was encoded.
    #[must_use]
    pub fn counters(&self) -> &EncoderCounters {
        self.encoder.counters()
    }
}

/// Packet times to the milliseconds that are exported.
#[derive(Clone, Copy, Debug)]
enum FlowClock {
    Exact,
    /// By the rule of Tranalyzer's export at the time of its tutorial: milliseconds since the first
    /// packet, but counted from the whole second of it.
    T2 {
        first_us: i64,
    },
}

impl FlowClock {
    fn new(rule: TimeRule, first_ns: i64) -> Self {
        match rule {
            TimeRule::Exact => FlowClock::Exact,
            TimeRule::T2 => FlowClock::T2 {
                first_us: first_ns.div_euclid(1000),
            },
        }
    }

    /// Milliseconds since 1970 of a packet's time in nanoseconds.
    fn ms(self, ns: i64) -> i64 {
        let FlowClock::T2 { first_us } = self else {
            return floor_ms(ns);
        };
        let split = |us: i64| (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
        let (s0, us0) = split(first_us);
        let (s, us) = split(ns.div_euclid(1000));
        // The division truncates towards zero, as it did there; 0 became 1.
        let since = match (s - s0) * 1000 + (us - us0) / 1000 {
            0 => 1,
            ms => ms,
        };
        s0 * 1000 + since
    }
}

/// Nanoseconds to the millisecond they lie in.
#[must_use]
pub fn floor_ms(ns: i64) -> i64 {
    ns.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first packet of faf-exercise.pcap, 2009-11-18 11:36:55.037210 UTC.
    const FIRST_NS: i64 = 1_258_544_215_037_210_000;

    #[test]
    fn exact_times_are_the_millisecond_of_the_packet() {
        let clock = FlowClock::new(TimeRule::Exact, FIRST_NS);
        assert_eq!(clock.ms(FIRST_NS), 1_258_544_215_037);
        assert_eq!(clock.ms(FIRST_NS + 789_999), 1_258_544_215_037);
        assert_eq!(clock.ms(FIRST_NS + 790_000), 1_258_544_215_038);
        assert_eq!(clock.ms(-1), -1);
    }

    #[test]
    fn t2_times_are_early_and_truncated_by_component() {
        let clock = FlowClock::new(TimeRule::T2, FIRST_NS);
        let ms = |s: i64, us: i64| clock.ms((s * 1_000_000 + us) * 1000) - 1_258_544_215_000;
        // The first packet: 0 became 1, shown as 12:36:55.001 in the tutorial.
        assert_eq!(ms(1_258_544_215, 37_210), 1);
        // Connection 2: 348.160 ms later than a whole second.
        assert_eq!(ms(1_258_544_216, 385_370), 1348);
        // A smaller fraction than the first packet's: -33.492 ms truncates to -33, not to -34.
        assert_eq!(ms(1_258_544_217, 3_718), 1967);
    }
}
