//! From set to set through one message.

use protocol::reader::Reader;
use protocol::registry::ie;

use super::data;
use super::domain::Domain;
use super::layout::Layout;
use super::message::Message;
use super::rules::{Desk, R};
use super::sequence::{Held, Step};
use super::templates;
use crate::verdict::Verdict;

/// Data sets of unknown templates that are remembered in a session's first message.
const REMEMBERED: usize = 8;

/// Whether records of this kind are statistics of an exporting process, of no domain in particular.
fn about_process(layout: &Layout) -> bool {
    let scopes = usize::from(layout.scopes.unwrap_or(0));
    let process = [
        ie::EXPORTING_PROCESS_ID,
        ie::EXPORTER_IPV4_ADDRESS,
        ie::EXPORTER_IPV6_ADDRESS,
    ];
    let statistics = [
        ie::EXPORTED_OCTET_TOTAL_COUNT,
        ie::EXPORTED_MESSAGE_TOTAL_COUNT,
        ie::EXPORTED_FLOW_RECORD_TOTAL_COUNT,
        ie::NOT_SENT_FLOW_TOTAL_COUNT,
        ie::NOT_SENT_PACKET_TOTAL_COUNT,
        ie::NOT_SENT_OCTET_TOTAL_COUNT,
    ];
    let elsewhere = [ie::OBSERVATION_DOMAIN_ID, ie::METERING_PROCESS_ID];
    let scope = layout.fields.iter().take(scopes);
    scopes > 0
        && scope
            .clone()
            .all(|field| process.iter().any(|id| field.is(*id)))
        && statistics.iter().any(|id| layout.has(*id))
        && !elsewhere.iter().any(|id| layout.has(*id))
}

/// See the module.
pub(super) struct Walk<'a> {
    message: &'a Message<'a>,
    domain: &'a mut Domain,
    desk: &'a mut Desk,
    /// Template records so far.
    templates: u32,
    /// Data records so far, at least and at most.
    least: u32,
    most: u32,
    /// Something could not be counted.
    open: bool,
    /// Data sets about the exporting process alone, and others.
    about_process: u32,
    about_else: bool,
    /// Templates whose data came before them.
    early: [u16; REMEMBERED],
    early_count: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        message: &'a Message<'a>,
        domain: &'a mut Domain,
        desk: &'a mut Desk,
    ) -> Self {
        Self {
            message,
            domain,
            desk,
            templates: 0,
            least: 0,
            most: 0,
            open: false,
            about_process: 0,
            about_else: false,
            early: [0; REMEMBERED],
            early_count: 0,
        }
    }

    /// Judges all sets; gives what the message held, if that can be counted.
    pub(super) fn walk(mut self, mut sets: Reader<'_>) -> Option<Held> {
        while sets.left() >= 4 {
            let at = sets.offset();
            let (Ok(id), Ok(length)) = (sets.u16(), sets.u16()) else {
                break;
            };
            let Some(content) = usize::from(length).checked_sub(4) else {
                self.desk.judge(R::S10, false, Verdict::Unsafe, at, 4, || {
                    format!("set {id} has length {length}, less than its header: who walks on by it never ends")
                });
                self.domain.blind = true;
                return None;
            };
            let left = sets.left() + 4;
            let Ok(set) = sets.sub(content) else {
                self.desk
                    .judge(R::S09, false, Verdict::DataLoss, at, 4, || {
                        format!("set {id} has length {length}, the message has {left} octets left")
                    });
                self.domain.blind = true;
                return None;
            };
            self.desk.check(R::S09);
            self.desk.check(R::S10);
            self.set(id, at, set);
        }
        let (left, at) = (sets.left(), sets.offset());
        self.desk
            .judge(R::S13, left == 0, Verdict::Deviation, at, left, || {
                format!("{left} octets follow the last set")
            });
        self.judge_count();
        self.judge_domain();
        (!self.open && self.least == self.most).then_some(Held {
            records: self.least,
            templates: self.templates,
        })
    }

    fn set(&mut self, id: u16, at: usize, set: Reader<'_>) {
        let options = match (self.message.version, id) {
            (9, 0) | (10, 2) => Some(false),
            (9, 1) | (10, 3) => Some(true),
            _ => None,
        };
        let known = options.is_some() || id >= 256;
        self.desk
            .judge(R::S08, known, Verdict::DataLoss, at, 2, || {
                format!("set ID {id} is reserved: who receives it skips the set")
            });
        match options {
            Some(options) => self.template_set(options, at, set),
            None if known => self.data_set(id, &set),
            None => self.open = true,
        }
    }

    fn template_set(&mut self, options: bool, at: usize, set: Reader<'_>) {
        match templates::template_set(self.message, options, set, self.domain, self.desk) {
            Some(count) => self.templates += count,
            None => {
                self.open = true;
                self.domain.blind = true;
            }
        }
        self.judge_early(at);
    }

    fn data_set(&mut self, id: u16, set: &Reader<'_>) {
        let known = self.domain.templates.get(&id);
        if known.is_some_and(|known| about_process(&known.layout)) {
            self.about_process += 1;
        } else {
            self.about_else = true;
        }
        if !self.domain.templates.contains_key(&id)
            && let Some(slot) = self.early.get_mut(self.early_count)
        {
            *slot = id;
            self.early_count += 1;
        }
        match data::data_set(self.message, id, set, self.domain, self.desk) {
            Some(records) => {
                self.least += records.least;
                self.most += records.most;
            }
            None => self.open = true,
        }
    }

    /// RFC 7011 section 8.2: in one message the template stands before its data. Judged where the session
    /// begins: later on a template may be a repetition.
    fn judge_early(&mut self, at: usize) {
        let first = self.domain.sequence.began && self.message.step == Step::First;
        if !first || self.domain.blind {
            return;
        }
        let early = self.early.get(..self.early_count).unwrap_or_default();
        for id in early
            .iter()
            .filter(|id| self.domain.templates.contains_key(*id))
        {
            self.desk
                .judge(R::T10, false, Verdict::DataLoss, at, 4, || {
                    format!("template {id} stands behind its data")
                });
        }
        self.early_count = 0;
    }

    /// RFC 7011 section 3.1: what the exporting process says of itself belongs to no domain.
    fn judge_domain(&mut self) {
        if self.message.version != 10 || self.about_process == 0 || self.about_else {
            return;
        }
        let domain = self.message.domain;
        self.desk
            .judge(R::H14, domain == 0, Verdict::Deviation, 12, 4, || {
                format!("domain {domain}, and the message speaks of the exporting process only")
            });
    }

    /// NetFlow v9: the count of the header.
    fn judge_count(&mut self) {
        if self.message.version != 9 || self.open {
            return;
        }
        let (count, templates) = (u32::from(self.message.second), self.templates);
        let (least, most) = (self.least, self.most);
        let kept = (templates + least..=templates + most).contains(&count);
        self.desk.judge(R::H02, kept, Verdict::Deviation, 2, 2, || {
            format!(
                "count is {count}, the message has {templates} templates and {least} data records"
            )
        });
    }
}
