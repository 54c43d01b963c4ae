//! An hour of exporters that define their templates anew all the time, over UDP and TCP: nothing is lost, and memory and
//! descriptors do not grow. Runs only when asked for: `ci/soak-collector.sh`.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use collector::limits::memory;
use golden::harness;
use protocol::limits::Limits;
use support::wire::{self, FIELDS, IPFIX_FIELDS, set, template};
use support::{Collector, t2collect};

/// Exporters over UDP, each with an address of its own.
const EXPORTERS: usize = 64;
/// Template IDs that each goes through.
const IDS: usize = 200;
/// Records of a message.
const RECORDS: usize = 10;
/// Between two messages.
const PACE: Duration = Duration::from_millis(5);
const CONNECTIONS: Duration = Duration::from_secs(5);
/// Between two looks at the program.
const SAMPLE: Duration = Duration::from_secs(10);
const WORKERS: usize = 2;

/// The record of `wire::flow`, and so many octets of padding (element 210) behind it: another definition each time.
fn fields(base: &[wire::Field], round: usize) -> Vec<wire::Field> {
    let padding = u16::try_from(round % 7).unwrap();
    let extra = (padding > 0).then_some((210, padding));
    base.iter().copied().chain(extra).collect()
}

fn records(one: &[u8], round: usize) -> Vec<Vec<u8>> {
    let padding = vec![0; round % 7];
    vec![[one, &padding[..]].concat(); RECORDS]
}

/// Sends until told to stop; gives the records sent.
fn datagrams(to: SocketAddr, stop: &AtomicBool) -> u64 {
    let sockets: Vec<UdpSocket> = (0..EXPORTERS)
        .map(|n| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, n as u8 + 1), 0)).unwrap())
        .collect();
    let mut sequences = vec![0_u32; EXPORTERS];
    let begin = Instant::now();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let (exporter, turn) = (round % EXPORTERS, round / EXPORTERS);
        let id = 256 + u16::try_from(turn % IDS).unwrap();
        let is_v9 = exporter.is_multiple_of(2);
        let sequence = &mut sequences[exporter];
        // Every ID gets another definition each time it comes round.
        let kind = turn / IDS + turn;
        let message = if is_v9 {
            let sets = [
                set(0, &[template(id, &fields(&FIELDS, kind))]),
                set(id, &records(&wire::flow(1, 1, 100), kind)),
            ];
            wire::v9(*sequence, 1 + RECORDS as u16, &sets)
        } else {
            let sets = [
                set(2, &[template(id, &fields(&IPFIX_FIELDS, kind))]),
                set(id, &records(&wire::ipfix_flow(1, 1, 100), kind)),
            ];
            wire::ipfix(*sequence, &sets)
        };
        *sequence += if is_v9 { 1 } else { RECORDS as u32 };
        sockets[exporter].send_to(&message, to).unwrap();
        round += 1;
        let due = begin + PACE * u32::try_from(round).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    (round * RECORDS) as u64
}

/// Opens a connection every few seconds, defines and withdraws templates on it; gives the records sent.
fn streams(to: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(to).unwrap();
        for message in 0..20_u16 {
            let (id, kind) = (256 + message, turn + usize::from(message));
            let sets = [
                set(2, &[template(id, &fields(&IPFIX_FIELDS, kind))]),
                set(id, &records(&wire::ipfix_flow(1, 1, 100), kind)),
                // A withdrawal: a template of no fields.
                set(2, &[template(id, &[])]),
            ];
            let sequence = u32::from(message) * RECORDS as u32;
            stream.write_all(&wire::ipfix(sequence, &sets)).unwrap();
            sent += RECORDS as u64;
        }
        drop(stream);
        turn += 1;
        thread::sleep(CONNECTIONS);
    }
    sent
}

/// Resident memory in octets, and open descriptors.
fn sample(pid: u32) -> (usize, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    (kib * 1024, descriptors)
}

/// The number behind `key` in all lines.
fn sum(log: &str, key: &str) -> u64 {
    let values = log.lines().filter_map(|line| line.split_once(key));
    let number = |rest: &str| rest.split([',', ' ']).next()?.parse::<u64>().ok();
    values.filter_map(|(_, rest)| number(rest)).sum()
}

#[test]
fn templates_that_change_all_the_time() {
    let Ok(minutes) = std::env::var("T2_SOAK_MINUTES") else {
        return;
    };
    let length = Duration::from_secs_f64(minutes.parse::<f64>().unwrap() * 60.0);
    let folder = harness::temp_dir();
    let workers = WORKERS.to_string();
    let mut command = t2collect();
    command.args([
        "-p",
        "0",
        "-b",
        "127.0.0.1",
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    command.args(["-t", "60", "--workers", &workers, "-w"]);
    let collector = Collector::start_on(command.arg(folder.path()), &["udp", "tcp"]);
    let pid = collector.pid();
    let stop = Arc::new(AtomicBool::new(false));
    let [udp, tcp] = collector.addresses[..] else {
        panic!("{:?}", collector.addresses);
    };
    let by_udp = thread::spawn({
        let stop = Arc::clone(&stop);
        move || datagrams(udp, &stop)
    });
    let by_tcp = thread::spawn({
        let stop = Arc::clone(&stop);
        move || streams(tcp, &stop)
    });

    let log = std::env::var_os("T2_SOAK_LOG").map(PathBuf::from);
    let mut table = String::from("seconds\trss_octets\tdescriptors\n");
    let begin = Instant::now();
    let mut samples = Vec::new();
    while begin.elapsed() < length {
        thread::sleep(SAMPLE.min(length.saturating_sub(begin.elapsed())));
        let (rss, descriptors) = sample(pid);
        samples.push((rss, descriptors));
        table += &format!("{}\t{rss}\t{descriptors}\n", begin.elapsed().as_secs());
        if let Some(log) = &log {
            fs::write(log, &table).unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let sent = by_udp.join().unwrap() + by_tcp.join().unwrap();
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);

    let stored = sum(&ended.log, " Flows: ");
    let gaps = sum(&ended.log, "Sequence Errors: ");
    let most = |samples: &[(usize, usize)]| {
        let rss = samples.iter().map(|s| s.0).max().unwrap_or(0);
        (rss, samples.iter().map(|s| s.1).max().unwrap_or(0))
    };
    let (first, second) = samples.split_at(samples.len() / 2);
    let (early, late) = (most(first), most(second));
    let bound = memory(&Limits::default(), WORKERS);
    let told = format!(
        "soak of {minutes} min: sent {sent} records, stored {stored}, sequence errors {gaps}; \
         RSS at most {} kB in the first half, {} kB in the second, bound {} kB; \
         descriptors at most {} and {}\n",
        early.0 / 1000,
        late.0 / 1000,
        bound / 1000,
        early.1,
        late.1
    );
    eprint!("{told}");
    if let Some(log) = &log {
        fs::write(log, table + &told).unwrap();
    }
    assert_eq!(stored, sent, "{}", ended.log);
    assert_eq!(gaps, 0);
    assert!(late.0 < bound && early.0 < bound, "{told}");
    // Tables fill up in the first minutes; after that nothing may grow but by the noise of the allocator.
    assert!(late.0 < early.0 + early.0 / 5 + (8 << 20), "{told}");
    assert!(late.1 <= early.1 + 2, "{told}");
}
