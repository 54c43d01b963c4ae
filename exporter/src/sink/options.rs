//! Options data (RFC 7011 section 4, RFC 5476 section 6.5, RFC 3954 section 6): what the exporter says of itself.

use protocol::encoder::{RecordWriter, TemplateSpec};
use protocol::registry::ie;
use protocol::template::{FieldSpecifier, TemplateKind};

use crate::cli::{SampleMode, Version};
use crate::config::Sampling;

/// Scope types of NetFlow v9 (RFC 3954 section 6.1).
const V9_SYSTEM: u16 = 1;

/// The first ID of an options template.
const FIRST_ID: u16 = 512;

/// One kind of options record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What was exported (RFC 7011 section 4.1).
    Metering,
    /// Packets that are in no flow (section 4.2).
    MeteringReliability,
    /// Flows that were not sent (section 4.3).
    ExportingReliability,
    /// Which fields of a template are the key (section 4.4).
    FlowKeys,
    /// When the clock of the exporter stood at zero.
    InitTime,
    /// How packets are selected (RFC 5476 section 6.5.2), for collectors of v9 by elements 34 and 35.
    Sampling,
    /// How many were (RFC 5476 section 6.5.3).
    SamplingStatistics,
}

/// What the meter's side tells the export, with each batch of flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// Packets that came to the sampling.
    pub observed: u64,
    /// Packets that it chose.
    pub selected: u64,
    /// Packets that are in no flow, and octets of them on the wire.
    pub ignored_packets: u64,
    /// See above.
    pub ignored_octets: u64,
    /// When the first and the last of them were captured, nanoseconds since 1970.
    pub ignored_ns: Option<(i64, i64)>,
}

impl Observed {
    /// A packet that came to the sampling.
    pub fn sample(&mut self, selected: bool) {
        self.observed += 1;
        self.selected += u64::from(selected);
    }

    /// A packet that is in no flow.
    pub fn ignore(&mut self, octets: u32, ts_ns: i64) {
        self.ignored_packets += 1;
        self.ignored_octets += u64::from(octets);
        let (first, _) = self.ignored_ns.unwrap_or((ts_ns, ts_ns));
        self.ignored_ns = Some((first, ts_ns));
    }
}

/// The numbers of the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Messages, flow records and octets sent so far, this message excluded.
    pub messages: u64,
    /// See above.
    pub records: u64,
    /// See above.
    pub octets: u64,
    /// Flow records, and packets and octets of them, that were not sent.
    pub not_sent: crate::send::Load,
    /// When the first and the last of them were lost, milliseconds since 1970.
    pub not_sent_ms: Option<(i64, i64)>,
    /// From the meter.
    pub observed: Observed,
}

/// The options of an export.
#[derive(Debug)]
pub struct Options {
    version: Version,
    domain: u32,
    sampling: Option<Sampling>,
    init_ms: u64,
    kinds: Vec<Kind>,
    /// IDs of the data templates, and the bits of their key fields.
    keys: Vec<(u16, u64)>,
}

impl Options {
    /// Those that belong to an export: all if `statistics`, else only those without which counters would be read wrongly.
    #[must_use]
    pub fn new(
        version: Version,
        domain: u32,
        statistics: bool,
        sampling: Option<Sampling>,
        init_ms: i64,
        keys: Vec<(u16, u64)>,
    ) -> Self {
        let mut kinds = Vec::new();
        if sampling.is_some() {
            kinds.push(Kind::Sampling);
        }
        match version {
            Version::V9 if statistics => kinds.push(Kind::Metering),
            Version::V9 => {}
            Version::Ipfix => {
                if sampling.is_some() {
                    kinds.push(Kind::SamplingStatistics);
                }
                if statistics {
                    kinds.extend([
                        Kind::Metering,
                        Kind::MeteringReliability,
                        Kind::ExportingReliability,
                        Kind::FlowKeys,
                        Kind::InitTime,
                    ]);
                }
            }
        }
        Options {
            version,
            domain,
            sampling,
            init_ms: u64::try_from(init_ms).unwrap_or(0),
            kinds,
            keys,
        }
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Their templates, in the order of [`records`](Self::records).
    #[must_use]
    pub fn templates(&self) -> Vec<TemplateSpec> {
        let kinds = self.kinds.iter().zip(FIRST_ID..);
        let template = |(kind, id): (&Kind, u16)| TemplateSpec {
            id,
            kind: TemplateKind::Options { scope_count: 1 },
            fields: self
                .fields(*kind)
                .iter()
                .map(|(id, length)| FieldSpecifier::new(*id, *length))
                .collect(),
            max_records: 0,
        };
        kinds.map(template).collect()
    }

    fn fields(&self, kind: Kind) -> &'static [(u16, u16)] {
        let random = self
            .sampling
            .is_some_and(|sampling| sampling.mode == SampleMode::Random);
        match (kind, self.version) {
            (Kind::Metering, Version::V9) => &[
                (V9_SYSTEM, 4),
                (ie::EXPORTED_MESSAGE_TOTAL_COUNT, 8),
                (ie::EXPORTED_FLOW_RECORD_TOTAL_COUNT, 8),
                (ie::EXPORTED_OCTET_TOTAL_COUNT, 8),
            ],
            (Kind::Metering, Version::Ipfix) => &[
                (ie::OBSERVATION_DOMAIN_ID, 4),
                (ie::EXPORTED_MESSAGE_TOTAL_COUNT, 8),
                (ie::EXPORTED_FLOW_RECORD_TOTAL_COUNT, 8),
                (ie::EXPORTED_OCTET_TOTAL_COUNT, 8),
            ],
            (Kind::MeteringReliability, _) => &[
                (ie::OBSERVATION_DOMAIN_ID, 4),
                (ie::IGNORED_PACKET_TOTAL_COUNT, 8),
                (ie::IGNORED_OCTET_TOTAL_COUNT, 8),
                (ie::OBSERVATION_TIME_MILLISECONDS, 8),
                (ie::OBSERVATION_TIME_MILLISECONDS, 8),
            ],
            (Kind::ExportingReliability, _) => &[
                (ie::EXPORTING_PROCESS_ID, 4),
                (ie::NOT_SENT_FLOW_TOTAL_COUNT, 8),
                (ie::NOT_SENT_PACKET_TOTAL_COUNT, 8),
                (ie::NOT_SENT_OCTET_TOTAL_COUNT, 8),
                (ie::OBSERVATION_TIME_MILLISECONDS, 8),
                (ie::OBSERVATION_TIME_MILLISECONDS, 8),
            ],
            (Kind::FlowKeys, _) => &[(ie::TEMPLATE_ID, 2), (ie::FLOW_KEY_INDICATOR, 8)],
            (Kind::InitTime, _) => &[
                (ie::EXPORTING_PROCESS_ID, 4),
                (ie::SYSTEM_INIT_TIME_MILLISECONDS, 8),
            ],
            (Kind::Sampling, Version::V9) => &[
                (V9_SYSTEM, 4),
                (ie::SAMPLING_INTERVAL, 4),
                (ie::SAMPLING_ALGORITHM, 1),
            ],
            (Kind::Sampling, Version::Ipfix) if random => &[
                (ie::SELECTOR_ID, 8),
                (ie::SELECTOR_ALGORITHM, 2),
                (ie::SAMPLING_SIZE, 4),
                (ie::SAMPLING_POPULATION, 4),
            ],
            (Kind::Sampling, Version::Ipfix) => &[
                (ie::SELECTOR_ID, 8),
                (ie::SELECTOR_ALGORITHM, 2),
                (ie::SAMPLING_PACKET_INTERVAL, 4),
                (ie::SAMPLING_PACKET_SPACE, 4),
            ],
            (Kind::SamplingStatistics, _) => &[
                (ie::SELECTOR_ID, 8),
                (ie::SELECTOR_ID_TOTAL_PKTS_OBSERVED, 8),
                (ie::SELECTOR_ID_TOTAL_PKTS_SELECTED, 8),
            ],
        }
    }

    /// The records that are due, by the index of their template among [`templates`](Self::templates). Where nothing was
    /// lost there is no report of losses: it would need times of what has not happened.
    pub fn records<'a>(&'a self, now: &'a Statistics) -> impl Iterator<Item = (usize, Record<'a>)> {
        self.kinds.iter().enumerate().flat_map(move |(at, kind)| {
            let count = match kind {
                Kind::MeteringReliability => usize::from(now.observed.ignored_ns.is_some()),
                Kind::ExportingReliability => usize::from(now.not_sent_ms.is_some()),
                Kind::FlowKeys => self.keys.len(),
                _ => 1,
            };
            (0..count).map(move |index| {
                let record = Record {
                    options: self,
                    kind: *kind,
                    index,
                    now,
                };
                (at, record)
            })
        })
    }
}

/// One options record, to be written.
#[derive(Debug)]
pub struct Record<'a> {
    options: &'a Options,
    kind: Kind,
    index: usize,
    now: &'a Statistics,
}

/// The one exporting process, and the one selector.
const ONE: u32 = 1;

impl Record<'_> {
    /// Writes it.
    pub fn write(&self, to: &mut RecordWriter<'_>) {
        let Options { domain, .. } = *self.options;
        let now = self.now;
        let times = |(first, last): (i64, i64), to: &mut RecordWriter<'_>| {
            to.u64(u64::try_from(first).unwrap_or(0));
            to.u64(u64::try_from(last).unwrap_or(0));
        };
        match self.kind {
            Kind::Metering => {
                to.u32(domain);
                to.u64(now.messages);
                to.u64(now.records);
                to.u64(now.octets);
            }
            Kind::MeteringReliability => {
                let (first, last) = now.observed.ignored_ns.unwrap_or_default();
                to.u32(domain);
                to.u64(now.observed.ignored_packets);
                to.u64(now.observed.ignored_octets);
                times(
                    (first.div_euclid(1_000_000), last.div_euclid(1_000_000)),
                    to,
                );
            }
            Kind::ExportingReliability => {
                to.u32(ONE);
                to.u64(now.not_sent.records);
                to.u64(now.not_sent.packets);
                to.u64(now.not_sent.octets);
                times(now.not_sent_ms.unwrap_or_default(), to);
            }
            Kind::FlowKeys => {
                let (id, bits) = self
                    .options
                    .keys
                    .get(self.index)
                    .copied()
                    .unwrap_or_default();
                to.u16(id);
                to.u64(bits);
            }
            Kind::InitTime => {
                to.u32(ONE);
                to.u64(self.options.init_ms);
            }
            Kind::Sampling => {
                if let Some(sampling) = self.options.sampling {
                    self.sampling(sampling, to);
                }
            }
            Kind::SamplingStatistics => {
                to.u64(ONE.into());
                to.u64(now.observed.observed);
                to.u64(now.observed.selected);
            }
        }
    }

    /// IANA's selectorAlgorithm: 1 is systematic count-based, 3 random n out of N; RFC 3954's samplingAlgorithm: 1 is
    /// deterministic, 2 random.
    fn sampling(&self, Sampling { one_in, mode, .. }: Sampling, to: &mut RecordWriter<'_>) {
        let random = mode == SampleMode::Random;
        match self.options.version {
            Version::V9 => {
                to.u32(self.options.domain);
                to.u32(one_in);
                to.u8(if random { 2 } else { 1 });
            }
            Version::Ipfix => {
                to.u64(ONE.into());
                to.u16(if random { 3 } else { 1 });
                to.u32(1);
                to.u32(if random { one_in } else { one_in - 1 });
            }
        }
    }
}
