//! Decoding with state: templates, sequence numbers and waiting data per
//! exporter and observation domain. Messages in, [`Events`] out.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::template::{FieldSpecifier, TemplateKind};

/// A template as a session knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// Unique in the process: a consumer keeps what it compiled for a template under this number.
    uid: u64,
    /// 5, 9 or 10.
    version: u16,
    id: u16,
    kind: TemplateKind,
    fields: Box<[FieldSpecifier]>,
}

/// Where a record came from: the header of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageInfo {
    /// 5, 9 or 10.
    pub version: u16,
    /// The sender's address and port.
    pub exporter: SocketAddr,
    /// Observation domain (IPFIX), source id (v9), engine type << 8 | engine id (v5).
    pub domain: u32,
    /// Export time of the header, milliseconds since 1970.
    pub export_ms: u64,
    /// `sysUpTime` of the header in milliseconds; `None` for IPFIX.
    pub uptime_ms: Option<u32>,
    /// Sequence number as sent.
    pub sequence: u32,
    /// v5: the header's sampling mode and interval; 0 otherwise.
    pub sampling: u16,
    /// When it was received, milliseconds since 1970, as the caller said.
    pub received_ms: u64,
}

/// What a session tells.
pub trait Events {
    /// A data record of `template`; `bytes` is exactly the record, padding of the set aside. `late` marks
    /// records that waited for their template.
    fn record(&mut self, message: &MessageInfo, template: &Arc<Template>, bytes: &[u8], late: bool);
    /// A template was learned, changed or withdrawn.
    fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        let _ = (message, template);
    }
}
