//! `--explain`: what each exporter has sent, as text to paste into a bug report: templates with names and lengths, the
//! first record decoded, broken rules with their place, losses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use protocol::error::DecodeError;
use protocol::registry;
use protocol::rules;
use protocol::session::{DataRecord, LossUnit, MessageInfo};
use protocol::template::{Template, TemplateKind, VARIABLE_LENGTH};

use crate::json::{About, Writer, field_key};
use crate::knowledge::{Knowledge, Named};

/// Domains that are told about; more are only counted.
const MAX_DOMAINS: usize = 256;
/// Templates of one domain that are told about.
const MAX_TEMPLATES: usize = 64;
/// Rules times senders.
const MAX_VIOLATIONS: usize = 1024;
/// Octets of a record in the text.
const MAX_RECORD: usize = 16 << 10;
/// Names that are listed.
const MAX_NAMES: usize = 20;

type DomainKey = (SocketAddr, u16, u32);

/// One domain of one exporter.
#[derive(Default)]
struct Domain {
    records: u64,
    templates: BTreeMap<u16, Told>,
    /// Templates beyond the bound.
    more_templates: u64,
    missing: u64,
    gaps: u64,
    found: u64,
    restarts: u64,
    redefinitions: u64,
    messages: u64,
    last_sequence: Option<u32>,
}

struct Told {
    template: Arc<Template>,
    records: u64,
    first: String,
}

/// One rule that one sender broke.
struct Broken {
    count: u64,
    offset: usize,
    what: String,
}

/// See the module.
#[derive(Default)]
pub struct Explain {
    domains: BTreeMap<DomainKey, Domain>,
    more_domains: u64,
    violations: BTreeMap<(IpAddr, &'static str), Broken>,
    writer: Writer,
    buffer: Vec<u8>,
}

impl Explain {
    fn domain(&mut self, message: &MessageInfo) -> Option<&mut Domain> {
        let key = (message.exporter, message.version, message.domain);
        if self.domains.len() >= MAX_DOMAINS && !self.domains.contains_key(&key) {
            self.more_domains += 1;
            return None;
        }
        let domain = self.domains.entry(key).or_default();
        if domain.last_sequence != Some(message.sequence) {
            domain.last_sequence = Some(message.sequence);
            domain.messages += 1;
        }
        Some(domain)
    }

    /// A data record; the first of each template is kept.
    pub fn record(&mut self, record: &DataRecord<'_>, about: &About<'_>) {
        let id = record.template.id();
        let Some(domain) = self.domain(record.message) else {
            return;
        };
        domain.records += 1;
        if let Some(told) = domain.templates.get_mut(&id)
            && told.template.uid() == record.template.uid()
        {
            told.records += 1;
            if !told.first.is_empty() {
                return;
            }
        }
        self.buffer.clear();
        self.writer.fields(&mut self.buffer, record, about);
        let mut first = String::from_utf8_lossy(&self.buffer).into_owned();
        if first.len() > MAX_RECORD {
            let end = (0..=MAX_RECORD)
                .rev()
                .find(|at| first.is_char_boundary(*at))
                .unwrap_or(0);
            first.truncate(end);
            first.push('…');
        }
        let Some(domain) = self.domain(record.message) else {
            return;
        };
        let full = domain.templates.len() >= MAX_TEMPLATES;
        match domain.templates.get_mut(&id) {
            Some(told) if told.template.uid() == record.template.uid() => told.first = first,
            None if full => domain.more_templates += 1,
            _ => {
                let template = Arc::clone(record.template);
                let told = Told {
                    template,
                    records: 1,
                    first,
                };
                domain.templates.insert(id, told);
            }
        }
    }

    /// A template was learned or changed.
    pub fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        let Some(domain) = self.domain(message) else {
            return;
        };
        let known = domain.templates.contains_key(&template.id());
        if !known && domain.templates.len() >= MAX_TEMPLATES {
            domain.more_templates += 1;
            return;
        }
        let told = Told {
            template: Arc::clone(template),
            records: 0,
            first: String::new(),
        };
        domain.templates.insert(template.id(), told);
    }

    /// An ID got another definition.
    pub fn redefined(&mut self, message: &MessageInfo) {
        if let Some(domain) = self.domain(message) {
            domain.redefinitions += 1;
        }
    }

    /// Something is missing before the message.
    pub fn loss(&mut self, message: &MessageInfo, missing: u64) {
        if let Some(domain) = self.domain(message) {
            domain.gaps += 1;
            domain.missing += missing;
        }
    }

    /// Something missing came after all.
    pub fn recovered(&mut self, message: &MessageInfo, found: u64) {
        if let Some(domain) = self.domain(message) {
            domain.found += found;
        }
    }

    /// The exporter began anew.
    pub fn restart(&mut self, message: &MessageInfo) {
        if let Some(domain) = self.domain(message) {
            domain.restarts += 1;
        }
    }

    /// A message broke a rule.
    pub fn violation(&mut self, from: SocketAddr, error: &DecodeError) {
        let key = (from.ip(), error.kind.rule_id());
        if let Some(broken) = self.violations.get_mut(&key) {
            broken.count += 1;
        } else if self.violations.len() < MAX_VIOLATIONS {
            let broken = Broken {
                count: 1,
                offset: error.offset,
                what: error.kind.to_string(),
            };
            self.violations.insert(key, broken);
        }
    }

    /// Writes everything.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, knowledge: &Knowledge, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        for (key, domain) in &self.domains {
            describe(&mut text, *key, domain, knowledge);
        }
        if self.more_domains > 0 {
            let _ = writeln!(
                text,
                "{} events of further domains are not shown",
                self.more_domains
            );
        }
        for ((from, rule), broken) in &self.violations {
            let sentence = rules::find(rule).map_or(String::new(), |rule| {
                format!(" [{}: {}]", rule.section, rule.sentence)
            });
            let _ = writeln!(
                text,
                "{from} broke {rule} {} times, first at octet {}: {}{sentence}",
                broken.count, broken.offset, broken.what
            );
        }
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

fn describe(text: &mut String, key: DomainKey, domain: &Domain, knowledge: &Knowledge) {
    let (exporter, version, number) = key;
    let _ = writeln!(
        text,
        "exporter {exporter}, version {version}, domain {number}: {} records",
        domain.records
    );
    for told in domain.templates.values() {
        describe_template(text, told);
    }
    if domain.more_templates > 0 {
        let _ = writeln!(
            text,
            "  {} times more templates than the {MAX_TEMPLATES} shown",
            domain.more_templates
        );
    }
    describe_losses(text, version, domain);
    for (count, what) in [
        (domain.restarts, "restarts"),
        (domain.redefinitions, "definitions replaced by others"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  {count} {what}");
        }
    }
    let names = knowledge.names((exporter.ip(), number));
    for (what, number, name) in names.iter().take(MAX_NAMES) {
        let what = match what {
            Named::Interface => "interface",
            Named::Vrf => "VRF",
            Named::Application => "application",
            Named::Sampler => "sampler",
        };
        let shown = if name.name.is_empty() {
            &name.description
        } else {
            &name.name
        };
        let _ = writeln!(text, "  {what} {number} is {}", shown.escape_debug());
    }
    if names.len() > MAX_NAMES {
        let _ = writeln!(text, "  {} more names", names.len() - MAX_NAMES);
    }
}

fn describe_template(text: &mut String, told: &Told) {
    let template = &told.template;
    let scopes = match template.kind() {
        TemplateKind::Data => 0,
        TemplateKind::Options { scope_count } => usize::from(scope_count),
    };
    let _ = match template.id() {
        0 => write!(text, "  fixed records"),
        id => write!(text, "  template {id}"),
    };
    if matches!(template.kind(), TemplateKind::Options { .. }) {
        let _ = write!(text, " (options, {scopes} of scope)");
    }
    let _ = match template.fixed_length() {
        Some(length) => write!(text, ": {length} octets"),
        None => write!(text, ": {} octets and more", template.min_length()),
    };
    let _ = writeln!(text, ", {} records", told.records);
    for (index, field) in template.fields().iter().enumerate() {
        let v9_scope = template.version() == 9 && index < scopes;
        let name = field_key(template, index, *field);
        let number = match (v9_scope, registry::element(field.pen, field.id)) {
            (false, Some(element)) if element.pen == 0 => format!(" ({})", field.id),
            (false, Some(_)) => format!(" ({}/{})", field.pen, field.id),
            _ => String::new(),
        };
        let length = match field.length {
            VARIABLE_LENGTH => "variable".to_owned(),
            length => length.to_string(),
        };
        let scope = if index < scopes { ", scope" } else { "" };
        let _ = writeln!(text, "    {name}{number}, {length}{scope}");
    }
    if !told.first.is_empty() {
        let _ = writeln!(text, "    first record: {}", told.first);
    }
}

fn describe_losses(text: &mut String, version: u16, domain: &Domain) {
    let missing = domain.missing.saturating_sub(domain.found);
    let unit = match version {
        9 => LossUnit::Messages,
        _ => LossUnit::Records,
    };
    match (version, domain.gaps) {
        (1, _) => {
            let _ = writeln!(text, "  losses: version 1 has no sequence numbers");
        }
        (_, 0) => {
            let _ = writeln!(
                text,
                "  losses: none before the last message; what was lost after it no sequence number tells"
            );
        }
        (_, gaps) if unit == LossUnit::Messages => {
            let mean = domain
                .records
                .checked_div(domain.messages.max(1))
                .unwrap_or(0);
            let _ = writeln!(
                text,
                "  losses: {missing} messages in {gaps} gaps (about {} records, an estimate by the mean of the messages received); what was lost after the last message no sequence number tells",
                missing.saturating_mul(mean)
            );
        }
        (_, gaps) => {
            let _ = writeln!(
                text,
                "  losses: {missing} records in {gaps} gaps; what was lost after the last message no sequence number tells"
            );
        }
    }
}
