//! `--state`: templates kept over a restart of the collector. Only those of datagram exporters: a stream begins with
//! its templates (RFC 7011 section 8). The file appears complete or not at all; one that cannot be read is said so and
//! otherwise ignored.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::session::{KeptTemplate, Session};
use protocol::template::{FieldSpecifier, Template, TemplateKind};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::listen::queue::worker_of;

/// Form of the file; others are not read.
const FORM: u32 = 1;
/// A larger file is none of ours.
const MAX_OCTETS: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct State {
    form: u32,
    templates: Vec<Entry>,
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

/// Takes the templates of the file into the sessions, each into that of its exporter's worker.
pub fn load(path: &Path, now_ms: u64, sessions: &mut [Session]) {
    let state = match read(path) {
        Ok(Some(state)) => state,
        Ok(None) => return,
        Err(error) => {
            warn!("state file {}: {error}: begun without it", path.display());
            return;
        }
    };
    let (total, workers) = (state.templates.len(), sessions.len());
    let mut restored = 0;
    for kept in state.templates.into_iter().filter_map(kept) {
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

fn kept(entry: Entry) -> Option<KeptTemplate> {
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

/// Writes templates; what goes wrong is told.
pub fn save(path: &Path, templates: &[KeptTemplate]) {
    if let Err(error) = write(path, templates) {
        warn!("state file {}: {error}", path.display());
    }
}

/// The file is then as it was, if the file system refuses anything.
fn write(path: &Path, templates: &[KeptTemplate]) -> io::Result<()> {
    let mut templates: Vec<Entry> = templates
        .iter()
        .map(|kept| Entry {
            exporter: kept.exporter,
            version: kept.template.version(),
            domain: kept.domain,
            seen_ms: kept.seen_ms,
            id: kept.template.id(),
            scope_count: match kept.template.kind() {
                TemplateKind::Data => None,
                TemplateKind::Options { scope_count } => Some(scope_count),
            },
            fields: kept
                .template
                .fields()
                .iter()
                .map(|field| (field.pen, field.id, field.length))
                .collect(),
        })
        .collect();
    templates.sort_by_key(|entry| (entry.exporter, entry.version, entry.domain, entry.id));
    let state = State {
        form: FORM,
        templates,
    };
    let working = working(path);
    let mut file = File::create(&working)?;
    let mut octets = serde_json::to_vec(&state)?;
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
