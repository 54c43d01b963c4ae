//! The bytes of a file of layout 1 or 2: read to its end, every flow record viewed.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nfdump_compat::file::FileReader;
use nfdump_compat::record::{RecordView, V3_RECORD};

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = FileReader::from_reader(Path::new("input"), Cursor::new(input.to_vec()))
    else {
        return;
    };
    let mut errors = 0;
    loop {
        match reader.next_block() {
            Ok(None) => return,
            Ok(Some(block)) => {
                for record in block
                    .records()
                    .filter(|record| record.record_type == V3_RECORD)
                {
                    let _ = RecordView::parse(record.bytes);
                }
            }
            Err(_) => errors += 1,
        }
        assert!(errors <= input.len(), "reading does not end");
    }
});
