//! Columns of IP headers, TCP options and header stacks.

use super::script::{ACK, Ip, PSH, SYN, Script, a, assert_columns, ethernet, rows, timestamps};

/// A UDP datagram from port 4000 to 4001, without a checksum.
fn udp(payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let [high, low] = length.to_be_bytes();
    [&[0x0f, 0xa0, 0x0f, 0xa1, high, low, 0, 0], payload].concat()
}

fn one(frame: Vec<u8>) -> super::script::Row {
    rows(&vec![(0, frame)]).remove(0)
}

#[test]
fn options_of_ipv4() {
    let ip = Ip {
        // No-operation, router alert (copied, number 20), record route (number 7), end, padding.
        options: vec![1, 0x94, 4, 0, 0, 7, 3, 4, 0, 0, 0, 0],
        ..Ip::default()
    };
    let script = vec![(0, ip.frame(17, &udp(b"x"))), (1, ip.frame(17, &udp(b"x")))];
    assert_columns(
        &rows(&script)[0],
        &[
            ("ipOptCnt", "6"),
            ("ipOptCpCl_Num", "0x80_0x00100082"),
            // Their identification is 0 twice.
            ("ipFlags", "0x0000"),
        ],
    );
    let corrupt = Ip {
        options: vec![0x94, 0, 0, 0],
        ..Ip::default()
    };
    assert_columns(
        &one(corrupt.frame(17, &udp(b"x"))),
        &[("ipOptCnt", "1"), ("ipFlags", "0x0001")],
    );
}

#[test]
fn options_of_ipv6() {
    let udp = udp(b"x");
    let mut packet = vec![0x60, 0, 0, 0, 0, (16 + udp.len()) as u8, 0, 64];
    packet.extend_from_slice(&[0xfd; 15]);
    packet.push(1);
    packet.extend_from_slice(&[0xfd; 15]);
    packet.push(2);
    // Hop-by-hop: router alert (5), padding (PadN, 1). Destination: Pad1, tunnel limit (4), PadN.
    packet.extend_from_slice(&[60, 0, 5, 2, 0, 0, 1, 0]);
    packet.extend_from_slice(&[17, 0, 0, 4, 1, 9, 1, 0]);
    packet.extend_from_slice(&udp);
    assert_columns(
        &one(ethernet(false, 0x86dd, &packet)),
        &[
            ("ip6OptCntHH_D", "2_2"),
            ("ip6OptHH_D", "0x00000022_0x00000012"),
            ("numHdrs", "5"),
            ("hdrDesc", "eth:ipv6:ipv6.hopopts:ipv6.dstopts:udp"),
            ("ipMindIPID", "65535"),
        ],
    );
}

#[test]
fn checksums_and_lengths() {
    let flags = |frame| one(frame)["ipFlags"].clone();
    let right = a(PSH | ACK, 1, 1, 5).frame();
    assert_eq!(flags(right.clone()), "0x0000");
    // A wrong checksum of TCP, of IP (the header ends at 34), of both.
    let spoilt = |at: usize| {
        let mut frame = right.clone();
        frame[at] ^= 0x10;
        frame
    };
    assert_eq!(flags(spoilt(51)), "0x0800");
    assert_eq!(flags(spoilt(25)), "0x0400");
    // An address stands in both.
    assert_eq!(flags(spoilt(29)), "0x0c00");
    // A UDP checksum of 0 is none; a length that is not IP's is told.
    assert_eq!(flags(Ip::default().frame(17, &udp(b"abc"))), "0x0000");
    let mut short = udp(b"abc");
    short[5] -= 1;
    assert_eq!(flags(Ip::default().frame(17, &short)), "0x2000");
    // ICMP: the sum of 0x0800 and its complement.
    assert_eq!(flags(Ip::default().frame(1, &[8, 0, 0xf7, 0xff])), "0x0000");
    assert_eq!(flags(Ip::default().frame(1, &[8, 0, 0xf7, 0xfe])), "0x0800");
}

#[test]
fn fragments() {
    let fragment = |more_fragments, offset, octets: usize| {
        let ip = Ip {
            id: 7,
            more_fragments,
            offset,
            ..Ip::default()
        };
        let payload = match offset {
            0 => udp(&vec![0; octets - 8]),
            _ => vec![0; octets],
        };
        ip.frame(17, &payload)
    };
    let flags = |script: &Script| rows(script)[0]["ipFlags"].clone();
    // More fragments; the length of UDP is that of the first fragment only.
    let in_order = vec![(0, fragment(true, 0, 800)), (1, fragment(false, 100, 40))];
    assert_eq!(flags(&in_order), "0x0020");
    let row = &rows(&in_order)[0];
    // The checksum stands over both.
    assert_columns(row, &[("tcpFStat", "0x1001")]);
    // A gap of more than eight octets.
    let gap = vec![(0, fragment(true, 0, 800)), (1, fragment(false, 102, 40))];
    assert_eq!(flags(&gap), "0x0120");
    // 20 + 24 octets are less than 48.
    let short = vec![(0, fragment(true, 0, 24)), (1, fragment(false, 3, 40))];
    assert_eq!(flags(&short), "0x0028");
    // It ends at 8190 × 8 + 16, beyond 8191 × 8.
    let far = vec![(0, fragment(true, 0, 800)), (1, fragment(false, 8190, 16))];
    assert_eq!(flags(&far), "0x0130");
}

#[test]
fn distances() {
    let frame = || Ip::default().frame(17, &udp(b"x"));
    let flags = |script: &Script| rows(script)[0]["ipFlags"].clone();
    assert_eq!(flags(&vec![(5, frame()), (5, frame())]), "0x4000");
    let back = vec![(5, frame()), (3, frame()), (9, frame())];
    assert_columns(
        &rows(&back)[0],
        &[
            ("ipFlags", "0x8000"),
            ("minIAT", "-0.002"),
            ("maxIAT", "0.006"),
            // 0, -2, 6 ms.
            ("avgIAT", "0.001333333"),
            ("duration", "0.006000000"),
        ],
    );
}

#[test]
fn options_of_multipath_tcp() {
    let options: [&[u8]; 4] = [
        // MP_CAPABLE, version 1, flags 0x81.
        &[30, 4, 0x01, 0x81],
        // MP_JOIN, backup, address 5, token and nonce.
        &[30, 12, 0x11, 5, 1, 2, 3, 4, 5, 6, 7, 8],
        // DSS with flags 0x15.
        &[30, 4, 0x20, 0x15],
        // REMOVE_ADDR of address 9, and a no-operation.
        &[30, 4, 0x40, 9, 1, 1, 1, 1],
    ];
    let script: Script = (0..)
        .zip(options)
        .map(|(ms, options)| {
            let mut segment = a(if ms == 0 { SYN } else { ACK }, 1, 1, 0);
            segment.options = options.to_vec();
            (ms, segment.frame())
        })
        .collect();
    assert_columns(
        &rows(&script)[0],
        &[
            // Subtypes 0, 1, 2 and 4.
            ("tcpMPTBF", "0x0017"),
            ("tcpMPF", "0x81"),
            ("tcpMPAID", "9"),
            ("tcpMPDSSF", "0x15"),
            // Kinds 1 and 30.
            ("tcpOptions", "0x40000002"),
            ("tcpOptCnt", "8"),
            ("tcpJA4T", "1000_30_00_00"),
        ],
    );
    assert_eq!(&rows(&script)[0]["tcpFStat"][..3], "0x8");
}

#[test]
fn odd_options_of_tcp() {
    let status = |options: &[&[u8]]| {
        let script = (0..).zip(options).map(|(ms, options)| {
            let mut segment = a(ACK, 1, 1, 1);
            segment.options = options.to_vec();
            (ms, segment.frame())
        });
        rows(&script.collect())[0]["tcpFStat"].clone()
    };
    // Beside distance and window: corrupt, SACK, timestamps, timestamps that decrease.
    assert_eq!(status(&[&[2, 0, 0, 0]]), "0x0019");
    assert_eq!(status(&[&[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]]), "0x4011");
    let (later, sooner) = (timestamps(7, 0), timestamps(6, 0));
    assert_eq!(status(&[&later, &later]), "0x0013");
    assert_eq!(status(&[&later, &sooner]), "0x0017");
}

#[test]
fn stacks_of_headers() {
    let inner = Ip::default().frame(17, &udp(b"x"));
    let (inner_macs, inner_ip) = inner.split_at(14);
    let tagged = [&[0x20, 0x01, 0x81, 0, 0x20, 0x02, 0x08, 0], inner_ip].concat();
    let labelled = [&[0, 0, 0x10, 64, 0, 0, 0x21, 64], inner_ip].concat();
    let cases = [
        (inner.clone(), "eth:ipv4:udp", "3"),
        (
            ethernet(false, 0x8100, &tagged),
            "eth:vlan{2}:ipv4:udp",
            "5",
        ),
        (
            ethernet(false, 0x8847, &labelled),
            "eth:mpls{2}:ipv4:udp",
            "5",
        ),
        (
            Ip::default().frame(47, &[&[0, 0, 0x65, 0x58], inner_macs, inner_ip].concat()),
            "eth:ipv4:gre:eth:ipv4:udp",
            "6",
        ),
        (Ip::default().frame(4, inner_ip), "eth:ipv4:ipv4:udp", "4"),
        (ethernet(false, 0x0806, &[0; 28]), "eth:arp", "2"),
        (ethernet(false, 0x88cc, &[0; 28]), "eth:lldp", "2"),
        (
            ethernet(false, 0x0026, &[0x42, 0x42, 3, 0, 0]),
            "eth:llc:stp",
            "3",
        ),
        (ethernet(false, 0x1234, &[0; 28]), "eth:UNK(0x1234)", "2"),
        (
            ethernet(false, 0x8864, &[0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, 1, 1]),
            "eth:pppoes:ppp:lcp",
            "4",
        ),
        (Ip::default().frame(253, &[0; 8]), "eth:ipv4:UNK(253)", "3"),
    ];
    for (frame, stack, headers) in cases {
        let row = one(frame);
        assert_columns(
            &row,
            &[
                ("hdrDesc", stack),
                ("numHdrs", headers),
                ("numHdrDesc", "1"),
            ],
        );
    }
}

#[test]
fn a_fifth_kind_of_stack_is_left_out() {
    // Control protocols of PPP between the same MACs are one flow.
    let session = |protocol: [u8; 2]| {
        let [high, low] = protocol;
        ethernet(false, 0x8864, &[0x11, 0, 0, 1, 0, 4, high, low, 1, 1])
    };
    let protocols = [[0xc0, 0x21], [0xc0, 0x23], [0x80, 0x21], [0x80, 0x57]];
    let four: Script = (0..).zip(protocols.map(session)).collect();
    let row = &rows(&four)[0];
    assert_columns(
        row,
        &[
            ("numHdrDesc", "4"),
            ("numHdrs", "4;4;4;4"),
            (
                "hdrDesc",
                "eth:pppoes:ppp:lcp;eth:pppoes:ppp:pap;eth:pppoes:ppp:ipcp;eth:pppoes:ppp:ipv6cp",
            ),
            // Stopped, link flow, PPPoE session.
            ("flowStat", "0x0000080000000014"),
        ],
    );
    let mut five = four;
    five.push((9, session([0x80, 0xfd])));
    assert_columns(
        &rows(&five)[0],
        &[("numHdrDesc", "4"), ("flowStat", "0x0001080000000014")],
    );
}
