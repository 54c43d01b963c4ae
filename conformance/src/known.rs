//! Failures that are expected: one identifier a line, with a comment if wanted.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};

use crate::catalogue;

/// Octets that are read of a file: more than all rules take.
const MOST: u64 = 1 << 20;

/// Rules that are known to be broken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known(Vec<&'static str>);

impl Known {
    /// Reads `path`: an identifier a line; what follows it, and lines that begin with `#`, are comments.
    ///
    /// # Errors
    /// When it cannot be read or names a rule that does not exist.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let failed = || format!("cannot read the known failures {name}");
        let mut text = String::new();
        let file = File::open(path).with_context(failed)?;
        file.take(MOST)
            .read_to_string(&mut text)
            .with_context(failed)?;
        let mut ids = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let Some(word) = line.split_whitespace().next() else {
                continue;
            };
            if word.starts_with('#') {
                continue;
            }
            let Some(requirement) = catalogue::find(word) else {
                bail!("{name}, line {}: {}", index + 1, unknown(word));
            };
            ids.push(requirement.rule.id);
        }
        Ok(Self(ids))
    }

    /// Whether this rule is expected to be broken.
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(&id)
    }
}

/// What to say of an identifier that does not exist.
pub fn unknown(id: &str) -> String {
    let near = catalogue::suggest(id);
    if near.is_empty() {
        format!("there is no rule {id:?}: see t2check list")
    } else {
        format!(
            "there is no rule {id:?}: did you mean {}?",
            near.join(" or ")
        )
    }
}
