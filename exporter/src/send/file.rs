//! An IPFIX file (RFC 5655): the messages, one behind the other.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The file, or standard output.
#[derive(Debug)]
pub(super) struct MessageFile {
    to: Output,
    /// Octets of whole messages.
    octets: u64,
    /// Nothing can be written any more, and why.
    broken: Option<String>,
}

#[derive(Debug)]
enum Output {
    File(File),
    Stdout(std::io::Stdout),
}

impl MessageFile {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self::new(Output::File(File::create(path)?)))
    }

    pub(super) fn stdout() -> Self {
        Self::new(Output::Stdout(std::io::stdout()))
    }

    fn new(to: Output) -> Self {
        MessageFile {
            to,
            octets: 0,
            broken: None,
        }
    }

    pub(super) fn write(&mut self, message: &[u8]) -> Result<(), String> {
        if let Some(cause) = &self.broken {
            return Err(cause.clone());
        }
        let written = match &mut self.to {
            Output::File(file) => file.write_all(message),
            Output::Stdout(out) => out.write_all(message),
        };
        match written {
            Ok(()) => {
                self.octets += message.len() as u64;
                Ok(())
            }
            Err(error) => {
                if let Output::File(file) = &self.to {
                    // Half a message would be damage.
                    let _ = file.set_len(self.octets);
                }
                let cause = format!("writing failed: {error}");
                self.broken = Some(cause.clone());
                Err(cause)
            }
        }
    }

    /// Brings everything to where it belongs.
    pub(super) fn finish(mut self) -> Result<(), String> {
        match &mut self.to {
            Output::Stdout(out) if self.broken.is_none() => out
                .flush()
                .map_err(|error| format!("writing failed: {error}")),
            _ => Ok(()),
        }
    }
}
