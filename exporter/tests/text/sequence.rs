//! Each bit of `tcpAnomaly` and of the windows in `tcpFStat`, by a connection that calls for it.

use super::script::{ACK, FIN, PSH, Row, SYN, Tcp, a, assert_columns, b, rows};

/// Prints a connection that begins with a handshake at 0, 1 and 2 ms.
fn after_handshake(packets: &[(i64, Tcp)]) -> Vec<Row> {
    let handshake = [
        (0, a(SYN, 1000, 0, 0)),
        (1, b(SYN | ACK, 5000, 1001, 0)),
        (2, a(ACK, 1001, 5001, 0)),
    ];
    let all = handshake.iter().chain(packets);
    rows(&all.map(|(ms, segment)| (*ms, segment.frame())).collect())
}

fn window(mut segment: Tcp, window: u16) -> Tcp {
    segment.window = window;
    segment
}

#[test]
fn a_fin_that_comes_again() {
    let fin = || a(FIN | ACK, 1001, 5001, 0);
    let late = after_handshake(&[(10, fin()), (1010, fin())]);
    let retried = [("tcpAnomaly", "0x0002"), ("tcpSeqFaultCnt", "1")];
    assert_columns(&late[0], &retried);
    // Sooner than 1.5 times the round trip of 2 ms it is no retransmission.
    let soon = after_handshake(&[(10, fin()), (12, fin())]);
    assert_columns(
        &soon[0],
        &[("tcpAnomaly", "0x0000"), ("tcpSeqFaultCnt", "0")],
    );
    // Nor with another window.
    let other = after_handshake(&[(10, fin()), (1010, window(fin(), 999))]);
    assert_columns(&other[0], &[("tcpAnomaly", "0x0000")]);
}

#[test]
fn an_answer_to_duplicate_acknowledgments() {
    let rows = after_handshake(&[
        (10, a(PSH | ACK, 1001, 5001, 100)),
        (11, a(PSH | ACK, 1101, 5001, 100)),
        (12, b(ACK, 5001, 1001, 0)),
        (13, a(PSH | ACK, 1001, 5001, 100)),
    ]);
    // Fast retransmission, out of order.
    assert_columns(
        &rows[0],
        &[
            ("tcpAnomaly", "0x0044"),
            ("tcpSeqFaultCnt", "1"),
            // The handshake's acknowledgment, and both segments the first time.
            ("tcpPSeqCnt", "3"),
            ("tcpSeqSntBytes", "100"),
        ],
    );
    // A duplicate acknowledgment, in what looks like an answered scan.
    assert_columns(
        &rows[1],
        &[("tcpAnomaly", "0x3008"), ("tcpAckFaultCnt", "1")],
    );
}

#[test]
fn a_keep_alive_and_its_answer() {
    let rows = after_handshake(&[
        (10, a(PSH | ACK, 1001, 5001, 10)),
        (11, b(ACK, 5001, 1011, 0)),
        (9000, a(ACK, 1010, 5001, 0)),
        (9001, b(ACK, 5001, 1011, 0)),
    ]);
    assert_columns(&rows[0], &[("tcpAnomaly", "0x0010")]);
    assert_columns(
        &rows[1],
        &[("tcpAnomaly", "0x3020"), ("tcpAckFaultCnt", "0")],
    );
}

#[test]
fn what_was_acknowledged_comes_again() {
    let rows = after_handshake(&[
        (10, a(PSH | ACK, 1001, 5001, 100)),
        (11, b(ACK, 5001, 1101, 0)),
        (12, a(PSH | ACK, 1001, 5001, 100)),
    ]);
    assert_columns(
        &rows[0],
        &[("tcpAnomaly", "0x00c0"), ("tcpSeqFaultCnt", "0")],
    );
}

#[test]
fn an_acknowledgment_of_what_was_not_seen() {
    let rows = after_handshake(&[(10, b(ACK, 5001, 2000, 0))]);
    assert_columns(
        &rows[1],
        &[
            // A's two packets look like a scan, which this answers.
            ("tcpAnomaly", "0x2100"),
            ("tcpAckFaultCnt", "1"),
            ("tcpFlwLssAckRcvdBytes", "999"),
        ],
    );
}

#[test]
fn a_segment_behind_a_gap() {
    let rows = after_handshake(&[
        (10, a(PSH | ACK, 1101, 5001, 10)),
        (11, a(PSH | ACK, 1111, 5001, 10)),
    ]);
    assert_columns(
        &rows[0],
        &[("tcpAnomaly", "0x0200"), ("tcpSeqSntBytes", "110")],
    );
}

#[test]
fn a_syn_again_or_with_data() {
    let syn = |octets| a(SYN, 1000, 0, octets).frame();
    let anomaly = |script| rows(&script)[0]["tcpAnomaly"].clone();
    // After a second it is a retry, sooner it is a scan.
    assert_eq!(anomaly(vec![(0, syn(0)), (1000, syn(0))]), "0x0001");
    assert_eq!(anomaly(vec![(0, syn(0)), (500, syn(0))]), "0x1000");
    assert_eq!(anomaly(vec![(0, syn(5))]), "0x5000");
}

#[test]
fn a_closed_window_is_probed() {
    let rows = after_handshake(&[
        (10, window(b(ACK, 5001, 1001, 0), 0)),
        (20, a(ACK, 1001, 5001, 1)),
        (21, window(b(ACK, 5001, 1001, 0), 0)),
    ]);
    // Distance, window, probe; three packets look like a scan, which was answered.
    assert_columns(
        &rows[0],
        &[("tcpFStat", "0x0051"), ("tcpAnomaly", "0x3000")],
    );
    // Distance, window, window update, answer to a probe, window closed.
    assert_columns(
        &rows[1],
        &[
            ("tcpFStat", "0x01b1"),
            ("tcpWinSzThRt", "0.6666667"),
            ("tcpMinWinSz", "0"),
        ],
    );
}

#[test]
fn a_full_window() {
    let rows = after_handshake(&[(10, a(ACK, 1001, 5001, 600)), (11, a(ACK, 1601, 5001, 400))]);
    assert_columns(&rows[0], &[("tcpFStat", "0x0411"), ("tcpBFlgtMx", "1000")]);
    let rows = after_handshake(&[(10, a(ACK, 1001, 5001, 999))]);
    assert_columns(&rows[0], &[("tcpFStat", "0x0011"), ("tcpBFlgtMx", "999")]);
}

#[test]
fn windows_turn() {
    let windows = [1000, 900, 1100, 1100, 800, 700];
    let packets: Vec<(i64, Tcp)> = (3..)
        .zip(windows)
        .map(|(ms, size)| (ms, window(a(PSH | ACK, 1001, 5001, 0), size)))
        .collect();
    assert_columns(
        &after_handshake(&packets)[0],
        &[
            ("tcpWinSzDwnCnt", "3"),
            ("tcpWinSzUpCnt", "1"),
            // Up once, and then each time down.
            ("tcpWinSzChgDirCnt", "3"),
            ("tcpMinWinSz", "700"),
            ("tcpMaxWinSz", "1100"),
        ],
    );
}
