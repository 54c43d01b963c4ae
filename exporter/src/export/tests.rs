//! Exports to a collector that takes nothing.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::cli::Cli;
use crate::config::Config;
use crate::meter::{EndReason, Octets};

fn flow() -> Flow {
    let octets = Octets {
        total: 60,
        min: 30,
        max: 30,
    };
    Flow {
        index: 1,
        inverted: false,
        status: 0,
        ether_type: 0x0800,
        vlan_tci: None,
        labels: Default::default(),
        endpoints: Endpoints::Ip {
            src: [192, 0, 2, 1].into(),
            dst: [192, 0, 2, 2].into(),
            src_port: 1,
            dst_port: 2,
            protocol: 17,
        },
        first_ns: 0,
        last_ns: 0,
        packets: 2,
        l7: octets,
        wide: octets,
        tcp_flags: 0,
        tos: 0,
        min_ttl: 64,
        max_ttl: 64,
        icmp_type_code: 0,
        mac_pairs: Default::default(),
        tcp_states: 0,
        end_reason: EndReason::IdleTimeout,
        text: None,
    }
}

/// At an interface nobody waits for a collector that reads nothing; and once the run is to end, nobody waits for it for
/// half a minute more.
#[test]
fn a_collector_that_hangs_stalls_neither_the_meter_nor_the_end() {
    const FLOWS: u64 = 300_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let args = [
        "t2x",
        "-i",
        "lo",
        "--nf-version",
        "10",
        "--nf-socktype",
        "tcp",
        "--reconnect-queue",
        "1M",
        "--nf-addr",
        &to,
    ];
    let config = Config::new(&Cli::try_parse_from(args).unwrap(), &|_| None).unwrap();
    let stop = Arc::default();
    let mut exports = Exports::open(&config.netflow, &stop).unwrap();
    exports.begin(0).unwrap();
    // Breaks let the export fill the buffers between it and the collector.
    for at in 1..=FLOWS {
        exports.pair(0, &flow(), None);
        if at % 3000 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    exports.tick(0);
    let (_, counters) = exports.counters().swap_remove(0);
    let [lost] = counters.sent.lost.as_slice() else {
        panic!("the connection is not given up yet: {:?}", counters.sent);
    };
    assert_eq!(
        (lost.cause.as_str(), lost.messages, lost.records),
        (queue::BEHIND, 0, counters.sent.not_sent.records)
    );
    assert_eq!(counters.sent.not_sent.packets, 2 * lost.records);
    assert_eq!(counters.sent.not_sent.octets, 60 * lost.records);

    stop.store(true, Ordering::Relaxed);
    exports.no_more_packets();
    let end = Instant::now();
    let (_, counters) = exports.finish().unwrap().swap_remove(0);
    assert!(end.elapsed() < crate::send::PATIENCE, "{counters:?}");
    let sent = counters.sent;
    assert_eq!(sent.records + sent.not_sent.records, FLOWS);
    let hangs = "the collector read nothing for 2 s";
    assert!(
        sent.lost.iter().any(|lost| lost.cause.contains(hangs)),
        "{sent:?}"
    );
}
