//! Equal packets, other bytes: which headers are counted.

use super::Cause;
use crate::diff::Side;
use crate::diff::flow::{Flow, Key};
use crate::diff::group::Pair;

/// TCP, UDP and the two ICMP.
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: [u8; 2] = [1, 58];

/// Bytes of header in a packet, at least and at most.
type Range = fn(&Key) -> [u64; 2];

/// Options make IPv4 headers up to 60 bytes long, extension headers IPv6 longer; both are rare in the packets of a flow.
fn ip(key: &Key) -> [u64; 2] {
    if key.is_ipv6() { [40, 40] } else { [20, 20] }
}

fn transport(key: &Key) -> [u64; 2] {
    match key.protocol {
        TCP => [20, 60],
        UDP => [8, 8],
        protocol if ICMP.contains(&protocol) => [0, 8],
        _ => [0, 24],
    }
}

/// Ethernet, with up to two tags or a check sum.
fn link(_: &Key) -> [u64; 2] {
    [14, 22]
}

/// As [`link`], with the padding of short frames.
fn padded_link(_: &Key) -> [u64; 2] {
    [14, 22 + 46]
}

fn sum(ranges: &[Range], key: &Key) -> [u64; 2] {
    ranges.iter().fold([0, 0], |[low, high], range| {
        let [least, most] = range(key);
        [low + least, high + most]
    })
}

struct Layers {
    names: (&'static str, &'static str),
    headers: &'static [Range],
    /// Tried only if nothing stricter fits.
    loose: bool,
}

static LAYERS: [Layers; 6] = [
    layers("IP", "layer 4", &[ip], false),
    layers("layer 4", "layer 7", &[transport], false),
    layers("IP", "layer 7", &[ip, transport], false),
    layers("layer 2", "IP", &[link], false),
    layers("layer 2", "IP", &[padded_link], true),
    layers("layer 2", "layer 7", &[padded_link, ip, transport], true),
];

const fn layers(
    high: &'static str,
    low: &'static str,
    headers: &'static [Range],
    loose: bool,
) -> Layers {
    Layers {
        names: (high, low),
        headers,
        loose,
    }
}

/// Of so many flows in a thousand, the headers must fit.
const FITTING: usize = 980;

/// The layers whose bytes are counted, if one pair of layers explains the pairs, which have equal packets.
pub(super) fn layers_of(pairs: &[&Pair]) -> Option<Cause> {
    let more = match pairs.first() {
        Some(pair) if octets(&pair.b) > octets(&pair.a) => Side::B,
        Some(_) => Side::A,
        None => return None,
    };
    let fits = |layers: &Layers| {
        let fitting = pairs
            .iter()
            .filter(|pair| fits_pair(pair, more, layers.headers))
            .count();
        fitting * 1000 >= pairs.len() * FITTING
    };
    for loose in [false, true] {
        let found: Vec<_> = LAYERS
            .iter()
            .filter(|layers| layers.loose == loose && fits(layers))
            .map(|layers| layers.names)
            .collect();
        if !found.is_empty() {
            return Some(Cause::OtherLayer {
                more,
                layers: found,
            });
        }
    }
    None
}

fn octets(flow: &Flow) -> u64 {
    flow.counters[1].saturating_add(flow.counters[3])
}

fn fits_pair(pair: &Pair, more: Side, headers: &[Range]) -> bool {
    let (large, small) = super::by_side(pair, more);
    let packets = large.counters[0].saturating_add(large.counters[2]);
    let [least, most] = sum(headers, &pair.a.key);
    octets(large)
        .checked_sub(octets(small))
        .is_some_and(|headers| {
            headers > 0
                && headers >= packets.saturating_mul(least)
                && headers <= packets.saturating_mul(most)
        })
}
