//! Slots under clocks that step and zones that change their offset: the time is injected.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use collector::board::Board;
use collector::config::Source;
use collector::knowledge::Knowledge;
use collector::slot::files::{Files, FilesOptions};
use collector::slot::name::Calendar;
use collector::slot::shared::SharedSlot;
use collector::slot::{SlotOptions, SlotWriter};
use collector::store::{Outputs, Store};
use golden::harness::{peer, run, slot_files};
use jiff::tz::TimeZone;
use protocol::limits::Limits;
use protocol::session::{Session, SessionKey};
use support::flows;
use support::wire::{self, FIELDS};

const HOUR: i64 = 3600;
/// 2026-01-02T03:04:05Z.
const TIME: i64 = 1_767_323_045;

/// Stores one flow at each of these seconds, and returns the names of the files with the ports in them.
fn slots(zone: &str, interval_s: u32, times: &[i64]) -> Option<Vec<(String, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::start(FilesOptions::default()).unwrap();
    let ms = |s: i64| u64::try_from(s).unwrap() * 1000;
    let source = Source {
        ident: "clock".to_owned(),
        address: None,
        directory: folder.path().to_owned(),
    };
    let options = SlotOptions {
        ident: source.ident.clone(),
        directory: source.directory.clone(),
        calendar: Calendar {
            zone: TimeZone::posix(zone).unwrap(),
            interval_s,
            align_local: true,
            zone_in_name: false,
            sub_directory: 0,
        },
    };
    let writer = SlotWriter::open(options, files.handle(), ms(times[0])).unwrap();
    let slot = SharedSlot::split(writer, 1).pop();
    let mut store = Store::new(
        Session::with_key(Limits::default(), SessionKey::AddressPortShared),
        Knowledge::new(None),
        vec![(source, slot)],
        Outputs::default(),
        (Arc::new(Board::new(1)), 0),
    );
    for (n, &time) in (1..).zip(times) {
        store.tick(ms(time));
        let sets = [
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(n, 1, 100)]),
        ];
        let from = "127.0.0.1:9".parse().unwrap();
        store.datagram(ms(time), from, &wire::v9(u32::from(n), 2, &sets));
    }
    store.finish();
    files.end();
    contents(folder.path())
}

fn contents(folder: &Path) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for file in slot_files(folder) {
        let mut command = Command::new(peer("nfdump")?);
        let checked = run(command.arg("-v").arg(&file)).success().text();
        assert!(checked.contains("Records "), "{checked}");
        let name = file.file_name().unwrap().to_str().unwrap();
        let ports = flows(&file, "%sp")?.join(" ");
        found.push((name.strip_prefix("nfcapd.").unwrap().to_owned(), ports));
    }
    Some(found)
}

fn expect(found: Option<Vec<(String, String)>>, wanted: &[(&str, &str)]) {
    let Some(found) = found else { return };
    let found: Vec<_> = found
        .iter()
        .map(|(n, p)| (n.as_str(), p.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_clock_that_steps_an_hour_forwards_or_back_loses_nothing() {
    let times = [TIME, TIME + 10, TIME + HOUR, TIME + HOUR + 10];
    expect(
        slots("UTC0", 300, &times),
        &[("202601020300", "1 2"), ("202601020400", "3 4")],
    );
    // Back by an hour: the older slot goes on; forth again: so does the newer one.
    let times = [TIME, TIME - HOUR, TIME - HOUR + 10, TIME + 20];
    expect(
        slots("UTC0", 300, &times),
        &[("202601020200", "2 3"), ("202601020300", "1 4")],
    );
}

#[test]
fn summer_time_neither_loses_nor_hides_anything() {
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    // 2026-03-29T01:00Z: 02:00 becomes 03:00. 2026-10-25T01:00Z: 03:00 becomes 02:00.
    let (spring, autumn) = (1_774_746_000, 1_792_890_000);
    let around = |change: i64| {
        [
            change - HOUR,
            change - 1,
            change,
            change + HOUR - 1,
            change + HOUR,
        ]
    };
    expect(
        slots(BERLIN, 3600, &around(spring)),
        &[
            ("202603290100", "1 2"),
            ("202603290300", "3 4"),
            ("202603290400", "5"),
        ],
    );
    // The hour that comes twice has one file with both.
    expect(
        slots(BERLIN, 3600, &around(autumn)),
        &[("202610250200", "1 2 3 4"), ("202610250300", "5")],
    );
    // Days of 23 and 25 hours.
    let day = |change: i64, hours: i64| {
        let midnight = if change == spring {
            change - 2 * HOUR
        } else {
            change - 3 * HOUR
        };
        [
            midnight - 1,
            midnight,
            midnight + hours * HOUR - 1,
            midnight + hours * HOUR,
        ]
    };
    expect(
        slots(BERLIN, 86_400, &day(spring, 23)),
        &[
            ("202603280000", "1"),
            ("202603290000", "2 3"),
            ("202603300000", "4"),
        ],
    );
    expect(
        slots(BERLIN, 86_400, &day(autumn, 25)),
        &[
            ("202610240000", "1"),
            ("202610250000", "2 3"),
            ("202610260000", "4"),
        ],
    );
}
