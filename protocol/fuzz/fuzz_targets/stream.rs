//! A stream that comes in pieces: the framer gives out exactly what was pushed, the session reads the messages.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use protocol::framing::Framer;
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
    let Some((step, stream)) = input.split_first() else {
        return;
    };
    let from: SocketAddr = ([192, 0, 2, 1], 4739).into();
    let mut session = Session::new(Limits::default());
    let mut framer = Framer::new(65535);
    let mut position = 0;
    let mut read = |message: &[u8]| {
        assert_eq!(
            stream.get(position..position + message.len()),
            Some(message)
        );
        position += message.len();
        session.message(0, from, message, &mut Values);
    };
    for piece in stream.chunks(usize::from(*step).max(1)) {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => read(message),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    while let Ok(Some(message)) = framer.finish() {
        read(message);
    }
});
