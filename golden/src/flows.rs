//! Flow files of any size for measurements: records as nfcapd stores those of NetFlow v9, written as a stream. Half of
//! them come from 65,536 busy sources, the others from four million: 20 million flows have 3.9 million sources.
//! The same parameters give the same records.

use crate::random::Random;
use nfdump_compat::{
    field::{self, ext},
    file::{Compression, FileWriter, WriterOptions},
    record::{RecordBuilder, RecordHeader},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// 2026-01-01T00:00:00Z, in milliseconds since the Unix epoch: the first flow begins then.
const START_MS: u64 = 1_767_225_600_000;
/// Flows that begin in the same millisecond.
const FLOWS_PER_MS: u64 = 100;
const BUSY_SOURCES: u64 = 1 << 16;
const SOURCES: u64 = 1 << 22;
const DESTINATIONS: u64 = 1 << 20;
const PORTS: [u64; 8] = [443, 443, 443, 80, 53, 22, 25, 993];

/// What to generate.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Records to write.
    pub flows: u64,
    /// Seed of addresses, ports, times and counters.
    pub seed: u64,
    /// Share of the records with IPv6 addresses, 0 to 1.
    pub ipv6_share: f64,
    /// Compression of the blocks.
    pub compression: Compression,
}

/// Writes the file.
///
/// # Errors
/// The system refuses.
pub fn write(spec: &Spec, path: &Path) -> anyhow::Result<()> {
    let options = WriterOptions {
        ident: "synthetic".to_owned(),
        compression: spec.compression,
        created_s: (START_MS / 1000).cast_signed(),
    };
    let mut writer = FileWriter::create(path, &options)?;
    let mut random = Random(spec.seed);
    let mut builder = RecordBuilder::new();
    let mut last_ms = START_MS;
    for number in 0..spec.flows {
        let first_ms = START_MS + number / FLOWS_PER_MS;
        last_ms = last_ms.max(build(&mut builder, &mut random, spec, first_ms));
        writer.record(builder.finish())?;
    }
    writer.finish((START_MS, last_ms), &[])?;
    Ok(())
}

/// Makes one record and returns when its flow ends.
fn build(builder: &mut RecordBuilder, random: &mut Random, spec: &Spec, first_ms: u64) -> u64 {
    let is_ipv6 = (random.below(1 << 20) as f64) < spec.ipv6_share * f64::from(1 << 20);
    let source = if random.below(2) == 0 {
        random.below(BUSY_SOURCES)
    } else {
        random.below(SOURCES)
    };
    let destination = random.below(DESTINATIONS);
    let duration_ms = random.below(60_000);
    let scale = random.below(16);
    let packets = 1 + random.below(1 << scale);
    let tcp = random.below(4) > 0;
    let well_known = PORTS.get(random.below(16) as usize).copied();
    let received_ms = first_ms + duration_ms + 15_000;
    builder.begin(&RecordHeader {
        exporter_id: 1,
        nfversion: 9,
        ..RecordHeader::default()
    });
    builder.set_address(
        field::SRC_IPV4,
        field::SRC_IPV6,
        address(0x0a00_0000, source, is_ipv6),
    );
    builder.set_address(
        field::DST_IPV4,
        field::DST_IPV6,
        address(0xac10_0000, destination, is_ipv6),
    );
    for (place, value) in [
        (field::MSEC_FIRST, first_ms),
        (field::MSEC_LAST, first_ms + duration_ms),
        (field::MSEC_RECEIVED, received_ms),
        (field::IN_PACKETS, packets),
        (field::IN_BYTES, packets * (40 + random.below(1460))),
        (field::SRC_PORT, 1024 + random.below(64_512)),
        (
            field::DST_PORT,
            well_known.unwrap_or_else(|| 1024 + random.below(64_512)),
        ),
        (field::PROTO, if tcp { 6 } else { 17 }),
        (field::TCP_FLAGS, if tcp { 0x1b } else { 0 }),
        (field::INPUT, 1 + random.below(16)),
        (field::OUTPUT, 1 + random.below(16)),
        (field::IP_RECEIVED_V4, 0x7f00_0001),
    ] {
        builder.set(place, value);
    }
    debug_assert!(builder.has(ext::FLOW_MISC), "a record as of nfcapd");
    first_ms + duration_ms
}

fn address(base: u32, host: u64, is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        let net = 0x2001_0db8_u128 << 96;
        return Ipv6Addr::from(net | u128::from(base) << 64 | u128::from(host)).into();
    }
    Ipv4Addr::from(base | host as u32).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nfdump_compat::{file::FileReader, record::RecordView};

    fn records(spec: &Spec) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        write(spec, &path).unwrap();
        let mut reader = FileReader::open(&path).unwrap();
        let mut found = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            found.extend(block.records().map(|record| record.bytes.to_vec()));
        }
        found
    }

    #[test]
    fn a_seed_gives_the_same_records_in_every_compression() {
        let spec = Spec {
            flows: 1000,
            seed: 7,
            ipv6_share: 0.25,
            compression: Compression::None,
        };
        let plain = records(&spec);
        assert_eq!(plain.len(), 1000);
        let ipv6 = plain
            .iter()
            .filter(|record| RecordView::parse(record).unwrap().has(ext::IPV6_FLOW))
            .count();
        assert!((150..350).contains(&ipv6), "{ipv6} of 1000 are IPv6");
        let compression = Compression::Lz4;
        assert_eq!(
            plain,
            records(&Spec {
                compression,
                ..spec.clone()
            })
        );
        assert_ne!(plain, records(&Spec { seed: 8, ..spec }));
    }
}
