//! `-w`: the file that flows are written to.

use crate::cli::Arguments;
use anyhow::Context;
use nfdump_compat::{
    file::{
        Compression, Copier, ExporterInfo, FileError, FileWriter, RawRecord, StatRecord,
        WriterOptions,
        layout2::{EXPORTER_RECORD, Program},
    },
    query::{Answer, Query},
};
use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// The file to be written, if one is asked for. It is created with the first input, whose source name it gets.
pub struct Written {
    path: Option<PathBuf>,
    compression: Compression,
    /// Of exporters only those numbered without a gap from 1 are written, no samplers: what nfdump 1.7.5 does with aggregated
    /// or sorted flows. The next such number.
    next_exporter: Option<u16>,
    level: Option<i32>,
    program: Program,
    /// It has the name of its source: that of the first input, of aggregated or sorted flows none.
    named: bool,
    open: Option<(FileWriter, Copier)>,
}

impl Arguments {
    /// The file of `-w`; with statistics nothing is written.
    ///
    /// # Errors
    /// Its directory does not exist, or two compressions are asked for.
    pub fn written(&self, query: &Query) -> anyhow::Result<Written> {
        let path = self.write.clone().filter(|_| query.statistics.is_empty());
        let (compression, level) = self.compression()?;
        let facts = query.style.facts();
        let made = query.aggregation.is_some() || query.order.is_some();
        let mut written = Written {
            path,
            compression,
            level,
            program: facts.program,
            next_exporter: (made && facts.later).then_some(1),
            named: made || facts.later,
            open: None,
        };
        if written.path.is_some() {
            written.create("none")?;
        }
        Ok(written)
    }
}

impl Written {
    fn create(&mut self, ident: &str) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let options = WriterOptions {
            ident: ident.to_owned(),
            compression: self.compression,
            created_s: i64::try_from(since.as_secs()).unwrap_or(0),
        };
        let mut writer = FileWriter::create(path, &options)?;
        writer.sign(self.program);
        if let Some(level) = self.level {
            writer.set_level(level)?;
        }
        self.open = Some((writer, Copier::new()));
        Ok(())
    }

    /// The records of the next input follow.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn begin_file(&mut self, ident: Option<&str>) -> Result<(), FileError> {
        if let Some((writer, copier)) = &mut self.open {
            *copier = Copier::new();
            if !std::mem::replace(&mut self.named, true) {
                writer.adopt_ident(ident);
            }
        }
        Ok(())
    }

    /// Takes a flow.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flow(&mut self, record: &[u8]) -> Result<(), FileError> {
        match &mut self.open {
            Some((writer, copier)) => writer.aggregate(copier.renumbered(record)),
            None => Ok(()),
        }
    }

    /// Takes an exporter or sampler; what an exporter sent is not known of a selection of flows.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn other(&mut self, raw: &RawRecord<'_>) -> Result<(), FileError> {
        match &mut self.open {
            Some((writer, copier)) => {
                if let Some(next) = &mut self.next_exporter {
                    let exporter = (raw.record_type == EXPORTER_RECORD)
                        .then(|| ExporterInfo::parse(raw.bytes))
                        .flatten();
                    match exporter {
                        Some((number, _)) if number == *next => *next = next.saturating_add(1),
                        _ => return Ok(()),
                    }
                }
                copier.origin(raw, writer)
            }
            _ => Ok(()),
        }
    }

    /// Writes what was aggregated or sorted, and closes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self, answer: &mut Answer<'_>) -> anyhow::Result<()> {
        let Some((mut writer, _)) = self.open.take() else {
            return Ok(());
        };
        let mut result = Ok(());
        answer.export(|record| {
            if result.is_ok() {
                result = writer.aggregate(record);
            }
        });
        result.context("cannot write the flows")?;
        let nothing = StatRecord::default();
        writer.finish((nothing.first_ms, nothing.last_ms), &[])?;
        Ok(())
    }
}
