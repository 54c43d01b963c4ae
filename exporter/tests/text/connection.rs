//! One connection of seven packets, every column by hand.

use std::sync::Arc;

use exporter::sink::text::Vendors;

use super::script::{
    ACK, FIN, PSH, SYN, Script, a, assert_columns, b, rows, rows_with, timestamps,
};

/// Maximum segment size, SACK permitted, timestamps, no-operation, window scale.
fn opening(mss: u16, value: u32, echo: u32, shift: u8) -> Vec<u8> {
    let [high, low] = mss.to_be_bytes();
    let mut options = vec![2, 4, high, low, 4, 2, 8, 10];
    options.extend_from_slice(&value.to_be_bytes());
    options.extend_from_slice(&echo.to_be_bytes());
    options.extend_from_slice(&[1, 3, 3, shift]);
    options
}

fn connection() -> Script {
    let mut script = Vec::new();
    let mut packet = |ms, mut segment: super::script::Tcp, id, ttl, window, options: &[u8]| {
        segment.ip.id = id;
        segment.ip.ttl = ttl;
        segment.ip.dont_fragment = true;
        segment.window = window;
        segment.options = options.to_vec();
        script.push((ms, segment.frame()));
    };
    packet(
        0,
        a(SYN, 1000, 0, 0),
        10,
        64,
        64240,
        &opening(1460, 100, 0, 7),
    );
    packet(
        20,
        b(SYN | ACK, 5000, 1001, 0),
        0,
        60,
        65160,
        &opening(1400, 900, 100, 8),
    );
    packet(
        50,
        a(ACK, 1001, 5001, 0),
        11,
        64,
        502,
        &timestamps(150, 900),
    );
    packet(
        60,
        a(PSH | ACK, 1001, 5001, 100),
        15,
        63,
        502,
        &timestamps(160, 900),
    );
    packet(90, b(ACK, 5001, 1101, 0), 0, 60, 600, &timestamps(970, 160));
    packet(
        100,
        b(PSH | ACK, 5001, 1101, 200),
        0,
        60,
        500,
        &timestamps(980, 160),
    );
    packet(
        130,
        a(ACK, 1101, 5201, 0),
        13,
        63,
        400,
        &timestamps(230, 980),
    );
    script
}

#[test]
fn columns_of_the_client() {
    let row = &rows(&connection())[0];
    assert_columns(
        row,
        &[
            ("dir", "A"),
            ("numHdrDesc", "1"),
            ("numHdrs", "3"),
            ("hdrDesc", "eth:ipv4:tcp"),
            ("macStat", "0x00"),
            ("srcMacLbl_dstMacLbl", ""),
            // Sizes 0, 0, 100, 0: differences from the mean 0, 0, 100, -33.3; variance 2777.8.
            ("stdL7PktSz", "52.70463"),
            // Gaps 0, 50, 10, 70 ms: differences 0, 50, -15, 50; variance 1306.25 ms².
            ("stdIAT", "0.03614208"),
            // Distance, timestamps, window, scale, window up.
            ("tcpFStat", "0x0a13"),
            // Steps 1, 4, -2: the last one is 65534 as 16 bits.
            ("ipMindIPID", "65534"),
            ("ipMaxdIPID", "4"),
            ("ipTTLChg", "1"),
            // Don't fragment, and an ID below the one before.
            ("ipFlags", "0x0044"),
            ("ipOptCnt", "0"),
            ("ipOptCpCl_Num", "0x00_0x00000000"),
            ("ip6OptCntHH_D", "0_0"),
            ("ip6OptHH_D", "0x00000000_0x00000000"),
            ("tcpISeqN", "1000"),
            ("tcpPSeqCnt", "3"),
            ("tcpSeqSntBytes", "100"),
            ("tcpSeqFaultCnt", "0"),
            ("tcpPAckCnt", "3"),
            ("tcpFlwLssAckRcvdBytes", "200"),
            ("tcpAckFaultCnt", "0"),
            ("tcpBFlgtMx", "100"),
            // 64240, then 502 × 128 twice, then 400 × 128.
            ("tcpInitWinSz", "64240"),
            ("tcpAvgWinSz", "60333.712"),
            ("tcpMinWinSz", "51200"),
            ("tcpMaxWinSz", "64256"),
            ("tcpWinSzDwnCnt", "1"),
            ("tcpWinSzUpCnt", "1"),
            ("tcpWinSzChgDirCnt", "2"),
            ("tcpWinSzThRt", "0"),
            ("tcpAnomaly", "0x0000"),
            ("tcpJA4T", "64240_2-4-8-1-3_1460_7"),
            ("tcpOptPktCnt", "4"),
            ("tcpOptCnt", "14"),
            ("tcpOptions", "0x0000011e"),
            ("tcpMSS", "1460"),
            ("tcpWS", "128"),
            ("tcpMPTBF", "0x0000"),
            ("tcpMPF", "0x00"),
            ("tcpMPAID", "0"),
            ("tcpMPDSSF", "0x00"),
            // 130 ticks in 130 ms.
            ("tcpTmS", "230"),
            ("tcpTmER", "980"),
            ("tcpEcI", "0.001"),
            ("tcpUtm", "0.230000"),
            // 0.13 s - 230 × 0.001 s, which is 0.001000000047 in single precision.
            ("tcpBtm", "1699999999.899999990"),
            // B answers after 20, 30 (to the packet at 60 ms) and 40 ms.
            ("tcpSSASAATrip", "0.02"),
            ("tcpRTTAckTripMin", "0.02"),
            ("tcpRTTAckTripMax", "0.04"),
            ("tcpRTTAckTripAvg", "0.03"),
            ("tcpRTTAckTripJitAvg", "0.01040833"),
            ("tcpRTTSseqAA", "0.05"),
            ("tcpRTTAckJitAvg", "0"),
        ],
    );
    assert_eq!(row["tcpBtm"], "1699999999.899999990");
}

#[test]
fn columns_of_the_server() {
    let row = &rows(&connection())[1];
    assert_columns(
        row,
        &[
            ("dir", "B"),
            ("tcpISeqN", "5000"),
            // The answer to the SYN is in sequence, and acknowledges.
            ("tcpPSeqCnt", "3"),
            ("tcpSeqSntBytes", "0"),
            ("tcpPAckCnt", "3"),
            ("tcpFlwLssAckRcvdBytes", "100"),
            ("tcpBFlgtMx", "200"),
            ("ipMindIPID", "0"),
            ("ipMaxdIPID", "0"),
            ("ipFlags", "0x0040"),
            // 65160, then 600 × 256 and 500 × 256.
            ("tcpInitWinSz", "65160"),
            ("tcpMinWinSz", "65160"),
            ("tcpMaxWinSz", "153600"),
            ("tcpWinSzDwnCnt", "1"),
            ("tcpWinSzUpCnt", "1"),
            // Three packets with a SYN look like a scan that was answered.
            ("tcpAnomaly", "0x3000"),
            ("tcpJA4T", "65160_2-4-8-1-3_1400_8"),
            ("tcpWS", "256"),
            // A answers after 30, 40 (to the packet at 20 ms) and 30 ms.
            ("tcpSSASAATrip", "0.03"),
            ("tcpRTTAckTripMin", "0.03"),
            ("tcpRTTAckTripMax", "0.04"),
            ("tcpRTTAckTripAvg", "0.0325"),
            ("tcpRTTAckTripJitAvg", "0.005270463"),
            ("tcpRTTSseqAA", "0.0625"),
            ("tcpRTTAckJitAvg", "0.01166667"),
        ],
    );
}

#[test]
fn a_lone_packet_has_no_trips() {
    let row = &rows(&vec![(0, a(SYN, 1, 0, 0).frame())])[0];
    assert_columns(
        row,
        &[
            ("tcpSSASAATrip", "0"),
            ("tcpRTTAckTripMin", "65535"),
            ("tcpRTTAckTripMax", "0"),
            ("tcpRTTSseqAA", "0"),
            ("ipMindIPID", "65535"),
            ("tcpJA4T", "1000_00_00_00"),
            ("tcpWS", "0"),
            ("tcpEcI", "0"),
            ("tcpUtm", "0.000000"),
            ("tcpBtm", "0.000000000"),
        ],
    );
}

#[test]
fn macs_have_their_vendors() {
    let vendors = Vendors::from_manuf("02:00:00\tMaker\n02:00:00:00:00:0B\tOther\n");
    let row = &rows_with(&connection(), Some(Arc::new(vendors)))[0];
    assert_eq!(row["srcMacLbl_dstMacLbl"], "Maker_Other");
    let nobody = Vendors::from_manuf("04:00:00\tNobody\n");
    let row = &rows_with(&connection(), Some(Arc::new(nobody)))[0];
    assert_eq!(row["srcMacLbl_dstMacLbl"], "-_-");
}

#[test]
fn seventeen_mac_pairs_are_one_too_many() {
    let script: Script = (0..17)
        .map(|number| {
            let mut frame = a(PSH | ACK, 1, 1, 1).frame();
            frame[11] = number;
            (i64::from(number), frame)
        })
        .collect();
    let row = &rows(&script)[0];
    assert_columns(
        row,
        &[("macPairs", "16"), ("macStat", "0x01"), ("pktsSnt", "17")],
    );
    let row = &rows(&script[..16].to_vec())[0];
    assert_columns(row, &[("macPairs", "16"), ("macStat", "0x00")]);
}

/// Ticks of a second that the estimates are taken for: a packet at 0 and one at 1 s.
#[test]
fn ticks_of_timestamps() {
    let cases = [
        // Ticks in one second, TTL, seconds a tick.
        (1000, 64, "0.001"),
        (500, 64, "0.004"),
        (250, 64, "0.004"),
        (100, 64, "0.01"),
        (10, 64, "0.1"),
        (2, 64, "0.1"),
        (1, 64, "1"),
        // They stand still: the TTL tells.
        (0, 128, "0.1"),
        (0, 64, "0.004"),
        (0, 33, "0.01"),
        (0, 32, "0.001"),
    ];
    for (ticks, ttl, tick) in cases {
        let packet = |ms: i64, value| {
            let mut segment = a(ACK, 1, 1, 1);
            segment.ip.ttl = ttl;
            segment.options = timestamps(value, 0);
            (ms, segment.frame())
        };
        let row = &rows(&vec![packet(0, 50), packet(1000, 50 + ticks)])[0];
        assert_eq!(row["tcpEcI"], tick, "{ticks} {ttl}");
    }
}

#[test]
fn a_fin_ends_the_trips() {
    let script = vec![
        (0, a(SYN, 1, 0, 0).frame()),
        (10, b(SYN | ACK, 1, 2, 0).frame()),
        (30, a(FIN | ACK, 2, 2, 0).frame()),
        // A has stopped: this is no answer any more.
        (90, a(ACK, 3, 2, 0).frame()),
    ];
    let rows = rows(&script);
    assert_columns(
        &rows[1],
        &[("tcpRTTAckTripMax", "0.02"), ("tcpRTTAckTripAvg", "0.02")],
    );
}
