//! From decoded records to nfcapd records, by plans compiled once a template.

mod elements;
mod image;
mod plan;
mod time;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::session::MessageInfo;
use protocol::template::Template;

pub use self::elements::Time;
use self::plan::Plan;
pub use self::time::{Clock, Times, ntp_ns};
use crate::knowledge::Sampling;

/// Octets that plans may take together; when there are more, all are forgotten and those in use compiled again. Bounds
/// the memory that exporters with many templates, or changing ones, can take.
pub const PLANS_COST: usize = 32 << 20;

/// Maps records; keeps the plans and the buffer of the last record.
#[derive(Default)]
pub struct Mapper {
    plans: HashMap<u64, Plan, FixedState>,
    cost: usize,
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
        sampling: Option<&Sampling>,
    ) -> &[u8] {
        if !self.plans.contains_key(&template.uid()) {
            let plan = Plan::compile(template);
            self.cost += plan.cost();
            if self.cost > PLANS_COST {
                self.plans.clear();
                self.cost = plan.cost();
            }
            self.plans.insert(template.uid(), plan);
        }
        let Some(plan) = self.plans.get(&template.uid()) else {
            return &[];
        };
        plan.apply(message, template, record, exporter, clock, &mut self.record);
        if let Some(sampling) = sampling {
            plan.scale(sampling, &mut self.record);
        }
        &self.record
    }
}

#[cfg(test)]
mod tests;
