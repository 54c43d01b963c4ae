//! A session in all its states: the input is a list of steps that define, use, change and withdraw templates, from
//! several ports and streams, with time passing. Messages are well formed as far as the steps go, so that the state
//! behind the decoders is reached; what the session holds never exceeds its limits.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use protocol::limits::Limits;
use protocol::session::{DataRecord, Events, Session, SessionKey};

struct Values;

impl Events for Values {
    fn record(&mut self, record: &DataRecord<'_>) {
        let template = record.template;
        assert_eq!(
            template.values(record.bytes).count(),
            template.fields().len()
        );
        if let Some(found) = record.templates.get(template.id()) {
            assert_eq!(found.id(), template.id());
        }
    }
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX);
    [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// One of eight template IDs.
fn id(octet: u8) -> u16 {
    256 + u16::from(octet % 8)
}

/// The set that a step asks for, and the step's octets.
fn step<'a>(version: u8, kind: u8, input: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let ([number, length], rest) = input.split_first_chunk::<2>()?;
    let (octets, rest) = rest.split_at_checked(usize::from(*length).min(rest.len()))?;
    let id = id(*number);
    let (templates, options) = if version == 9 { (0, 1) } else { (2, 3) };
    let mut body = id.to_be_bytes().to_vec();
    let set = match kind % 4 {
        0 => {
            body.extend(u16::try_from(octets.len()).ok()?.to_be_bytes());
            // Elements of a few octets, some of variable length.
            for octet in octets {
                let length = if *octet > 250 { 0xffff } else { u16::from(octet % 9) };
                body.extend([0, *octet]);
                body.extend(length.to_be_bytes());
            }
            set(templates, &body)
        }
        1 => {
            body.extend(octets);
            set(options, &body)
        }
        // IPFIX: a withdrawal. v9: a template without fields.
        2 => {
            body.extend([0, 0]);
            set(templates, &body)
        }
        _ => set(id, octets),
    };
    Some((set, rest))
}

fuzz_target!(|input: &[u8]| {
    let Some(([key, first], mut rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let limits = Limits {
        exporters: 4,
        domains: 2,
        domains_total: 6,
        templates: 4,
        templates_total: 12,
        fields_total: 600,
        pending_total: 4000,
        records: 500,
        template_ms: 100_000,
        ..Limits::default()
    };
    let key = match key % 3 {
        0 => SessionKey::AddressPort,
        1 => SessionKey::AddressPortShared,
        _ => SessionKey::Address,
    };
    let mut session = Session::with_key(limits, key);
    let (mut now_ms, mut sequence) = (u64::from(*first) * 1000, 0_u32);
    while let Some(([how, who, kind], behind)) = rest.split_first_chunk::<3>() {
        let version = if how & 1 == 0 { 9 } else { 10 };
        let Some((set, behind)) = step(version, *kind, behind) else {
            break;
        };
        rest = behind;
        sequence = sequence.wrapping_add(u32::from(how >> 4));
        now_ms += u64::from(*who) * 400;
        let header = if version == 9 { 20 } else { 16 };
        let length = u16::try_from(header + set.len()).unwrap_or(u16::MAX);
        let mut message = vec![0, version];
        message.extend(length.to_be_bytes());
        if version == 9 {
            message.extend((now_ms as u32).wrapping_mul(u32::from(how & 8) + 1).to_be_bytes());
        }
        message.extend(((now_ms / 1000) as u32).to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend([0, 0, 0, who & 1]);
        message.extend(set);
        let from: SocketAddr = ([192, 0, 2, who >> 7], u16::from(who >> 4 & 3)).into();
        match how & 6 {
            6 => session.close(from, &mut Values),
            4 => session.message(now_ms, from, &message, &mut Values),
            _ => session.datagram(now_ms, from, &message, &mut Values),
        }
        session.tick(now_ms, &mut Values);
        assert!(session.exporters() <= limits.exporters);
        assert!(session.kept().count() <= limits.templates_total);
    }
    // What outlives the session is taken in by the next one.
    let mut next = Session::with_key(limits, key);
    let kept: Vec<_> = session.kept().collect();
    for template in kept {
        next.restore(now_ms, template);
    }
    for sequence in session.kept_sequences() {
        next.restore_sequence(now_ms, &sequence);
    }
    assert!(next.exporters() <= limits.exporters);
});
