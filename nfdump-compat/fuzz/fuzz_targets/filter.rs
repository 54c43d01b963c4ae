//! A filter's text: compiled or refused, and if compiled, run over a record that the rest of the input makes.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use nfdump_compat::filter::{Context, Dialect, Filter, Outside};
use nfdump_compat::record::{RecordBuilder, RecordHeader, RecordView};

struct Nothing;

impl Outside for Nothing {
    fn include(&mut self, _: &str) -> Result<String, String> {
        Ok("port 80 and @include again".to_owned())
    }
    fn resolve(&mut self, _: &str) -> Vec<IpAddr> {
        vec![[192, 0, 2, 1].into()]
    }
    fn time(&mut self, text: &str) -> Option<u64> {
        text.len().try_into().ok()
    }
}

fuzz_target!(|input: &[u8]| {
    let (text, data) = match input.iter().position(|&byte| byte == 0) {
        Some(end) => input.split_at(end),
        None => (input, &[][..]),
    };
    let dialect = if data.len() % 2 == 0 {
        Dialect::V1_7_1
    } else {
        Dialect::Later
    };
    let text = String::from_utf8_lossy(text);
    let Ok(filter) = Filter::parse(&text, None, dialect, &mut Nothing) else {
        return;
    };
    let mut builder = RecordBuilder::new();
    builder.begin(&RecordHeader::default());
    for id in 1..=42 {
        for (place, byte) in builder.extension(id).iter_mut().zip(data.iter().cycle()) {
            *place = *byte;
        }
        builder.variable(id, data.get(..40).unwrap_or(data));
    }
    let record = RecordView::parse(builder.finish()).unwrap_or_else(|error| panic!("{error}"));
    let context = Context {
        ident: "source",
        number: 1,
        geo: None,
    };
    let _ = filter.matches(&record, &context);
});
