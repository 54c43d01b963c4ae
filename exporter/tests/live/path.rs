//! Messages are as long as the path takes them.

use std::process::Command;

use golden::harness::{self, program, temp_dir};

use crate::namespaces::Namespaces;
use crate::{replica, report};

/// An interface that takes packets of 1300 octets: messages have those of the headers less, 20 + 8 over IPv4 and 40 + 8
/// over IPv6.
#[test]
fn messages_follow_the_mtu() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    spaces.set_mtu(1300);
    let folder = temp_dir();
    let capture = replica(folder.path());
    for (address, longest) in [("192.0.2.2", 1272), ("2001:db8::2", 1252)] {
        let mut t2x: Command = spaces.far(&program("t2x"));
        t2x.args([
            "--nf-version",
            "10",
            "--report",
            "json",
            "--nf-addr",
            address,
        ])
        .arg("-r")
        .arg(&capture);
        let told = report(&harness::run(&mut t2x));
        assert_eq!(told["netflow"]["maxMessage"], longest, "{told}");
        assert_eq!(told["netflow"]["lostRecords"], 0, "{told}");
    }
}
