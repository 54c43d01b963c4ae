//! All that listens to messages: the judge of messages, and what gathers the records of known traffic.

use std::net::SocketAddr;

use tap::{Message, Receiver};

use crate::inspection::Inspection;
use crate::metering::drive::Heard;
use crate::metering::reported::Reported;

/// See the module.
#[derive(Debug)]
pub struct Watch {
    /// Judges messages.
    pub inspection: Inspection,
    /// Gathers flow records, if the traffic is known.
    pub reported: Option<Reported>,
    /// When the last message came.
    pub heard: std::sync::Arc<Heard>,
}

impl Receiver for Watch {
    fn message(&mut self, message: &Message<'_>) {
        self.inspection.message(message);
        if let Some(reported) = &mut self.reported {
            reported.message(message);
        }
        self.heard.now();
    }

    fn closed(&mut self, from: SocketAddr, to: SocketAddr) {
        self.inspection.closed(from, to);
        if let Some(reported) = &mut self.reported {
            reported.closed(from, to);
        }
    }
}
