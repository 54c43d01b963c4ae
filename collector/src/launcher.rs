//! `-x`: a command for each finished file. There is no shell: the command line was taken apart once, and what `%f` and
//! the others stand for is put into its words.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tracing::{debug, error, warn};

use crate::daemon;

/// Commands that may run at a time; the files of more have none.
const MAX_RUNNING: usize = 32;
/// How long the end of the program waits for commands that still run.
const PATIENCE: Duration = Duration::from_secs(10);

/// A finished file.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// The directory of the source, above sub directories.
    pub directory: &'a Path,
    /// Begin of its slot as its name has it.
    pub stamp: String,
    /// The same in seconds since 1970.
    pub start_s: i64,
    /// Name of the source.
    pub ident: &'a str,
}

/// Runs the command.
#[derive(Debug)]
pub struct Launcher {
    words: Vec<String>,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Launcher {
    /// For a command of these words; none: there is nothing to run.
    #[must_use]
    pub fn new(words: Vec<String>) -> Self {
        Self {
            words,
            running: Arc::default(),
        }
    }

    /// Runs the command for a file, and says later if it failed.
    pub fn launch(&self, file: &Finished<'_>) {
        let mut words = self.words.iter().map(|word| expand(word, file));
        let Some(program) = words.next() else {
            return;
        };
        {
            let mut count = self
                .running
                .count
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if *count >= MAX_RUNNING {
                error!(
                    "{}: {MAX_RUNNING} commands of -x still run, this file has none",
                    file.path.display()
                );
                return;
            }
            *count += 1;
        }
        let spawned = Command::new(&program)
            .args(words)
            .env_remove(daemon::MARK)
            .stdin(Stdio::null())
            .spawn();
        let shown = format!("{program} for {}", file.path.display());
        let running = Arc::clone(&self.running);
        match spawned {
            Err(error) => {
                error!("cannot run {shown}: {error}");
                running.leave();
            }
            Ok(child) => {
                let waits = Builder::new().name("launched".to_owned()).spawn(move || {
                    wait(child, &shown);
                    running.leave();
                });
                if let Err(error) = waits {
                    // It runs all the same; nobody will hear how it ended.
                    warn!("no thread to wait for the command of -x: {error}");
                    self.running.leave();
                }
            }
        }
    }

    /// Waits for commands that still run, for a bounded time.
    pub fn end(&self) {
        let count = self
            .running
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .running
            .ended
            .wait_timeout_while(count, PATIENCE, |count| *count > 0);
        if let Ok((count, _)) = waited
            && *count > 0
        {
            warn!("{} commands of -x still run and are left alone", *count);
        }
    }
}

impl Running {
    fn leave(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        self.ended.notify_all();
    }
}

fn wait(mut child: Child, shown: &str) {
    match child.wait() {
        Ok(status) if status.success() => debug!("{shown}: done"),
        Ok(status) => error!("{shown}: {status}"),
        Err(error) => error!("{shown}: {error}"),
    }
}

/// A word with what its place holders stand for; `%%` is one `%`, others stay as they are.
fn expand(word: &str, file: &Finished<'_>) -> String {
    let mut text = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => {
                let below = file.path.strip_prefix(file.directory);
                text.push_str(&below.unwrap_or(file.path).to_string_lossy());
            }
            Some('d') => text.push_str(&file.directory.to_string_lossy()),
            Some('t') => text.push_str(&file.stamp),
            Some('u') => text.push_str(&file.start_s.to_string()),
            Some('i') => text.push_str(file.ident),
            Some('%') => text.push('%'),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_holders_are_expanded_within_words() {
        let file = Finished {
            path: Path::new("/flows/2026/01/nfcapd.202601020300"),
            directory: Path::new("/flows"),
            stamp: "202601020300".to_owned(),
            start_s: 1_767_322_800,
            ident: "$(reboot) x",
        };
        let expanded = |word| expand(word, &file);
        assert_eq!(expanded("%d/%f"), "/flows/2026/01/nfcapd.202601020300");
        assert_eq!(expanded("t=%t,u=%u"), "t=202601020300,u=1767322800");
        assert_eq!(expanded("%i"), "$(reboot) x");
        assert_eq!(expanded("100%%, %x %"), "100%, %x %");
    }
}
