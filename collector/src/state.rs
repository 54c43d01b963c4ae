//! `--state`: templates and sequence numbers kept over a restart of the collector. Only those of datagram exporters: a
//! stream begins anew (RFC 7011 section 8). The file appears complete or not at all; one that cannot be read is said so
//! and otherwise ignored.
//!
//! Sequence numbers are written at the end only and are good for one start: after a crash those of the last writing
//! would tell what was stored since as lost.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::session::{KeptSequence, KeptTemplate, Session};
use protocol::template::{FieldSpecifier, Template, TemplateKind};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::listen::queue::worker_of;

/// Form of the file; others are not read.
const FORM: u32 = 1;
/// A larger file is none of ours.
const MAX_OCTETS: u64 = 1 << 30;

/// What outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Templates.
    pub templates: Vec<KeptTemplate>,
    /// Sequence numbers.
    pub sequences: Vec<KeptSequence>,
}

impl Kept {
    /// What a session knows.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self {
            templates: session.kept().collect(),
            sequences: session.kept_sequences().collect(),
        }
    }

    /// Adds what another session knows.
    pub fn add(&mut self, other: Self) {
        self.templates.extend(other.templates);
        self.sequences.extend(other.sequences);
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    form: u32,
    templates: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sequences: Vec<Progress>,
}

#[derive(Serialize, Deserialize)]
struct Progress {
    exporter: SocketAddr,
    version: u16,
    domain: u32,
    seen_ms: u64,
    next: u32,
    /// Uptime of the last message, and when that clock stood at zero.
    clock: Option<(u32, i64)>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    exporter: SocketAddr,
    version: u16,
    domain: u32,
    /// Milliseconds since 1970 at which it was sent last.
    seen_ms: u64,
    id: u16,
    /// Of options templates.
    scope_count: Option<u16>,
    /// Enterprise, element, length.
    fields: Vec<(u32, u16, u16)>,
}

/// Takes what the file holds into the sessions, each exporter's into that of its worker.
pub fn load(path: &Path, now_ms: u64, sessions: &mut [Session]) {
    let mut state = match read(path) {
        Ok(Some(state)) => state,
        Ok(None) => return,
        Err(error) => {
            warn!("state file {}: {error}: begun without it", path.display());
            return;
        }
    };
    let sequences = std::mem::take(&mut state.sequences);
    // They are good once.
    if !sequences.is_empty()
        && let Err(error) = write(path, &state)
    {
        warn!(
            "state file {}: {error}: sequence numbers are not used",
            path.display()
        );
    } else {
        for kept in sequences {
            let worker = worker_of(kept.exporter.ip(), sessions.len());
            if let Some(session) = sessions.get_mut(worker) {
                session.restore_sequence(now_ms, &kept.into());
            }
        }
    }
    let (total, workers) = (state.templates.len(), sessions.len());
    let mut restored = 0;
    for kept in state.templates.into_iter().filter_map(template) {
        let worker = worker_of(kept.exporter.ip(), workers);
        if let Some(session) = sessions.get_mut(worker) {
            restored += usize::from(session.restore(now_ms, kept));
        }
    }
    info!(
        "state file {}: {restored} of {total} templates are still good",
        path.display()
    );
}

fn read(path: &Path) -> io::Result<Option<State>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(meta) if meta.len() > MAX_OCTETS => {
            return Err(io::Error::other("it is far too large"));
        }
        _ => {}
    }
    let state: State = serde_json::from_slice(&fs::read(path)?)?;
    if state.form != FORM {
        return Err(io::Error::other(format!(
            "form {} is not known",
            state.form
        )));
    }
    Ok(Some(state))
}

fn template(entry: Entry) -> Option<KeptTemplate> {
    let kind = match entry.scope_count {
        Some(scope_count) => TemplateKind::Options { scope_count },
        None => TemplateKind::Data,
    };
    let fields = entry
        .fields
        .into_iter()
        .map(|(pen, id, length)| FieldSpecifier { id, pen, length })
        .collect();
    let template = Template::new(entry.version, entry.id, kind, fields).ok()?;
    Some(KeptTemplate {
        exporter: entry.exporter,
        domain: entry.domain,
        seen_ms: entry.seen_ms,
        template: Arc::new(template),
    })
}

/// Writes what is kept; what goes wrong is told.
pub fn save(path: &Path, kept: &Kept) {
    let mut templates: Vec<Entry> = kept.templates.iter().map(Entry::from).collect();
    templates.sort_by_key(|entry| (entry.exporter, entry.version, entry.domain, entry.id));
    let mut sequences: Vec<Progress> = kept.sequences.iter().map(Progress::from).collect();
    sequences.sort_by_key(|entry| (entry.exporter, entry.version, entry.domain));
    let state = State {
        form: FORM,
        templates,
        sequences,
    };
    if let Err(error) = write(path, &state) {
        warn!("state file {}: {error}", path.display());
    }
}

impl From<&KeptTemplate> for Entry {
    fn from(kept: &KeptTemplate) -> Self {
        let fields = kept.template.fields().iter();
        Self {
            exporter: kept.exporter,
            version: kept.template.version(),
            domain: kept.domain,
            seen_ms: kept.seen_ms,
            id: kept.template.id(),
            scope_count: match kept.template.kind() {
                TemplateKind::Data => None,
                TemplateKind::Options { scope_count } => Some(scope_count),
            },
            fields: fields
                .map(|field| (field.pen, field.id, field.length))
                .collect(),
        }
    }
}

impl From<&KeptSequence> for Progress {
    fn from(kept: &KeptSequence) -> Self {
        Self {
            exporter: kept.exporter,
            version: kept.version,
            domain: kept.domain,
            seen_ms: kept.seen_ms,
            next: kept.next,
            clock: kept.clock,
        }
    }
}

impl From<Progress> for KeptSequence {
    fn from(entry: Progress) -> Self {
        Self {
            exporter: entry.exporter,
            version: entry.version,
            domain: entry.domain,
            seen_ms: entry.seen_ms,
            next: entry.next,
            clock: entry.clock,
        }
    }
}

/// The file is then as it was, if the file system refuses anything.
fn write(path: &Path, state: &State) -> io::Result<()> {
    let working = working(path);
    let mut file = File::create(&working)?;
    let mut octets = serde_json::to_vec(state)?;
    octets.push(b'\n');
    file.write_all(&octets)?;
    file.sync_all()?;
    fs::rename(&working, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn working(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}
