//! Everything that did not become a flow record, by cause.

use std::fmt;

use protocol::session::Counters;

/// Running totals; two of them make the losses of a slot.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Losses {
    /// Bytes of data sets without a template that could not be kept waiting.
    pub no_template: u64,
}
