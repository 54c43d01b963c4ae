//! One datagram of each version, its header forced: every decoder is entered, whatever the input begins with.
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
    let mut session = Session::new(Limits::default());
    let from: SocketAddr = ([192, 0, 2, 1], 2055).into();
    for version in [1, 5, 7, 9, 10_u8] {
        let mut message = vec![0, version, 0, 1];
        message.extend(input);
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        if let Some(word) = message.get_mut(2..4) {
            match version {
                10 => word.copy_from_slice(&length.to_be_bytes()),
                // As many records as there is room for.
                1 | 5 | 7 => word.copy_from_slice(&(length / 52).clamp(1, 30).to_be_bytes()),
                _ => {}
            }
        }
        session.datagram(0, from, &message, &mut Values);
    }
});
