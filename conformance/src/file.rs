//! `t2check file`: files of flows judged as they lie there. nfcapd files by their structure (header, blocks, records,
//! appendix), IPFIX files (RFC 5655) and other files of bare messages by the rules of messages. Every finding has the
//! offset in the file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use nfdump_compat::file::layout2::{BLOCK_HEADER, BlockHeader, FILE_HEADER};
use nfdump_compat::file::{FileErrorKind, FileReader, StatRecord};
use nfdump_compat::record::{RecordView, V3_RECORD};
use serde::Serialize;
use tap::{Message, MessageFile, Receiver};

use crate::inspection::Inspection;
use crate::run::{Outcome, print};
use crate::verdict::{Profile, Verdict};
use crate::wire::Options;

/// So many findings of a file are told.
const MOST: usize = 100;

/// Blocks above this are lost by the converter of nfdump 1.8.
const LARGE_BLOCK: usize = 2 << 20;

/// Record types of layout 2 that nfdump 1.7 knows.
const KNOWN_TYPES: [u16; 8] = [7, 8, 9, V3_RECORD, 12, 13, 14, 15];

/// The record type of exporters.
const EXPORTER: u16 = 7;

/// So many exporters of a file are told apart.
const MOST_EXPORTERS: usize = 65_536;

/// Options of `t2check file`.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// nfcapd files, IPFIX files, or bare messages one behind the other
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What is only recommended (SHOULD) counts too
    #[arg(long)]
    pub strict: bool,
    /// Writes JSON; - writes it to standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// One fault of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// Octets from the start of the file.
    pub offset: u64,
    /// What is broken: a rule of messages, or a part of an nfcapd file.
    pub rule: &'static str,
    /// How bad it is.
    #[serde(serialize_with = "verdict_name")]
    pub verdict: Verdict,
    /// What stands there, and what should.
    pub note: String,
}

fn verdict_name<S: serde::Serializer>(verdict: &Verdict, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(verdict.name())
}

/// What was found in one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Judged {
    /// Its path.
    pub file: String,
    /// What it is.
    pub kind: String,
    /// The faults, by offset, the first [`MOST`].
    pub faults: Vec<Fault>,
    /// All of them.
    pub count: u64,
}

impl Judged {
    fn new(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            kind: String::new(),
            faults: Vec::new(),
            count: 0,
        }
    }

    fn fault(&mut self, offset: u64, rule: &'static str, verdict: Verdict, note: String) {
        self.count += 1;
        if self.faults.len() < MOST {
            self.faults.push(Fault {
                offset,
                rule,
                verdict,
                note,
            });
        }
    }
}

/// Judges the files of the command line.
///
/// # Errors
/// When a file cannot be read, is neither kind, or a report cannot be written; those before it are told.
pub fn run(options: &Files) -> anyhow::Result<Outcome> {
    let mut all = Vec::new();
    let mut failure = None;
    for path in &options.files {
        match judge(path, options.strict) {
            Ok(judged) => all.push(judged),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    let json = || -> anyhow::Result<String> {
        #[derive(Serialize)]
        struct Document<'a> {
            files: &'a [Judged],
        }
        Ok(serde_json::to_string(&Document { files: &all })? + "\n")
    };
    match &options.json {
        Some(path) if path == Path::new(crate::cli::STDOUT) => print(&json()?)?,
        other => {
            if let Some(path) = other {
                std::fs::write(path, json()?)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            print(&text(&all))?;
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let clean = all.iter().all(|judged| judged.count == 0);
    Ok(if clean {
        Outcome::Positive
    } else {
        Outcome::Negative
    })
}

fn text(all: &[Judged]) -> String {
    let mut text = String::new();
    for judged in all {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{}: {}, {}",
            judged.file,
            judged.kind,
            match judged.count {
                0 => "no fault".to_owned(),
                1 => "1 fault".to_owned(),
                count => format!("{count} faults"),
            }
        );
        for fault in &judged.faults {
            let _ = writeln!(
                text,
                "  {:<12}{:<16} offset {:>10}  {}",
                fault.verdict, fault.rule, fault.offset, fault.note
            );
        }
    }
    text
}

/// Judges one file.
///
/// # Errors
/// When it cannot be read, or is of neither kind.
pub fn judge(path: &Path, strict: bool) -> anyhow::Result<Judged> {
    if let Some(file) = MessageFile::open(path) {
        return messages(path, file, strict);
    }
    nfcapd(path)
}

/// Where messages begin, beside the judge of messages.
struct Listener {
    inspection: Inspection,
    /// Octets before each message.
    offsets: Vec<u64>,
    offset: u64,
}

impl Receiver for Listener {
    fn message(&mut self, message: &Message<'_>) {
        self.offsets.push(self.offset);
        self.offset += message.bytes.len() as u64;
        self.inspection.message(message);
    }

    fn closed(&mut self, from: std::net::SocketAddr, to: std::net::SocketAddr) {
        self.inspection.closed(from, to);
    }
}

fn messages(path: &Path, mut file: MessageFile, strict: bool) -> anyhow::Result<Judged> {
    let mut listener = Listener {
        inspection: Inspection::new(Options {
            profile: Profile::Rfc7011,
            live: false,
            strict,
        }),
        offsets: Vec::new(),
        offset: 0,
    };
    while file
        .next_message(&mut listener)
        .with_context(|| format!("{}: reading failed", path.display()))?
    {}
    let mut judged = Judged::new(path);
    let tally = listener.inspection.tally();
    judged.kind = format!("{} messages in {} octets", tally.messages, tally.octets);
    let offsets = listener.offsets;
    if tally.foreign() > 0 {
        judged.fault(
            0,
            "version",
            Verdict::DataLoss,
            format!(
                "{} messages are neither NetFlow v5, v9 nor IPFIX",
                tally.foreign()
            ),
        );
    }
    for result in listener.inspection.finish() {
        if !result.verdict.is_negative() {
            continue;
        }
        let at = |number: u64| {
            let index = usize::try_from(number.saturating_sub(1)).ok()?;
            offsets.get(index).copied()
        };
        let (offset, note) = match &result.first {
            Some(first) => (
                at(first.number).unwrap_or(0) + first.finding.offset as u64,
                format!("message {}: {}", first.number, first.finding.note),
            ),
            None => (0, result.requirement.rule.sentence.to_owned()),
        };
        judged.fault(
            offset,
            result.requirement.rule.id,
            result.verdict,
            format!("{note} ({} times)", result.count),
        );
    }
    judged.faults.sort_by_key(|fault| fault.offset);
    Ok(judged)
}

/// The structure of an nfcapd file.
fn nfcapd(path: &Path) -> anyhow::Result<Judged> {
    let mut judged = Judged::new(path);
    let mut reader = match FileReader::open(path) {
        Ok(reader) => reader,
        Err(error) => match error.kind {
            FileErrorKind::Io { .. } | FileErrorKind::Empty | FileErrorKind::Magic(_) => {
                anyhow::bail!("{error}; and no messages of NetFlow or IPFIX");
            }
            kind => {
                "nfcapd".clone_into(&mut judged.kind);
                judged.fault(0, "file-header", Verdict::DataLoss, kind.to_string());
                return Ok(judged);
            }
        },
    };
    let mut raw = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = raw.metadata()?.len();
    let layout = layout(&mut raw)?;
    let mut walk = Walk {
        raw,
        layout,
        totals: StatRecord::default(),
        exporters: Vec::new(),
        flows: 0,
        blocks: 0,
        damaged: false,
    };
    loop {
        match reader.next_block() {
            Ok(Some(block)) => walk.block(&block, &mut judged)?,
            Ok(None) => break,
            Err(error) => {
                walk.damaged = true;
                let (rule, verdict) = kind(&error.kind);
                let offset = error.offset.unwrap_or(0);
                judged.fault(offset, rule, verdict, error.kind.to_string());
            }
        }
    }
    judged.kind = format!(
        "nfcapd, layout {layout}, {}, {} blocks, {} flows",
        reader.header().compression,
        walk.blocks,
        walk.flows
    );
    if layout == 2 {
        walk.ends(&reader, size, &mut judged);
    }
    judged.faults.sort_by_key(|fault| fault.offset);
    Ok(judged)
}

fn layout(raw: &mut File) -> anyhow::Result<u16> {
    let mut head = [0; 4];
    raw.read_exact(&mut head)?;
    let [_, _, low, high] = head;
    Ok(u16::from_le_bytes([low, high]))
}

/// The name of an error of the reader.
fn kind(kind: &FileErrorKind) -> (&'static str, Verdict) {
    match kind {
        FileErrorKind::CutBlock { .. } => ("cut", Verdict::DataLoss),
        FileErrorKind::BlockHeader { .. } => ("block-header", Verdict::DataLoss),
        FileErrorKind::Decompress { .. } => ("compression", Verdict::DataLoss),
        _ => ("structure", Verdict::DataLoss),
    }
}

struct Walk {
    raw: File,
    layout: u16,
    totals: StatRecord,
    /// Numbers of the exporters that were introduced.
    exporters: Vec<u16>,
    flows: u64,
    blocks: u32,
    damaged: bool,
}

impl Walk {
    fn block(
        &mut self,
        block: &nfdump_compat::file::Block<'_>,
        judged: &mut Judged,
    ) -> anyhow::Result<()> {
        self.blocks += 1;
        let at = block.offset();
        let mut bytes = [0; BLOCK_HEADER];
        self.raw.seek(SeekFrom::Start(at))?;
        self.raw.read_exact(&mut bytes)?;
        let header = BlockHeader::parse(bytes);
        let records = block.records().count();
        if self.layout == 2 && header.flags != 0 {
            judged.fault(
                at + 10,
                "block-flags",
                Verdict::Deviation,
                format!("flags 0x{:04x}, 0 expected", header.flags),
            );
        }
        if self.layout == 2 && usize::try_from(header.records).ok() != Some(records) {
            judged.fault(
                at,
                "record-count",
                Verdict::WrongData,
                format!(
                    "the block's header says {} records, it has {records}",
                    header.records
                ),
            );
        }
        if block.size() > LARGE_BLOCK {
            judged.fault(
                at,
                "block-size",
                Verdict::Deviation,
                format!(
                    "{} octets before compression: writers stay below 2 MiB, and nfdump 1.8 loses records of larger ones",
                    block.size()
                ),
            );
        }
        for (index, record) in block.records().enumerate() {
            self.record(at, index, &record, judged);
        }
        Ok(())
    }

    /// Records have no offset of their own in a compressed file: that of their block is told, and their number.
    fn record(
        &mut self,
        at: u64,
        index: usize,
        record: &nfdump_compat::file::RawRecord<'_>,
        judged: &mut Judged,
    ) {
        let number = index + 1;
        if !KNOWN_TYPES.contains(&record.record_type) {
            judged.fault(
                at,
                "record-type",
                Verdict::Deviation,
                format!(
                    "record {number} of the block is of type {}, which no reader knows",
                    record.record_type
                ),
            );
        }
        if record.record_type == EXPORTER && self.exporters.len() < MOST_EXPORTERS {
            let parsed = nfdump_compat::file::ExporterInfo::parse(record.bytes);
            self.exporters.extend(parsed.map(|(sysid, _)| sysid));
        }
        if record.record_type != V3_RECORD {
            return;
        }
        self.flows += 1;
        let view = match RecordView::parse(record.bytes) {
            Ok(view) => view,
            Err(error) => {
                self.damaged = true;
                let note = format!("record {number} of the block: {error}");
                judged.fault(at, "record", Verdict::DataLoss, note);
                return;
            }
        };
        self.totals.add(&view);
        if let Some(id) = twice(record.bytes) {
            let note = format!("record {number} of the block has extension {id} twice");
            judged.fault(at, "extension", Verdict::WrongData, note);
        }
        if let (Some(first), Some(last)) = (view.first_ms(), view.last_ms())
            && last < first
        {
            let note = format!(
                "record {number} of the block ends {} ms before it begins",
                first - last
            );
            judged.fault(at, "times", Verdict::WrongData, note);
        }
    }

    /// Header, appendix and size against what was found between them.
    fn ends(&self, reader: &FileReader, size: u64, judged: &mut Judged) {
        let header = reader.header();
        if !header.is_finished() {
            judged.fault(
                18,
                "unfinished",
                Verdict::Deviation,
                "the file was not closed: its header names no appendix, and readers show no totals"
                    .to_owned(),
            );
            return;
        }
        // The reader stops where the header says; behind damage nothing is sure.
        if self.damaged {
            return;
        }
        if header.blocks != reader.blocks() {
            judged.fault(
                36,
                "block-count",
                Verdict::WrongData,
                format!(
                    "the header says {} blocks, there are {}",
                    header.blocks,
                    reader.blocks()
                ),
            );
        }
        if header.appendix_offset < FILE_HEADER as u64 || header.appendix_offset >= size {
            judged.fault(
                24,
                "appendix",
                Verdict::DataLoss,
                format!(
                    "the appendix is said to be at {}, the file has {size} octets",
                    header.appendix_offset
                ),
            );
            return;
        }
        let Some(said) = reader.stat() else {
            judged.fault(
                header.appendix_offset,
                "appendix",
                Verdict::Deviation,
                "no totals in the appendix".to_owned(),
            );
            return;
        };
        for (what, said, found) in [
            ("flows", said.flows, self.totals.flows),
            ("packets", said.packets, self.totals.packets),
            ("octets", said.bytes, self.totals.bytes),
        ] {
            if said != found {
                judged.fault(
                    header.appendix_offset,
                    "totals",
                    Verdict::WrongData,
                    format!("the totals say {said} {what}, the records have {found}"),
                );
            }
        }
    }
}

/// An extension that a flow record has twice.
fn twice(record: &[u8]) -> Option<u16> {
    let mut seen = [false; 256];
    let mut rest = record.get(nfdump_compat::record::V3_HEADER..)?;
    loop {
        let &[id_low, id_high, low, high] = rest.first_chunk::<4>()?;
        let id = u16::from_le_bytes([id_low, id_high]);
        let length = usize::from(u16::from_le_bytes([low, high])).max(4);
        let place = seen.get_mut(usize::from(id))?;
        if std::mem::replace(place, true) {
            return Some(id);
        }
        rest = rest.get(length..)?;
    }
}
