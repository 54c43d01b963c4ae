//! Flows in, NetFlow v9 or IPFIX messages out.

use protocol::encoder::{
    EncodeError, Encoder, EncoderConfig, EncoderCounters, ExportVersion, Message,
};

use super::options::{Options, Statistics};
use super::profile::Profile;
use crate::cli::{TimeRule, Version};
use crate::config::NetflowConfig;
use crate::meter::flow::Flow;

/// Makes messages of flows.
#[derive(Debug)]
pub struct NetflowSink {
    encoder: Encoder,
    profile: Profile,
    options: Options,
    /// The index of the first options template.
    first_options: usize,
    /// First and last time of the flow that options precede: they are as old as it is, so that they do not move v9's
    /// uptime base to where it does not hold for the flow.
    options_ms: [i64; 2],
    clock: FlowClock,
}

impl NetflowSink {
    /// `first_ns` is the time of the first packet of the capture, nanoseconds since 1970; no message is longer than
    /// `max_message`.
    ///
    /// # Errors
    /// When a message of that size has no room for a record and its template.
    pub fn new(
        config: &NetflowConfig,
        first_ns: i64,
        max_message: usize,
    ) -> Result<Self, EncodeError> {
        let profile = Profile::new(config);
        // A second earlier, so that packets that are slightly out of order have a place.
        let base_ms = floor_ms(first_ns) - 1000;
        let options = Options::new(
            config.version,
            config.source_id,
            config.options_data,
            config.sampling,
            base_ms,
            profile.keys(),
        );
        let mut templates = profile.templates();
        let first_options = templates.len();
        templates.extend(options.templates());
        // RFC 7011 section 8.1: in a stream a template is sent once, and options by the clock. v9 has no such rule.
        let repeat_templates = config.version == Version::V9 || config.destination.is_udp();
        let encoder = Encoder::new(
            EncoderConfig {
                version: config.version.into(),
                domain: config.source_id,
                max_message,
                refresh_messages: if repeat_templates {
                    config.refresh_messages
                } else {
                    0
                },
                refresh_interval_ms: u64::try_from(config.refresh_interval.as_millis())
                    .unwrap_or(u64::MAX),
                repeat_templates,
                uptime_base_ms: base_ms,
            },
            templates,
        )?;
        Ok(NetflowSink {
            encoder,
            profile,
            options,
            first_options,
            options_ms: [floor_ms(first_ns); 2],
            clock: FlowClock::new(config.time_rule, first_ns),
        })
    }

    /// One flow, or a conversation if `reverse` is its other direction and the profile has biflows. `now_ms` is the export
    /// clock; `out` takes each message that becomes complete.
    ///
    /// # Errors
    /// When the flow makes no record of its template. It is not sent then.
    pub fn flow(
        &mut self,
        now_ms: i64,
        flow: &Flow,
        reverse: Option<&Flow>,
        out: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EncodeError> {
        let Some(template) = self.profile.template_of(flow, reverse.is_some()) else {
            return Ok(());
        };
        let times = |flow: &Flow| [flow.first_ns, flow.last_ns].map(|ns| self.clock.ms(ns));
        let forward = (flow, times(flow));
        let reverse = reverse.map(|flow| (flow, times(flow)));
        let [mut first_ms, mut last_ms] = forward.1;
        if let Some((_, [first, last])) = reverse {
            (first_ms, last_ms) = (first_ms.min(first), last_ms.max(last));
        }
        let profile = &self.profile;
        self.encoder.record(
            template,
            first_ms,
            last_ms,
            now_ms,
            |to| profile.write(template, forward, reverse, to),
            out,
        )
    }

    /// Whether options should go in front of this flow: with [`options`](Self::options).
    pub fn options_due(
        &mut self,
        now_ms: i64,
        flow: &Flow,
        biflow: bool,
        out: &mut impl FnMut(Message<'_>),
    ) -> bool {
        if self.options.is_empty() {
            return false;
        }
        let template = self.profile.template_of(flow, biflow);
        if !template.is_some_and(|template| self.encoder.has_room(template)) {
            self.encoder.flush(now_ms, out);
        }
        self.options_ms = [flow.first_ns, flow.last_ns].map(|ns| self.clock.ms(ns));
        self.encoder.refresh(now_ms, out)
    }

    /// Sends the options data as they are now.
    ///
    /// # Errors
    /// When they make no record: they are not sent then.
    pub fn options(
        &mut self,
        now_ms: i64,
        statistics: &Statistics,
        out: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EncodeError> {
        let [first_ms, last_ms] = self.options_ms;
        for (template, record) in self.options.records(statistics) {
            let template = self.first_options + template;
            self.encoder.record(
                template,
                first_ms,
                last_ms,
                now_ms,
                |to| record.write(to),
                out,
            )?;
        }
        Ok(())
    }

    /// Whether there are options to send.
    #[must_use]
    pub fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// Sends what waits for more.
    pub fn flush(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.encoder.flush(now_ms, out);
    }

    /// From now on messages are no longer than this.
    pub fn limit_message(&mut self, octets: usize, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.encoder.limit_message(octets, now_ms, out);
    }

    /// What another session begins with.
    #[must_use]
    pub fn template_messages(&self) -> Vec<Vec<u8>> {
        self.encoder.template_messages()
    }

    /// What was encoded.
    #[must_use]
    pub fn counters(&self) -> &EncoderCounters {
        self.encoder.counters()
    }
}

impl From<Version> for ExportVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V9 => ExportVersion::V9,
            Version::Ipfix => ExportVersion::Ipfix,
        }
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
