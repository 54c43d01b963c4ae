//! Frames to packets to flows: reading, dissecting and metering, on one thread.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::capture::{CaptureFile, Filter, Frame, LinkType, LiveCapture, LiveCounters, clamp_ns};
use crate::config::Config;
use crate::dissect::{Detail, Dissector, Packet};
use crate::meter::{FlowSink, Meter};
use crate::progress::Progress;
use crate::report::{InputReport, PacketCounters};
use crate::run::Sinks;
use crate::sampling::Sampler;
use crate::watch::Watch;

/// Packets that go to the meter together.
const PACKETS: usize = 64;

/// How often flows that wait for a full message, or in a file's buffer, are let go at an interface.
const SEND_INTERVAL: Duration = Duration::from_secs(1);

/// A silent interface may still bring packets that are this old.
const DELIVERY_NS: i64 = 1_000_000_000;

/// Packets of an interface are never out of order by as much as this: the clock was set back.
const STEP_NS: i64 = 1_000_000_000;

/// Frames to packets to flows.
pub(crate) struct Pass {
    pub filter: Option<Filter>,
    sampler: Option<Sampler>,
    pub dissector: Dissector,
    pub meter: Meter,
    waiting: Vec<Packet>,
    /// Their details, if a text sink runs.
    details: Vec<Detail>,
    pub packets: PacketCounters,
    pub progress: Progress,
    /// Of an interface.
    clock: Option<LiveClock>,
    /// The first link type that nobody can dissect, and the capture with it.
    pub unknown_link: Option<(String, LinkType)>,
}

impl Pass {
    /// Nothing read yet.
    pub(crate) fn new(config: &Config, filter: Option<Filter>, progress: Progress) -> Self {
        Pass {
            filter,
            sampler: config.sampling.map(Sampler::new),
            progress,
            dissector: Dissector::new(config.tunnel),
            meter: Meter::new(config.meter),
            waiting: vec![Packet::default(); PACKETS],
            details: match config.meter.text {
                true => vec![Detail::default(); PACKETS],
                false => Vec::new(),
            },
            packets: PacketCounters::default(),
            clock: None,
            unknown_link: None,
        }
    }

    /// Reads a capture to its end, to a fault, or until `stop` is set.
    pub(crate) fn capture(
        &mut self,
        mut capture: CaptureFile,
        sinks: &mut Sinks,
        watch: &mut Watch,
        failures: &mut Vec<String>,
    ) -> anyhow::Result<InputReport> {
        let known_links = self.unknown_link.is_none();
        let before = self.packets.packets;
        while !watch.stopped() && !sinks.all_failed() {
            match capture.next_batch() {
                Ok(Some(batch)) => self.batch(batch, sinks)?,
                Ok(None) => break,
                Err(error) => {
                    failures.push(error.to_string());
                    break;
                }
            }
            self.progress.at(capture.position());
            watch.look(self, sinks, LiveCounters::default());
        }
        self.progress.next(capture.position());
        if let Some((path, _)) = &mut self.unknown_link
            && known_links
        {
            capture.path().clone_into(path);
        }
        Ok(InputReport {
            path: capture.path().to_owned(),
            compression: capture.compression(),
            info: capture.info(),
            size: capture.size(),
            position: capture.position(),
            octets: capture.offset(),
            packets: self.packets.packets - before,
            live: LiveCounters::default(),
            clock_steps: 0,
        })
    }

    /// How often the interface's clock was set back.
    pub(crate) fn clock_steps(&self) -> u64 {
        self.clock.map_or(0, |clock| clock.steps)
    }

    /// Gives the meter the packets that wait.
    #[inline]
    fn count(&mut self, waiting: usize, sinks: &mut Sinks) {
        let packets = self.waiting.get(..waiting).unwrap_or_default();
        self.meter.packets_in_detail(packets, &self.details, sinks);
    }

    /// Listens until a signal stops it or the interface is gone.
    pub(crate) fn live(
        &mut self,
        mut capture: LiveCapture,
        sinks: &mut Sinks,
        watch: &mut Watch,
        failures: &mut Vec<String>,
    ) -> anyhow::Result<InputReport> {
        self.clock = Some(LiveClock::default());
        let mut sent = Instant::now();
        loop {
            if watch.stopped() || sinks.all_failed() {
                capture.stop();
            }
            match capture.next_batch() {
                Ok(Some(batch)) if batch.is_empty() => self.silence(sinks),
                Ok(Some(batch)) => self.batch(batch, sinks)?,
                Ok(None) => break,
                Err(error) => {
                    failures.push(error.to_string());
                    break;
                }
            }
            if sent.elapsed() >= SEND_INTERVAL {
                sent = Instant::now();
                sinks.tick(self.clock.map_or(0, |clock| clock.latest_ns()));
            }
            watch.look(self, sinks, capture.counters());
        }
        Ok(InputReport {
            path: capture.interface().to_owned(),
            compression: None,
            info: capture.info(),
            size: None,
            position: 0,
            octets: 0,
            packets: self.packets.packets,
            live: capture.counters(),
            clock_steps: self.clock_steps(),
        })
    }

    /// The interface is silent: this machine's clock goes on instead of the packets'.
    fn silence(&mut self, sinks: &mut Sinks) {
        let now_ns = wall_ns();
        if self
            .clock
            .as_mut()
            .is_some_and(|clock| clock.silence(now_ns))
        {
            self.meter.restart(sinks);
        }
        self.meter.tick(now_ns.saturating_sub(DELIVERY_NS), sinks);
        sinks.exports.flush();
    }

    fn batch<'b>(
        &mut self,
        batch: impl Iterator<Item = Frame<'b>>,
        sinks: &mut Sinks,
    ) -> anyhow::Result<()> {
        let mut waiting = 0;
        for frame in batch {
            if let Some(clock) = &mut self.clock
                && clock.packet(frame.ts_ns)
            {
                self.count(waiting, sinks);
                waiting = 0;
                self.meter.restart(sinks);
            }
            if let Some(filter) = &mut self.filter
                && !filter.wants(&frame)
            {
                self.packets.filtered += 1;
                continue;
            }
            if let Some(sampler) = &mut self.sampler {
                let selected = sampler.selects();
                sinks.exports.observed.sample(selected);
                if !selected {
                    self.packets.sampled_out += 1;
                    continue;
                }
            }
            if self.packets.first_ns.is_none() {
                sinks.exports.begin(frame.ts_ns)?;
            }
            self.packets
                .count(frame.ts_ns, frame.captured.len(), frame.original_len);
            let Some(packet) = self.waiting.get_mut(waiting) else {
                continue;
            };
            let belongs = match self.details.get_mut(waiting) {
                Some(detail) => self.dissector.dissect_in_detail(&frame, packet, detail),
                None => self.dissector.dissect(&frame, packet),
            };
            if belongs {
                waiting += 1;
            } else {
                if sinks.wants_packets() {
                    self.count(waiting, sinks);
                    waiting = 0;
                    sinks.skip();
                }
                let (octets, ts_ns) = (frame.original_len, frame.ts_ns);
                sinks.exports.observed.ignore(octets, ts_ns);
                if !Dissector::knows(frame.link) {
                    self.unknown_link
                        .get_or_insert_with(|| (String::new(), frame.link));
                }
            }
            if waiting == PACKETS {
                self.count(waiting, sinks);
                waiting = 0;
            }
        }
        self.count(waiting, sinks);
        sinks.exports.flush();
        Ok(())
    }
}

/// This machine's clock, nanoseconds since 1970.
pub(crate) fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| clamp_ns(since.as_nanos().cast_signed()))
}

/// The clock of an interface: that of its packets, and of this machine while there are none.
#[derive(Clone, Copy, Debug, Default)]
struct LiveClock {
    /// The latest time of a packet since the last step.
    packet_ns: i64,
    /// This machine's time at the last silence since then.
    silence_ns: i64,
    /// How often it was set back.
    steps: u64,
}

impl LiveClock {
    /// Whether the clock was set back before a packet of `now_ns`. After a silence packets may come late, so only packets
    /// are compared.
    #[inline]
    fn packet(&mut self, now_ns: i64) -> bool {
        if now_ns >= self.packet_ns {
            self.packet_ns = now_ns;
            return false;
        }
        self.steps(now_ns, self.packet_ns)
    }

    /// Whether it was set back before a silence at `now_ns`.
    fn silence(&mut self, now_ns: i64) -> bool {
        if self.steps(now_ns, self.packet_ns.max(self.silence_ns)) {
            return true;
        }
        self.silence_ns = now_ns;
        false
    }

    fn steps(&mut self, now_ns: i64, before_ns: i64) -> bool {
        let steps = before_ns.saturating_sub(now_ns) > STEP_NS;
        if steps {
            self.packet_ns = now_ns;
            self.silence_ns = now_ns;
            self.steps += 1;
        }
        steps
    }

    /// The latest time of all.
    fn latest_ns(&self) -> i64 {
        self.packet_ns.max(self.silence_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn steps_of_the_clock_are_told_from_disorder_and_delay() {
        let mut clock = LiveClock::default();
        assert!(!clock.packet(100 * SECOND) && !clock.packet(100 * SECOND - STEP_NS));
        assert!(clock.packet(50 * SECOND) && !clock.packet(50 * SECOND));
        // The system was busy: packets that are older than the silence before them.
        assert!(!clock.silence(60 * SECOND) && !clock.packet(51 * SECOND));
        assert_eq!(clock.latest_ns(), 60 * SECOND);
        // Set back while nothing came.
        assert!(clock.silence(20 * SECOND) && !clock.packet(20 * SECOND));
        assert!(!clock.silence(21 * SECOND));
        assert_eq!(clock.steps, 2);
    }
}
