//! Faults of values that do not fit each other, of lists, and of the life of templates.

use super::F;
use super::table::{Change, Fault, change, f};

const IPV4: [F; 4] = [
    f(8, 0, 4, &[192, 0, 2, 1]),
    f(12, 0, 4, &[198, 51, 100, 9]),
    f(7, 0, 2, &[0, 1]),
    f(11, 0, 2, &[0, 2]),
];

/// A flow between IPv4 addresses with two more fields.
const fn with(one: F, two: F) -> [F; 6] {
    let [a, b, c, d] = IPV4;
    [a, b, c, d, one, two]
}

/// A list, its length in three octets.
const fn list(id: u16, value: &'static [u8]) -> F {
    F {
        long: true,
        ..f(id, 0, 0xffff, value)
    }
}

const fn fields(
    name: &'static str,
    versions: &'static [u16],
    rules: &'static [&'static str],
    wrong: &'static [F],
    right: &'static [F],
) -> Fault {
    Fault {
        name,
        versions,
        rules,
        tcp: false,
        change: Change::Fields { wrong, right },
    }
}

const fn options(
    name: &'static str,
    versions: &'static [u16],
    rules: &'static [&'static str],
    wrong: &'static [F],
    right: &'static [F],
) -> Fault {
    Fault {
        name,
        versions,
        rules,
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong,
            right,
        },
    }
}

const fn messages(
    name: &'static str,
    versions: &'static [u16],
    rules: &'static [&'static str],
    change: fn(&mut Vec<super::Sent>),
) -> Fault {
    Fault {
        name,
        versions,
        rules,
        tcp: false,
        change: Change::Messages(change),
    }
}

const fn on_stream(fault: Fault) -> Fault {
    Fault { tcp: true, ..fault }
}

const V6: [F; 2] = [
    f(
        27,
        0,
        16,
        &[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ),
    f(
        28,
        0,
        16,
        &[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ),
];

/// See the module.
pub(super) static FAULTS: &[Fault] = &[
    fields(
        "octets of the payload only, IPv4",
        &[9, 10],
        &["M-01"],
        &with(f(1, 0, 4, &[0, 0, 0, 39]), f(2, 0, 4, &[0, 0, 0, 2])),
        &with(f(1, 0, 4, &[0, 0, 0, 40]), f(2, 0, 4, &[0, 0, 0, 2])),
    ),
    fields(
        "octets of the payload only, IPv6",
        &[9, 10],
        &["M-01"],
        &[
            V6[0],
            V6[1],
            f(1, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 79]),
            f(2, 0, 1, &[2]),
        ],
        &[
            V6[0],
            V6[1],
            f(1, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 80]),
            f(2, 0, 1, &[2]),
        ],
    ),
    fields(
        "octets of the payload only, in all",
        &[10],
        &["M-01"],
        &with(f(85, 0, 8, &[0; 8]), f(86, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1])),
        // Four octets begin anew after as many packets as these.
        &with(f(85, 0, 4, &[0; 4]), f(86, 0, 8, &[0, 0, 0, 0, 1, 0, 0, 0])),
    ),
    fields(
        "a total below its delta",
        &[10],
        &["F-16"],
        &with(
            f(2, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
            f(86, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 8]),
        ),
        &with(
            f(2, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
            f(86, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
        ),
    ),
    fields(
        "reverse counters of a flow of one direction",
        &[10],
        &["B-06"],
        &with(f(1, 29305, 8, &[0; 8]), f(2, 29305, 8, &[0; 8])),
        &with(
            f(1, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 40]),
            f(2, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
        ),
    ),
    fields(
        "the reverse of no element",
        &[10],
        &["B-01"],
        &with(f(0, 29305, 4, &[0; 4]), f(5, 0, 1, &[0])),
        &with(f(5, 29305, 1, &[0]), f(5, 0, 1, &[0])),
    ),
    fields(
        "a time in little-endian order",
        &[10],
        &["F-01"],
        &with(
            f(152, 0, 8, &[0xa0, 0x7d, 0xe4, 0xcf, 0x8b, 1, 0, 0]),
            f(5, 0, 1, &[0]),
        ),
        &with(
            f(152, 0, 8, &[0, 0, 1, 0x8b, 0xcf, 0xe4, 0x7d, 0xa0]),
            f(5, 0, 1, &[0]),
        ),
    ),
    fields(
        "deltas from the end backwards",
        &[10],
        &["F-12"],
        &with(f(158, 0, 4, &[0, 0, 0, 1]), f(159, 0, 4, &[0, 0, 0, 2])),
        &with(f(158, 0, 4, &[0, 0, 0, 2]), f(159, 0, 4, &[0, 0, 0, 1])),
    ),
    fields(
        "an ICMP type in the place of type and code",
        &[9],
        &["F-17"],
        &[
            f(8, 0, 4, &[192, 0, 2, 1]),
            f(32, 0, 2, &[0, 3]),
            f(176, 0, 1, &[3]),
            f(177, 0, 1, &[1]),
        ],
        &[
            f(8, 0, 4, &[192, 0, 2, 1]),
            f(32, 0, 2, &[3, 1]),
            f(176, 0, 1, &[3]),
            f(177, 0, 1, &[1]),
        ],
    ),
    fields(
        "a NAT event of 99",
        &[9, 10],
        &["F-24"],
        &with(f(230, 0, 1, &[99]), f(225, 0, 4, &[192, 0, 2, 9])),
        &with(f(230, 0, 1, &[4]), f(225, 0, 4, &[192, 0, 2, 9])),
    ),
    fields(
        "a block of ports that ends before it begins",
        &[9, 10],
        &["F-24"],
        &with(f(361, 0, 2, &[8, 0]), f(362, 0, 2, &[4, 0])),
        &with(f(361, 0, 2, &[4, 0]), f(362, 0, 2, &[4, 255])),
    ),
    fields(
        "TCP options of 4 octets",
        &[10],
        &["F-27"],
        &with(f(209, 0, 4, &[0, 0, 0, 20]), f(5, 0, 1, &[0])),
        &with(
            f(209, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 20]),
            f(64, 0, 4, &[0; 4]),
        ),
    ),
    fields(
        "an application of engine 0",
        &[9, 10],
        &["F-29"],
        &with(f(95, 0, 4, &[0, 0, 0, 80]), f(5, 0, 1, &[0])),
        &with(f(95, 0, 4, &[3, 0, 0, 80]), f(5, 0, 1, &[0])),
    ),
    fields(
        "an application without selector",
        &[10],
        &["F-29"],
        &with(f(95, 0, 1, &[3]), f(5, 0, 1, &[0])),
        // Nothing was classified.
        &with(f(95, 0, 4, &[0; 4]), f(5, 0, 1, &[0])),
    ),
    fields(
        "half an element in a list",
        &[10],
        &["L-01"],
        &[
            f(4, 0, 1, &[6]),
            list(291, &[3, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0]),
        ],
        &[f(4, 0, 1, &[6]), list(291, &[3, 0, 14, 0, 4, 0, 0, 0, 1])],
    ),
    fields(
        "a list without its head",
        &[10],
        &["L-01"],
        &[f(4, 0, 1, &[6]), list(292, &[])],
        &[f(4, 0, 1, &[6]), list(292, &[255, 1, 0])],
    ),
    fields(
        "a semantic that is none",
        &[10],
        &["L-01"],
        &[f(4, 0, 1, &[6]), list(291, &[9, 0, 4, 0, 1, 6, 17])],
        &[f(4, 0, 1, &[6]), list(291, &[0, 0, 4, 0, 1, 6, 17])],
    ),
    fields(
        "records of a list that are shorter than their head",
        &[10],
        &["L-01"],
        &[f(4, 0, 1, &[6]), list(293, &[4, 1, 44, 0, 3])],
        &[f(4, 0, 1, &[6]), list(293, &[4, 1, 0, 0, 4])],
    ),
    fields(
        "a list inside a list whose element ends early",
        &[10],
        &["L-01"],
        &[
            f(4, 0, 1, &[6]),
            list(291, &[3, 1, 35, 255, 255, 255, 0, 6, 3, 0, 7, 0, 2, 0]),
        ],
        &[
            f(4, 0, 1, &[6]),
            list(291, &[3, 1, 35, 255, 255, 255, 0, 7, 3, 0, 7, 0, 2, 0, 80]),
        ],
    ),
    fields(
        "the length of a list in one octet",
        &[10],
        &["L-02"],
        &[f(4, 0, 1, &[6]), f(291, 0, 0xffff, &[3, 0, 4, 0, 1, 17])],
        &[f(4, 0, 1, &[6]), list(291, &[3, 0, 4, 0, 1, 17])],
    ),
    fields(
        "a template in a list of itself",
        &[10],
        &["L-03"],
        &[list(292, &[3, 1, 44, 255, 0, 3, 3, 1, 44])],
        &[list(292, &[3, 1, 44])],
    ),
    options(
        "a sampling interval without algorithm",
        &[9],
        &["O-14"],
        &[f(1, 0, 4, &[10, 0, 0, 1]), f(34, 0, 4, &[0, 0, 0, 100])],
        &[
            f(1, 0, 4, &[10, 0, 0, 1]),
            f(34, 0, 4, &[0, 0, 0, 100]),
            f(35, 0, 1, &[1]),
        ],
    ),
    options(
        "a sampling algorithm of 7",
        &[9],
        &["O-14"],
        &[
            f(1, 0, 4, &[10, 0, 0, 1]),
            f(34, 0, 4, &[0, 0, 0, 100]),
            f(35, 0, 1, &[7]),
        ],
        &[
            f(1, 0, 4, &[10, 0, 0, 1]),
            f(34, 0, 4, &[0, 0, 0, 0]),
            f(35, 0, 1, &[0]),
        ],
    ),
    options(
        "a sampler's interval without the sampler",
        &[9],
        &["O-14"],
        &[
            f(1, 0, 4, &[10, 0, 0, 1]),
            f(50, 0, 4, &[0, 0, 0, 100]),
            f(49, 0, 1, &[2]),
        ],
        &[
            f(1, 0, 4, &[10, 0, 0, 1]),
            f(48, 0, 1, &[1]),
            f(50, 0, 4, &[0, 0, 0, 100]),
            f(49, 0, 1, &[2]),
        ],
    ),
    options(
        "a selection sequence without observation point",
        &[10],
        &["O-15"],
        &[
            f(301, 0, 4, &[0, 0, 0, 1]),
            f(302, 0, 4, &[0, 0, 0, 2]),
            f(302, 0, 4, &[0, 0, 0, 3]),
        ],
        &[
            f(301, 0, 4, &[0, 0, 0, 1]),
            f(10, 0, 4, &[0, 0, 0, 5]),
            f(302, 0, 4, &[0, 0, 0, 2]),
            f(302, 0, 4, &[0, 0, 0, 3]),
        ],
    ),
    options(
        "more packets selected than observed",
        &[10],
        &["O-18"],
        &[
            f(301, 0, 4, &[0, 0, 0, 1]),
            f(318, 0, 4, &[0, 0, 0, 2]),
            f(319, 0, 4, &[0, 0, 0, 3]),
        ],
        &[
            f(301, 0, 4, &[0, 0, 0, 1]),
            f(318, 0, 4, &[0, 0, 0, 3]),
            f(319, 0, 4, &[0, 0, 0, 3]),
        ],
    ),
    messages(
        "statistics that fall",
        &[10],
        &["O-18"],
        change::falling_statistics,
    ),
    messages(
        "a selection sequence that is not reported",
        &[10],
        &["O-15"],
        change::unknown_sequence,
    ),
    messages(
        "statistics of the process in a domain",
        &[10],
        &["H-14"],
        change::process_in_a_domain,
    ),
    messages(
        "an options template among templates",
        &[9, 10],
        &["S-02"],
        change::mixed_set,
    ),
    messages(
        "255 octets with a length of one",
        &[10],
        &["F-06"],
        change::length_of_255,
    ),
    messages(
        "a template together with its first data",
        &[10],
        &["T-13"],
        change::sudden_template,
    ),
    messages(
        "a new meaning too soon",
        &[10],
        &["T-26"],
        change::new_meaning_too_soon,
    ),
    on_stream(messages(
        "a withdrawal behind the last data",
        &[10],
        &["T-22"],
        change::withdrawal_behind_data,
    )),
    on_stream(messages(
        "templates in datagrams, data on a stream",
        &[10],
        &["X-09"],
        change::templates_elsewhere,
    )),
];
