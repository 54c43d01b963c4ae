//! Packet mode: one line a packet.

use crate::cli::read;
use crate::support::Capture;

#[test]
fn packets_have_lines() {
    let mut tcp = vec![0x13, 0x88, 0, 80];
    for word in [7_u32, 9, 0x5002_0400, 0] {
        tcp.extend(word.to_be_bytes());
    }
    // A datagram of 28 octets in a frame of 60.
    let mut short = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    short.extend([10, 0, 0, 5, 10, 0, 0, 6, 0x20, 1, 0x20, 2, 0, 8, 0, 0]);
    short.resize(46, 0);
    let file = Capture::new()
        .udp(0, (1, 2), (5000, 53), 30)
        .frame(100, 0x0800, &[0x45, 0])
        .udp(500_000, (2, 1), (53, 5000), 10)
        .udp(1_500_000, (1, 2), (5000, 53), 4)
        .ipv4(2_000_000, (3, 4), 6, &tcp)
        .frame(2_200_000, 0x0800, &short)
        .arp(2_500_000)
        .file();
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["-s", "--sink", "text", "-w", "out"]);
    command.assert().success();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let packets = text("out_packets.txt");
    let mut lines = packets.lines();
    let names: Vec<_> = lines
        .next()
        .unwrap()
        .trim_start_matches('%')
        .split('\t')
        .collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == names.len()), "{packets}");
    let column = |name: &str| -> Vec<&str> {
        let at = names.iter().position(|known| *known == name).unwrap();
        rows.iter().map(|row| row[at]).collect()
    };
    // The second frame has no flow: its IP header is not complete.
    let last = column("pktNo").pop().unwrap().to_owned();
    assert_eq!(last, "7", "{packets}");
    let short = column("srcIP").iter().position(|host| *host == "10.0.0.5");
    let octets = ["pktLen", "l3Len", "l7Len", "padLen"].map(|name| column(name)[short.unwrap()]);
    assert_eq!(octets, ["60", "28", "0", "18"]);
    let udp = |name: &str| -> Vec<String> {
        let rows = column("srcPort").into_iter().zip(column(name));
        let udp = rows.filter(|(port, _)| ["5000", "53"].contains(port));
        udp.map(|(_, value)| value.to_owned()).take(3).collect()
    };
    assert_eq!(
        udp("pktIAT"),
        ["0.000000000", "0.000000000", "1.500000000"],
        "{packets}"
    );
    assert_eq!(
        udp("pktTrip"),
        ["0.000000000", "0.500000000", "1.000000000"]
    );
    assert_eq!(
        udp("flowDuration"),
        ["0.000000000", "0.000000000", "1.500000000"]
    );
    assert_eq!(udp("l7Len"), ["30", "10", "4"]);
    assert_eq!(udp("srcIP"), ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
    assert_eq!(udp("pktLen"), ["72", "52", "46"]);
    let tcp = column("l4Proto")
        .iter()
        .position(|protocol| *protocol == "6")
        .unwrap();
    let values = [
        "seq", "ack", "tcpFlags", "tcpWin", "ipTTL", "ipToS", "ethType", "dstPort",
    ];
    assert_eq!(
        values.map(|name| column(name)[tcp]),
        ["7", "9", "0x0002", "1024", "63", "0x20", "0x0800", "80"]
    );
    // The flow a packet belongs to has the same number in the flow file.
    let flows = text("out_flows.txt");
    for (index, port) in column("flowInd").iter().zip(column("srcPort")) {
        let row = flows
            .lines()
            .find(|row| row.split('\t').nth(1) == Some(index));
        assert!(row.is_some(), "{index} {port}: {flows}");
    }
}
