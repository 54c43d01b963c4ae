//! Names of interfaces, VRFs and applications: told in options data, stored beside the flows, shown by the real nfdump.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use golden::harness::slot_files;
use support::wire::{self, Field};
use support::{Collector, flows, the_file};

/// Interfaces, VRFs and application beside the fields that a flow must have.
const FLOW: [Field; 9] = [
    (8, 4),
    (12, 4),
    (10, 4),
    (14, 4),
    (234, 4),
    (235, 4),
    (95, 4),
    (2, 4),
    (1, 4),
];
const SHOWN: &str = "%inam;%onam;%ivrfnam;%evrfnam;%nbnam";

/// A flow from interface and VRF 1 to 2, of the application 3..80.
fn flow() -> Vec<u8> {
    [
        0x0a00_0001_u32,
        0x0a00_0002,
        1,
        2,
        1,
        2,
        3 << 24 | 80,
        1,
        100,
    ]
    .map(u32::to_be_bytes)
    .concat()
}

fn text(text: &str, size: usize) -> Vec<u8> {
    let mut octets = text.as_bytes().to_vec();
    octets.resize(size, 0);
    octets
}

/// A number, then texts of 16 octets.
fn told(number: u32, texts: &[&str]) -> Vec<u8> {
    let mut record = number.to_be_bytes().to_vec();
    texts.iter().for_each(|t| record.extend(text(t, 16)));
    record
}

/// Options templates of IPFIX with the number as their scope.
fn options_templates() -> Vec<u8> {
    let template = |id: u16, fields: &[Field]| {
        let mut record = wire::template(id, fields);
        record.splice(4..4, [0, 1]);
        record
    };
    wire::set(
        3,
        &[
            template(301, &[(10, 4), (82, 16), (83, 16)]),
            template(302, &[(234, 4), (236, 16)]),
            template(303, &[(95, 4), (96, 16), (94, 16)]),
        ],
    )
}

#[test]
fn nfdump_shows_the_names_that_an_exporter_tells_in_every_slot() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::udp(&["-t", "2", "-w", directory.path().to_str().unwrap()]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let names = [
        options_templates(),
        wire::set(301, &[told(1, &["eth0", "uplink"]), told(2, &["eth1", ""])]),
        wire::set(302, &[told(1, &["red"]), told(2, &["blue"])]),
        wire::set(303, &[told(3 << 24 | 80, &["http", "the Web"])]),
    ];
    let data = [
        wire::set(2, &[wire::template(300, &FLOW)]),
        wire::set(300, &[flow()]),
    ];
    // Names, then a flow; in a later slot flows only, and a name that changes.
    collector.send_from(&socket, &[wire::ipfix(0, &names), wire::ipfix(5, &data)]);
    collector.wait_for("Flows: 1,");
    let renamed = wire::set(302, &[told(2, &["green"])]);
    collector.send_from(
        &socket,
        &[
            wire::ipfix(6, &data),
            wire::ipfix(7, &[renamed]),
            wire::ipfix(8, &data),
        ],
    );
    collector.stop();
    let files = slot_files(directory.path());
    let seen: Option<Vec<Vec<String>>> = files.iter().map(|file| flows(file, SHOWN)).collect();
    let Some(seen) = seen else { return };
    // An interface without a description is shown by its name.
    let shown = |vrf| format!("uplink; eth1; red; {vrf};http/the Web");
    let expected = ["blue", "blue", "green"].map(shown);
    assert_eq!(seen.concat(), expected);
}

#[test]
fn nothing_is_stored_of_what_is_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    let names = [
        options_templates(),
        wire::set(301, &[told(1, &["", ""])]),
        wire::set(302, &[told(1, &["\u{1b}[31m"])]),
    ];
    let data = [
        wire::set(2, &[wire::template(300, &FLOW)]),
        wire::set(300, &[flow()]),
    ];
    collector.send(&[wire::ipfix(0, &names), wire::ipfix(3, &data)]);
    collector.stop();
    let Some(seen) = flows(&the_file(directory.path()), SHOWN) else {
        return;
    };
    assert_eq!(
        seen,
        [";; \u{1b}[31m; <ingress not found>;<no info>"],
        "names are stored as they are, and shown as nfdump does"
    );
}
