//! The 92 columns of the text sinks. Names, types and order are Tranalyzer's (`columns.tsv`); of the values that its
//! recorded flows do not have, the expectations are computed by hand from frames made by hand.
#![allow(clippy::unwrap_used)]

mod connection;
mod headers;
mod script;
mod sequence;

use exporter::meter::Metric;
use exporter::sink::text::write_headers;
use script::{Ip, rows};

#[test]
fn names_types_and_order_are_tranalyzers() {
    let mut described = Vec::new();
    write_headers(&mut described, Metric::L7).unwrap();
    let described = String::from_utf8(described).unwrap();
    let ours: Vec<String> = described
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').take(3).collect::<Vec<_>>().join("\t"))
        .collect();
    let theirs: Vec<&str> = include_str!("columns.tsv").lines().skip(1).collect();
    assert_eq!(theirs.len(), 92);
    assert_eq!(ours, theirs);
    let row = rows(&vec![(0, Ip::default().frame(17, &[0; 8]))]).remove(0);
    let names: Vec<&str> = theirs
        .iter()
        .filter_map(|line| line.split('\t').nth(2))
        .collect();
    assert!(names.iter().all(|name| row.contains_key(*name)));
    assert_eq!(row.len(), names.len());
}

#[test]
fn octet_columns_are_named_by_the_layer_that_is_counted() {
    for (metric, name) in [
        (Metric::L7, "stdL7PktSz"),
        (Metric::L4, "stdL4PktSz"),
        (Metric::Ip, "stdL3PktSz"),
        (Metric::L2, "stdL2PktSz"),
    ] {
        let mut described = Vec::new();
        write_headers(&mut described, metric).unwrap();
        let described = String::from_utf8(described).unwrap();
        assert!(described.contains(&format!("\tF\t{name}\t")), "{name}");
    }
}
