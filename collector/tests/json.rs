//! `t2collect -f FILE --json -`: what the records say, read from messages made by hand after the RFCs.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use golden::harness;
use serde_json::{Value, json};
use support::t2collect;
use support::wire::{Field, ipfix, set, template, v5, v9};

/// 2026-01-02T03:04:05Z, the export time of the messages.
const EXPORT_S: u64 = 1_767_323_045;

fn run(arguments: &[&str], file: &Path) -> harness::Finished {
    harness::run(t2collect().arg("-f").arg(file).args(arguments))
}

/// The lines for these messages, in a file one after the other.
fn lines(messages: &[Vec<u8>], arguments: &[&str]) -> Vec<Value> {
    let folder = harness::temp_dir();
    let file = folder.path().join("messages");
    fs::write(&file, messages.concat()).unwrap();
    let arguments = [&["--json", "-", "--no-nfcapd"], arguments].concat();
    let ended = run(&arguments, &file).success();
    ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A field of an enterprise.
fn enterprise(id: u16, length: u16, pen: u32) -> Vec<u8> {
    [
        &(id | 0x8000).to_be_bytes()[..],
        &length.to_be_bytes(),
        &pen.to_be_bytes(),
    ]
    .concat()
}

fn plain(id: u16, length: u16) -> Vec<u8> {
    [id.to_be_bytes(), length.to_be_bytes()].concat()
}

/// A template record of fields that are ready.
fn fields(id: u16, fields: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    [
        &id.to_be_bytes()[..],
        &count.to_be_bytes(),
        &fields.concat(),
    ]
    .concat()
}

/// An options template of IPFIX.
fn options(id: u16, scopes: u16, all: &[Field]) -> Vec<u8> {
    let mut record = template(id, all);
    record.splice(4..4, scopes.to_be_bytes());
    record
}

#[test]
fn the_contract_line() {
    let template = template(256, &[(8, 4), (1, 8)]);
    let record = [vec![10, 0, 0, 1], 123_u64.to_be_bytes().to_vec()].concat();
    let seen = lines(
        &[ipfix(0, &[set(2, &[template]), set(256, &[record])])],
        &[],
    );
    assert_eq!(
        seen,
        [json!({
            "exporter": "0.0.0.0", "port": 0, "version": 10, "domain": 8, "exportTime": "2026-01-02T03:04:05Z",
            "template": 256, "kind": "flow",
            "fields": {"sourceIPv4Address": "10.0.0.1", "octetDeltaCount": 123},
        })]
    );
}

#[test]
fn enterprise_reverse_repeated_variable_and_empty_elements() {
    let template = fields(
        256,
        &[
            enterprise(1, 4, 29305),
            enterprise(100, 2, 99999),
            plain(32767, 1),
            plain(7, 2),
            plain(7, 2),
            plain(82, 0xffff),
            plain(83, 0xffff),
            plain(313, 0xffff),
            plain(2, 0xffff),
        ],
    );
    let record = [
        &[0, 0, 0, 9, 0xab, 0xcd, 7, 0, 80, 1, 187][..],
        // A name in the three-octet form, two values of no octets, and a number without any.
        &[255, 0, 4],
        b"eth\xff",
        &[0, 0, 0],
    ]
    .concat();
    let seen = lines(
        &[ipfix(0, &[set(2, &[template]), set(256, &[record])])],
        &[],
    );
    assert_eq!(
        seen[0]["fields"],
        json!({
            "reverseOctetDeltaCount": 9, "99999/100": "abcd", "0/32767": "07", "sourceTransportPort": [80, 443],
            "interfaceName": "eth\u{fffd}", "interfaceDescription": "", "ipHeaderPacketSection": "",
        })
    );
    assert_eq!(seen[0]["invalidUtf8"], json!(["interfaceName"]));
}

/// The same instant in the eight encodings of RFC 7011 section 6.1 and IANA's elements.
#[test]
fn times() {
    let ntp = ((EXPORT_S - 1 + 2_208_988_800) << 32 | 1 << 31).to_be_bytes();
    let template = template(
        256,
        &[
            (150, 4),
            (153, 8),
            (154, 8),
            (156, 8),
            (158, 4),
            (160, 8),
            (21, 4),
            (22, 4),
        ],
    );
    let record = [
        &((EXPORT_S - 1) as u32).to_be_bytes()[..],
        &((EXPORT_S - 1) * 1000 + 500).to_be_bytes(),
        &ntp,
        &ntp,
        &500_000_u32.to_be_bytes(),
        &((EXPORT_S - 100) * 1000).to_be_bytes(),
        &99_500_u32.to_be_bytes(),
        &99_400_u32.to_be_bytes(),
    ]
    .concat();
    let seen = lines(
        &[ipfix(0, &[set(2, &[template]), set(256, &[record])])],
        &[],
    );
    assert_eq!(
        seen[0]["fields"],
        json!({
            "flowStartSeconds": "2026-01-02T03:04:04Z",
            "flowEndMilliseconds": "2026-01-02T03:04:04.500Z",
            "flowStartMicroseconds": "2026-01-02T03:04:04.500000Z",
            "flowStartNanoseconds": "2026-01-02T03:04:04.500000000Z",
            "flowStartDeltaMicroseconds": 500_000,
            "systemInitTimeMilliseconds": "2026-01-02T03:02:25.000Z",
            "flowEndSysUpTime": 99_500,
            "flowStartSysUpTime": 99_400,
            "flowStartMilliseconds": "2026-01-02T03:04:04.400Z",
        })
    );
}

#[test]
fn uptime_of_ipfix_counts_from_an_options_record() {
    let sets = [
        set(3, &[options(300, 1, &[(144, 4), (160, 8)])]),
        set(
            300,
            &[[&[0, 0, 0, 1][..], &((EXPORT_S - 100) * 1000).to_be_bytes()].concat()],
        ),
        set(2, &[template(256, &[(22, 4)])]),
        set(256, &[99_500_u32.to_be_bytes().to_vec()]),
    ];
    let seen = lines(&[ipfix(0, &sets)], &[]);
    assert_eq!(seen[0]["kind"], "options");
    assert_eq!(
        seen[1]["fields"]["flowStartMilliseconds"],
        "2026-01-02T03:04:04.500Z"
    );
}

#[test]
fn fixed_versions_have_no_template_and_absolute_times() {
    let seen = lines(&[v5(0, &[(4000, 5, 600)])], &[]);
    let line = &seen[0];
    assert_eq!(
        (&line["version"], &line["domain"]),
        (&json!(5), &json!(3 << 8 | 4))
    );
    assert_eq!(line["template"], Value::Null);
    let fields = &line["fields"];
    assert_eq!(fields["octetDeltaCount"], 600);
    assert_eq!(fields["flowStartMilliseconds"], "2026-01-02T03:04:03.500Z");
    assert_eq!(fields.get("paddingOctets"), None);
}

#[test]
fn v9_scopes_and_vendor_numbers_have_names_of_their_own() {
    // Options template 257: scope interface in 4 octets, interfaceName in 4 octets.
    let options = [257_u16, 4, 4, 2, 4, 82, 4].map(u16::to_be_bytes).concat();
    let sets = [
        set(1, &[options]),
        set(257, &[vec![0, 0, 0, 7, b'g', b'e', b'1', 0]]),
        set(0, &[template(256, &[(40_005, 1)])]),
        set(256, &[vec![2]]),
    ];
    let seen = lines(&[v9(0, 4, &sets)], &["--events"]);
    let kinds: Vec<&Value> = seen.iter().map(|line| &line["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "template", "template", "options", "flow", "flow", "flow", "flow"
        ]
    );
    assert_eq!(seen[0]["fields"][0]["name"], "scopeInterface");
    assert_eq!(
        seen[2]["fields"],
        json!({"scopeInterface": 7, "interfaceName": "ge1"})
    );
    assert_eq!(seen[3]["fields"], json!({"0/40005": "02"}));
}

/// RFC 6313: a subTemplateList of template 257 inside a flow; the list of a template that nobody knows is octets.
#[test]
fn structured_data_is_nested_arrays() {
    let templates = [
        template(257, &[(8, 4), (7, 2)]),
        template(256, &[(4, 1), (292, 0xffff), (292, 0xffff)]),
    ];
    let record = [
        &[6, 15, 3, 1, 1][..],
        &[10, 0, 0, 1, 0, 80],
        &[10, 0, 0, 2, 0, 81],
        &[5, 255, 1, 44, 1, 2],
    ]
    .concat();
    let seen = lines(&[ipfix(0, &[set(2, &templates), set(256, &[record])])], &[]);
    assert_eq!(
        seen[0]["fields"],
        json!({
            "protocolIdentifier": 6,
            "subTemplateList": [[["10.0.0.1", 80], ["10.0.0.2", 81]], ["0102"]],
        })
    );
}

#[test]
fn sampling_by_options_is_applied_once_and_visible() {
    // RFC 5476 section 6.5.2.1: one packet of ten, sampler 7; the generic one is another.
    let sets = [
        set(
            3,
            &[
                options(300, 1, &[(302, 4), (304, 2), (305, 4), (306, 4)]),
                options(301, 1, &[(149, 4), (34, 4), (35, 1)]),
            ],
        ),
        set(300, &[vec![0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9]]),
        set(301, &[vec![0, 0, 0, 8, 0, 0, 0, 100, 2]]),
        set(
            2,
            &[template(256, &[(302, 4), (2, 4)]), template(257, &[(2, 4)])],
        ),
        set(
            256,
            &[vec![0, 0, 0, 7, 0, 0, 0, 5], vec![0, 0, 0, 6, 0, 0, 0, 5]],
        ),
        set(257, &[vec![0, 0, 0, 5]]),
    ];
    let folder = harness::temp_dir();
    let file = folder.path().join("messages");
    fs::write(&file, ipfix(0, &sets)).unwrap();
    let ended = run(
        &["--json", "-", "-w", folder.path().to_str().unwrap()],
        &file,
    )
    .success();
    let seen: Vec<Value> = ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rates: Vec<&Value> = seen
        .iter()
        .skip(2)
        .map(|line| &line["samplingRate"])
        .collect();
    assert_eq!(rates, [&json!(10), &Value::Null, &json!(100)]);
    assert!(
        seen.iter()
            .skip(2)
            .all(|line| line["fields"]["packetDeltaCount"] == 5)
    );
    let file = support::the_file(folder.path());
    if let Some(mut flows) = support::flows(&file, "%pkt") {
        flows.sort();
        assert_eq!(flows, ["5", "50", "500"]);
    }
}

/// RFC 5610: an options record says what element 99999/1 is; RFC 5473: another says what all flows of ID 5 have.
#[test]
fn exporters_teach_elements_and_common_properties() {
    let sets = [
        set(
            3,
            &[
                options(300, 2, &[(346, 4), (303, 2), (339, 1), (341, 0xffff)]),
                options(301, 1, &[(137, 8), (8, 4)]),
            ],
        ),
        set(
            300,
            &[[&[0, 1, 0x86, 0x9f, 0, 1, 2, 7][..], b"ourPort"].concat()],
        ),
        set(301, &[vec![0, 0, 0, 0, 0, 0, 0, 5, 192, 0, 2, 1]]),
        set(2, &[fields(256, &[enterprise(1, 2, 99999), plain(137, 8)])]),
        set(256, &[vec![0, 80, 0, 0, 0, 0, 0, 0, 0, 5]]),
    ];
    let seen = lines(&[ipfix(0, &sets)], &[]);
    assert_eq!(
        seen[2]["fields"],
        json!({"ourPort": 80, "commonPropertiesId": 5, "sourceIPv4Address": "192.0.2.1"})
    );
}

#[test]
fn losses_and_broken_rules_have_lines_of_their_own() {
    let good = |sequence| ipfix(sequence, &[set(256, &[vec![1]])]);
    let mut broken = ipfix(9, &[set(256, &[vec![1]])]);
    broken[19] = 9;
    let messages = [
        ipfix(0, &[set(2, &[template(256, &[(4, 1)])])]),
        good(0),
        // A set of four octets is a record of one and three of padding? No: four records of one octet.
        good(10),
        // Four of the six that are missing come late.
        good(4),
        broken,
    ];
    let seen = lines(&messages, &["--events"]);
    let of =
        |kind: &str| -> Vec<&Value> { seen.iter().filter(|line| line["kind"] == kind).collect() };
    let losses = of("loss");
    assert_eq!(losses.len(), 1);
    assert_eq!(
        (&losses[0]["missing"], &losses[0]["unit"]),
        (&json!(6), &json!("records"))
    );
    let late = of("recovered");
    assert_eq!(late.len(), 1);
    assert_eq!(
        (&late[0]["found"], &late[0]["unit"]),
        (&json!(4), &json!("records"))
    );
    let violations = of("violation");
    assert_eq!(violations.len(), 1);
    assert_eq!(
        (&violations[0]["rule"], &violations[0]["offset"]),
        (&json!("S-09"), &json!(16))
    );
}

#[test]
fn the_account_names_templates_first_records_rules_and_losses() {
    let folder = harness::temp_dir();
    let file = folder.path().join("messages");
    let message = ipfix(
        0,
        &[
            set(2, &[template(256, &[(8, 4), (82, 0xffff)])]),
            set(256, &[vec![10, 0, 0, 1, 1, b'x']]),
            set(77, &[]),
        ],
    );
    fs::write(&file, message).unwrap();
    let text = run(&["--explain", "--no-nfcapd"], &file).success().text();
    for line in [
        "exporter 0.0.0.0:0, version 10, domain 8: 1 records",
        "  template 256: 5 octets and more, 1 records",
        "    sourceIPv4Address (8), 4",
        "    interfaceName (82), variable",
        r#"    first record: {"sourceIPv4Address":"10.0.0.1","interfaceName":"x"}"#,
        "broke S-08 1 times, first at octet 44",
        "no sequence number tells",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    for arguments in [
        &["--no-nfcapd"][..],
        &["--events"],
        &["--session-key", "port"],
        &["-f", "x", "--listen", "udp://127.0.0.1:1"],
        &["limits", "-p", "1"],
    ] {
        let ended = harness::run(t2collect().args(arguments));
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    let missing = harness::run(Command::new(env!("CARGO_BIN_EXE_t2collect")).args([
        "-f",
        "/does/not/exist",
        "--explain",
        "--no-nfcapd",
    ]));
    assert_eq!(missing.code(), Some(1), "{}", missing.stderr);
}
