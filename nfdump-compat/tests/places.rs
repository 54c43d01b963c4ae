//! Countries, places and AS numbers from a database in MaxMind's format. No real program reads one here: nfdump 1.7.1 takes
//! a format of its own only. Expectations follow from the small databases that the test writes and from the records made for
//! it; a run without database is compared with nfdump in `table`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/mmdb.rs"]
mod mmdb;

use mmdb::Value::{Double, Map, Number, Text};
use nfdump_compat::{
    field,
    file::{Compression, FileWriter, WriterOptions},
    record::{RecordBuilder, RecordHeader},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Source, destination, AS of the source in the record, packets.
const FLOWS: &[(&str, &str, u64, u64)] = &[
    ("192.0.2.1", "198.51.100.1", 0, 1),
    ("192.0.2.200", "198.51.100.1", 64_500, 2),
    ("198.51.100.7", "203.0.113.1", 0, 4),
    ("2001:db8::1", "2001:db8:1::1", 0, 8),
];

struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    fn make() -> Self {
        let setting = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let country = |continent, country, city, east, north, zone| {
            Map(vec![
                ("continent", Map(vec![("code", Text(continent))])),
                ("country", Map(vec![("iso_code", Text(country))])),
                ("city", Map(vec![("names", Map(vec![("en", Text(city))]))])),
                (
                    "location",
                    Map(vec![
                        ("longitude", Double(east)),
                        ("latitude", Double(north)),
                        ("time_zone", Text(zone)),
                    ]),
                ),
            ])
        };
        let places = mmdb::write(&[
            (
                "192.0.2.0/24",
                country("EU", "CH", "Bern", 7.4474, 46.948, "Europe/Zurich"),
            ),
            (
                "192.0.2.128/25",
                country("EU", "IN", "Nowhere", -1.0, 2.0, "Asia/Kolkata"),
            ),
            (
                "198.51.100.0/24",
                country("NA", "US", "Chicago", -87.65, 41.85, "America/Chicago"),
            ),
            (
                "2001:db8::/48",
                country("EU", "CH", "Z\u{fc}rich", 8.55, 47.3667, "Europe/Zurich"),
            ),
        ]);
        let system = |number, name| {
            Map(vec![
                ("autonomous_system_number", Number(number)),
                ("autonomous_system_organization", Text(name)),
            ])
        };
        let systems = mmdb::write(&[
            ("192.0.2.0/24", system(64_496, "one")),
            ("198.51.100.0/24", system(4_200_000_000, "two")),
        ]);
        fs::write(setting.path("places.mmdb"), places).unwrap();
        fs::write(setting.path("systems.mmdb"), systems).unwrap();
        write_flows(&setting.path("flows"));
        setting
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn both(&self) -> String {
        format!(
            "{}:{}",
            self.path("places.mmdb").display(),
            self.path("systems.mmdb").display()
        )
    }

    /// What t2report prints about the flows, and what it complains of.
    fn report(&self, arguments: &[&str], environment: Option<&str>) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_t2report"));
        command
            .arg("-r")
            .arg(self.path("flows"))
            .args(arguments)
            .arg("-q");
        command.env_remove("NFGEODB").env_remove("NFCONF");
        if let Some(value) = environment {
            command.env("NFGEODB", value);
        }
        let output = command.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let both = self.both();
        let mut all = vec!["-G", both.as_str()];
        all.extend(arguments);
        let (code, out, errors) = self.report(&all, None);
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}");
        out.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

fn write_flows(path: &Path) {
    let options = WriterOptions {
        ident: "places".to_owned(),
        compression: Compression::None,
        created_s: 1,
    };
    let mut writer = FileWriter::create(path, &options).unwrap();
    let mut builder = RecordBuilder::new();
    for (source, destination, system, packets) in FLOWS {
        builder.begin(&RecordHeader::default());
        for (v4, v6, address) in [
            (field::SRC_IPV4, field::SRC_IPV6, source),
            (field::DST_IPV4, field::DST_IPV6, destination),
        ] {
            builder.set_address(v4, v6, address.parse().unwrap());
        }
        builder.set(field::IN_PACKETS, *packets);
        builder.set(field::PROTO, 6);
        if *system > 0 {
            builder.set(field::SRC_AS, *system);
        }
        writer.record(builder.finish()).unwrap();
    }
    writer.finish((0, 0), &[]).unwrap();
}

#[test]
fn tokens() {
    let setting = Setting::make();
    assert_eq!(
        setting.lines(&["-o", "fmt:%sc %dc %sas %das"]),
        [
            "CH US  64496 4200000000",
            "IN US  64500 4200000000",
            "US .. 4200000000      0",
            "CH ..      0      0",
        ]
    );
    assert_eq!(
        setting.lines(&["-o", "fmt:%sloc|%dloc|"])[..3],
        [
            "EU/CH/Bern long/lat: 7.4474/46.9480|NA/US/Chicago long/lat: -87.6500/41.8500|",
            "EU/IN/Nowhere long/lat: -1.0000/2.0000|NA/US/Chicago long/lat: -87.6500/41.8500|",
            "NA/US/Chicago long/lat: -87.6500/41.8500||",
        ]
    );
    assert_eq!(
        setting.lines(&["-o", "fmt:%gsap -> %gda"])[0],
        "       192.0.2.1(CH):0     ->     198.51.100.1(US)"
    );
    let none = setting.report(&["-o", "fmt:%sc %dc %sas", "-G", "none"], Some("/nowhere"));
    assert_eq!(none.1.lines().next(), Some(".. ..      0"));
}

/// How many of the flows pass, by their packets (each a power of two).
#[test]
fn filters() {
    let setting = Setting::make();
    for (filter, packets) in [
        ("geo ch", 1 + 8),
        ("src geo US", 4),
        ("geo US", 1 + 2 + 4),
        ("src geo IN", 2),
        ("dst geo 'us'", 1 + 2),
        ("not geo US", 8),
        ("src geo CH and dst geo US", 1),
        ("src as 64496", 1),
        ("src as 64500", 2),
        ("as 4200000000", 1 + 2 + 4),
        ("src as in [64496 64500]", 1 + 2),
        ("as 0", 4 + 8),
        ("src tz Europe/Zurich", 1 + 8),
        ("tz america/chicago", 1 + 2 + 4),
    ] {
        let lines = setting.lines(&["-N", "-o", "fmt:%pkt", filter]);
        let sum: u64 = lines
            .iter()
            .filter_map(|line| line.trim().parse::<u64>().ok())
            .sum();
        assert_eq!(sum, packets, "{filter}: {lines:?}");
    }
}

#[test]
fn statistics_and_aggregation() {
    let setting = Setting::make();
    let table = |arguments: &[&str], column: usize| -> Vec<(String, String)> {
        let lines = setting.lines(arguments);
        let cell = |line: &str| {
            let line = line.replace("( ", "(");
            let cells: Vec<&str> = line.split_whitespace().collect();
            let value = cells.get(4).copied().unwrap_or_default();
            let packets = cells.get(column).copied().unwrap_or_default();
            (
                value.to_owned(),
                packets.split('(').next().unwrap_or_default().to_owned(),
            )
        };
        lines
            .iter()
            .filter(|line| line.contains('('))
            .map(|line| cell(line))
            .collect()
    };
    let rows = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
        rows.iter()
            .map(|(value, packets)| ((*value).to_owned(), (*packets).to_owned()))
            .collect()
    };
    let by = |element| table(&["-N", "-s", element], 6);
    assert_eq!(
        by("srcgeo/packets"),
        rows(&[("CH", "9"), ("US", "4"), ("IN", "2")])
    );
    assert_eq!(
        by("srcas/packets"),
        rows(&[
            ("0", "8"),
            ("4200000000", "4"),
            ("64500", "2"),
            ("64496", "1")
        ])
    );
    let aggregated = setting.lines(&[
        "-N",
        "-A",
        "srcgeo,dstas",
        "-O",
        "packets",
        "-o",
        "fmt:%sc %das %pkt",
    ]);
    assert_eq!(
        aggregated
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>(),
        ["CH 0 8", "US 0 4", "IN 4200000000 2", "CH 4200000000 1"]
    );
}

/// What is known besides does not get into files.
#[test]
fn files_stay_as_they_are() {
    let setting = Setting::make();
    let copy = setting.path("copy").display().to_string();
    setting.lines(&["-w", &copy]);
    let sorted = setting.path("sorted").display().to_string();
    setting.lines(&["-O", "tstart", "-w", &sorted]);
    for path in [copy, sorted] {
        let mut reader = nfdump_compat::file::FileReader::open(Path::new(&path)).unwrap();
        let block = reader.next_block().unwrap().unwrap();
        for raw in block.records() {
            let record = nfdump_compat::record::RecordView::parse(raw.bytes).unwrap();
            assert!(
                record.extensions().all(|(id, _)| id <= field::ext::IP_INFO),
                "{path}"
            );
        }
    }
}

#[test]
fn where_the_database_is_named() {
    let setting = Setting::make();
    let places = setting.path("places.mmdb").display().to_string();
    let config = setting.path("conf").display().to_string();
    fs::write(&config, format!("[nfdump]\ngeodb.path = \"{places}\"\n")).unwrap();
    let first = |arguments: &[&str], environment| {
        let (code, out, errors) = setting.report(arguments, environment);
        assert_eq!((code, errors.as_str()), (0, ""));
        out.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(first(&["-o", "fmt:%sc"], None), "..");
    assert_eq!(first(&["-o", "fmt:%sc"], Some(&places)), "CH");
    assert_eq!(first(&["-C", &config, "-o", "fmt:%sc"], None), "CH");
    assert_eq!(
        first(&["-C", &config, "-G", "none", "-o", "fmt:%sc"], None),
        ".."
    );
}

#[test]
fn faults_are_one_line() {
    let setting = Setting::make();
    let garbage = setting.path("garbage").display().to_string();
    fs::write(&garbage, "no database").unwrap();
    let flows = setting.path("flows").display().to_string();
    let cut = setting.path("cut").display().to_string();
    let whole = fs::read(setting.path("places.mmdb")).unwrap();
    fs::write(&cut, &whole[..whole.len() - 40]).unwrap();
    for path in [&garbage, &flows, &cut, "/nowhere"] {
        let (code, out, errors) = setting.report(&["-G", path], None);
        assert_eq!((code, out.as_str()), (1, ""), "{path}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(path), "{errors}");
    }
    // A tree that leads out of the file: nothing is known.
    let mut wild = whole;
    wild[..8].fill(0xff);
    let path = setting.path("wild").display().to_string();
    fs::write(&path, wild).unwrap();
    let (code, out, _) = setting.report(&["-G", &path, "-o", "fmt:%sc"], None);
    assert!(code == 1 || out.starts_with(".."), "{code} {out}");
    let (code, _, errors) = setting.report(&["geo US"], None);
    assert_eq!(code, 1);
    assert!(errors.contains("-G FILE"), "{errors}");
}

/// Files of a layout that cannot be read: whatever is asked, one sentence names the layout, and the exit code is 1.
#[test]
fn unknown_layouts_are_named() {
    let setting = Setting::make();
    for (layout, by) in [(3, "nfdump 1.8"), (77, "unknown")] {
        let path = setting.path("later").display().to_string();
        let mut bytes = fs::read(setting.path("flows")).unwrap();
        bytes[2] = layout;
        fs::write(&path, bytes).unwrap();
        for arguments in [
            ["-v"].as_slice(),
            &["-E"],
            &["-x"],
            &["-I", "-r"],
            &["-g", "-r"],
            &["-o", "line", "-r"],
            &["-J", "1", "-r"],
            &["-i", "other", "-r"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_t2report"));
            let output = command.args(arguments).arg(&path).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?} {errors}");
            let named = format!("layout version {layout} ({by})");
            assert_eq!(errors.matches(&named).count(), 1, "{arguments:?} {errors}");
        }
    }
}

#[test]
fn a_comparison_by_country_needs_the_database() {
    let setting = Setting::make();
    let flows = setting.path("flows");
    let diff = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_t2report"));
        command.arg("diff").args([&flows, &flows]).args(arguments);
        let output = command.env_remove("NFGEODB").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, errors) = diff(&["-f", "src geo CH"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        errors,
        "t2report: the filter asks for countries: they need a geo database (-G FILE)\n"
    );
    let both = setting.both();
    let (code, text, errors) = diff(&["-f", "src geo CH", "-G", &both, "-o", "json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    // 192.0.2.1 and 2001:db8::1 are there.
    assert!(
        text.contains("\"same\": 2") || text.contains("\"same\":2"),
        "{text}"
    );
}
