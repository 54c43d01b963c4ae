//! What exporters sent in datagrams: none of it counts on their streams (RFC 7011 section 10).

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::Transport;
use super::message::Message;

/// Hosts, and templates of all of them, that are remembered.
const HOSTS: usize = 4096;
const TEMPLATES: usize = 65_536;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    hosts: HashSet<IpAddr, RandomState>,
    templates: HashSet<(IpAddr, u32, u16), RandomState>,
}

impl Datagrams {
    /// A message was sent.
    pub(super) fn see(&mut self, message: &Message<'_>) {
        let host = message.from.ip();
        if message.transport == Transport::Udp && self.hosts.len() < HOSTS {
            self.hosts.insert(host);
        }
    }

    /// A template was sent.
    pub(super) fn learn(&mut self, message: &Message<'_>, id: u16) {
        let template = (message.from.ip(), message.domain, id);
        let udp = message.version == 10 && message.transport == Transport::Udp;
        if udp && self.templates.len() < TEMPLATES {
            self.templates.insert(template);
        }
    }

    /// Whether the message's host also sends datagrams.
    pub(super) fn sent_datagrams(&self, message: &Message<'_>) -> bool {
        self.hosts.contains(&message.from.ip())
    }

    /// Whether the message's host has sent this template of the same domain in a datagram.
    pub(super) fn knows(&self, message: &Message<'_>, id: u16) -> bool {
        self.templates
            .contains(&(message.from.ip(), message.domain, id))
    }
}
