//! `t2check collector` from the options to the report: which cases are run on which device, and what their outcomes
//! say of each requirement.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use super::assemble::{Action, Marking, assemble, probe};
use super::certificates::Clients;
use super::exposition::Meaning;
use super::json::read_map;
use super::judge::{Fate, Observation, Outcome, Run, judge};
use super::observe::Observer;
use super::options::Collector;
use super::script::{Case, cases};
use super::subject::{Live, Stimulus, Subject};
use super::text::text;
use crate::catalogue::{Requirement, State, requirements};
use crate::context::Kept;
use crate::inspection::{Evidence, RuleResult, Tally};
use crate::report::Report;
use crate::run::{Outcome as Ending, prepare, write};
use crate::verdict::{Finding, Profile, Verdict};
use crate::wire::Transport;
use service::tls::TlsFiles;

/// The rule that two readers of the same files agree.
const READERS: &str = "M-10";

/// The rule that ports can be set.
const PORTS: &str = "X-01";

/// The rule that names the transports.
const TRANSPORTS: &str = "X-02";

/// So many messages of a case are kept for reports, and the last.
const KEPT: usize = 30;

/// What is asked of a run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The reading of the rules.
    pub profile: Profile,
    /// What is only recommended counts too.
    pub strict: bool,
    /// With floods and long waits.
    pub full: bool,
    /// Only these rules; empty: all.
    pub only: Vec<&'static str>,
    /// Harmless cases on one start.
    pub batch: usize,
}

/// What became of one run of a case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Name, version and transport, such as `withdrawal/10/udp`.
    pub name: String,
    /// The case.
    pub case: &'static Case,
    /// The verdict and why.
    pub outcome: Outcome,
    /// How it travelled.
    pub transport: Transport,
    /// The first messages of the case, and the last.
    pub messages: Vec<Vec<u8>>,
    /// When it was run, milliseconds since 1970.
    pub at_ms: u64,
}

/// All that a run found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// One for each mix of each case.
    pub results: Vec<CaseResult>,
    /// Where two readers of its files disagree.
    pub disagreements: Vec<String>,
    /// Two readers looked.
    pub compared: bool,
    /// Ports that it was told to listen on, and was heard on.
    pub ports: BTreeSet<u16>,
    /// Versions and transports that it stores.
    pub heard: Vec<(u16, Transport)>,
    /// What was not done, and what could not be read.
    pub remarks: Vec<String>,
    /// Messages and octets sent.
    pub sent: (u64, u64),
}

/// Judges the collector that the options name, and writes the reports.
///
/// # Errors
/// When the device cannot be started or observed, stores nothing of well-formed messages, or a report cannot be written.
pub fn run(options: &Collector, stop: &AtomicBool) -> anyhow::Result<Ending> {
    let judging = &options.judging;
    let known = judging.known()?;
    prepare(judging)?;
    let mut live = Live::new(&options.targets());
    live.observer = options.records().cloned();
    live.metrics = options.counts().cloned();
    if let Some(map) = &options.map {
        live.map = read_map(map)?;
    }
    if let Some(map) = &options.metrics_map {
        live.meaning = Meaning::read(map)?;
    }
    if options.tls_ca.is_some() {
        live.targets.clients = Some(Clients::of(&TlsFiles {
            ca: options.tls_ca.clone(),
            cert: options.tls_cert.clone(),
            key: options.tls_key.clone(),
        })?);
    }
    live.nfdump.clone_from(&options.nfdump);
    live.start.clone_from(&options.start);
    live.signal = options.end_with;
    live.lost.clone_from(&options.lost);
    live.settle = Duration::from_millis(options.settle.into());
    live.wait = Duration::from_secs(options.wait.into());
    let plan = Plan {
        profile: judging.profile,
        strict: judging.strict,
        full: options.full,
        only: judging.only.clone(),
        // Counts of several cases cannot be told apart.
        batch: match live.observer {
            Some(_) => options.batch.into(),
            None => 1,
        },
    };
    let mut findings = examine(&mut live, &plan, stop)?;
    if stop.load(Ordering::Relaxed) {
        findings.remarks.push("not all cases were run".to_owned());
    }
    findings.compared = matches!(live.observer, Some(Observer::Nfdump(_)));
    if live.observer.is_none() {
        let seen = "records are only counted, by the collector itself: their values are not seen";
        findings.remarks.push(seen.to_owned());
    }
    let sources: Vec<String> = options
        .send
        .iter()
        .map(|target| target.0.to_string())
        .collect();
    let report = report(
        &findings,
        &plan,
        sources.join(" "),
        options.send.first().map(|target| target.0.address),
    );
    let report = Report { known, ..report };
    write(&report, judging, &|report| text(report, &findings))?;
    Ok(if report.is_negative() {
        Ending::Negative
    } else {
        Ending::Positive
    })
}

/// Runs the cases on a device.
///
/// # Errors
/// When it cannot be started or observed, or stores nothing of well-formed messages.
pub fn examine(
    subject: &mut dyn Subject,
    plan: &Plan,
    stop: &AtomicBool,
) -> anyhow::Result<Findings> {
    let mut examiner = Examiner {
        subject,
        plan,
        stop,
        number: 0,
        salt: u16::try_from(now_ms()? / 1000 % 65_536).unwrap_or_default(),
        findings: Findings::default(),
        mute: Vec::new(),
    };
    examiner.greet()?;
    examiner.all()?;
    Ok(examiner.findings)
}

fn now_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct Examiner<'a> {
    subject: &'a mut dyn Subject,
    plan: &'a Plan,
    stop: &'a AtomicBool,
    number: u16,
    salt: u16,
    findings: Findings,
    /// Versions and transports of which it stores nothing, and why.
    mute: Vec<(u16, Transport, String)>,
}

impl Examiner<'_> {
    /// A healthy message of each version over each transport: what is not stored of them needs no cases.
    fn greet(&mut self) -> anyhow::Result<()> {
        let mut heard = false;
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            for version in [10, 9] {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if !self.subject.reaches(transport) {
                    let why = format!("the collector is not reached over {}", name(transport));
                    self.mute.push((version, transport, why));
                    continue;
                }
                let marking = self.marking()?;
                let run = Run {
                    case: greeting(),
                    version,
                    transport,
                    marking,
                };
                let stimulus = Stimulus {
                    run,
                    actions: Vec::new(),
                    probe: probe(version, transport, marking).map_err(anyhow::Error::msg)?,
                };
                let seen = self.subject.run(&[stimulus], self.stop)?;
                // What was broken off says nothing.
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let outcome = judge(&run, self.plan.profile, &seen, self.subject, true);
                if outcome.verdict == Verdict::Pass {
                    heard = true;
                    self.findings.ports.extend(seen.ports);
                    self.findings.heard.push((version, transport));
                    continue;
                }
                let why = format!(
                    "{} over {} is not collected: {}",
                    protocol(version),
                    name(transport),
                    outcome.notes.first().map_or("", String::as_str)
                );
                self.findings.remarks.push(why.clone());
                self.mute.push((version, transport, why));
            }
        }
        if !heard {
            bail!(
                "nothing to judge: of well-formed messages nothing is stored{}: {}",
                if self.subject.is_renewed() {
                    ""
                } else {
                    " in time (a collector that shows its files late needs --start)"
                },
                self.findings.remarks.join("; ")
            );
        }
        Ok(())
    }

    fn marking(&mut self) -> anyhow::Result<Marking> {
        self.number += 1;
        Ok(Marking {
            number: self.number,
            salt: self.salt,
            now: i64::try_from(now_ms()? / 1000).unwrap_or_default(),
        })
    }

    fn all(&mut self) -> anyhow::Result<()> {
        let wanted = |case: &&Case| {
            self.plan.only.is_empty() || case.rules.iter().any(|rule| self.plan.only.contains(rule))
        };
        let chosen: Vec<&'static Case> = cases()
            .map_err(anyhow::Error::msg)?
            .iter()
            .filter(wanted)
            .collect();
        let mut batch = Vec::new();
        for case in chosen {
            for (version, transport) in mixes(case, self.subject.reaches(Transport::Tls)) {
                if let Some(why) = self.why_not(case, version, transport) {
                    self.conclude(case, version, transport, not_judged(why), &[])?;
                    continue;
                }
                if case.alone || self.plan.batch <= 1 {
                    self.batch(&[(case, version, transport)])?;
                    continue;
                }
                batch.push((case, version, transport));
                if batch.len() >= self.plan.batch {
                    self.batch(&std::mem::take(&mut batch))?;
                }
            }
        }
        self.batch(&batch)
    }

    /// Why this mix is not run.
    fn why_not(&self, case: &Case, version: u16, transport: Transport) -> Option<String> {
        let mute = |(muted, by, _): &&(u16, Transport, String)| {
            *by == transport && (*muted == version || version == 5 && *muted == 9)
        };
        if let Some((.., why)) = self.mute.iter().find(mute) {
            return Some(why.clone());
        }
        if case.full && !self.plan.full {
            return Some("a flood or a long wait: run with --full".to_owned());
        }
        let both = super::assemble::transports(case);
        if let Some(other) = both.into_iter().find(|other| !self.subject.reaches(*other)) {
            return Some(format!("the collector is not reached over {}", name(other)));
        }
        None
    }

    /// Runs some on one device; each alone if that leaves a doubt.
    fn batch(&mut self, mixes: &[(&'static Case, u16, Transport)]) -> anyhow::Result<()> {
        if mixes.is_empty() || self.stop.load(Ordering::Relaxed) {
            for (case, version, transport) in mixes {
                let outcome = not_judged("interrupted before".to_owned());
                self.conclude(case, *version, *transport, outcome, &[])?;
            }
            return Ok(());
        }
        let mut stimuli = Vec::new();
        for (case, version, transport) in mixes {
            let marking = self.marking()?;
            stimuli.push(Stimulus {
                run: Run {
                    case,
                    version: *version,
                    transport: *transport,
                    marking,
                },
                actions: assemble(case, *version, *transport, marking)
                    .map_err(|error| anyhow::anyhow!("case {}: {error}", case.name))?,
                probe: probe(*version, *transport, marking).map_err(anyhow::Error::msg)?,
            });
        }
        let mut seen = self.subject.run(&stimuli, self.stop)?;
        if let Some(doubt) = seen.doubt.take() {
            // Once more: what is no chance happens again.
            seen = self.subject.run(&stimuli, self.stop)?;
            if seen.doubt.is_none() && !self.findings.remarks.contains(&doubt) {
                self.findings.remarks.push(doubt);
            }
        }
        if self.stop.load(Ordering::Relaxed) {
            for (case, version, transport) in mixes {
                let outcome = not_judged("interrupted in the middle of it".to_owned());
                self.conclude(case, *version, *transport, outcome, &[])?;
            }
            return Ok(());
        }
        let alone = mixes.len() == 1;
        let mut outcomes = self.outcomes(&stimuli, &seen);
        let lone = alone && self.subject.is_renewed() && seen.fate == Fate::Alive;
        if lone && outcomes.iter().any(|outcome| outcome.verdict.is_negative()) {
            outcomes = self.again(&stimuli, &mut seen, outcomes)?;
        }
        let doubtful = outcomes.iter().any(|outcome| outcome.verdict.is_negative())
            || has_strays(&stimuli, &seen);
        if !alone && doubtful && !self.stop.load(Ordering::Relaxed) {
            for mix in mixes {
                self.batch(std::slice::from_ref(mix))?;
            }
            return Ok(());
        }
        self.take(&seen);
        for (stimulus, outcome) in stimuli.iter().zip(outcomes) {
            let Run {
                case,
                version,
                transport,
                ..
            } = stimulus.run;
            let case = mixes
                .iter()
                .find(|(known, ..)| known.name == case.name)
                .map_or_else(greeting, |(case, ..)| case);
            self.conclude(case, version, transport, outcome, &stimulus.actions)?;
        }
        if seen.fate != Fate::Alive && !self.subject.is_renewed() {
            self.stop.store(true, Ordering::Relaxed);
            self.findings
                .remarks
                .push("the collector is gone: what follows was not run".to_owned());
        }
        Ok(())
    }

    fn outcomes(&self, stimuli: &[Stimulus<'_>], seen: &Observation) -> Vec<Outcome> {
        let alone = stimuli.len() == 1;
        let outcome = |stimulus: &Stimulus<'_>| match &seen.doubt {
            // Whatever is missing may have been dropped.
            Some(doubt) if seen.fate == Fate::Alive => not_judged(doubt.clone()),
            _ => judge(&stimulus.run, self.plan.profile, seen, self.subject, alone),
        };
        stimuli.iter().map(outcome).collect()
    }

    /// A fault is one that is there twice: the border of a slot, or a busy machine, may have been in the way once.
    fn again(
        &mut self,
        stimuli: &[Stimulus<'_>],
        seen: &mut Observation,
        first: Vec<Outcome>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let second = self.subject.run(stimuli, self.stop)?;
        let outcomes = self.outcomes(stimuli, &second);
        let negative = |outcome: &Outcome| outcome.verdict.is_negative();
        let vanished = !outcomes.iter().any(negative) && second.doubt.is_none();
        if !vanished || self.stop.load(Ordering::Relaxed) {
            return Ok(first);
        }
        let notes = first.iter().flat_map(|outcome| outcome.notes.first());
        for (stimulus, note) in stimuli.iter().zip(notes) {
            let name = &stimulus.run.case.name;
            let remark = format!("{name}: once, and not again: {note}");
            self.findings.remarks.push(remark);
        }
        *seen = second;
        Ok(outcomes)
    }

    fn take(&mut self, seen: &Observation) {
        for line in &seen.disagreements {
            if self.findings.disagreements.len() < 20 {
                self.findings.disagreements.push(line.clone());
            }
        }
        for line in &seen.remarks {
            if self.findings.remarks.len() < 20 && !self.findings.remarks.contains(line) {
                self.findings.remarks.push(line.clone());
            }
        }
    }

    fn conclude(
        &mut self,
        case: &'static Case,
        version: u16,
        transport: Transport,
        outcome: Outcome,
        actions: &[Action],
    ) -> anyhow::Result<()> {
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for action in actions {
            if let Action::Send(_, octets, _) = action {
                self.findings.sent.0 += 1;
                self.findings.sent.1 += octets.len() as u64;
                // Of a flood, the beginning and the end.
                messages.truncate(KEPT);
                messages.push(octets.clone());
            }
        }
        self.findings.results.push(CaseResult {
            name: format!("{}/{version}/{}", case.name, name(transport).to_lowercase()),
            case,
            outcome,
            transport,
            messages,
            at_ms: now_ms()?,
        });
        Ok(())
    }
}

/// The mixes of version and transport of a case. NetFlow v9 runs over UDP; its few cases on streams say so. What is for
/// TCP is for TLS too, if the collector is reached over it.
fn mixes(case: &Case, tls: bool) -> Vec<(u16, Transport)> {
    let mut transports = case.transports.clone();
    if tls && transports.contains(&Transport::Tcp) {
        transports.push(Transport::Tls);
    }
    let pairs = case
        .versions
        .iter()
        .flat_map(|version| transports.iter().map(|transport| (*version, *transport)));
    let only = case.versions.len() == 1;
    pairs
        .filter(|(version, transport)| only || *version == 10 || *transport == Transport::Udp)
        .collect()
}

/// A batch with records that belong to nobody in it.
fn has_strays(stimuli: &[Stimulus<'_>], seen: &Observation) -> bool {
    seen.stored
        .iter()
        .filter(|stored| !stored.options)
        .any(|stored| {
            !stimuli
                .iter()
                .any(|stimulus| stored.mark(stimulus.run.marking).is_some())
        })
}

fn not_judged(why: String) -> Outcome {
    Outcome {
        verdict: Verdict::NotApplicable,
        notes: vec![why],
    }
}

/// Nothing but the healthy message.
fn greeting() -> &'static Case {
    static GREETING: std::sync::LazyLock<Case> = std::sync::LazyLock::new(|| Case {
        name: "greeting".to_owned(),
        expectations: vec![super::script::Expectation {
            profiles: Vec::new(),
            transports: Vec::new(),
            versions: Vec::new(),
            verdict: None,
            what: super::script::What::Absent(0),
        }],
        ..Case::default()
    });
    &GREETING
}

pub(super) fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::File => "a file",
    }
}

fn protocol(version: u16) -> &'static str {
    match version {
        5 => "NetFlow v5",
        9 => "NetFlow v9",
        _ => "IPFIX",
    }
}

/// What the outcomes say of each requirement.
pub fn report(findings: &Findings, plan: &Plan, source: String, to: Option<SocketAddr>) -> Report {
    let mut by_rule: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in &findings.results {
        for rule in &result.case.rules {
            by_rule.entry(rule).or_default().push(result);
        }
    }
    let to = to.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let results = requirements()
        .iter()
        .filter(|row| plan.only.is_empty() || plan.only.contains(&row.rule.id))
        .map(|row| match (row.rule.id, by_rule.get(row.rule.id)) {
            (READERS, _) => readers(row, findings),
            (PORTS, _) => ports(row, findings),
            (TRANSPORTS, _) => unjudged(row, &transports(findings, to)),
            (_, Some(results)) => requirement(row, results, plan, to),
            (_, None) => unjudged(row, why_unjudged(row)),
        })
        .collect();
    Report {
        source,
        profile: plan.profile,
        strict: plan.strict,
        tally: Tally {
            messages: findings.sent.0,
            octets: findings.sent.1,
            exporters: 1,
            first_ms: findings.results.first().map_or(0, |result| result.at_ms),
            last_ms: findings.results.last().map_or(0, |result| result.at_ms),
            ..Tally::default()
        },
        remarks: findings.remarks.clone(),
        results,
        known: crate::known::Known::default(),
        metered: false,
    }
}

fn why_unjudged(row: &Requirement) -> &'static str {
    if !row.who.contains('C') {
        return match row.who {
            "E" => "binds exporters",
            "R" => "binds reporters",
            _ => "binds no program",
        };
    }
    match row.state {
        State::Wire | State::Stored | State::Metered | State::Disturbed => {
            "of a collector not judged yet"
        }
        state => state.reason(),
    }
}

fn unjudged(row: &'static Requirement, reason: &str) -> RuleResult {
    RuleResult {
        requirement: row,
        verdict: Verdict::NotApplicable,
        count: 0,
        checked: 0,
        reason: reason.to_owned(),
        first: None,
        notes: Vec::new(),
    }
}

fn readers(row: &'static Requirement, findings: &Findings) -> RuleResult {
    if !findings.compared {
        return unjudged(row, "needs two readers: --observe nfdump:DIR");
    }
    let note = findings.disagreements.first().cloned();
    RuleResult {
        requirement: row,
        verdict: if note.is_some() {
            Verdict::WrongData
        } else {
            Verdict::Pass
        },
        count: findings.disagreements.len() as u64,
        checked: findings.results.len() as u64,
        reason: note.unwrap_or_default(),
        first: None,
        notes: Vec::new(),
    }
}

/// Each start has other ports.
fn ports(row: &'static Requirement, findings: &Findings) -> RuleResult {
    let ports = findings.ports.len() as u64;
    let mut result = unjudged(
        row,
        "it is not started on several ports: --start with {port}",
    );
    if ports > 1 {
        result.verdict = Verdict::Pass;
        result.checked = ports;
        result.reason =
            "it listens where it is told to; its default port is not looked at".to_owned();
    }
    result
}

/// Over what it was heard. SCTP, which is what RFC 7011 section 10.1 demands, is not tried.
fn transports(findings: &Findings, to: SocketAddr) -> String {
    let family = if to.is_ipv4() { "IPv4" } else { "IPv6" };
    let heard: Vec<String> = findings
        .heard
        .iter()
        .map(|(version, transport)| format!("{} over {}", protocol(*version), name(*transport)))
        .collect();
    format!(
        "SCTP is not tried; heard with {family}: {}",
        heard.join(", ")
    )
}

fn requirement(
    row: &'static Requirement,
    results: &[&CaseResult],
    plan: &Plan,
    to: SocketAddr,
) -> RuleResult {
    let judged: Vec<&&CaseResult> = results
        .iter()
        .filter(|result| result.outcome.verdict != Verdict::NotApplicable)
        .collect();
    let negative: Vec<&&CaseResult> = judged
        .iter()
        .filter(|result| result.outcome.verdict.is_negative())
        .copied()
        .collect();
    let Some(worst) = negative.iter().max_by_key(|result| result.outcome.verdict) else {
        let mut result = unjudged(row, "");
        result.checked = judged.len() as u64;
        if judged.is_empty() {
            result.reason = results
                .first()
                .and_then(|first| first.outcome.notes.first().cloned())
                .unwrap_or_default();
        } else {
            result.verdict = Verdict::Pass;
        }
        return result;
    };
    let note = format!("{}: {}", worst.name, worst.outcome.notes.join("; "));
    let level = row.rule.level.name();
    let asked_for = worst.outcome.verdict != Verdict::Unsafe
        && (level == "MAY" || level == "SHOULD" && !plan.strict);
    if asked_for {
        let why = match level {
            "MAY" => "optional (MAY), and not done",
            _ => "only asked for (SHOULD): counts when strict",
        };
        let mut result = unjudged(row, &format!("{why}: {note}"));
        result.checked = judged.len() as u64;
        return result;
    }
    let finding = Finding {
        rule: row.rule.id,
        verdict: worst.outcome.verdict,
        offset: 0,
        length: 0,
        note,
    };
    RuleResult {
        requirement: row,
        verdict: worst.outcome.verdict,
        count: negative.len() as u64,
        checked: judged.len() as u64,
        reason: String::new(),
        first: Some(Evidence {
            number: worst.messages.len() as u64,
            at_ms: worst.at_ms,
            from: (Ipv4Addr::LOCALHOST, 0).into(),
            to,
            transport: worst.transport,
            bytes: worst.messages.last().cloned().unwrap_or_default(),
            finding,
            context: before(worst),
        }),
        notes: Vec::new(),
    }
}

/// The messages of a case before its last one.
fn before(result: &CaseResult) -> Vec<Arc<Kept>> {
    let earlier = result.messages.len().saturating_sub(1);
    let kept = |(index, bytes): (usize, &Vec<u8>)| {
        Arc::new(Kept {
            number: index as u64 + 1,
            at_ms: result.at_ms,
            bytes: bytes.clone(),
        })
    };
    result
        .messages
        .iter()
        .take(earlier)
        .enumerate()
        .map(kept)
        .collect()
}
