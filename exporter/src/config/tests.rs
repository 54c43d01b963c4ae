//! What options, environment and configuration files come to.

#![allow(clippy::unwrap_used)]

use super::resolve::Origin;
use super::*;
use crate::cli::{ExportTime, ProfileKind, Rate, SampleMode, SocketType, TimeRule, Version};
use service::tls::TlsFiles;

fn config(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, UsageError> {
    let cli = Cli::try_parse_from(["t2x", "-r", "dir/some.pcap"].iter().chain(args)).unwrap();
    Config::new(&cli, &|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn netflow(args: &[&str], variables: &[(&str, &str)]) -> NetflowConfig {
    config(args, variables).unwrap().netflow.remove(0)
}

fn collector(config: &NetflowConfig) -> &Collector {
    match &config.destination {
        Destination::Collector(collector) => collector,
        other => panic!("{other:?}"),
    }
}

/// Each has its own port, and an IPv6 address with one stands in brackets.
#[test]
fn several_collectors_are_several_exports() {
    let args = [
        "--nf-addr",
        "one",
        "--nf-addr",
        "[::1]:4739,::2",
        "--nf-addr=[::3]",
        "--nf-port=7",
    ];
    let exports = config(&args, &[]).unwrap().netflow;
    let found: Vec<_> = exports
        .iter()
        .map(collector)
        .map(|to| (to.host.as_str(), to.port))
        .collect();
    assert_eq!(
        found,
        [("one", 7), ("[::1]", 4739), ("::2", 7), ("[::3]", 7)]
    );
    assert!(Cli::try_parse_from(["t2x", "-r", "x", "--nf-addr", "a:0"]).is_err());
    assert!(Cli::try_parse_from(["t2x", "-r", "x", "--nf-addr", ":7"]).is_err());
}

#[test]
fn what_version_9_cannot_do_is_refused() {
    for (args, what) in [
        (&["--biflow"][..], "--biflow"),
        (&["--nf-socktype", "tls"], "--nf-socktype tls"),
    ] {
        assert_eq!(config(args, &[]), Err(UsageError::NotInV9(what)));
        let ipfix = [args, &["--nf-version", "10"]].concat();
        assert!(config(&ipfix, &[]).is_ok());
    }
}

#[test]
fn an_ipfix_file_is_an_export_of_its_own() {
    let file = config(&["--sink", "ipfix-file", "-w", "out"], &[]).unwrap();
    let [file] = &file.netflow[..] else { panic!() };
    assert_eq!(file.destination, Destination::File("out.ipfix".into()));
    assert_eq!(
        (file.version, file.profile),
        (Version::Ipfix, ProfileKind::Standard)
    );
    assert_eq!((file.max_message, file.rate), (65_535, Rate::Unlimited));
    assert!(file.options_data && file.link_flows);
    let both = config(&["--sink", "netflow,ipfix-file"], &[])
        .unwrap()
        .netflow;
    assert_eq!(
        (both.len(), both[0].version, both[1].version),
        (2, Version::V9, Version::Ipfix)
    );
    assert_eq!(
        both[1].destination,
        Destination::File("dir/some.ipfix".into())
    );
    let two = config(&["--sink", "ipfix-file,text", "-w", "-"], &[]);
    assert_eq!(two, Err(UsageError::TwoOnStdout));
}

#[test]
fn sampling_is_one_of_some() {
    assert_eq!(config(&["--sample", "1:1"], &[]).unwrap().sampling, None);
    let args = [
        "--sample",
        "1:100",
        "--sample-mode",
        "random",
        "--sample-seed",
        "7",
    ];
    let sampling = Sampling {
        one_in: 100,
        mode: SampleMode::Random,
        seed: 7,
    };
    let config = config(&args, &[]).unwrap();
    assert_eq!(
        (config.sampling, config.netflow[0].sampling),
        (Some(sampling), Some(sampling))
    );
    for bad in ["100", "2:100", "1:0", "1:"] {
        assert!(
            Cli::try_parse_from(["t2x", "-r", "x", "--sample", bad]).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn defaults_of_version_9() {
    let expect = NetflowConfig {
        version: Version::V9,
        destination: Destination::Collector(Collector {
            host: "127.0.0.1".to_owned(),
            port: 9995,
            socket_type: SocketType::Udp,
            tls: TlsFiles::default(),
        }),
        reconnect: Reconnect {
            interval: Duration::from_secs(60),
            queue: 64 << 20,
            patience: Duration::from_secs(30),
        },
        may_wait: true,
        max_records: [200, 100],
        max_message: 1400,
        rate: Rate::PerSecond(100_000),
        source_id: 666,
        refresh_interval: Duration::from_secs(60),
        refresh_messages: 20,
        export_time: ExportTime::Packet,
        profile: ProfileKind::T2,
        metric: Metric::L7,
        time_rule: TimeRule::Exact,
        biflow: false,
        link_flows: false,
        mpls: 0,
        options_data: false,
        sampling: None,
    };
    assert_eq!(netflow(&[], &[]), expect);
    let config = config(&[], &[]).unwrap();
    assert_eq!(config.meter, MeterConfig::default());
    assert_eq!(config.text, None);
}

#[test]
fn defaults_follow_version_profile_and_socket() {
    let ipfix = netflow(&["--nf-version", "10"], &[]);
    assert_eq!(
        (ipfix.profile, ipfix.metric, ipfix.source_id),
        (ProfileKind::Standard, Metric::Ip, 0)
    );
    let t2 = netflow(&["--nf-version", "10", "--profile", "t2", "-x", "7"], &[]);
    assert_eq!((t2.metric, t2.source_id), (Metric::L7, 7));
    let tcp = netflow(&["--nf-socktype", "tcp", "--bytes", "ip"], &[]);
    assert_eq!((tcp.rate, tcp.metric), (Rate::Unlimited, Metric::Ip));
}

#[test]
fn option_over_environment_over_default() {
    let variables = [
        ("NF_VER", "10"),
        ("NF_SERVADD", "collector.example"),
        ("NF_DPORT", "4739"),
        ("NF_SOCKTYPE", "1"),
        ("NF_NUM4FLWS", "20"),
        ("NF_NUM6FLWS", "10"),
    ];
    let by_environment = netflow(&[], &variables);
    assert_eq!(by_environment.version, Version::Ipfix);
    let to = collector(&by_environment);
    assert_eq!((to.host.as_str(), to.port), ("collector.example", 4739));
    assert_eq!(to.socket_type, SocketType::Tcp);
    assert_eq!(by_environment.max_records, [20, 10]);
    let options = [
        "--nf-version=9",
        "--nf-addr=::1",
        "--nf-port=2055",
        "--nf-socktype=udp",
        "--nf-num4flws=3",
        "--nf-num6flws=4",
    ];
    let by_option = netflow(&options, &variables);
    assert_eq!(by_option, netflow(&options, &[]));
    assert_eq!(collector(&by_option).port, 2055);
    assert_eq!(by_option.max_records, [3, 4]);
    // A variable that an option overrides is not even looked at.
    let by_option = netflow(&["--nf-port=1"], &[("NF_DPORT", "x"), ("NF_VER", "")]);
    assert_eq!(collector(&by_option).port, 1);
}

#[test]
fn bad_variables_are_named() {
    let bad = [
        ("NF_VER", "5", "9 or 10 expected"),
        ("NF_DPORT", "0", "a port from 1 to 65535 expected"),
        ("NF_SOCKTYPE", "2", "udp (0), tcp (1) or tls expected"),
        (
            "NF_NUM4FLWS",
            "-1",
            "a number from 1 to 4294967295 expected",
        ),
        (
            "NF_NUM6FLWS",
            "many",
            "a number from 1 to 4294967295 expected",
        ),
    ];
    for (name, value, expected) in bad {
        let error = config(&[], &[(name, value)]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("environment variable {name}={value}: {expected}")
        );
    }
}

#[test]
fn an_interface_has_other_defaults() {
    let live = |args: &[&str]| {
        let args = ["t2x", "-i", "eth0.100"].iter().chain(args);
        Config::new(&Cli::try_parse_from(args).unwrap(), &|_| None).unwrap()
    };
    let config = live(&["--sink", "text,netflow"]);
    let expect = LiveConfig {
        interface: "eth0.100".to_owned(),
        buffer: 32 << 20,
        snap_length: 65535,
        promiscuous: true,
        buffered: true,
    };
    assert_eq!(config.input, Input::Live(expect));
    assert_eq!(config.meter.active_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.netflow[0].export_time, ExportTime::Now);
    assert_eq!(config.text, Some(TextOutput::Prefix("eth0.100".into())));
    let config = live(&["--active-timeout", "never", "--export-time", "packet"]);
    assert_eq!(config.meter.active_timeout, None);
    assert_eq!(config.netflow[0].export_time, ExportTime::Packet);
}

#[test]
fn sizes_of_buffers() {
    let buffer = |text: &str| {
        let cli = Cli::try_parse_from(["t2x", "-i", "x", "-B", text]).ok()?;
        Some(Resolution::new(&cli, &|_| None).unwrap().settings.buffer)
    };
    assert_eq!(buffer("262144"), Some(262_144));
    assert_eq!(buffer("512K"), Some(512 << 10));
    assert_eq!(buffer("1G"), Some(1 << 30));
    for bad in ["", "M", "2G", "1023", "-1M", "4294967295G", "3m"] {
        assert_eq!(buffer(bad), None, "{bad}");
    }
}

#[test]
fn only_named_sinks_run() {
    let both = config(&["--sink", "text", "--sink", "netflow"], &[]).unwrap();
    assert!(!both.netflow.is_empty());
    assert_eq!(both.text, Some(TextOutput::Prefix("dir/some".into())));
    let text = config(&["--sink", "text", "-w", "-"], &[]).unwrap();
    assert_eq!(
        (text.netflow, text.text),
        (vec![], Some(TextOutput::Stdout))
    );
    let json = config(&["--sink", "json"], &[]).unwrap();
    assert_eq!(json.json, Some(TextOutput::Prefix("dir/some".into())));
    assert!(json.meter.text && json.text.is_none());
    let two = config(&["--sink", "json,text", "-w", "-"], &[]);
    assert_eq!(two, Err(UsageError::TwoOnStdout));
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    let text = config(&["--sink", "text", "-w", prefix], &[]).unwrap().text;
    assert_eq!(text, Some(TextOutput::Prefix(folder.path().join("some"))));
}

#[test]
fn files_are_named_after_the_input() {
    let cases = [
        ("dir/some.pcap", "dir/some"),
        ("some.pcap.gz", "some"),
        ("some.zst", "some"),
        ("some.2026.pcapng", "some.2026"),
        ("gz", "gz"),
        (STDIN, "stdin"),
    ];
    for (input, prefix) in cases {
        let expect = TextOutput::Prefix(prefix.into());
        let input = Input::Captures(Captures::One(input.into()));
        assert_eq!(
            text_output(&Settings::default(), &input),
            expect,
            "{input:?}"
        );
    }
}

#[test]
fn flows_and_tunnels() {
    let plain = config(&[], &[]).unwrap();
    assert_eq!(
        (plain.text_metric, plain.tunnel),
        (Metric::L7, Tunnel::Inner)
    );
    let args = ["--bytes=ip", "--tunnel=outer", "--active-timeout=0.5"];
    let other = config(&args, &[]).unwrap();
    assert_eq!(
        (other.text_metric, other.tunnel),
        (Metric::Ip, Tunnel::Outer)
    );
    assert_eq!(other.meter.active_timeout, Some(Duration::from_millis(500)));
}

#[test]
fn an_input_is_needed() {
    let cli = Cli::try_parse_from(["t2x"]).unwrap();
    assert_eq!(Config::new(&cli, &|_| None), Err(UsageError::NoInput));
}

/// The configuration with `text` as the configuration file, or what is wrong with it.
fn with_file(
    text: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<Resolution, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t2x.conf");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let cli = Cli::try_parse_from(["t2x", "--config", path].iter().chain(args)).unwrap();
    let resolution = Resolution::new(&cli, &|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    });
    let without_path = |fault: String| fault.replacen(path, "FILE", 1);
    resolution.map_err(|error| match error {
        UsageError::File(faults) => faults.into_iter().map(without_path).collect(),
        other => vec![other.to_string()],
    })
}

fn in_force(resolution: &Resolution, name: &str) -> (String, u8) {
    let one = resolution
        .in_force
        .iter()
        .find(|one| one.setting.name == name);
    let one = one.unwrap();
    let value = one.value.clone().unwrap_or_default();
    let rank = match one.origin {
        Origin::Default => 0,
        Origin::File(_, line) => 10 + u8::try_from(line).unwrap(),
        Origin::Variable(_) => 2,
        Origin::Option => 3,
    };
    (value.into_string().unwrap(), rank)
}

#[test]
fn option_over_environment_over_file_over_default() {
    let file = "nf-port = 1\nnf-version = 10\nsink = ['netflow', 'json']\n";
    let port = |args: &[&str], variables: &[(&str, &str)]| {
        in_force(&with_file(file, args, variables).unwrap(), "nf-port")
    };
    assert_eq!(port(&[], &[]), ("1".to_owned(), 11));
    assert_eq!(port(&[], &[("NF_DPORT", "2")]), ("2".to_owned(), 2));
    let all = port(&["--nf-port=3"], &[("NF_DPORT", "2")]);
    assert_eq!(all, ("3".to_owned(), 3));
    let resolution = with_file(file, &["-r", "x"], &[]).unwrap();
    assert_eq!(in_force(&resolution, "idle-timeout"), ("182".to_owned(), 0));
    // What follows from a value of the file is still a default.
    assert_eq!(in_force(&resolution, "profile"), ("standard".to_owned(), 0));
    let config = Config::from_settings(&resolution.settings).unwrap();
    assert!(config.json.is_some() && config.text.is_none());
    // A list is not added to, it is replaced.
    let one = with_file(file, &["-r", "x", "--sink", "text"], &[]).unwrap();
    assert_eq!(one.settings.sink, [SinkKind::Text]);
}

#[test]
fn tranalyzers_file() {
    let file = "# netflowSink.config\n% a comment\nNF_SERVADD = \"192.0.2.1\" # where\nNF_DPORT=2055\n\
                NF_SOCKTYPE = yes # tcp\nPACKETLENGTH = 1\nFDURLIMIT=0\nFLOW_TIMEOUT = 60\n";
    let resolution = with_file(file, &[], &[("NF_DPORT", "2056")]).unwrap();
    let settings = &resolution.settings;
    assert_eq!(
        (settings.nf_addr[0].0.as_str(), settings.nf_port),
        ("192.0.2.1", 2056)
    );
    assert_eq!(settings.nf_socktype, SocketType::Tcp);
    assert_eq!(settings.bytes, Some(Metric::Ip));
    assert_eq!(settings.active_timeout, None);
    assert_eq!(settings.idle_timeout, Duration::from_secs(60));
    assert_eq!(in_force(&resolution, "bytes"), ("ip".to_owned(), 16));
    let faults = with_file("NF_VER=9\nNF_PORT = 1\nNF_DPORT\n", &[], &[]).unwrap_err();
    assert_eq!(faults, ["FILE:3: NAME = value expected"]);
    let faults = with_file("NF_VER=9\nNF_DPRT = 1\nNF_SOCKTYPE = 3\n", &[], &[]).unwrap_err();
    assert_eq!(
        faults,
        [
            "FILE:2: NF_DPRT is no setting; a similar one exists: NF_DPORT",
            "FILE:3: NF_SOCKTYPE = 3: udp (0), tcp (1) or tls expected"
        ]
    );
}

#[test]
fn every_fault_of_a_file_is_told() {
    let file = "nf-prot = 1\nmtu = 3\nreport = 'xml'\nzzzz = 1\nnf-port = 4739\n";
    let faults = with_file(file, &["--mtu=1400"], &[]).unwrap_err();
    assert_eq!(
        faults,
        [
            "FILE:1: nf-prot is no setting; a similar one exists: nf-port",
            "FILE:2: mtu = 3: a number from 300 to 65535 expected",
            "FILE:3: report = xml: one of text, json expected",
            "FILE:4: zzzz is no setting",
        ]
    );
    let cli = Cli::try_parse_from(["t2x", "--config", "/nonexistent"]).unwrap();
    let error = Resolution::new(&cli, &|_| None).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent: cannot read the configuration file: No such file"));
}

#[test]
fn a_stronger_input_takes_the_place_of_a_weaker_one() {
    let resolution = with_file("read-list = 'all'\n", &["-r", "one"], &[]).unwrap();
    assert_eq!(
        (&resolution.settings.read_list, &resolution.settings.read),
        (&None, &Some("one".into()))
    );
    let faults = with_file("read-list = 'all'\nread = 'one'\n", &[], &[]).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("cannot be given with"), "{faults:?}");
}

#[test]
fn what_is_printed_says_the_same_again() {
    let args = [
        "-r",
        "some \"file\".pcap",
        "--nf-version=10",
        "--rate=unlimited",
        "--idle-timeout=1.5",
        "tcp",
        "port",
        "80",
    ];
    let cli = Cli::try_parse_from(["t2x"].iter().chain(&args)).unwrap();
    let first = Resolution::new(&cli, &|_| None).unwrap();
    let again = with_file(&first.to_string(), &[], &[]).unwrap();
    let values = |resolution: &Resolution| -> Vec<String> {
        let text = resolution.to_string();
        let lines = text.lines().filter_map(|line| line.split_once("  # "));
        lines.map(|(value, _)| value.trim().to_owned()).collect()
    };
    assert_eq!(values(&first), values(&again));
    let lines = first.to_string();
    let version = lines
        .lines()
        .find(|line| line.starts_with("nf-version = 10 "));
    assert!(version.unwrap().ends_with("  # option"), "{lines}");
    assert!(
        lines.lines().any(|line| line.starts_with("# write ")),
        "{lines}"
    );
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<_> = table::all().map(|setting| setting.name).collect();
    let t2 = table::all().filter_map(|setting| setting.t2.as_ref());
    names.extend(t2.map(|t2| t2.name));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    crate::cli::command().debug_assert();
}
