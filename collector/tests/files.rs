//! What happens to files: compression by threads of their own, commands after slots, old files, sources found as they
//! send, datagrams sent on, and disks that refuse.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use collector::slot::files::{Files, FilesOptions, MAX_WAITING};
use collector::slot::name::Calendar;
use collector::slot::{SlotOptions, SlotWriter};
use golden::harness::{self, PATIENCE, slot_files, wait_until};
use jiff::tz::TimeZone;
use nfdump_compat::file::FileReader;
use nfdump_compat::record::V3_RECORD;
use support::http::{get, metric, wait_metric};
use support::wire::{self, FIELDS};
use support::{Collector, flows, nfdump, t2collect, the_file};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn message(port: u16) -> Vec<u8> {
    wire::v9(
        1,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(port, 1, 100)]),
        ],
    )
}

/// A file of bare v9 messages with so many flows, and its name.
fn replay_file(folder: &Path, flows: usize) -> PathBuf {
    let mut bytes = Vec::new();
    let (mut left, mut sequence) = (flows, 0);
    while left > 0 || sequence == 0 {
        let count = left.min(30);
        let records: Vec<_> = (0..count)
            .map(|n| wire::flow((left - n) as u16, 3, 120))
            .collect();
        let mut sets = vec![wire::set(0, &[wire::template(256, &FIELDS)])];
        if count > 0 {
            sets.push(wire::set(256, &records));
        }
        bytes.extend(wire::v9(sequence, (count + 1) as u16, &sets));
        left -= count;
        sequence += 1;
    }
    let file = folder.join("export");
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn every_compression_is_read_by_nfdump_block_for_block() {
    let folder = tempfile::tempdir().unwrap();
    // More than two blocks, so that order and several compressing threads matter.
    const FLOWS: usize = 30_000;
    let file = replay_file(folder.path(), FLOWS);
    let mut listings = Vec::new();
    for options in [
        &[][..],
        &["-z"],
        &["-y", "-W", "4"],
        &["-z=lz4:9"],
        &["-j", "-W", "3"],
        &["-z=zstd:19", "-W", "2"],
    ] {
        let flowdir = tempfile::tempdir().unwrap();
        let output = t2collect()
            .args(["-f", path(&file), "-w", path(flowdir.path())])
            .args(options)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{options:?}: {said}");
        let told = format!(
            "Flows: {FLOWS}, Packets: {}, Bytes: {}",
            3 * FLOWS,
            120 * FLOWS
        );
        assert!(said.contains(&told), "{options:?}: {said}");
        let slot = the_file(flowdir.path());
        // 1.7.1 does not know ZSTD.
        let program = if options.first().is_some_and(|o| o.contains("zstd")) {
            harness::nfdump_version("1.7.5", "nfdump")
        } else {
            harness::peer("nfdump")
        };
        let Some(program) = program else { continue };
        let read = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command
                .env("TZ", "UTC")
                .arg("-r")
                .arg(&slot)
                .args(arguments);
            harness::run(&mut command).success().text()
        };
        // Reads every block, and says what is wrong with it.
        let checked = harness::run(Command::new(&program).arg("-v").arg(&slot)).success();
        let checked = checked.text();
        // The flows, the exporter and what the file says of it.
        let records = checked.lines().find(|line| line.starts_with("Records"));
        let records = records.and_then(|line| line.rsplit(' ').next());
        assert_eq!(records, Some("30004"), "{options:?}: {checked}");
        listings.push(read(&[
            "-q",
            "-o",
            "fmt:%ts %td %pr %sa %sp %da %dp %pkt %byt",
        ]));
    }
    let Some(first) = listings.first() else {
        return;
    };
    assert_eq!(first.lines().filter(|line| !line.is_empty()).count(), FLOWS);
    assert!(listings.iter().all(|listing| listing == first));
}

#[test]
fn a_command_runs_after_each_slot_and_the_last_without_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let flowdir = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let told = folder.path().join("told");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nprintf '%s|' \"$@\" >> {0}\necho >> {0}\n",
            path(&told)
        ),
    )
    .unwrap();
    let mode = Command::new("chmod")
        .arg("+x")
        .arg(&script)
        .status()
        .unwrap();
    assert!(mode.success());
    let launch = format!("{} '%d/%f' %t %u %i \"a b\" ;rm $HOME", path(&script));
    let collector = Collector::udp(&[
        "-t",
        "86400",
        "-S",
        "1",
        "-I",
        "$(x)",
        "-x",
        &launch,
        "-w",
        path(flowdir.path()),
    ]);
    collector.send(&[message(1)]);
    assert_eq!(collector.stop().code, Some(0));
    let text = fs::read_to_string(&told).unwrap();
    let words: Vec<&str> = text.trim_end().split('|').collect();
    let [file, stamp, unix, ident, quoted, semicolon, home, ""] = words[..] else {
        panic!("{text}");
    };
    assert!(Path::new(file).is_file(), "{file}");
    let unix: i64 = unix.parse().unwrap();
    assert_eq!(unix % 86_400, 0);
    assert!(file.ends_with(&format!("/nfcapd.{stamp}")), "{text}");
    assert_eq!(
        (ident, quoted, semicolon, home),
        ("$(x)", "a b", ";rm", "$HOME")
    );

    // A command that fails, and one that is not there.
    for (command, said) in [
        ("/bin/false", "exit status: 1"),
        ("/no/such", "cannot run /no/such"),
    ] {
        let ended = Collector::udp(&["-x", command, "-w", path(flowdir.path())]).stop();
        assert_eq!(ended.code, Some(0));
        assert!(ended.log.contains(said), "{}", ended.log);
    }
}

/// Slots of these ages, in days.
fn aged(flowdir: &Path, ages: &[i64]) -> Vec<PathBuf> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let name = |&age: &i64| {
        let time = jiff::Timestamp::from_second(now - age * 86_400).unwrap();
        let name = time.strftime("nfcapd.%Y%m%d%H%M").to_string();
        let file = flowdir.join(name);
        fs::write(&file, [0; 5000]).unwrap();
        file
    };
    ages.iter().map(name).collect()
}

#[test]
fn old_files_go_as_nfexpire_lets_them_go() {
    let link = tempfile::tempdir().unwrap();
    let ours = link.path().join("nfexpire");
    symlink(env!("CARGO_BIN_EXE_t2collect"), &ours).unwrap();
    let mut programs = vec![ours];
    programs.extend(harness::peer("nfexpire"));
    for limits in [
        &["-t", "7d"][..],
        &["-s", "20K"],
        &["-s", "40K", "-w", "50"],
        &["-t", "20d", "-s", "1G"],
        &["-t", "4d", "-w", "50"],
    ] {
        let mut left = Vec::new();
        for program in &programs {
            let flowdir = tempfile::tempdir().unwrap();
            let ages = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
            aged(flowdir.path(), &ages);
            fs::write(flowdir.path().join("nfcapd.current.999999"), "x").unwrap();
            fs::write(flowdir.path().join("notes"), "x").unwrap();
            let mut command = Command::new(program);
            command
                .env("TZ", "UTC")
                .arg("-e")
                .arg(flowdir.path())
                .args(limits);
            assert!(command.output().unwrap().status.success(), "{program:?}");
            let names = fs::read_dir(flowdir.path()).unwrap().flatten();
            let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
            names.sort();
            left.push(names);
        }
        assert!(
            left.iter().all(|names| *names == left[0]),
            "{limits:?}: {left:?}"
        );
        assert!(left[0].len() > 3);
    }
}

#[test]
fn a_collector_expires_within_the_limits_that_nfexpire_set() {
    let flowdir = tempfile::tempdir().unwrap();
    let old = aged(flowdir.path(), &[30, 20, 1]);
    let Some(nfexpire) = harness::peer("nfexpire") else {
        return;
    };
    let mut command = Command::new(nfexpire);
    command.arg("-u").arg(flowdir.path()).args(["-t", "10d"]);
    assert!(command.output().unwrap().status.success());
    let ended = Collector::udp(&["-e", "-w", path(flowdir.path())]).stop();
    assert!(ended.log.contains("2 old files deleted"), "{}", ended.log);
    let there: Vec<bool> = old.iter().map(|file| file.exists()).collect();
    assert_eq!(there, [false, false, true]);
    let kept = fs::read_to_string(flowdir.path().join(".nfstat")).unwrap();
    assert!(
        kept.contains("numfiles=2\n") && kept.contains("lifetime=864000\n"),
        "{kept}"
    );
}

#[test]
fn sources_are_found_as_they_send_but_not_without_end() {
    let flowdir = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&[
        "-M",
        path(flowdir.path()),
        "--max-sources",
        "3",
        "-t",
        "86400",
        "-y",
    ]);
    let target = collector.addresses[0];
    for sender in 2..=11 {
        let socket = UdpSocket::bind(format!("127.0.0.{sender}:0")).unwrap();
        socket.send_to(&message(sender), target).unwrap();
    }
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0));
    let mut sources: Vec<_> = fs::read_dir(flowdir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    sources.sort();
    assert_eq!(sources, ["127-0-0-2", "127-0-0-3", "127-0-0-4"]);
    assert!(
        ended.log.contains("3 sources send already"),
        "{}",
        ended.log
    );
    assert!(
        ended.log.contains("7 packets of sources over the limit"),
        "{}",
        ended.log
    );
    let file = the_file(&flowdir.path().join("127-0-0-3"));
    if let Some(seen) = flows(&file, "%sp %ra") {
        assert_eq!(seen, ["3 127.0.0.3"]);
        assert!(nfdump(&file, &["-I"]).unwrap().contains("Ident: 127-0-0-3"));
    }
}

#[test]
fn datagrams_are_sent_on_unchanged() {
    let flowdir = tempfile::tempdir().unwrap();
    let receivers: Vec<UdpSocket> = (0..2)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let targets: Vec<String> = receivers
        .iter()
        .map(|r| format!("127.0.0.1/{}", r.local_addr().unwrap().port()))
        .collect();
    let collector = Collector::udp(&[
        "-R",
        &targets[0],
        "-R",
        &targets[1],
        "-w",
        path(flowdir.path()),
    ]);
    let datagrams = [message(1), b"not an export at all".to_vec()];
    collector.send(&datagrams);
    for receiver in &receivers {
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        for datagram in &datagrams {
            let mut bytes = [0; 2000];
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], &datagram[..]);
        }
    }
    assert!(collector.stop().log.contains("Flows: 1,"));
}

/// A file system of a few octets; `None` where we may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder.path());
        if command.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        harness::skip("no right to mount a small disk");
        None
    }

    fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        command
            .args(["-o", &format!("remount,{options}")])
            .arg(self.0.path());
        assert!(command.output().unwrap().status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// The number before some words of a log, summed over its lines; 0 where they do not occur.
fn number_before(log: &str, words: &str) -> usize {
    let numbers = log.lines().filter_map(|line| {
        let (before, _) = line.split_once(words)?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    });
    numbers.sum()
}

#[test]
fn a_disk_that_fills_up_and_is_emptied_costs_only_what_came_meanwhile() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let source = disk.0.path();
    let mut collector = Collector::start(
        t2collect().args([
            "--listen",
            "tcp://127.0.0.1:0",
            "-t",
            "86400",
            "-w",
            path(source),
        ]),
        1,
    );
    const FLOWS: usize = 30_000;
    let bytes = fs::read(replay_file(folder.path(), FLOWS)).unwrap();
    let mut stream = std::net::TcpStream::connect(collector.addresses[0]).unwrap();
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    collector.wait_for("flow records are dropped until the disk takes them again");
    disk.remount("size=100m");
    collector.wait_for("written again");
    // What comes now is stored, its exporter included.
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    drop(stream);
    let ended = collector.stop();
    let lost = number_before(&ended.log, " flow records could not be written");
    let Some(seen) = flows(&the_file(source), "%ra") else {
        return;
    };
    assert_eq!(seen.len() + lost, 2 * FLOWS, "{}", ended.log);
    assert!(seen.len() >= FLOWS, "{}", seen.len());
    assert!(seen.iter().all(|router| router == "127.0.0.1"));
}

#[test]
fn a_read_only_disk_is_told_before_the_start() {
    let Some(disk) = SmallDisk::mount("ro,size=1m") else {
        return;
    };
    let output = t2collect()
        .args(["-p", "0", "-b", "127.0.0.1", "-w", path(disk.0.path())])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
}

#[test]
fn a_directory_that_goes_ends_nothing_and_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("flows");
    fs::create_dir(&below).unwrap();
    let collector = Collector::udp(&["-t", "2", "-w", path(&below)]);
    collector.send(&[message(1)]);
    fs::remove_dir_all(&below).unwrap();
    // A flow in a file that somebody deletes is lost; the next slot makes the directory again.
    wait_until("the end of a slot", PATIENCE, || below.exists());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    wait_until("a flow is stored again", PATIENCE, || {
        collector.send_from(&socket, &[message(7)]);
        slot_files(&below).iter().any(|file| {
            let seen = flows(file, "%sp");
            seen.is_none_or(|ports| ports.iter().any(|port| port == "7"))
        })
    });
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0));
    let lost = number_before(&ended.log, " flow records could not be written");
    let stored: usize = ended
        .log
        .matches("Flows: 1, Packets: 1, Bytes: 100")
        .count();
    assert!(lost == 1 || stored > 1, "{}", ended.log);
}

#[test]
fn sources_beyond_the_descriptors_are_refused_and_the_others_stored() {
    let flowdir = tempfile::tempdir().unwrap();
    let script = format!(
        "ulimit -n 40; exec {} -p 0 -b 127.0.0.1 -t 86400 -M {}",
        env!("CARGO_BIN_EXE_t2collect"),
        path(flowdir.path())
    );
    let collector = Collector::start(Command::new("sh").args(["-c", &script]).env("TZ", "UTC"), 1);
    let target = collector.addresses[0];
    for sender in 1..=100 {
        let socket = UdpSocket::bind(format!("127.0.1.{sender}:0")).unwrap();
        socket.send_to(&message(sender), target).unwrap();
    }
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(
        ended.log.contains("no files for this source"),
        "{}",
        ended.log
    );
    let stored = ended.log.matches("Flows: 1, Packets: 1").count();
    let refused = number_before(&ended.log, " packets of sources over the limit");
    assert!(stored > 5, "{}", ended.log);
    assert_eq!(stored + refused, 100, "{}", ended.log);
}

/// A flow record as files have it.
fn stored_record() -> Vec<u8> {
    let (folder, flowdir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = replay_file(folder.path(), 1);
    let mut command = t2collect();
    command.args(["-f", path(&file), "-w", path(flowdir.path())]);
    harness::run(&mut command).success();
    let mut reader = FileReader::open(&the_file(flowdir.path())).unwrap();
    let block = reader.next_block().unwrap().unwrap();
    let record = block.records().find(|r| r.record_type == V3_RECORD);
    record.unwrap().bytes.to_vec()
}

#[test]
fn a_stopped_disk_costs_the_records_that_find_no_room_and_stops_nothing() {
    let record = stored_record();
    let flowdir = tempfile::tempdir().unwrap();
    let files = Files::start(FilesOptions::default()).unwrap();
    let handle = files.handle();
    let options = SlotOptions {
        ident: "x".to_owned(),
        directory: flowdir.path().to_owned(),
        calendar: Calendar {
            zone: TimeZone::UTC,
            interval_s: 300,
            align_local: true,
            zone_in_name: false,
            sub_directory: 0,
        },
    };
    let mut writer = SlotWriter::open(options, handle.clone(), 1_000_000_000).unwrap();
    // So many blocks wait, and none leaves.
    for _ in 0..MAX_WAITING {
        assert!(handle.enter(false));
    }
    assert!(!handle.enter(false));
    const GIVEN: u64 = 50_000;
    for _ in 0..GIVEN {
        writer.record(&record);
    }
    let (sender, told) = std::sync::mpsc::channel();
    writer.finish(&[], move |report| sender.send(report).unwrap());
    let dropped = handle.dropped().causes().map(|(count, _)| count);
    files.end();
    let report = told.recv().unwrap();
    // What fills the block at hand (1 MiB) is stored, the rest is counted.
    let fits = (1 << 20) / record.len() as u64;
    assert_eq!(report.totals.unwrap().flows, fits);
    assert_eq!((report.overrun, report.lost), (GIVEN - fits, 0));
    assert_eq!(dropped, [GIVEN - fits, 0]);
    if let Some(seen) = flows(&the_file(flowdir.path()), "%sp") {
        assert_eq!(seen.len() as u64, fits);
    }
}

/// A file system of its own on a disk that can be made to take nothing for a while; `None` where we may not mount.
struct SlowDisk {
    folder: tempfile::TempDir,
    frozen: bool,
}

impl SlowDisk {
    fn mount() -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(256 << 20).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        let (file, at) = (path(image.path()), path(folder.path()));
        let made = run("mkfs.ext4", &["-q", file]) && run("mount", &["-o", "loop", file, at]);
        if !made {
            harness::skip("no right to mount a file as a disk");
            return None;
        }
        Some(Self {
            folder,
            frozen: false,
        })
    }

    fn freeze(&mut self, frozen: bool) {
        let how = if frozen { "-f" } else { "-u" };
        let mut command = Command::new("fsfreeze");
        command.arg(how).arg(self.folder.path());
        assert!(command.output().unwrap().status.success());
        self.frozen = frozen;
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        if self.frozen {
            self.freeze(false);
        }
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .output();
    }
}

/// Row 29 of the catalogue of attacks: a disk that takes nothing for a while, of one source of two. Receiving goes on, what finds no room is
/// counted, `/healthz` says so, and afterwards both sources are written again.
#[test]
fn a_disk_that_hangs_costs_what_finds_no_room_and_is_told() {
    let Some(mut disk) = SlowDisk::mount() else {
        return;
    };
    let other = tempfile::tempdir().unwrap();
    let sources = [
        format!("slow,127.0.0.2,{}", path(disk.folder.path())),
        format!("quick,127.0.0.3,{}", path(other.path())),
    ];
    let mut collector = Collector::udp(&[
        "-t",
        "86400",
        "-B",
        "8000000",
        "--metrics",
        "127.0.0.1:0",
        "-n",
        &sources[0],
        "-n",
        &sources[1],
    ]);
    let metrics = collector.metrics();
    let senders = [2, 3].map(|last| UdpSocket::bind(format!("127.0.0.{last}:0")).unwrap());
    let mut sent = [0; 2];
    // No more than the socket holds until it has been taken.
    let mut send = |collector: &Collector, messages: u64| {
        for _ in 0..messages {
            for (sender, sent) in senders.iter().zip(&mut sent) {
                let flows: Vec<_> = (0..500).map(|port| wire::flow(port, 1, 100)).collect();
                let template = wire::set(0, &[wire::template(256, &FIELDS)]);
                let message = wire::v9(*sent, 501, &[template, wire::set(256, &flows)]);
                collector.send_from(sender, &[message]);
                *sent += 1;
            }
        }
        let all = u64::from(sent[0] + sent[1]);
        wait_metric(metrics, "t2collect_messages_total", all);
        all * 500
    };
    send(&collector, 10);
    disk.freeze(true);
    let overrun = "t2collect_lost_total{cause=\"flow records dropped because compression and disk were behind\"}";
    let dropped = || metric(metrics, overrun).unwrap();
    wait_until("records that find no room", PATIENCE, || {
        send(&collector, 100);
        dropped() > 0
    });
    wait_until("bad health", PATIENCE, || {
        get(metrics, "/healthz").contains("have taken no block for")
    });
    disk.freeze(false);
    wait_until("good health", PATIENCE, || {
        get(metrics, "/healthz").starts_with("HTTP/1.1 200 ")
    });
    let all = send(&collector, 10);
    let dropped = dropped();
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let told = number_before(&ended.log, " flow records were dropped because");
    assert_eq!(told as u64, dropped, "{}", ended.log);
    let stored = |folder: &Path| flows(&the_file(folder), "%sp").map(|flows| flows.len() as u64);
    if let Some((slow, quick)) = stored(disk.folder.path()).zip(stored(other.path())) {
        assert_eq!(slow + quick + dropped, all, "{slow} {quick} {dropped}");
    }
}
