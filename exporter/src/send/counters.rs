//! What was sent, and what was not.

use std::ops::AddAssign;

/// What is in a message: flow records, and the packets and octets that they tell of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Flow records.
    pub records: u64,
    /// Packets of these flows.
    pub packets: u64,
    /// Octets of them, by the profile's metric.
    pub octets: u64,
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Load) {
        self.records += other.records;
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

/// What was sent, and what was not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SendCounters {
    /// Messages handed to the network, or written to the file. Over TCP and TLS those are left out that the
    /// collector's system had not acknowledged when a connection broke.
    pub messages: u64,
    /// Flow records in them.
    pub records: u64,
    /// Octets of them, without transport headers.
    pub octets: u64,
    /// Datagrams to which the collector's host answered that nobody listens.
    pub refused: u64,
    /// How often a connection was made anew, or a name resolved at last.
    pub reconnects: u64,
    /// How often that failed.
    pub failed_reconnects: u64,
    /// The flows of all messages that could not be sent.
    pub not_sent: Load,
    /// What could not be sent, by cause, in order of first appearance.
    pub lost: Vec<Lost>,
}

/// Messages that could not be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Why, in the system's words.
    pub cause: String,
    /// How many messages.
    pub messages: u64,
    /// Flow records in them.
    pub records: u64,
}

impl SendCounters {
    /// A message has gone.
    pub(super) fn sent(&mut self, octets: usize, load: Load) {
        self.messages += 1;
        self.records += load.records;
        self.octets += octets as u64;
    }

    /// Something went wrong, but no message is known to be lost.
    pub(super) fn fail(&mut self, cause: &str) {
        self.lost.push(Lost {
            cause: cause.to_owned(),
            messages: 0,
            records: 0,
        });
    }

    pub(crate) fn lose(&mut self, cause: &str, messages: u64, load: Load) {
        if messages == 0 && load == Load::default() {
            return;
        }
        self.not_sent += load;
        let records = load.records;
        match self.lost.iter_mut().find(|lost| lost.cause == cause) {
            Some(lost) => {
                lost.messages += messages;
                lost.records += records;
            }
            None => self.lost.push(Lost {
                cause: cause.to_owned(),
                messages,
                records,
            }),
        }
    }
}
