//! Hostile exporters beside a healthy one: the program lives, answers, stays within the memory that `t2collect limits`
//! prints, and tells of the healthy exporter exactly what it tells without the attack.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::Duration;

use collector::limits::memory;
use collector::listen::stream;
use golden::harness;
use protocol::limits::Limits;
use support::wire::{self, set, template};
use support::{Collector, peak};

/// Messages of the healthy exporter.
const HEALTHY: u16 = 120;

/// A hostile message of the given number.
type Attack = fn(u32) -> Vec<u8>;

/// What a set holds at most.
const MOST: usize = 60_000;

fn ipfix(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = wire::ipfix(sequence, sets);
    message[12..16].copy_from_slice(&domain.to_be_bytes());
    message
}

fn v9(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = wire::v9(sequence, 1, sets);
    message[16..20].copy_from_slice(&domain.to_be_bytes());
    message
}

/// Random octets that are the same each time.
fn noise(number: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The rows of the catalogue of attacks that one exporter, or many forged ones, can carry out over UDP.
const ATTACKS: [(&str, Attack, &str); 22] = [
    // 1. All template IDs, many fields each: 40 templates of 300 fields a message.
    (
        "1 template flood",
        |n| {
            let fields: Vec<(u16, u16)> = (0..300).map(|field| (field + 1, 4)).collect();
            let ids = (0..40).map(|id| 256 + (n * 40 + id) as u16 % 65_000);
            let templates: Vec<Vec<u8>> = ids.map(|id| template(id.max(256), &fields)).collect();
            ipfix(0, 1, &[set(2, &templates)])
        },
        "templates over the limit",
    ),
    (
        "2 domain flood",
        |n| v9(0, n, &[set(0, &[template(256, &wire::FIELDS)])]),
        "packets of domains over the limit",
    ),
    (
        "4 data without templates",
        |n| ipfix(n, 2, &[set(999, &[noise(n, MOST)])]),
        "data sets without template over the limit",
    ),
    (
        "5 options flood",
        |n| {
            let mut sets = vec![set(3, &[vec![1, 44, 0, 2, 0, 1, 0, 10, 0, 4, 0, 82, 0, 4]])];
            let names =
                (0..2000).map(|i| [(n * 2000 + i).to_be_bytes().as_slice(), b"name"].concat());
            sets.push(set(300, &names.collect::<Vec<_>>()));
            ipfix(0, 3, &sets)
        },
        "names, samplers or elements over the limit",
    ),
    (
        "6 templates of no width",
        |n| {
            let none = [(1, 0), (2, 0)];
            v9(
                n,
                4,
                &[
                    set(0, &[template(256, &none), template(257, &[])]),
                    set(256, &[noise(n, 400)]),
                ],
            )
        },
        "unusable templates",
    ),
    (
        "7 records of one octet",
        |n| {
            let length = if n % 40 == 0 { MOST } else { 10 };
            ipfix(
                n,
                5,
                &[
                    set(2, &[template(256, &[(4, 1)])]),
                    set(256, &[noise(n, length)]),
                ],
            )
        },
        "records of messages over the limit",
    ),
    (
        "8 redefinition",
        |n| {
            let fields = [(1, 4), (2, 4), (4, (n % 7 + 1) as u16)];
            ipfix(
                0,
                6,
                &[set(2, &[template(256, &fields)]), set(256, &[noise(n, 60)])],
            )
        },
        "templates replaced by other definitions",
    ),
    (
        "9 the widest template",
        |n| {
            if n % 10 == 0 {
                let fields: Vec<(u16, u16)> = (0..14_000).map(|_| (4, 1)).collect();
                ipfix(0, 7, &[set(2, &[template(256, &fields)])])
            } else {
                ipfix(0, 7, &[set(256, &[noise(n, MOST)])])
            }
        },
        "",
    ),
    (
        "10 lists in lists",
        |n| {
            let mut list = vec![3, 0, 4, 0, 1, 6];
            for _ in 0..500 {
                let length = u16::try_from(list.len()).unwrap().to_be_bytes();
                list = [&[3, 1, 0x23, 0xff, 0xff, 255][..], &length, &list].concat();
            }
            let length = u16::try_from(list.len()).unwrap().to_be_bytes();
            let itself = [&[255][..], &[0, 7, 3, 1, 0, 0, 3, 1, 0][..]].concat();
            let deep = [&[255][..], &length, &list].concat();
            let templates = [
                template(256, &[(291, 0xffff)]),
                template(257, &[(292, 0xffff)]),
            ];
            ipfix(
                n,
                8,
                &[set(2, &templates), set(256, &[deep]), set(257, &[itself])],
            )
        },
        "",
    ),
    (
        "11 values of no octets, and of all",
        |n| {
            let templates = [
                template(256, &[(82, 0xffff); 40]),
                template(257, &[(82, 0xffff)]),
            ];
            let long = [&[255, 0xe0, 0][..], &noise(n, 0xe000)].concat();
            if n % 2 == 0 {
                ipfix(0, 9, &[set(2, &templates), set(257, &[long])])
            } else {
                ipfix(0, 9, &[set(2, &templates), set(256, &[vec![0; 8000]])])
            }
        },
        "",
    ),
    (
        "12 jumping sequence numbers",
        |n| {
            v9(
                n.wrapping_mul(0x9e37_79b9),
                10,
                &[set(0, &[template(256, &[(4, 1)])]), set(256, &[vec![6]])],
            )
        },
        "jumps of a sequence number",
    ),
    (
        "15 a forged definition",
        |n| {
            // From the address and domain of the healthy exporter, but another port.
            v9(
                n,
                7,
                &[set(0, &[template(256, &[(1, 4), (2, (n % 3 + 1) as u16)])])],
            )
        },
        "templates replaced by other definitions",
    ),
    (
        "17 withdrawal",
        |n| wire::ipfix(n, &[set(2, &[vec![1, 0, 0, 0], vec![0, 2, 0, 0]])]),
        "harmless violations",
    ),
    (
        "18 sampling poison",
        |n| {
            let options = vec![1, 44, 0, 2, 0, 1, 0, 149, 0, 4, 1, 55, 0, 8];
            let rates = [0.0, f64::NAN, -1.0, f64::INFINITY, 1e-300];
            let rate = rates[n as usize % rates.len()].to_be_bytes();
            ipfix(
                0,
                11,
                &[
                    set(3, &[options]),
                    set(300, &[[&[0, 0, 0, 11][..], &rate].concat()]),
                ],
            )
        },
        "samplings that make no sense",
    ),
    (
        "19 forged times",
        |n| {
            let mut message = v9(
                n,
                12,
                &[
                    set(0, &[template(256, &wire::FIELDS)]),
                    set(256, &[wire::flow(1, 1, 1)]),
                ],
            );
            let seconds = [0_u32, 1, u32::MAX, 0x8000_0000][n as usize % 4];
            message[8..12].copy_from_slice(&seconds.to_be_bytes());
            message
        },
        "",
    ),
    (
        "20 counters at their end, ends before starts",
        |n| {
            let fields = [(1, 8), (2, 8), (152, 8), (153, 8)];
            let record = [[0xff; 16].as_slice(), &[0xff; 8], &[0; 8]].concat();
            ipfix(
                n,
                13,
                &[set(2, &[template(256, &fields)]), set(256, &[record])],
            )
        },
        "",
    ),
    (
        "21 everything twice",
        |_| {
            v9(
                5,
                14,
                &[set(0, &[template(256, &[(4, 1)])]), set(256, &[vec![6]])],
            )
        },
        "packets out of order or twice",
    ),
    // Each pair turned round, every tenth message 500 too late.
    (
        "22 reordered, within the window and beyond",
        |n| {
            let number = if n % 10 == 9 {
                n.wrapping_sub(500)
            } else {
                n ^ 1
            };
            v9(
                number,
                17,
                &[set(0, &[template(256, &[(4, 1)])]), set(256, &[vec![6]])],
            )
        },
        "packets out of order or twice",
    ),
    (
        "23 cut anywhere, octets swapped",
        |n| {
            let mut message = wire::ipfix(
                n,
                &[
                    set(2, &[template(256, &wire::IPFIX_FIELDS)]),
                    set(256, &[wire::ipfix_flow(1, 1, 1)]),
                ],
            );
            message.truncate(n as usize % message.len());
            if n % 5 == 0 {
                message.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            }
            message
        },
        "malformed packets",
    ),
    (
        "24 lengths that lie, versions mixed",
        |n| {
            let mut message = ipfix(n, 15, &[set(2, &[template(256, &[(4, 1)])])]);
            message[1] = [5, 9, 10, 11, 1, 7, 0][n as usize % 7];
            message[3] = (n % 256) as u8;
            message
        },
        "packets of unknown version or without a complete header",
    ),
    (
        "25 names that are not text",
        |n| {
            let names = [
                &b"=cmd|' /C calc'!A0"[..],
                b"\x1b[2J\n\r\0{\"x\":1}",
                b"\xff\xfe\xc0\x80",
                b"<script>../../etc",
            ];
            let name = names[n as usize % names.len()];
            let value = [&[name.len() as u8], name].concat();
            ipfix(
                n,
                16,
                &[
                    set(2, &[template(256, &[(82, 0xffff)])]),
                    set(256, &[value]),
                ],
            )
        },
        "",
    ),
    (
        "23 noise",
        |n| noise(n, n as usize % 1400),
        "packets of unknown version or without a complete header",
    ),
];

/// The healthy exporter's message of this number.
fn healthy(number: u16) -> Vec<u8> {
    let mut sets = Vec::new();
    if number.is_multiple_of(20) {
        sets.push(set(0, &[template(256, &wire::FIELDS)]));
    }
    sets.push(set(256, &[wire::flow(number, 1, 100)]));
    wire::v9(u32::from(number), 1, &sets)
}

/// The lines of the exporter that sends from `socket`.
fn lines_of(file: &Path, socket: &UdpSocket) -> Vec<String> {
    let address = socket.local_addr().unwrap();
    let begin = format!(
        "{{\"exporter\":\"{}\",\"port\":{},",
        address.ip(),
        address.port()
    );
    let text = fs::read_to_string(file).unwrap_or_default();
    // The port differs from run to run.
    text.lines()
        .filter_map(|line| line.strip_prefix(&begin).map(str::to_owned))
        .collect()
}

/// Runs one attack (or none) beside the healthy exporter: its lines, how long the last one took, the peak of memory, and
/// the log.
fn run(attack: Option<Attack>, messages: u32) -> (Vec<String>, Duration, usize, String) {
    let folder = harness::temp_dir();
    let json = folder.path().join("records.json");
    let arguments = [
        "-w",
        folder.path().to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ];
    let collector = Collector::udp(&arguments);
    let good = UdpSocket::bind("127.0.0.1:0").unwrap();
    let evil = UdpSocket::bind("127.0.0.1:0").unwrap();
    let pause = Duration::from_micros(300);
    // Its first message comes before the attack.
    collector.send_from(&good, &[healthy(0)]);
    thread::sleep(Duration::from_millis(20));
    for number in 1..HEALTHY {
        if let Some(attack) = attack {
            for part in 0..messages {
                let number = u32::from(number) * messages + part;
                let message = attack(number);
                let _ = evil.send_to(&message, collector.addresses[0]);
                thread::sleep(pause);
            }
        }
        collector.send_from(&good, &[healthy(number)]);
    }
    // The probe: answered means that its line is there.
    let sent = std::time::Instant::now();
    let answered = || lines_of(&json, &good).len() == usize::from(HEALTHY);
    harness::wait_until(
        "the healthy exporter's last record",
        harness::PATIENCE,
        answered,
    );
    let answer = sent.elapsed();
    let memory = peak(collector.pid());
    let lines = lines_of(&json, &good);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    (lines, answer, memory, ended.log)
}

#[test]
fn a_healthy_exporter_does_not_notice() {
    let bound = memory(&Limits::default(), 1);
    let (alone, ..) = run(None, 0);
    assert_eq!(alone.len(), usize::from(HEALTHY));
    let threads: Vec<_> = ATTACKS
        .chunks(ATTACKS.len().div_ceil(4))
        .map(|attacks| {
            let alone = alone.clone();
            thread::spawn(move || {
                for (name, attack, cause) in attacks {
                    let (lines, answer, memory, log) = run(Some(*attack), 3);
                    assert!(
                        lines == alone,
                        "{name}: the healthy exporter's records differ"
                    );
                    assert!(memory < bound, "{name}: {memory} octets");
                    assert!(log.contains(cause), "{name}: '{cause}' is not told:\n{log}");
                    // Diagnostics are rate-limited.
                    assert!(
                        log.lines().count() < 100,
                        "{name}: {} lines",
                        log.lines().count()
                    );
                    eprintln!(
                        "attack {name}: alive, probe after {} ms, {} MB",
                        answer.as_millis(),
                        memory / 1_000_000
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// 3. and 16.: more senders than there is room for, each with its own port.
#[test]
fn more_exporters_than_the_limit() {
    use protocol::session::{DataRecord, Events, Session};
    struct Count(usize);
    impl Events for Count {
        fn record(&mut self, _: &DataRecord<'_>) {
            self.0 += 1;
        }
    }
    let limits = Limits::default();
    let mut session = Session::new(limits);
    let mut count = Count(0);
    let known: std::net::SocketAddr = ([192, 0, 2, 1], 2055).into();
    session.datagram(0, known, &healthy(0), &mut count);
    for number in 0..100_000_u32 {
        let from = (
            std::net::Ipv4Addr::from(0x0a00_0000 + number / 3),
            (number % 60_000) as u16,
        );
        session.datagram(1, from.into(), &healthy(0), &mut count);
    }
    assert_eq!(session.exporters(), limits.exporters);
    assert_eq!(
        session.counters().refused_exporters as usize,
        100_001 - limits.exporters
    );
    let before = count.0;
    session.datagram(2, known, &healthy(1), &mut count);
    assert_eq!(count.0, before + 1);
}

/// 13. Streams that begin a message and stop, and streams of nonsense; a healthy one is read all the same.
#[test]
fn streams_that_stop_in_the_middle() {
    use std::io::Write as _;
    use std::net::TcpStream;
    let folder = harness::temp_dir();
    let json = folder.path().join("records.json");
    let arguments = [
        "-w",
        folder.path().to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ];
    let collector = Collector::tcp(&arguments);
    let mut open = Vec::new();
    for number in 0..300_u32 {
        let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
        let octets = match number % 3 {
            0 => vec![0, 10, 0xff, 0xff],
            1 => vec![0],
            _ => noise(number, 100),
        };
        let _ = stream.write_all(&octets);
        open.push(stream);
        // One in eight gives up its place.
        if number % 8 == 7 {
            open.pop();
        }
    }
    open.truncate(100);
    let sets = [
        set(2, &[template(256, &wire::IPFIX_FIELDS)]),
        set(256, &[wire::ipfix_flow(1, 1, 1)]),
    ];
    let answered = || {
        let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
        let _ = stream.write_all(&wire::ipfix(0, &sets));
        drop(stream);
        thread::sleep(Duration::from_millis(50));
        fs::read_to_string(&json).is_ok_and(|text| text.contains("\"flow\""))
    };
    harness::wait_until("a record over TCP", harness::PATIENCE, answered);
    assert_eq!(collector.stop().code, Some(0));
}

/// Row 3 of the catalogue: ten thousand spoofed senders with -M: a thousand directories and no more, and the healthy sender that came first has
/// its records.
#[test]
fn spoofed_senders_get_a_bounded_number_of_directories() {
    const SENDERS: u16 = 10_000;
    let folder = harness::temp_dir();
    let directory = folder.path().to_str().unwrap();
    let arguments = [
        "-t",
        "86400",
        "-B",
        "8000000",
        "--metrics",
        "127.0.0.1:0",
        "-M",
        directory,
    ];
    let mut collector = Collector::udp(&arguments);
    let metrics = collector.metrics();
    let good = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.send_from(&good, &[healthy(0)]);
    let known = || support::http::metric(metrics, "t2collect_messages_total");
    for number in 0..SENDERS {
        let [high, low] = number.to_be_bytes();
        let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 2, high, low), 0)).unwrap();
        collector.send_from(&socket, &[healthy(0)]);
        // The kernel drops none.
        if number % 500 == 499 {
            let seen = u64::from(number) + 2;
            harness::wait_until("all to be decoded or refused", harness::PATIENCE, || {
                let refused = "t2collect_lost_total{cause=\"packets of sources over the limit or without files\"}";
                known().unwrap() + support::http::metric(metrics, refused).unwrap() == seen
            });
        }
    }
    collector.send_from(&good, &[healthy(1)]);
    harness::wait_until("the healthy sender", harness::PATIENCE, || {
        known() == Some(1001)
    });
    let directories = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(directories(), 1000);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(directories(), 1000);
    let flows = |ident: &str, flows: u32| format!("Ident: '{ident}' Flows: {flows},");
    assert!(ended.log.contains(&flows("127-0-0-1", 2)), "{}", ended.log);
    assert_eq!(ended.log.matches(" Flows: 1,").count(), 999);
    assert!(
        ended.log.contains("9001 packets of sources over the limit"),
        "{}",
        ended.log
    );
    assert!(
        ended.log.contains("1000 sources send already"),
        "{}",
        ended.log
    );
}

/// 26. Names of sources that lead out of their directory are refused before anything is written.
#[test]
fn idents_are_no_paths() {
    let folder = harness::temp_dir();
    let definition = format!("../../evil,127.0.0.1,{}", folder.path().display());
    let ended = harness::run(support::t2collect().args(["-p", "0", "-n", &definition]));
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("'../../evil'"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Connections from an address that is not the healthy exporter's, as many as the system lets it open.
fn crowd(to: std::net::SocketAddr, count: usize, last: u8) -> Vec<socket2::Socket> {
    use socket2::{Domain, Socket, Type};
    let connect = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket
            .bind(&std::net::SocketAddr::from(([127, 0, 0, last], 0)).into())
            .ok()?;
        socket
            .connect_timeout(&to.into(), Duration::from_secs(5))
            .ok()?;
        Some(socket)
    };
    (0..count).filter_map(connect).collect()
}

/// 13. A message with one flow, over a stream that is closed after it.
fn send_one(to: std::net::SocketAddr) {
    use std::io::Write as _;
    let sets = [
        set(2, &[template(256, &wire::IPFIX_FIELDS)]),
        set(256, &[wire::ipfix_flow(1, 1, 100)]),
    ];
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    stream.write_all(&wire::ipfix(0, &sets)).unwrap();
}

/// 13. Half of the places are for one address at most: another one's exporter is let in at once.
#[test]
fn a_crowd_of_one_address_does_not_keep_others_out() {
    let folder = harness::temp_dir();
    let collector = Collector::tcp(&["-w", folder.path().to_str().unwrap()]);
    let crowd = crowd(collector.addresses[0], 300, 99);
    assert_eq!(crowd.len(), 300);
    send_one(collector.addresses[0]);
    let ended = collector.stop();
    drop(crowd);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
    assert!(
        ended
            .log
            .contains("streams of this address are open already"),
        "{}",
        ended.log
    );
    assert!(ended.log.lines().count() < 100, "{}", ended.log);
}

/// 29. Out of descriptors: streams leave enough of them to the files, so slots go on.
#[test]
fn descriptors_that_run_out() {
    let folder = harness::temp_dir();
    let script = format!(
        "ulimit -n 60; exec {} -p 0 -b 127.0.0.1 --listen tcp://127.0.0.1:0 -t 2 -w {}",
        support::binary().display(),
        folder.path().display()
    );
    let mut command = std::process::Command::new("sh");
    let mut collector = Collector::start_on(
        command.args(["-c", &script]).env("TZ", "UTC"),
        &["udp", "tcp"],
    );
    collector.wait_for("only 60 descriptors");
    send_one(collector.addresses[1]);
    let crowd = [98, 99].map(|last| crowd(collector.addresses[1], 100, last));
    let good = UdpSocket::bind("127.0.0.1:0").unwrap();
    let files = || harness::slot_files(folder.path()).len();
    let before = files();
    let mut sent = 0;
    // Over more than one end of a slot.
    // Before the streams are given up for their silence.
    harness::wait_until("three slots", stream::PATIENCE * 2 / 3, || {
        collector.send_from(&good, &[healthy(sent)]);
        sent += 1;
        thread::sleep(Duration::from_millis(20));
        files() >= before + 3
    });
    let ended = collector.stop();
    drop(crowd);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("dropped until"), "{}", ended.log);
    let stored: usize = ended
        .log
        .lines()
        .filter_map(|line| {
            line.split_once(" Flows: ")?
                .1
                .split(',')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    assert_eq!(stored, usize::from(sent) + 1, "{}", ended.log);
    assert!(ended.log.lines().count() < 100, "{}", ended.log);
}
