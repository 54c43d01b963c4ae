//! Template records: their own form, and their life in the session.

use protocol::registry::{self, ie};
use protocol::template::VARIABLE_LENGTH;

use super::Transport;
use super::domain::{Domain, Known};
use super::layout::{Field, Layout, Size, TemplateRecord, size, template_record};
use super::message::Message;
use super::rules::{Desk, R};
use super::sampling;
use super::sequence::Step;
use crate::verdict::{Profile, Verdict};
use protocol::reader::Reader;

/// Octets behind the longest message's header.
const MOST_RECORD: usize = 65_535 - 16;

/// No RFC says how long to wait before a withdrawal: less than this is no waiting.
const LAST_DATA_MS: u64 = 1000;

/// Elements without a direction (RFC 5103 section 6.1): identifiers of things, configuration and statistics of
/// processes, padding.
const NOT_REVERSIBLE: &[u16] = &[
    ie::EXPORTED_OCTET_TOTAL_COUNT,
    ie::EXPORTED_MESSAGE_TOTAL_COUNT,
    ie::EXPORTED_FLOW_RECORD_TOTAL_COUNT,
    ie::EXPORTER_IPV4_ADDRESS,
    ie::EXPORTER_IPV6_ADDRESS,
    ie::COMMON_PROPERTIES_ID,
    ie::TEMPLATE_ID,
    ie::FLOW_ID,
    ie::OBSERVATION_DOMAIN_ID,
    ie::OBSERVED_FLOW_TOTAL_COUNT,
    ie::IGNORED_PACKET_TOTAL_COUNT,
    ie::IGNORED_OCTET_TOTAL_COUNT,
    ie::NOT_SENT_FLOW_TOTAL_COUNT,
    ie::NOT_SENT_PACKET_TOTAL_COUNT,
    ie::NOT_SENT_OCTET_TOTAL_COUNT,
    ie::FLOW_KEY_INDICATOR,
    ie::PADDING_OCTETS,
    ie::BIFLOW_DIRECTION,
];

/// Reads a set of templates; gives how many records it holds, or `None` when it cannot be read to its end.
pub(super) fn template_set(
    message: &Message<'_>,
    options: bool,
    mut set: Reader<'_>,
    domain: &mut Domain,
    desk: &mut Desk,
) -> Option<u32> {
    if is_mixed(message.version, options, &set) {
        let at = set.offset() - 4;
        desk.judge(R::S02, false, Verdict::DataLoss, at, set.left() + 4, || {
            format!("a set of {} holds others too", kind(options))
        });
        return None;
    }
    desk.check(R::S02);
    let mut count = 0;
    let mut shortest = usize::MAX;
    let (start, length) = (set.offset() - 4, set.left() + 4);
    loop {
        match template_record(message.version, options, &mut set) {
            TemplateRecord::Layout(layout) => {
                count += 1;
                shortest = shortest.min(layout.length);
                judge_form(message, &layout, desk);
                learn(message, layout, domain, desk);
            }
            TemplateRecord::Empty { id, offset } => {
                count += 1;
                shortest = shortest.min(4);
                empty(message, id, offset, options, domain, desk);
            }
            TemplateRecord::Truncated {
                id,
                offset,
                without_numbers,
            } => {
                let (rule, note) = if without_numbers {
                    (R::T04, "has enterprise bits without enterprise numbers")
                } else {
                    (R::T30, "has fewer fields than it counts")
                };
                desk.judge(rule, false, Verdict::DataLoss, offset, 4, || {
                    format!("template {id} {note}")
                });
                return None;
            }
            TemplateRecord::OddLengths {
                id,
                scope,
                option,
                offset,
            } => {
                desk.judge(R::O05, false, Verdict::DataLoss, offset, 6, || {
                    format!("options template {id}: {scope} octets of scope and {option} of options are no whole fields")
                });
                return None;
            }
            TemplateRecord::Padding => break,
        }
    }
    judge_padding(message, &set, shortest, desk);
    // RFC 3954 section 6.1: what follows an options template begins at a multiple of 4.
    let aligned = length.is_multiple_of(4) || (start + length).is_multiple_of(4);
    if message.version == 9 && !aligned {
        desk.judge(R::S06, false, Verdict::Deviation, start, 4, || {
            format!("FlowSet of {length} octets is not padded to a multiple of 4")
        });
    }
    Some(count)
}

fn kind(options: bool) -> &'static str {
    if options {
        "options templates"
    } else {
        "templates"
    }
}

/// Whether the set makes no sense as what it says it holds, and does when records of the other kind may stand in it.
fn is_mixed(version: u16, options: bool, set: &Reader<'_>) -> bool {
    let padding = |rest: &Reader<'_>| rest.rest().iter().all(|octet| *octet == 0);
    let sensible = |options, set: &mut Reader<'_>| {
        let mut ahead = set.clone();
        let whole = match template_record(version, options, &mut ahead) {
            TemplateRecord::Layout(layout) => layout.is_sensible(),
            // NetFlow v9 has no withdrawals.
            TemplateRecord::Empty { .. } => version == 10,
            _ => false,
        };
        if whole {
            *set = ahead;
        }
        whole
    };
    let mut own = set.clone();
    let clean = loop {
        match template_record(version, options, &mut own) {
            TemplateRecord::Layout(_) | TemplateRecord::Empty { .. } => {}
            TemplateRecord::Padding => break padding(&own),
            TemplateRecord::Truncated { .. } | TemplateRecord::OddLengths { .. } => break false,
        }
    };
    if clean {
        return false;
    }
    let mut any = set.clone();
    while !padding(&any) {
        if !sensible(options, &mut any) && !sensible(!options, &mut any) {
            return false;
        }
    }
    true
}

/// `rest` is what follows the last record of a set.
fn judge_padding(message: &Message<'_>, rest: &Reader<'_>, shortest: usize, desk: &mut Desk) {
    let (octets, offset) = (rest.rest(), rest.offset());
    if octets.is_empty() {
        return;
    }
    let rule = if message.version == 9 { R::S06 } else { R::S03 };
    let zero = octets.iter().all(|octet| *octet == 0);
    let kept = zero && (message.version == 9 || octets.len() < shortest);
    desk.judge(rule, kept, Verdict::Deviation, offset, octets.len(), || {
        if zero {
            format!(
                "{} octets of padding: a record could begin there",
                octets.len()
            )
        } else {
            "padding is not zero".to_owned()
        }
    });
}

fn empty(
    message: &Message<'_>,
    id: u16,
    offset: usize,
    options: bool,
    domain: &mut Domain,
    desk: &mut Desk,
) {
    if message.version == 9 {
        desk.judge(R::T31, false, Verdict::Unsafe, offset, 4, || {
            format!("template {id} has no fields")
        });
        return;
    }
    if message.transport == Transport::Udp {
        desk.judge(R::T17, false, Verdict::Deviation, offset, 4, || {
            format!("template {id} is withdrawn over UDP")
        });
        return;
    }
    let all = if options { 3 } else { 2 };
    if id == all {
        for known in domain.templates.values_mut() {
            if known.layout.scopes.is_some() == options && !known.withdrawn {
                withdraw(message, known, offset, desk);
            }
        }
        return;
    }
    match domain.templates.get_mut(&id) {
        Some(known) if !known.withdrawn => {
            withdraw(message, known, offset, desk);
            desk.check(R::T20);
        }
        Some(_) => {
            let worst = if desk.options.profile == Profile::Rfc5101 {
                Verdict::DataLoss
            } else {
                Verdict::Deviation
            };
            desk.judge(R::T20, false, worst, offset, 4, || {
                format!("template {id} is withdrawn again")
            });
        }
        // Whether it was ever sent is known only of streams seen from their beginning.
        None => {}
    }
}

/// RFC 7011 section 8.1: the collector has had time for the last data.
fn withdraw(message: &Message<'_>, known: &mut Known, offset: usize, desk: &mut Desk) {
    known.withdrawn = true;
    let data = known.data.take();
    // What was recorded in a file may carry no time.
    let Some((number, at_ms, seconds)) = data.filter(|_| message.transport.is_stream()) else {
        return;
    };
    let passed_ms = message.at_ms.saturating_sub(at_ms);
    // A replay may take less time than the exporter took.
    let waited = passed_ms >= LAST_DATA_MS || message.seconds > seconds;
    let kept = number != message.number_in_judge && waited;
    desk.judge(R::T22, kept, Verdict::Deviation, offset, 4, || {
        format!(
            "template {} is withdrawn {passed_ms} ms after its last data",
            known.layout.id
        )
    });
}

/// What can be said of a template by itself.
fn judge_form(message: &Message<'_>, layout: &Layout, desk: &mut Desk) {
    let (id, offset) = (layout.id, layout.offset);
    for rule in [R::T04, R::T17, R::T30, R::T31] {
        if rule != R::T17 || message.transport == Transport::Udp {
            desk.check(rule);
        }
    }
    desk.judge(R::T01, id >= 256, Verdict::DataLoss, offset, 2, || {
        format!("template ID {id}: IDs below 256 are those of sets")
    });
    desk.judge(
        R::T32,
        layout.least > 0,
        Verdict::Unsafe,
        offset,
        layout.length,
        || format!("records of template {id} have no octets: a set would hold endlessly many"),
    );
    desk.judge(
        R::T34,
        layout.least <= MOST_RECORD,
        Verdict::DataLoss,
        offset,
        4,
        || {
            format!(
                "records of template {id} have at least {} octets: no message holds one",
                layout.least
            )
        },
    );
    if message.version == 9 {
        desk.judge(
            R::T33,
            !layout.variable,
            Verdict::DataLoss,
            offset,
            layout.length,
            || {
                format!(
                    "template {id} has a field of length 65535: NetFlow v9 knows no variable length"
                )
            },
        );
    }
    for field in &layout.fields {
        judge_field(message, field, desk);
    }
    match layout.scopes {
        None => {
            judge_reverse(layout, desk);
            if message.version == 9 {
                sampling::judge_v9_template(layout, desk);
            }
        }
        Some(scopes) => judge_options(message, layout, scopes, desk),
    }
}

/// The length of a field against the type of its element.
fn judge_field(message: &Message<'_>, field: &Field, desk: &mut Desk) {
    if field.v9_scope || (field.length == VARIABLE_LENGTH) {
        return;
    }
    let Some(element) = field.element() else {
        return;
    };
    let length = field.length;
    let says = |what: &str| format!("{} has {length} octets: {what}", field.name());
    // A bit for each option or header: in fewer octets some cannot be told (RFC 9740 replaced both elements).
    let full = match field.id {
        _ if field.pen != 0 => None,
        ie::IPV6_EXTENSION_HEADERS => Some(4),
        ie::TCP_OPTIONS => Some(8),
        _ => None,
    };
    if let Some(full) = full {
        let kept = length >= full;
        desk.judge(R::F27, kept, Verdict::Deviation, field.offset, 4, || {
            says(&format!("all bits take {full}"))
        });
    }
    if field.id == ie::TCP_CONTROL_BITS {
        desk.judge(
            R::F15,
            (1..=2).contains(&length),
            Verdict::WrongData,
            field.offset,
            4,
            || says("1 or 2 are right"),
        );
        return;
    }
    if (ie::MPLS_TOP_LABEL_STACK_SECTION..=ie::MPLS_LABEL_STACK_SECTION10).contains(&field.id) {
        desk.judge(
            R::F23,
            length == 3,
            Verdict::WrongData,
            field.offset,
            4,
            || says("a label field has 3"),
        );
        return;
    }
    match size(element.data_type) {
        Size::Any => {}
        Size::Number(most) => {
            desk.judge(
                R::F02,
                length > 0,
                Verdict::WrongData,
                field.offset,
                4,
                || says("no number"),
            );
            // RFC 3954 leaves the lengths of counters and indexes to the exporter.
            if message.version == 10 {
                desk.judge(
                    R::F05,
                    length <= most,
                    Verdict::WrongData,
                    field.offset,
                    4,
                    || says(&format!("its type has {most}")),
                );
            }
        }
        Size::Float64 => desk.judge(
            R::F02,
            length == 8 || length == 4,
            Verdict::WrongData,
            field.offset,
            4,
            || says("8 or 4 are right"),
        ),
        Size::Exactly(right) => {
            let verdict = Verdict::WrongData;
            let note = || says(&format!("its type has {right}"));
            desk.judge(R::F05, length <= right, verdict, field.offset, 4, note);
            desk.judge(R::F03, length >= right, verdict, field.offset, 4, note);
        }
    }
}

/// Biflows, RFC 5103.
fn judge_reverse(layout: &Layout, desk: &mut Desk) {
    let mut reverse = false;
    for field in layout.fields.iter().filter(|field| field.is_reverse()) {
        reverse = true;
        // Newer elements may be missing here, gaps are not filled.
        let none = field.element().is_none()
            && registry::elements()
                .last()
                .is_some_and(|last| field.id < last.id);
        desk.judge(R::B01, !none, Verdict::Deviation, field.offset, 8, || {
            format!("there is no element {} that could be reversed", field.id)
        });
        desk.judge(
            R::B02,
            !NOT_REVERSIBLE.contains(&field.id),
            Verdict::Deviation,
            field.offset,
            8,
            || format!("{} has no direction that could be reversed", field.name()),
        );
    }
    // Elements of an enterprise may tell the direction.
    let unknown = layout.fields.iter().any(|field| field.element().is_none());
    if !reverse || unknown {
        return;
    }
    let directional = layout.fields.iter().any(|field| {
        let name = field.element().map_or("", |element| element.name);
        let words = ["ource", "estination", "ngress", "gress", "nitiator"];
        !field.is_reverse() && words.iter().any(|word| name.contains(word))
    });
    desk.judge(
        R::B03,
        directional,
        Verdict::DataLoss,
        layout.offset,
        layout.length,
        || {
            format!(
                "template {} has reverse elements, but no source, destination or interface",
                layout.id
            )
        },
    );
}

fn judge_options(message: &Message<'_>, layout: &Layout, scopes: u16, desk: &mut Desk) {
    let (id, offset) = (layout.id, layout.offset);
    if message.version == 10 {
        desk.judge(R::O01, scopes > 0, Verdict::DataLoss, offset, 6, || {
            format!("options template {id} has no scope field")
        });
    } else {
        desk.check(R::O05);
    }
    desk.judge(
        R::O02,
        usize::from(scopes) <= layout.fields.len(),
        Verdict::DataLoss,
        offset,
        6,
        || {
            format!(
                "options template {id} has {scopes} scope fields among {}",
                layout.fields.len()
            )
        },
    );
    if message.version != 10 {
        sampling::judge_v9_template(layout, desk);
        return;
    }
    sampling::judge_sequence_report(layout, desk);
    let statistics = [
        ie::EXPORTED_OCTET_TOTAL_COUNT,
        ie::EXPORTED_MESSAGE_TOTAL_COUNT,
        ie::EXPORTED_FLOW_RECORD_TOTAL_COUNT,
    ];
    if statistics.iter().filter(|id| layout.has(**id)).count() >= 2 {
        let scoped = message.domain != 0
            || layout.scope_has(ie::OBSERVATION_DOMAIN_ID)
            || layout.scope_has(ie::METERING_PROCESS_ID);
        desk.judge(R::O08, scoped, Verdict::Deviation, offset, layout.length, || {
            format!("statistics in template {id} of domain 0 have neither domain nor metering process in their scope")
        });
    }
    if layout.has(ie::IGNORED_PACKET_TOTAL_COUNT) && layout.has(ie::IGNORED_OCTET_TOTAL_COUNT) {
        let times = ie::OBSERVATION_TIME_SECONDS..=ie::OBSERVATION_TIME_NANOSECONDS;
        let times = layout
            .fields
            .iter()
            .filter(|field| field.pen == 0 && times.contains(&field.id))
            .count();
        desk.judge(R::O09, times == 2, Verdict::Deviation, offset, layout.length, || {
            format!("reliability statistics in template {id} have {times} observation times, not first and last")
        });
    }
}

/// The template in the life of its session.
fn learn(message: &Message<'_>, layout: Layout, domain: &mut Domain, desk: &mut Desk) {
    let (id, offset, length) = (layout.id, layout.offset, layout.length);
    if let Some(known) = domain.templates.get(&id) {
        let same = known.layout.defines_the_same(&layout);
        if message.step == Step::Late && !same {
            // An old definition that was overtaken.
            return;
        }
        judge_again(message, known, same, (id, offset, length), desk);
    }
    if id < 256 || layout.least == 0 {
        domain.blind = true;
        return;
    }
    desk.datagrams.learn(message, id);
    domain.learn(layout, message, desk);
}

fn judge_again(
    message: &Message<'_>,
    known: &Known,
    same: bool,
    (id, offset, length): (u16, usize, usize),
    desk: &mut Desk,
) {
    if message.transport != Transport::Udp {
        if message.transport.is_stream() && message.version == 10 && !known.withdrawn {
            let resent = same && desk.options.profile == Profile::Rfc5101;
            let verdict = match desk.options.profile {
                Profile::Rfc5101 => Verdict::DataLoss,
                Profile::Lenient => Verdict::Deviation,
                _ => Verdict::WrongData,
            };
            if !same || resent {
                desk.fault(R::T01, verdict, offset, length, || {
                    let what = if same { "sent again" } else { "changed" };
                    format!("template {id} is {what} without having been withdrawn")
                });
            }
        }
        return;
    }
    if known.message == message.number_in_judge && !same {
        desk.fault(R::T01, Verdict::WrongData, offset, length, || {
            format!("template {id} is defined twice in one message, and differently")
        });
        return;
    }
    if message.version == 9 {
        desk.judge(R::T27, same, Verdict::Deviation, offset, length, || {
            format!("template ID {id} has a new meaning without a restart")
        });
        if same {
            desk.check(R::T12);
        }
    } else if same {
        desk.check(R::T11);
    } else {
        Domain::judge_new_meaning(known, message, offset, desk);
    }
}
