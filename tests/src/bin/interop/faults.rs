//! Faults of the network between t2x and t2collect, with the balance: metered = stored + counted as lost.
//!
//! The export is IPFIX, whose sequence numbers count records (without options data, which they count too); it ends with
//! messages that arrive, so that no loss stays unseen behind the last one. The collector keeps its state over a restart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use golden::harness;
use serde_json::Value;
use tests::Totals;

use crate::engine::{Container, Engine, Job, open_folder};
use crate::matrix::{Cell, Verdict};
use crate::peers::{OURS, PORT};

/// A fault, and when it comes.
struct Case {
    name: &'static str,
    /// Words of `t2check proxy`, which then stands between exporter and collector.
    proxy: Option<&'static str>,
    /// Done to the collector while the export runs.
    act: Option<fn(&Container) -> anyhow::Result<()>>,
}

const fn through_proxy(name: &'static str, words: &'static str) -> Case {
    Case {
        name,
        proxy: Some(words),
        act: None,
    }
}

const fn acted(name: &'static str, act: fn(&Container) -> anyhow::Result<()>) -> Case {
    Case {
        name,
        proxy: None,
        act: Some(act),
    }
}

static CASES: [Case; 7] = [
    Case {
        name: "no fault",
        proxy: None,
        act: None,
    },
    acted("partition of 30 s", partition),
    acted("collector restarted", restart),
    acted("collector away for 10 s", away),
    through_proxy("loss 5 %", "--fault loss:5%"),
    through_proxy("reorder 5 %", "--fault reorder:5%:3"),
    through_proxy("delay 50 ms", "--fault delay:50"),
];

/// Flows of the capture, about; and how many of them are sent in a second.
const CONNECTIONS: &str = "45000";
const PACKETS: &str = "90000";
const RATE: &str = "1500";

/// The export has begun by then.
const BEGUN: Duration = Duration::from_secs(8);

fn partition(collector: &Container) -> anyhow::Result<()> {
    let address = collector.address()?;
    collector.cut_off()?;
    std::thread::sleep(Duration::from_secs(30));
    collector.put_back(&address)
}

fn restart(collector: &Container) -> anyhow::Result<()> {
    collector.restart()
}

fn away(collector: &Container) -> anyhow::Result<()> {
    collector.pause()?;
    std::thread::sleep(Duration::from_secs(10));
    collector.go_on()
}

/// Runs all cases; `tell` is given each as it is known.
pub fn run(engine: &Engine, captures: &Path, work: &Path, tell: &mut dyn FnMut(Cell)) {
    let made = make_capture(captures);
    for case in &CASES {
        let balance = match &made {
            Ok(()) => balance(engine, case, captures, work),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        let verdict = match balance {
            Ok(text) => Verdict::Balanced(text),
            Err(error) => Verdict::Fail(format!("{error:#}")),
        };
        tell(Cell {
            name: [
                "t2x IPFIX".to_owned(),
                "t2collect".to_owned(),
                case.name.to_owned(),
            ],
            verdict,
            is_fault: true,
        });
    }
}

fn make_capture(captures: &Path) -> anyhow::Result<()> {
    let mut t2gen = Command::new(harness::program("t2gen"));
    t2gen.args([
        "frames",
        "--packets",
        PACKETS,
        "--flows",
        CONNECTIONS,
        "--out",
    ]);
    let status = t2gen.arg(captures.join("frames.pcap")).status();
    ensure!(
        status.context("t2gen cannot be started")?.success(),
        "t2gen failed"
    );
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The balance as a sentence; an error if it is not kept.
fn balance(engine: &Engine, case: &Case, captures: &Path, work: &Path) -> anyhow::Result<String> {
    ensure!(engine.has_image(OURS), "there is no image {OURS}");
    let name: String = case
        .name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let (flows, notes) = (
        open_folder(work, &format!("{name}-flows"))?,
        open_folder(work, &format!("{name}-notes"))?,
    );
    let job = Job {
        image: OURS,
        words: words(&format!(
            "t2collect -b 0.0.0.0 -p {PORT} -t 86400 -B 8000000 -w /flows --json /notes/events.json --events --state /notes/state"
        )),
        folders: vec![(&flows, "/flows"), (&notes, "/notes")],
    };
    let collector = engine.start(&name, &job)?;
    collector.wait_listening(PORT)?;
    let mut target = collector.address()?;
    let mut proxy = None;
    if let Some(fault) = case.proxy {
        let job = Job {
            image: OURS,
            words: words(&format!(
                "t2check proxy --listen udp://0.0.0.0:{PORT} --to {target}:{PORT} --seed 1 {fault}"
            )),
            folders: Vec::new(),
        };
        let started = engine.start(&format!("{name}-proxy"), &job)?;
        started.wait_listening(PORT)?;
        target = started.address()?;
        proxy = Some(started);
    }
    let job = Job {
        image: OURS,
        words: words(&format!(
            "t2x -r /captures/frames.pcap --nf-version 10 --nf-addr {target} --nf-port {PORT} --rate {RATE} --options-data no --report json"
        )),
        folders: vec![(captures, "/captures")],
    };
    let told = std::thread::scope(|scope| {
        let exporter = scope.spawn(|| engine.run(&job));
        if let Some(act) = case.act {
            std::thread::sleep(BEGUN);
            act(&collector)?;
        }
        exporter
            .join()
            .unwrap_or_else(|_| bail!("the exporter's thread panicked"))
    })?;
    ensure!(told.code == Some(0), "t2x: {}", told.last_line());
    let metered = metered(&told.stderr)?;
    if let Some(proxy) = proxy {
        proxy.wait_drained(PORT)?;
        proxy.stop()?;
    }
    collector.wait_drained(PORT)?;
    collector.stop()?;
    let stored = stored(engine, &flows)?;
    let lost = counted_as_lost(&notes.join("events.json"))?;
    let text = format!("{metered} metered = {stored} stored + {lost} counted as lost");
    ensure!(
        stored + lost == metered,
        "{metered} metered, {stored} stored, {lost} counted as lost"
    );
    Ok(text)
}

/// Flow records that t2x sent, by its report in JSON.
fn metered(report: &str) -> anyhow::Result<u64> {
    let start = report.find('{').context("t2x gave no report")?;
    let report: Value = serde_json::from_str(report.get(start..).unwrap_or_default())
        .context("t2x's report is no JSON")?;
    let records = report.pointer("/netflow/records").and_then(Value::as_u64);
    records.context("t2x's report has no number of records")
}

fn stored(engine: &Engine, flows: &Path) -> anyhow::Result<u64> {
    let job = Job {
        image: OURS,
        words: words("t2report -R /flows -N -o null"),
        folders: vec![(flows, "/flows")],
    };
    let told = engine.run(&job)?;
    let totals = Totals::in_summary(&told.stdout);
    Ok(totals
        .with_context(|| format!("t2report: {}", told.last_line()))?
        .flows)
}

/// Records that t2collect says are missing.
fn counted_as_lost(events: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(events).context("cannot read t2collect's events")?;
    let mut lost = 0;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
        if event["kind"] == "loss" && event["unit"] == "records" {
            lost += event["missing"].as_u64().unwrap_or(0);
        }
        if event["kind"] == "recovered" && event["unit"] == "records" {
            lost -= event["found"].as_u64().unwrap_or(0).min(lost);
        }
    }
    Ok(lost)
}
