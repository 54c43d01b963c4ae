//! The columns of the tutorial's plugins in their order: type and name as in Tranalyzer's `_headers.txt`.

mod basic_flow;
mod basic_stats;
mod mac_recorder;
mod tcp_flags;

use std::io::{self, Write};

use super::Row;

pub(in crate::sink::text) use mac_recorder::mac;

/// A column: type and name as in Tranalyzer's `_headers.txt`, what it is, and how it is printed.
pub(super) struct Column {
    pub kind: &'static str,
    pub name: &'static str,
    pub meaning: &'static str,
    pub print: fn(&Row<'_>, &mut dyn Write) -> io::Result<()>,
}

const fn column(
    kind: &'static str,
    name: &'static str,
    meaning: &'static str,
    print: fn(&Row<'_>, &mut dyn Write) -> io::Result<()>,
) -> Column {
    Column {
        kind,
        name,
        meaning,
        print,
    }
}

/// tcpStates has one.
static TCP_STATES: [Column; 1] = [column(
    "H8",
    "tcpStatesAFlags",
    "TCP state machine anomalies",
    |r, w| super::number::bits(w, r.flow.tcp_states, 2),
)];

/// All columns, by plugin.
static PLUGINS: [&[Column]; 5] = [
    &basic_flow::COLUMNS,
    &mac_recorder::COLUMNS,
    &basic_stats::COLUMNS,
    &tcp_flags::COLUMNS,
    &TCP_STATES,
];

/// All columns in their order.
pub(super) fn all() -> impl Iterator<Item = &'static Column> {
    PLUGINS.iter().copied().flatten()
}
