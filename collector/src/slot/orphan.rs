//! Working files whose writer is gone: a crash or a kill left them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nfdump_compat::file;
use tracing::{error, info, warn};

use crate::daemon::is_collector;

use super::SlotOptions;
use super::finish::publish;

/// Recovers all of a directory, and says so.
pub fn recover_all(options: &SlotOptions) {
    for orphan in find(&options.directory) {
        match recover(&orphan, options) {
            Ok(Some(target)) => info!(
                "{}: unfinished file recovered as {}",
                orphan.display(),
                target.display()
            ),
            Ok(None) => info!(
                "{}: unfinished file without a record removed",
                orphan.display()
            ),
            Err(error) => error!("unfinished file left as it is: {error:#}"),
        }
    }
}

/// The working files in a directory that nobody writes any more. A number that is our own, or that now belongs to
/// another kind of program, is a number used again.
fn find(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else {
        return Vec::new();
    };
    let mut orphans: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .and_then(|n| n.strip_prefix("nfcapd.current."))
                .and_then(|rest| rest.split('.').next())
                .and_then(|pid| pid.parse().ok());
            pid.is_some_and(|pid: u32| pid == std::process::id() || !is_collector(pid))
        })
        .map(|entry| entry.path())
        .collect();
    orphans.sort();
    orphans
}

/// Completes an unfinished file and gives it the name of its slot; `None` if it held no record and was removed.
fn recover(path: &Path, options: &SlotOptions) -> anyhow::Result<Option<PathBuf>> {
    let name = || path.display().to_string();
    // A collector that died before it wrote the header.
    if path.metadata().with_context(name)?.len() == 0 {
        std::fs::remove_file(path).with_context(name)?;
        return Ok(None);
    }
    let recovered = file::recover(path, &options.ident)?;
    for damage in &recovered.damage {
        warn!("not recovered: {damage}");
    }
    if recovered.stat.flows == 0 {
        std::fs::remove_file(path).with_context(name)?;
        return Ok(None);
    }
    let start_s = options.calendar.slot_start(recovered.created_s);
    publish(path, options, start_s).map(Some).with_context(name)
}
