//! The collector as a service: metrics and health, systemd's sockets and notes, forms of the log, reading the
//! configuration again, several workers.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use golden::harness::{PATIENCE, Service, peer, wait_until};
use nix::sys::signal::Signal;
use support::http::{get, metric, wait_metric};
use support::wire::{self, FIELDS, IPFIX_FIELDS};
use support::{Collector, binary, flows, t2collect, the_file};

/// A v9 message with its template and so many flows.
fn v9(sequence: u32, records: u16) -> Vec<u8> {
    let flows: Vec<_> = (0..records).map(|n| wire::flow(n, 1, 100)).collect();
    let template = wire::set(0, &[wire::template(256, &FIELDS)]);
    wire::v9(sequence, records + 1, &[template, wire::set(256, &flows)])
}

#[test]
fn counters_are_those_of_arithmetic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let named = ["-I", r#"a"b\c"#, "-w", path, "--metrics", "127.0.0.1:0"];
    let mut collector = Collector::udp(&named);
    let metrics = collector.metrics();
    let (one, two) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.2:0").unwrap(),
    );
    // 5 and 3 flows, 2 messages missing between them; 4 flows of v5, 7 flows missing; data without a template.
    let sent = [v9(1, 5), v9(4, 3)];
    let v5 = [wire::v5(10, &[(1, 1, 1); 2]), wire::v5(19, &[(1, 1, 1); 2])];
    let stray = wire::ipfix(0, &[wire::set(999, &[vec![0; 8]])]);
    let rubbish = vec![0; 30];
    collector.send_from(&one, &sent);
    collector.send_from(&two, &v5);
    collector.send_from(&two, &[stray.clone(), rubbish.clone()]);
    let octets: usize = [&sent[..], &v5, &[stray, rubbish]]
        .concat()
        .iter()
        .map(Vec::len)
        .sum();
    let socket = format!("{{socket=\"udp://{}\"}}", collector.addresses[0]);
    for (name, value) in [
        (format!("t2collect_socket_datagrams_total{socket}"), 6),
        (format!("t2collect_socket_octets_total{socket}"), octets as u64),
        (format!("t2collect_socket_kernel_drops_total{socket}"), 0),
        ("t2collect_messages_total".into(), 5),
        ("t2collect_records_total".into(), 12),
        ("t2collect_unknown_template_sets_total".into(), 1),
        ("t2collect_exporter_records_total{exporter=\"127.0.0.1\"}".into(), 8),
        ("t2collect_exporter_messages_total{exporter=\"127.0.0.2\"}".into(), 4),
        ("t2collect_exporter_records_total{exporter=\"other\"}".into(), 0),
        (
            "t2collect_exporter_missing_total{exporter=\"127.0.0.1\",unit=\"messages\"}".into(),
            2,
        ),
        (
            "t2collect_exporter_missing_total{exporter=\"127.0.0.2\",unit=\"flows\"}".into(),
            7,
        ),
        (
            "t2collect_lost_total{cause=\"packets of unknown version or without a complete header\"}"
                .into(),
            1,
        ),
        // Escaped after OpenMetrics.
        (r#"t2collect_slots_total{ident="a\"b\\c"}"#.into(), 0),
        ("t2collect_queue_octets{worker=\"0\"}".into(), 0),
    ] {
        wait_metric(metrics, &name, value);
    }
    assert!(get(metrics, "/healthz").starts_with("HTTP/1.1 200 "));
    assert_eq!(collector.stop().code, Some(0));
}

/// 3. and 20. of the shows: senders beyond those that are counted apart become one row, and nothing is lost from the sums.
#[test]
fn ten_thousand_senders_do_not_make_ten_thousand_rows() {
    use std::net::Ipv4Addr;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mut collector = Collector::udp(&["-w", path, "--metrics", "127.0.0.1:0", "-B", "8000000"]);
    let metrics = collector.metrics();
    let total = 10_000_u16;
    for number in 0..total {
        let [high, low] = number.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1, high, low), 0)).unwrap();
        collector.send_from(&socket, &[wire::v5(0, &[(1, 1, 100)])]);
    }
    wait_metric(metrics, "t2collect_records_total", u64::from(total));
    let text = get(metrics, "/metrics");
    let rows: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("t2collect_exporter_records_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(rows.len(), 257);
    assert_eq!(rows.iter().sum::<u64>(), u64::from(total));
    assert!(text.len() < 200_000, "{} octets", text.len());
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 10000,"), "{}", ended.log);
}

#[test]
fn a_full_disk_is_told_by_its_health() {
    let directory = tempfile::tempdir().unwrap();
    // A limit on the size of a file looks to the program like a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 200; exec {} -p 0 -b 127.0.0.1 -t 86400 --metrics 127.0.0.1:0 -w {}",
        binary().display(),
        directory.path().display()
    );
    let mut collector = Collector::start(Command::new("sh").args(["-c", &script]), 1);
    let metrics = collector.metrics();
    assert!(get(metrics, "/healthz").starts_with("HTTP/1.1 200 "));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sequence = 0;
    let mut answer = String::new();
    wait_until("503", PATIENCE, || {
        for _ in 0..100 {
            sequence += 1;
            collector.send_from(&socket, &[v9(sequence, 40)]);
        }
        answer = get(metrics, "/healthz");
        answer.starts_with("HTTP/1.1 503 ")
    });
    assert!(answer.contains("source 'none': "), "{answer}");
    assert!(answer.contains("too large"), "{answer}");
    let lost = "t2collect_lost_total{cause=\"flow records that could not be written\"}";
    let mut counted = 0;
    wait_until("lost records in the metrics", PATIENCE, || {
        sequence += 1;
        collector.send_from(&socket, &[v9(sequence, 40)]);
        counted = metric(metrics, lost).unwrap();
        counted > 0
    });
    // What waits for the disk until the end is lost, too.
    let ended = collector.stop();
    let told = ended.log.lines().find_map(|line| {
        let (before, _) = line.split_once(" flow records could not be written")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    });
    assert!(told.unwrap() >= counted, "{counted}: {}", ended.log);
}

/// A reader of the JSON lines that does not read: the worker stands still, the receiving thread goes on and counts.
#[test]
fn a_worker_that_stands_still_is_told_and_receiving_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("lines");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let arguments = [
        "-w",
        directory.path().to_str().unwrap(),
        "--metrics",
        "127.0.0.1:0",
    ];
    let json = ["--json", fifo.to_str().unwrap()];
    let mut collector = Collector::udp(&[&arguments[..], &json].concat());
    let metrics = collector.metrics();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    let name = format!("{{socket=\"udp://{}\"}}", collector.addresses[0]);
    let count = |what: &str| metric(metrics, &format!("t2collect_socket_{what}_total{name}"));
    let mut answer = String::new();
    wait_until("503", PATIENCE, || {
        for _ in 0..20 {
            sent += 1;
            collector.send_from(&socket, &[v9(sent, 40)]);
        }
        answer = get(metrics, "/healthz");
        answer.starts_with("HTTP/1.1 503 ")
    });
    assert!(
        answer.contains("worker 0 has done nothing for "),
        "{answer}"
    );
    let received = || count("datagrams").unwrap() + count("kernel_drops").unwrap();
    wait_until("all received", PATIENCE, || received() == u64::from(sent));
    drop(reader);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

/// The next note that the program sends to its service manager.
fn note(manager: &UnixDatagram) -> String {
    let mut octets = [0; 1000];
    let length = manager.recv(&mut octets).unwrap();
    String::from_utf8(octets[..length].to_vec()).unwrap()
}

#[test]
fn the_service_manager_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(directory.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = t2collect();
    command
        .args(["-p", "0", "-b", "127.0.0.1", "-w"])
        .arg(directory.path());
    command.env("NOTIFY_SOCKET", directory.path().join("notify"));
    command.env("WATCHDOG_USEC", "200000");
    let collector = Collector::start(&mut command, 1);
    assert_eq!(note(&manager), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(note(&manager), "WATCHDOG=1\n");
    }
    let next = || std::iter::repeat_with(|| note(&manager)).find(|note| note != "WATCHDOG=1\n");
    collector.signal(Signal::SIGUSR1);
    let reloading = next().unwrap();
    let usec = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(usec.trim().parse::<u64>().unwrap() > 0);
    assert_eq!(next().unwrap(), "READY=1\n");
    collector.signal(Signal::SIGTERM);
    assert_eq!(next().unwrap(), "STOPPING=1\n");
    assert_eq!(collector.wait().code, Some(0));
}

/// Starts it with one socket as systemd hands it over: descriptor 3.
fn adopt(socket: impl Into<OwnedFd>, name: &str, directory: &std::path::Path) -> Collector {
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES={name} exec {} -w {}",
        binary().display(),
        directory.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(socket.into());
    Collector::start_on(&mut command, &[""])
}

#[test]
fn sockets_of_the_service_manager_are_taken_over() {
    use std::io::Write as _;
    let directory = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // What arrived before the start waits in the socket.
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(&v9(1, 3), address).unwrap();
    let collector = adopt(socket, "flows", directory.path());
    assert_eq!(collector.addresses, [address]);
    sender.send_to(&v9(2, 4), address).unwrap();
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 7,"), "{}", ended.log);

    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let collector = adopt(listener, "flows", directory.path());
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let template = wire::set(2, &[wire::template(256, &IPFIX_FIELDS)]);
    let flow = wire::set(256, &[wire::ipfix_flow(1, 1, 100)]);
    stream
        .write_all(&wire::ipfix(0, &[template, flow]))
        .unwrap();
    drop(stream);
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
}

/// systemd's own program for trying out socket activation.
#[test]
fn systemd_socket_activate_starts_it() {
    let Some(activate) = peer("systemd-socket-activate") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let port = golden::harness::free_udp_port();
    let mut command = Command::new(activate);
    command.args(["-d", "-l", &format!("127.0.0.1:{port}")]);
    command.arg(binary()).arg("-w").arg(directory.path());
    let mut service = Service::spawn(&mut command);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    wait_until("the socket", PATIENCE, || {
        golden::harness::listens_udp(port)
    });
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    sender.send_to(&v9(1, 3), to).unwrap();
    service.wait_for_line("listening on udp ");
    let ended = service.terminate();
    assert!(ended.stderr.contains("Flows: 3,"), "{}", ended.stderr);
}

#[test]
fn log_lines_for_the_journal_and_for_programs() {
    let directory = tempfile::tempdir().unwrap();
    let run = |form: &str| {
        let mut command = t2collect();
        command.args(["-p", "0", "-b", "127.0.0.1", "--log", form, "-n"]);
        command.arg(format!("a,192.0.2.1,{}", directory.path().display()));
        let mut service = Service::spawn(&mut command);
        let line = service.wait_for_line("listening on udp ");
        let address = line
            .trim_end_matches(['"', '}'])
            .rsplit(' ')
            .next()
            .unwrap();
        let address = address.split('"').next().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(&v9(1, 1), address).unwrap();
        service.wait_for_line("127.0.0.1 is not a source");
        service.terminate().stderr
    };
    let journal = run("journal");
    for line in journal.lines() {
        assert!(line.starts_with("<6>") || line.starts_with("<4>"), "{line}");
    }
    assert!(
        journal.contains("\n<4>127.0.0.1 is not a source"),
        "{journal}"
    );
    for line in run("json").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(
            ["INFO", "WARN"].contains(&line["level"].as_str().unwrap()),
            "{line}"
        );
        assert!(line["message"].is_string());
    }
}

/// 33. of the catalogue of attacks: the configuration is read again under load, and nothing is lost.
#[test]
fn reading_the_configuration_again_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sequence in 0..400 {
        collector.send_from(&socket, &[v9(sequence, 5)]);
        if sequence % 40 == 0 {
            collector.signal(Signal::SIGUSR1);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    collector.wait_for("configuration read again");
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .log
            .contains("Flows: 2000, Packets: 2000, Bytes: 200000, Sequence Errors: 0"),
        "{}",
        ended.log
    );
    assert!(!ended.log.contains("Lost:"), "{}", ended.log);
}

/// Many exporters, each with templates of its own under the same IDs: several workers store what one does, over several
/// slots, in the order of each exporter.
#[test]
fn several_workers_write_into_the_same_slots() {
    let run = |workers: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let collector = Collector::udp(&["-w", path, "-t", "2", "--workers", workers]);
        let sockets: Vec<_> = (1..=40)
            .map(|n| UdpSocket::bind(SocketAddr::from(([127, 0, 2, n], 0))).unwrap())
            .collect();
        let begin = std::time::Instant::now();
        for number in 0..60_u16 {
            for socket in &sockets {
                let mut sets = Vec::new();
                if number % 10 == 0 {
                    sets.push(wire::set(0, &[wire::template(256, &FIELDS)]));
                }
                sets.push(wire::set(256, &[wire::flow(number, 1, 100)]));
                collector.send_from(socket, &[wire::v9(u32::from(number), 1, &sets)]);
            }
            // Spread over three slots.
            let due = begin + Duration::from_millis(70) * u32::from(number);
            std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
        }
        let ended = collector.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(!ended.log.contains("Lost:"), "{}", ended.log);
        assert!(!ended.log.contains("gaps"), "{}", ended.log);
        let files = golden::harness::slot_files(directory.path());
        assert!(files.len() >= 3, "{files:?}");
        let read = |file| flows(file, "%ra %sp");
        Some(
            files
                .iter()
                .map(|file| read(file))
                .collect::<Option<Vec<_>>>()?
                .concat(),
        )
    };
    let (Some(one), Some(four)) = (run("1"), run("4")) else {
        return;
    };
    assert_eq!((one.len(), four.len()), (2400, 2400));
    for exporter in 1..=40 {
        let address = format!("127.0.2.{exporter} ");
        let of = |lines: &[String]| -> Vec<String> {
            lines
                .iter()
                .filter(|line| line.starts_with(&address))
                .cloned()
                .collect()
        };
        let want: Vec<_> = (0..60).map(|n| format!("{address}{n}")).collect();
        assert_eq!(of(&one), want);
        assert_eq!(of(&four), want);
    }
}

#[test]
fn a_group_is_joined() {
    use socket2::{Domain, Socket, Type};
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["-J", "239.255.77.1", "-b", "127.0.0.1", "-p", "0", "-w"];
    let mut command = t2collect();
    command.args(arguments).arg(directory.path());
    let collector = Collector::start(&mut command, 1);
    let sender = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    sender.set_multicast_if_v4(&[127, 0, 0, 1].into()).unwrap();
    sender
        .send_to(&v9(1, 2), &collector.addresses[0].into())
        .unwrap();
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 2,"), "{}", ended.log);
    assert_eq!(
        flows(&the_file(directory.path()), "%sp")
            .unwrap_or_default()
            .len(),
        2
    );
}

#[test]
fn both_families_by_both_options() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = t2collect();
    command
        .args(["-4", "-6", "-p", "0", "-w"])
        .arg(directory.path());
    let collector = Collector::start(&mut command, 1);
    let port = collector.addresses[0].port();
    for (from, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
        let sender = UdpSocket::bind(from).unwrap();
        sender.send_to(&v9(1, 2), format!("{to}:{port}")).unwrap();
    }
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 4,"), "{}", ended.log);
}
