//! Names that a file tells beside its flows: as nfdump shows them, and harmless whatever they hold; and the names of hosts in
//! filters, asked of a name server of one's own.
#![allow(clippy::unwrap_used, missing_docs)]

use golden::harness;
use nfdump_compat::{
    field,
    field::ext,
    file::{BlockBuilder, BlockEncoder, BlockFile, Compression, WriterOptions},
    names::{INTERFACES, VRFS, encode, encode_applications},
    record::{RecordBuilder, RecordHeader},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Command, Output},
};

/// A file with names (interface 1, VRFs 1 and 2, application 3..80), then flows with and without these numbers.
fn write(path: &Path, names: [&str; 4]) {
    let [interface, vrf, application, description] = names;
    let mut builder = BlockBuilder::default();
    for (record_type, names) in [
        (INTERFACES, &[(1, interface)][..]),
        (VRFS, &[(1, vrf), (2, "other")]),
    ] {
        encode(record_type, names, |record| builder.names(record));
    }
    let application = (&[3, 0, 0, 80][..], application, description);
    encode_applications(&[application], |record| builder.names(record));
    for (interface, vrf, packets) in [(1, 1, 9), (2, 2, 5), (0, 0, 3), (1, 3, 1)] {
        let mut flow = RecordBuilder::new();
        flow.begin(&RecordHeader::default());
        flow.set(field::SRC_IPV4, 0x0a00_0001);
        flow.set(field::DST_IPV4, 0x0a00_0002);
        flow.set(field::SRC_PORT, interface);
        flow.set(field::PROTO, 17);
        // One without times.
        if interface != 0 {
            flow.set(field::MSEC_FIRST, 1_795_414_200_000);
            flow.set(field::MSEC_LAST, 1_795_414_201_000);
        }
        flow.set(field::IN_PACKETS, packets);
        flow.set(field::INPUT, interface);
        flow.set(field::OUTPUT, 3 - interface);
        flow.set(field::INGRESS_VRF, vrf);
        flow.set(field::EGRESS_VRF, 1);
        if vrf != 0 {
            flow.variable(ext::NBAR_APP, &[3, 0, 0, 79 + vrf as u8]);
        }
        builder.record(flow.finish()).unwrap();
    }
    let options = WriterOptions {
        ident: "names".to_owned(),
        compression: Compression::None,
        created_s: 1_795_414_248,
    };
    let mut encoder = BlockEncoder::new(Compression::None, None).unwrap();
    let mut file = BlockFile::create(path, &options).unwrap();
    let (block, _) = encoder.store(builder.take(Vec::new()), Vec::new()).unwrap();
    file.append(block).unwrap();
    file.close((0, 1), &mut encoder).unwrap();
}

fn run(program: &Path, file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.arg("-r").arg(file).args(arguments);
    command.env("TZ", "UTC").output().unwrap()
}

fn t2report(file: &Path, arguments: &[&str]) -> String {
    let output = run(Path::new(env!("CARGO_BIN_EXE_t2report")), file, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const TOKENS: &str = "fmt:%in|%inam|%onam|%ivrf|%ivrfnam|%evrfnam|%nbid|%nbnam";

#[test]
fn as_nfdump_shows_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, ["uplink", "red", "http", "World Wide Web"]);
    let own = t2report(&file, &["-q", "-o", TOKENS]);
    let first = own.lines().next().unwrap();
    assert_eq!(
        first,
        "     1| uplink| <ingress not found>|         1| red| red| 3..80|http/World Wide Web"
    );
    for (version, compat) in [("1.7.1", "1.7.1"), ("1.7.5", "1.7.5")] {
        let nfdump = match version {
            "1.7.1" => harness::peer("nfdump"),
            _ => harness::nfdump_version(version, "nfdump"),
        };
        let Some(nfdump) = nfdump else { continue };
        for query in [
            &["-o", TOKENS][..],
            &["-o", "raw"],
            &["-a", "-O", "packets", "-o", TOKENS],
        ] {
            let query = [&["-q"], query].concat();
            let theirs = run(&nfdump, &file, &query).stdout;
            let ours = t2report(&file, &[&["--compat", compat], &query[..]].concat());
            assert_eq!(
                ours,
                String::from_utf8_lossy(&theirs),
                "{version} {query:?}"
            );
        }
    }
    // What is written has the names, too.
    let copy = folder.path().join("copy");
    t2report(&file, &["-w", copy.to_str().unwrap()]);
    assert_eq!(t2report(&copy, &["-q", "-o", TOKENS]), own);
}

#[test]
fn whatever_they_hold_terminals_and_spreadsheets_are_safe() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let evil = "=1+1\u{1b}]0;x\u{7}\r\n|\"\u{9b}\u{85}";
    write(&file, [evil; 4]);
    let tokens = "%inam,%onam,%ivrfnam,%evrfnam,%nbnam";
    let csv = format!("csv:{tokens}");
    let all = [
        "raw",
        "json",
        "ndjson",
        "line",
        "extended",
        "csv",
        "csv-fast",
        "pipe",
        "table",
        "markdown",
        TOKENS,
        &csv,
        &format!("table:{tokens}"),
        &format!("markdown:{tokens}"),
    ];
    for format in all {
        let text = t2report(&file, &["-o", format]);
        let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!text.contains(bad), "{format}: {text:?}");
    }
    let text = t2report(&file, &["-q", "-o", &csv]);
    assert!(text.contains("\"'=1+1?]0;x???|\"\"??\""), "{text}");
    assert!(!text.contains("\"=") && !text.contains(",="), "{text}");
}

/// A name server for two hosts: one has an alias and its address; the answer for the other is too long for a datagram.
fn name_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    // A response with recursion; RFC 1035 section 4.1.1.
    let response = |query: &[u8], code: u16, answers: &[&[u8]]| {
        let mut response = [query, &answers.concat()].concat();
        response[2..4].copy_from_slice(&code.to_be_bytes());
        response[7] = answers.len() as u8;
        response
    };
    let is_a = |query: &[u8]| query.ends_with(b"\0\x01\0\x01");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let query = &query[..length];
            let answer = match &query[12..18] {
                b"\x05hosts" if is_a(query) => response(
                    query,
                    0x8180,
                    &[
                        b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x12",
                        b"\xc0\x28\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01",
                    ],
                ),
                b"\x05hosts" => response(query, 0x8180, &[]),
                b"\x05longs" => response(query, 0x8380, &[]),
                _ => response(query, 0x8183, &[]),
            };
            socket.send_to(&answer, from).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            let own: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
            let answers = [own; 40];
            let count = if is_a(&query) { answers.len() } else { 0 };
            let answer = response(&query, 0x8180, &answers[..count]);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).unwrap();
        }
    });
    address.to_string()
}

#[test]
fn hosts_are_asked_of_the_server_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, ["a", "b", "c", "d"]);
    let server = name_server();
    let asked = |host: &str| {
        let filter = format!("host {host}");
        let program = Path::new(env!("CARGO_BIN_EXE_t2report"));
        run(
            program,
            &file,
            &["-D", &server, "-q", "-o", "fmt:%sa", &filter],
        )
    };
    for host in ["hosts.test", "longs.test"] {
        let found = asked(host);
        assert_eq!(String::from_utf8_lossy(&found.stderr), "", "{host}");
        let text = String::from_utf8_lossy(&found.stdout);
        assert_eq!(text.lines().count(), 4, "{host}");
    }
    let unknown = asked("others.test");
    assert_eq!(unknown.status.code(), Some(254));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("others.test"), "{said}");
    let program = Path::new(env!("CARGO_BIN_EXE_t2report"));
    let wrong = run(program, &file, &["-D", "nowhere.invalid", "any"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        said.starts_with("t2report: name server nowhere.invalid: "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}
