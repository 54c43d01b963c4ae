//! `t2check file`, `proxy` and `matrix`, as they are run: files by other programs and damaged ones, messages on their
//! way, results side by side.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use exporter::capture::CaptureFile;
use golden::harness::{self, Finished, Service};
use serde_json::Value;

fn t2check(arguments: &[&str]) -> Finished {
    harness::run(Command::new(env!("CARGO_BIN_EXE_t2check")).args(arguments))
}

/// The largest file that nfpcapd writes of the replica.
fn nfcapd_file(folder: &Path, compression: &[&str]) -> Option<PathBuf> {
    let nfpcapd = harness::peer("nfpcapd")?;
    let capture = folder.join("replica.pcap");
    fs::write(&capture, golden::replica::capture().unwrap()).unwrap();
    let files = folder.join("flows");
    fs::create_dir_all(&files).unwrap();
    let mut command = Command::new(nfpcapd);
    command.arg("-r").arg(capture).arg("-w").arg(&files);
    harness::run(command.args(["-S", "0"]).args(compression)).success();
    harness::slot_files(&files)
        .into_iter()
        .max_by_key(|file| fs::metadata(file).unwrap().len())
}

/// What is said of one file: exit code, and rule and offset of each fault.
fn faults(path: &Path) -> (Option<i32>, Vec<(String, u64)>) {
    let ended = t2check(&["file", "--json", "-", &path.to_string_lossy()]);
    let faults = serde_json::from_str::<Value>(&ended.text()).map_or(Vec::new(), |report| {
        let faults = report["files"][0]["faults"].as_array().cloned();
        faults
            .unwrap_or_default()
            .iter()
            .map(|fault| {
                let rule = fault["rule"].as_str().unwrap_or_default().to_owned();
                (rule, fault["offset"].as_u64().unwrap_or_default())
            })
            .collect()
    });
    (ended.code(), faults)
}

#[test]
fn nfpcapds_files_have_no_fault() {
    for compression in [&[][..], &["-y"], &["-z"]] {
        let folder = harness::temp_dir();
        let Some(file) = nfcapd_file(folder.path(), compression) else {
            return;
        };
        assert_eq!(faults(&file), (Some(0), vec![]), "{compression:?}");
        let text = t2check(&["file", &file.to_string_lossy()]).text();
        assert!(
            text.contains("nfcapd, layout 2, ") && text.contains("1 blocks, 18 flows, no fault"),
            "{text}"
        );
    }
}

/// Offsets are those of spec nfcapd layout 2: header 40 octets, block header 12, records of 4 and more.
#[test]
fn damaged_nfcapd_files_are_told_with_their_place() {
    let folder = harness::temp_dir();
    let Some(file) = nfcapd_file(folder.path(), &[]) else {
        return;
    };
    let whole = fs::read(&file).unwrap();
    let appendix = u64::from_le_bytes(whole[24..32].try_into().unwrap());
    // The first V3 record: type 11 stands behind the block's header, or behind an exporter's record.
    let damaged = folder.path().join("damaged");
    let check = |name: &str, change: &dyn Fn(&mut Vec<u8>), rule: &str, offset: u64| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        assert_ne!(bytes, whole, "{name}");
        fs::write(&damaged, bytes).unwrap();
        let (code, faults) = faults(&damaged);
        assert_eq!(code, Some(3), "{name}: {faults:?}");
        assert!(
            faults
                .iter()
                .any(|(known, at)| known == rule && *at == offset),
            "{name}: {rule} at {offset} in {faults:?}"
        );
    };
    let put = |at: usize, octets: &'static [u8]| {
        move |bytes: &mut Vec<u8>| bytes[at..at + octets.len()].copy_from_slice(octets)
    };
    check("compression", &put(16, &[9]), "file-header", 0);
    check("encryption", &put(17, &[1]), "file-header", 0);
    check("layout", &put(2, &[7]), "file-header", 0);
    check("cut header", &|bytes| bytes.truncate(20), "file-header", 0);
    check("flags", &put(50, &[1]), "block-flags", 50);
    check(
        "block of nothing",
        &put(44, &[0, 0, 0, 0]),
        "block-header",
        40,
    );
    check(
        "huge block",
        &put(44, &[0xff, 0xff, 0xff, 0x7f]),
        "block-header",
        40,
    );
    check("cut block", &|bytes| bytes.truncate(200), "cut", 40);
    check(
        "not closed",
        &|bytes| {
            bytes[18..20].fill(0);
            bytes[24..32].fill(0);
            bytes.truncate(appendix as usize);
        },
        "unfinished",
        18,
    );
    check(
        "flows in the totals",
        &move |bytes| {
            let name = usize::from(bytes[appendix as usize + 14]);
            bytes[appendix as usize + 12 + name + 4] ^= 1;
        },
        "totals",
        appendix,
    );
    check(
        "record of an unknown type",
        &|bytes| {
            let first = 52;
            assert!([7, 11].contains(&bytes[first]));
            bytes[first] = 99;
        },
        "record-type",
        40,
    );
    // Whatever octet is damaged: an end in time, and no panic.
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        fs::write(&damaged, bytes).unwrap();
        let code = faults(&damaged).0;
        assert!(matches!(code, Some(0 | 1 | 3)), "octet {at}: {code:?}");
    }
}

/// RFC 7011 section 3.1: a header of 16 octets; a template set of 12, a data set of 8.
fn message(number: u32) -> Vec<u8> {
    let mut message = vec![0, 10, 0, 36];
    message.extend(1_700_000_000_u32.to_be_bytes());
    message.extend(number.to_be_bytes());
    message.extend([0, 0, 0, 1]);
    message.extend([0, 2, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]);
    message.extend([1, 0, 0, 8, 10, 0, 0, 1]);
    message
}

#[test]
fn faults_of_ipfix_files_have_their_place() {
    let folder = harness::temp_dir();
    let file = folder.path().join("flows.ipfix");
    let mut bytes = [message(0), message(1), message(2)].concat();
    fs::write(&file, &bytes).unwrap();
    assert_eq!(faults(&file), (Some(0), vec![]));
    // A template with ID 5 in the second message, at octets 20 and 21 of it (RFC 7011 section 3.4.1: above 255).
    bytes[36 + 20..36 + 22].copy_from_slice(&[0, 5]);
    fs::write(&file, &bytes).unwrap();
    let (code, found) = faults(&file);
    assert_eq!(code, Some(3));
    assert!(
        found.iter().any(|(_, at)| (36 + 16..72).contains(at)),
        "{found:?}"
    );
    let (code, found) = faults(Path::new("/dev/null"));
    assert_eq!((code, found), (Some(1), vec![]));
}

/// A proxy, and where it listens.
fn proxy(arguments: &[&str]) -> (Service, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_t2check"));
    command.arg("proxy").args(arguments);
    let mut service = Service::spawn(&mut command);
    let line = service.wait_for_line("listening on");
    let address = line
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap_or_else(|| panic!("no address in {line:?}"));
    (service, address.to_owned())
}

#[test]
fn a_proxy_keeps_the_balance_of_datagrams() {
    let folder = harness::temp_dir();
    let tap = folder.path().join("tap.pcap");
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(harness::PATIENCE)).unwrap();
    let to = collector.local_addr().unwrap().to_string();
    let (proxy, address) = proxy(&[
        "--listen",
        "127.0.0.1:0",
        "--to",
        &to,
        "--messages",
        "60",
        "--fault",
        "loss@11-20",
        "--fault",
        "duplicate@31-35",
        "--fault",
        "drop-templates@41-42",
        "--fault",
        "source-port:30",
        "--json",
        "-",
        "--tap",
        &tap.to_string_lossy(),
    ]);
    let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut received = Vec::new();
    let mut ports = std::collections::BTreeSet::new();
    let mut buffer = [0; 2048];
    for number in 0..60 {
        exporter.send_to(&message(number), &address).unwrap();
        let copies = match number + 1 {
            11..=20 => 0,
            31..=35 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let (length, from) = collector.recv_from(&mut buffer).unwrap();
            ports.insert(from.port());
            received.push(buffer[..length].to_vec());
        }
    }
    let ended = proxy.wait(harness::PATIENCE).success();
    let balance: Value = serde_json::from_str(&ended.text()).unwrap();
    assert_eq!(received.len(), 55);
    assert_eq!(received.iter().filter(|bytes| bytes.len() == 24).count(), 2);
    assert_eq!(balance["received"]["messages"], 60);
    assert_eq!(balance["received"]["octets"], 60 * 36);
    assert_eq!(balance["duplicated"]["messages"], 5);
    assert_eq!(balance["lost"]["messages"], 10);
    assert_eq!(balance["delivered"]["messages"], 55);
    assert_eq!(balance["delivered"]["octets"], 55 * 36 - 2 * 12);
    assert_eq!(balance["template_octets"], 24);
    assert_eq!(ports.len(), 3);
    let mut capture = CaptureFile::open(&tap).unwrap();
    let mut frames = 0;
    while let Some(batch) = capture.next_batch().unwrap() {
        frames += batch.count();
    }
    assert_eq!(frames, 60 + 55);
}

#[test]
fn a_proxy_cuts_streams_into_messages() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = collector.local_addr().unwrap().to_string();
    let (proxy, address) = proxy(&[
        "--listen",
        "tcp://127.0.0.1:0",
        "--to",
        &to,
        "--messages",
        "10",
        "--fault",
        "loss@2-3",
        "--fault",
        "reorder:100%:2@5-5",
    ]);
    let all: Vec<u8> = (0..10).flat_map(message).collect();
    let mut exporter = TcpStream::connect(address).unwrap();
    // Two octets at first: a message is one however it arrives.
    exporter.write_all(&all[..2]).unwrap();
    let (mut stream, _) = collector.accept().unwrap();
    exporter.write_all(&all[2..]).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    let numbers: Vec<u8> = octets.chunks(36).map(|message| message[11]).collect();
    assert_eq!(numbers, [0, 3, 5, 6, 4, 7, 8, 9]);
    let text = proxy.wait(harness::PATIENCE).success().text();
    assert!(
        text.contains("= delivered") && text.contains("8 messages"),
        "{text}"
    );
}

#[test]
fn results_stand_side_by_side() {
    let folder = harness::temp_dir();
    let one = folder.path().join("one.json");
    let other = folder.path().join("other.json");
    fs::write(&one, r#"{"results":[{"id":"H-02","verdict":"PASS","count":0,"reason":null,"first":null},{"id":"M-01","verdict":"DATA LOSS","count":2,"reason":null,"first":null,"notes":["a to b: 1 packet <missing>"]}]}"#).unwrap();
    fs::write(&other, r#"{"results":[{"id":"H-02","verdict":"DEVIATION","count":1,"reason":null,"first":{"note":"count 24"}},{"id":"M-01","verdict":"NOT APPLICABLE","count":0,"reason":"none","first":null}]}"#).unwrap();
    let page = folder.path().join("page.html");
    let named = format!("a=b={}", other.display());
    let wrong = t2check(&["matrix", &named]);
    assert_eq!(wrong.code(), Some(1));
    let named = format!("soft|flowd={}", other.display());
    let text = t2check(&["matrix", &one.to_string_lossy(), &named])
        .success()
        .text();
    assert!(
        text.contains("| ID | rule | one | soft\\|flowd |"),
        "{text}"
    );
    assert!(
        text.contains("| pass | DEVIATION |") && text.contains("| DATA LOSS |  |"),
        "{text}"
    );
    assert!(
        text.contains("* M-01, DATA LOSS: a to b: 1 packet <missing>"),
        "{text}"
    );
    t2check(&[
        "matrix",
        &one.to_string_lossy(),
        &named,
        "--html",
        &page.to_string_lossy(),
    ])
    .success();
    let html = fs::read_to_string(page).unwrap();
    assert!(
        html.contains("title=\"a to b: 1 packet &lt;missing&gt;\">DATA LOSS</td>"),
        "{html}"
    );
}
