//! `t2report` beside the real nfdump 1.7.1 on the same files: the same bytes on standard output for every format, statistic,
//! order and option, but for the line of run times and for the order of rows whose order value is equal.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{Files, Outcome, compare, nfdump, t2report};

const TOKENS: &str = "ts tfs tsr te tr trr td tds nfv cnt exp eng lbl pr sa da sap dap gsa gda gsap gdap sn dn nh nhb ra sp dp it \
    ic sas das nas pas in out pkt ipkt opkt byt ibyt obyt fl flg tos stos dtos dir smk dmk fwd bfd end svln dvln ismc odmc idmc \
    osmc mpls1 mpls2 mpls3 mpls4 mpls5 mpls6 mpls7 mpls8 mpls9 mpls bps pps bpp sc dc odid opid vrf ivrf evrf xsa xda xsp xdp \
    xsap xdap nsa nda nsp ndp nsap ndap cl sl al n line long extended biline";

const PRESETS: &str =
    "line long extended biline bilong gline glong null line6 long6 extended6 bilong6 LINE";

/// Without mpls1 to mpls10: nfdump 1.7.1 groups by the wrong bytes there.
const ELEMENTS: &str = "srcip dstip ip nhip nhbip router srcport dstport port proto tos srctos dsttos dir srcas dstas as prevas \
    nextas inif outif if srcmask dstmask mask srcvlan dstvlan vlan insrcmac outdstmac indstmac outsrcmac srcmac dstmac inmac \
    outmac cl sl al odid opid ivrf evrf xsrcip xdstip xsrcport xdstport nsrcip ndstip nsrcport ndstport";

const ORDERS: &str =
    "flows packets ipkg opkg bytes ibyte obyte pps ipps opps bps ibps obps bpp ibpp obpp";

/// Runs all command lines on all files; fails with the first differences and counts all.
fn check(commands: &[Vec<String>]) {
    let Some(files) = Files::make() else { return };
    let mut differences = Vec::new();
    let mut runs = 0;
    for file in &files.paths {
        for command in commands {
            let mut arguments = vec!["-r".to_owned(), file.display().to_string()];
            arguments.extend(command.iter().cloned());
            runs += 1;
            differences.extend(compare(&arguments));
        }
    }
    eprintln!("{runs} runs compared, {} different", differences.len());
    assert!(
        differences.is_empty(),
        "{} of {runs} differ, first:\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
}

fn command(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn with_format(text: &str, format: &str) -> Vec<String> {
    let mut words = command(text);
    words.extend(["-o".to_owned(), format.to_owned()]);
    words
}

#[test]
fn every_token() {
    let tokens = TOKENS
        .split_whitespace()
        .map(|token| format!("fmt:%{token}"));
    let texts = [
        "fmt:a %ts, b;%td |%pr",
        "%sa->%da",
        "fmt:%sap\t%dap%n%byt",
        "fmt:only text",
        "fmt:%line,%pps",
    ]
    .map(str::to_owned);
    let commands: Vec<_> = tokens
        .chain(texts)
        .flat_map(|format| ["", "-6 -N"].map(|options| with_format(options, &format)))
        .collect();
    check(&commands);
}

#[test]
fn every_preset() {
    let options = [
        "",
        "-N",
        "-6",
        "-q",
        "-c 7",
        "-n 3",
        "-q -N -6 -c 20",
        "-s record/bytes -n 0",
        "-s record -n 0 -q",
    ];
    let commands: Vec<_> = PRESETS
        .split_whitespace()
        .flat_map(|preset| options.map(|options| with_format(options, preset)))
        .collect();
    check(&commands);
}

#[test]
fn every_element() {
    let commands: Vec<_> = ELEMENTS
        .split_whitespace()
        .flat_map(|element| {
            [
                format!("-s {element} -n 0"),
                format!("-s {element}:p/bytes -n 0 -N"),
                format!("-s {element}/pps/packets -n 5 -6"),
                format!("-q -6 -N -s {element}/opkg -n 0"),
            ]
        })
        .map(|text| command(&text))
        .collect();
    check(&commands);
}

#[test]
fn every_order() {
    let commands: Vec<_> = ORDERS
        .split_whitespace()
        .flat_map(|order| {
            [
                format!("-s srcip/{order} -n 0"),
                format!("-s IP:p/{order} -n 7"),
                format!("-s dstport/{order}:d -n 3"),
                // Ascending only on a small table: nfdump 1.7.1 forgets the direction on larger ones.
                format!("-s proto/{order}:a -n 0"),
                format!("-s record/{order} -n 0 -o extended"),
                format!("-s record/{order}:a -n 0 -o bilong"),
            ]
        })
        .map(|text| command(&text))
        .collect();
    check(&commands);
}

#[test]
fn time_windows() {
    let windows = "2026 2026/11 2026/11/23 2026/11/23.10 2026/11/23.10:30 2026/11/23.10:30:15 2026/11/23.10-2026/11/23.12 \
        2026/11/23-2026/11/24 2027 2020-2021 2026/11/23.16:48:24-2026/11/24.10:00:01 2026/11/23.10:05:08-2026/11/23.10:05:10 \
        2009-2030";
    let commands: Vec<_> = windows
        .split_whitespace()
        .map(|window| with_format(&format!("-t {window}"), "line"))
        .collect();
    check(&commands);
}

#[test]
fn csv() {
    let listings = [
        "",
        "-q",
        "-6 -N",
        "-c 30",
        "-s record/bytes -n 0",
        "-q -s record/packets -n 0",
        "-s record/bytes/flows -n 0",
    ];
    // Of these nfdump prints memory that was never written.
    let garbage = ["cl", "sl", "al", "odid", "opid"];
    let elements = ELEMENTS
        .split_whitespace()
        .filter(|element| !garbage.contains(element))
        .map(|element| format!("-s {element} -n 0"));
    let orders = ORDERS
        .split_whitespace()
        .map(|order| format!("-s srcip:p/{order} -n 0"));
    let commands: Vec<_> = listings
        .map(str::to_owned)
        .into_iter()
        .chain(elements)
        .chain(orders)
        .map(|text| with_format(&text, "csv"))
        .collect();
    check(&commands);
}

#[test]
fn several_statistics() {
    let commands: Vec<_> = [
        "-o extended -s srcip -s ip/flows -s dstport/pps/packets/bytes -s record/bytes -n 0",
        "-o long -s record/flows:a/bytes -s proto/bytes/flows:a -n 0",
        "-o line -s record/flows/bytes:a -n 0",
        "-s srcport/packets/bytes/flows/obpp -s record/pps -o null",
        "-q -s proto -s proto/bytes -s record -n 0 -o line",
        "-s proto -s tos -s dir -s if -s as -s vlan -s mask -s port -n 0",
        "-I",
    ]
    .iter()
    .map(|text| command(text))
    .collect();
    check(&commands);
}

#[test]
fn verification() {
    let Some(files) = Files::make() else { return };
    // Of a file without blocks nfdump prints its wheel only.
    for file in files.paths.iter().filter(|file| !file.ends_with("none")) {
        let arguments = command(&format!("-v {}", file.display()));
        assert_eq!(compare(&arguments), None);
    }
}

/// Same exit code for what nfdump refuses; the messages are our own.
#[test]
fn refusals() {
    let Some(files) = Files::make() else { return };
    let file = files.paths[0].display().to_string();
    for (arguments, code) in [
        ("-s foo", 1),
        ("-s srcip/foo", 1),
        ("-s srcip/", 1),
        ("-s srcip/bytes:x", 1),
        ("-o foo", 1),
        ("-o fmt:", 1),
        ("-o fmt:%foo", 1),
        ("-o fmt:%tsx", 1),
        ("-c 0", 1),
        ("-n -1 -s srcip", 1),
        ("-s ip -s ip -s ip -s ip -s ip -s ip -s ip -s ip -s ip", 1),
        ("foo", 254),
    ] {
        let mut all = command(arguments);
        all.splice(0..0, ["-r".to_owned(), file.clone()]);
        let (theirs, ours) = (nfdump(&all), t2report(&all));
        assert_eq!(
            (theirs.code, ours.code),
            (code, code),
            "{arguments}: {}",
            ours.errors
        );
        assert!(
            ours.lines.is_empty() && (code == 254 || ours.errors.lines().count() == 1),
            "{arguments}: {ours:?}"
        );
    }
}

/// Files cut or damaged: what is whole is reported, the fault named, and only a file of which nothing can be read is a failure.
#[test]
fn damaged_files() {
    let Some(files) = Files::make() else { return };
    let whole = std::fs::read(&files.paths[0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, bytes: &[u8]| -> Outcome {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        t2report(&command(&format!("-r {} -o line", path.display())))
    };
    let cut = run("cut", &whole[..whole.len() - 400]);
    assert_eq!(cut.code, 0, "{cut:?}");
    assert!(
        cut.errors.contains("cut") && cut.lines.len() > 100,
        "{cut:?}"
    );
    for (name, bytes) in [
        ("text", &b"hello, world\n"[..]),
        ("empty", b""),
        ("header", &whole[..20]),
    ] {
        let outcome = run(name, bytes);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(
            outcome.lines.is_empty() && outcome.errors.contains(name),
            "{outcome:?}"
        );
    }
    let missing = t2report(&command("-r /nowhere/nfcapd.1 -o line"));
    assert_eq!((missing.code, missing.lines.len()), (1, 0), "{missing:?}");
    assert!(missing.errors.contains("/nowhere/nfcapd.1"), "{missing:?}");
}
