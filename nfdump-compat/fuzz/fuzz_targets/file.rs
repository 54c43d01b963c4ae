//! The bytes of a file of layout 1 or 2: read to its end, every flow record viewed, payloads and names taken apart.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nfdump_compat::dns;
use nfdump_compat::field::{self, ext};
use nfdump_compat::file::FileReader;
use nfdump_compat::handshake::Hello;
use nfdump_compat::names::Names;
use nfdump_compat::record::{RecordView, V3_RECORD};

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = FileReader::from_reader(Path::new("input"), Cursor::new(input.to_vec()))
    else {
        return;
    };
    let mut names = Names::default();
    let mut errors = 0;
    loop {
        match reader.next_block() {
            Ok(None) => return,
            Ok(Some(block)) => {
                for record in block.records() {
                    if record.record_type != V3_RECORD {
                        names.take(record.record_type, record.bytes);
                    } else if let Ok(view) = RecordView::parse(record.bytes) {
                        let payload = view.extension(ext::IN_PAYLOAD).unwrap_or_default();
                        let _ = dns::of_flow(&view, payload).map(|message| message.items());
                        let _ = Hello::parse(payload);
                        let _ = names.interface(view.get_or_zero(field::INPUT));
                    }
                }
            }
            Err(_) => errors += 1,
        }
        assert!(errors <= input.len(), "reading does not end");
    }
});
