//! From decoded records to nfcapd records, by plans compiled once a template.

mod elements;
mod image;
mod plan;
mod time;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::session::MessageInfo;
use protocol::template::Template;

use self::plan::Plan;
pub use self::time::Clock;

/// Plans kept; when there are more, all are forgotten and those in use compiled again. Bounds the memory that an
/// exporter who keeps changing its templates can take.
const MAX_PLANS: usize = 4096;

/// Maps records; keeps the plans and the buffer of the last record.
#[derive(Default)]
pub struct Mapper {
    plans: HashMap<u64, Plan, FixedState>,
    record: Vec<u8>,
}

impl Mapper {
    /// The nfcapd record for one data record. `exporter` is the number of its sender in the file.
    pub fn map(
        &mut self,
        message: &MessageInfo,
        template: &Template,
        record: &[u8],
        exporter: u16,
        clock: &Clock,
    ) -> &[u8] {
        if self.plans.len() >= MAX_PLANS && !self.plans.contains_key(&template.uid()) {
            self.plans.clear();
        }
        let plan = self
            .plans
            .entry(template.uid())
            .or_insert_with(|| Plan::compile(template));
        plan.apply(message, template, record, exporter, clock, &mut self.record);
        &self.record
    }
}

#[cfg(test)]
mod tests;
