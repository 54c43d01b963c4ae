//! Datagrams of three exporters: the input is cut into pieces, each after an octet of port and two of length.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use protocol::limits::Limits;
use protocol::session::{DataRecord, Events, Session};

struct Values;

impl Events for Values {
    fn record(&mut self, record: &DataRecord<'_>) {
        let template = record.template;
        assert_eq!(
            template.values(record.bytes).count(),
            template.fields().len()
        );
    }
}

fuzz_target!(|input: &[u8]| {
    let limits = Limits {
        exporters: 2,
        pending_total: 10_000,
        ..Limits::default()
    };
    let mut session = Session::new(limits);
    let mut rest = input;
    let mut now_ms = 0;
    while let Some(([port, high, low], behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (datagram, behind) = behind.split_at(length);
        let from: SocketAddr = ([192, 0, 2, 1], u16::from(port % 3)).into();
        session.datagram(now_ms, from, datagram, &mut Values);
        now_ms += 5000;
        session.tick(now_ms, &mut Values);
        rest = behind;
    }
});
