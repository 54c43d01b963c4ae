//! `-E`: the exporters and samplers of a file.

use nfdump_compat::{
    file::{
        ExporterInfo, ExporterStat, FileReader, Sampler,
        layout2::{EXPORTER_RECORD, EXPORTER_STAT_RECORD, SAMPLER_RECORD, exporter_stats},
    },
    output::{address::push_address_full, versions::Facts},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

/// What a file tells about one exporter.
struct Exporter {
    info: ExporterInfo,
    samplers: Vec<Sampler>,
    stat: Option<ExporterStat>,
}

/// Prints the exporters of a file, each with what it sent and its samplers.
///
/// # Errors
/// The file cannot be read.
pub fn exporters(path: &Path, facts: &Facts) -> anyhow::Result<()> {
    let mut reader = FileReader::open(path)?;
    let mut exporters: BTreeMap<u16, Exporter> = BTreeMap::new();
    while let Some(block) = reader.next_block()? {
        for record in block.records() {
            match record.record_type {
                EXPORTER_RECORD => {
                    if let Some((number, info)) = ExporterInfo::parse(record.bytes) {
                        exporters.entry(number).or_insert(Exporter {
                            info,
                            samplers: Vec::new(),
                            stat: None,
                        });
                    }
                }
                SAMPLER_RECORD => {
                    if let Some(sampler) = Sampler::parse(record.bytes)
                        && let Some(exporter) = exporters.get_mut(&sampler.sysid)
                    {
                        exporter.samplers.push(sampler);
                    }
                }
                EXPORTER_STAT_RECORD => {
                    for stat in exporter_stats(record.bytes) {
                        if let Some(exporter) = u16::try_from(stat.sysid)
                            .ok()
                            .and_then(|number| exporters.get_mut(&number))
                        {
                            exporter.add(&stat);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    print(&exporters, facts)?;
    Ok(())
}

impl Exporter {
    fn add(&mut self, stat: &ExporterStat) {
        match &mut self.stat {
            Some(sum) => {
                sum.packets = sum.packets.saturating_add(stat.packets);
                sum.flows = sum.flows.saturating_add(stat.flows);
                sum.sequence_failures =
                    sum.sequence_failures.saturating_add(stat.sequence_failures);
            }
            None => self.stat = Some(*stat),
        }
    }
}

fn print(exporters: &BTreeMap<u16, Exporter>, facts: &Facts) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Exporters:")?;
    if exporters.is_empty() {
        writeln!(out, "No Exporter records found")?;
    }
    writeln!(out)?;
    for (number, exporter) in exporters {
        let info = &exporter.info;
        let mut address = Vec::new();
        push_address_full(&mut address, info.ip);
        let address = String::from_utf8_lossy(&address);
        let kind = match (facts.later, info.version) {
            (false, _) => "",
            (true, 10) => "ipfix v",
            (true, _) => "netflow v",
        };
        write!(
            out,
            "SysID: {number}, IP: {address:>16}, version: {kind}{}, ID: {:2}",
            info.version, info.id
        )?;
        match &exporter.stat {
            Some(stat) => writeln!(
                out,
                ", Sequence failures: {}, packets: {}, flows: {}",
                stat.sequence_failures, stat.packets, stat.flows
            )?,
            None => writeln!(out, " - no flows sent")?,
        }
        for sampler in &exporter.samplers {
            writeln!(out, "{}", describe(sampler))?;
        }
    }
    Ok(())
}

fn describe(sampler: &Sampler) -> String {
    let kind = match sampler.id {
        -1 => "Generic Sampler".to_owned(),
        -2 => "Sampler: default".to_owned(),
        -3 => "Sampler: overwrite".to_owned(),
        id => format!("Sampler: id: {id}"),
    };
    format!(
        "\t{kind}, algorithm: {}, packet interval: {}, packet space: {}",
        sampler.algorithm, sampler.packet_interval, sampler.space_interval
    )
}
