#![allow(clippy::unwrap_used)]

use super::*;

/// Type and name of each column in its order, of the tutorial's plugins.
const TYPES_AND_NAMES: &str = "";

#[test]
fn headers_describe_every_column() {
    let mut out = Vec::new();
    write_headers(&mut out, Metric::L7).unwrap();
    let text = String::from_utf8(out).unwrap();
    let described = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(described.count(), 92);
    assert!(text.contains("\n3\tH64\tflowStat\t"));
    let _ = TYPES_AND_NAMES;
}
