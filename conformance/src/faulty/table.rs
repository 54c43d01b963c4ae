//! The faults, each with the rule it breaks, and what a right exporter sends instead.

use super::{F, Sent};

#[path = "change.rs"]
pub(super) mod change;

/// What an exporter does wrong, and what it does right instead.
pub(crate) enum Change {
    /// A data template of its own.
    Fields {
        wrong: &'static [F],
        right: &'static [F],
    },
    /// An options template of its own; number of scope fields wrong and right.
    Options {
        scopes: (u16, u16),
        wrong: &'static [F],
        right: &'static [F],
    },
    /// Messages changed after they were made; unchanged they are right.
    Messages(fn(&mut Vec<Sent>)),
}

/// One fault.
pub(crate) struct Fault {
    pub name: &'static str,
    pub versions: &'static [u16],
    /// The rules that it breaks: the first that fits the version is the one meant.
    pub rules: &'static [&'static str],
    pub tcp: bool,
    pub change: Change,
}

pub(super) const fn f(id: u16, pen: u32, length: u16, value: &'static [u8]) -> F {
    F {
        id,
        pen,
        length,
        long: false,
        value,
    }
}

/// The fields of a flow record.
pub(crate) fn flow(version: u16, family: u8) -> &'static [F] {
    match (version, family) {
        (9, 4) => FLOW_V9_IPV4,
        (9, _) => FLOW_V9_IPV6,
        (_, 4) => FLOW_IPFIX_IPV4,
        _ => FLOW_IPFIX_IPV6,
    }
}

/// Scope fields, and all fields of an options record.
pub(crate) fn options(version: u16) -> (u16, &'static [F]) {
    if version == 9 {
        (1, OPTIONS_V9)
    } else {
        (2, OPTIONS_IPFIX)
    }
}

const FLOW_V9_IPV4: &[F] = &[
    f(22, 0, 4, &[0, 8, 41, 216]),
    f(21, 0, 4, &[0, 8, 61, 96]),
    f(2, 0, 4, &[0, 0, 0, 10]),
    f(1, 0, 3, &[0, 4, 210]),
    f(8, 0, 4, &[192, 0, 2, 1]),
    f(12, 0, 4, &[198, 51, 100, 9]),
    f(9, 0, 1, &[24]),
    f(7, 0, 2, &[195, 80]),
    f(11, 0, 2, &[1, 187]),
    f(4, 0, 1, &[6]),
    f(6, 0, 1, &[27]),
    f(60, 0, 1, &[4]),
    f(61, 0, 1, &[0]),
    f(58, 0, 2, &[0, 100]),
    f(56, 0, 6, &[2, 0, 0, 0, 0, 1]),
];

const FLOW_V9_IPV6: &[F] = &[
    f(22, 0, 4, &[0, 8, 41, 216]),
    f(21, 0, 4, &[0, 8, 61, 96]),
    f(2, 0, 4, &[0, 0, 0, 10]),
    f(1, 0, 3, &[0, 4, 210]),
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
    f(29, 0, 1, &[64]),
    f(7, 0, 2, &[195, 80]),
    f(11, 0, 2, &[1, 187]),
    f(4, 0, 1, &[6]),
    f(6, 0, 1, &[27]),
    f(60, 0, 1, &[6]),
    f(61, 0, 1, &[0]),
    f(58, 0, 2, &[0, 100]),
    f(56, 0, 6, &[2, 0, 0, 0, 0, 1]),
];

const FLOW_IPFIX_IPV4: &[F] = &[
    f(152, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 161]),
    f(153, 0, 8, &[0, 0, 1, 139, 207, 228, 129, 36]),
    f(2, 0, 4, &[0, 0, 0, 10]),
    f(1, 0, 3, &[0, 4, 210]),
    f(8, 0, 4, &[192, 0, 2, 1]),
    f(12, 0, 4, &[198, 51, 100, 9]),
    f(13, 0, 1, &[32]),
    f(7, 0, 2, &[195, 80]),
    f(11, 0, 2, &[1, 187]),
    f(4, 0, 1, &[6]),
    f(6, 0, 2, &[0, 27]),
    f(60, 0, 1, &[4]),
    f(136, 0, 1, &[3]),
    f(61, 0, 1, &[1]),
    f(58, 0, 2, &[0, 100]),
    f(1, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 99]),
    f(2, 29305, 4, &[0, 0, 0, 3]),
];

const FLOW_IPFIX_IPV6: &[F] = &[
    f(152, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 161]),
    f(153, 0, 8, &[0, 0, 1, 139, 207, 228, 129, 36]),
    f(2, 0, 4, &[0, 0, 0, 10]),
    f(1, 0, 3, &[0, 4, 210]),
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
    f(30, 0, 1, &[128]),
    f(7, 0, 2, &[195, 80]),
    f(11, 0, 2, &[1, 187]),
    f(4, 0, 1, &[6]),
    f(6, 0, 2, &[0, 27]),
    f(60, 0, 1, &[6]),
    f(136, 0, 1, &[3]),
    f(61, 0, 1, &[1]),
    f(58, 0, 2, &[0, 100]),
    f(82, 0, 65535, &[103, 195, 169, 48, 47, 49]),
    f(276, 0, 1, &[1]),
];

const OPTIONS_V9: &[F] = &[
    f(1, 0, 4, &[10, 0, 0, 1]),
    f(34, 0, 4, &[0, 0, 0, 100]),
    f(35, 0, 1, &[2]),
];

const OPTIONS_IPFIX: &[F] = &[
    f(143, 0, 4, &[0, 0, 0, 1]),
    f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 7]),
    f(304, 0, 2, &[0, 1]),
    f(305, 0, 4, &[0, 0, 0, 1]),
    f(306, 0, 4, &[0, 0, 0, 9]),
    f(160, 0, 8, &[0, 0, 1, 139, 207, 136, 240, 32]),
];

/// Faults of single values, options and messages.
pub(super) static FAULTS: &[Fault] = &[
    Fault {
        name: "a number without octets",
        versions: &[9, 10],
        rules: &["F-02"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(2, 0, 0, &[]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(2, 0, 1, &[5]),
            ],
        },
    },
    Fault {
        name: "an IPv4 address of 3 octets",
        versions: &[9, 10],
        rules: &["F-03"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(15, 0, 3, &[1, 2, 3]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(15, 0, 4, &[1, 2, 3, 4]),
            ],
        },
    },
    Fault {
        name: "a MAC address of 4 octets",
        versions: &[9, 10],
        rules: &["F-03"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(80, 0, 4, &[2, 0, 0, 1]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(80, 0, 6, &[2, 0, 0, 0, 0, 1]),
            ],
        },
    },
    Fault {
        name: "milliseconds in 4 octets",
        versions: &[10],
        rules: &["F-03"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(258, 0, 4, &[0, 188, 97, 78]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(258, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 160]),
            ],
        },
    },
    Fault {
        name: "a counter of 16 octets",
        versions: &[10],
        rules: &["F-05"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(1, 0, 16, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(1, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 5]),
            ],
        },
    },
    Fault {
        name: "an IPv4 address of 8 octets",
        versions: &[9, 10],
        rules: &["F-05"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(15, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 5]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(15, 0, 4, &[0, 0, 0, 5]),
            ],
        },
    },
    Fault {
        name: "a string that is no UTF-8",
        versions: &[10],
        rules: &["F-09"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(82, 0, 65535, &[255, 254, 192, 128]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(82, 0, 65535, &[103, 101]),
            ],
        },
    },
    Fault {
        name: "a boolean of 0",
        versions: &[10],
        rules: &["F-10"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(276, 0, 1, &[0]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(276, 0, 1, &[2]),
            ],
        },
    },
    Fault {
        name: "microseconds since 1970 as an NTP time",
        versions: &[10],
        rules: &["F-11"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(154, 0, 8, &[0, 6, 10, 36, 20, 138, 185, 0]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(154, 0, 8, &[232, 254, 111, 68, 0, 0, 0, 0]),
            ],
        },
    },
    Fault {
        name: "seconds in a field of milliseconds",
        versions: &[9, 10],
        rules: &["F-11"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(153, 0, 8, &[0, 0, 0, 0, 101, 83, 240, 196]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(153, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 160]),
            ],
        },
    },
    Fault {
        name: "a flow that begins after its end",
        versions: &[10],
        rules: &["F-11"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(150, 0, 4, &[101, 83, 240, 197]),
                f(151, 0, 4, &[101, 83, 240, 196]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(150, 0, 4, &[101, 83, 240, 196]),
                f(151, 0, 4, &[101, 83, 240, 196]),
            ],
        },
    },
    Fault {
        name: "a flow that begins after its end, in uptimes",
        versions: &[9],
        rules: &["F-14"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(22, 0, 4, &[0, 8, 61, 97]),
                f(21, 0, 4, &[0, 8, 61, 96]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(22, 0, 4, &[0, 8, 61, 96]),
                f(21, 0, 4, &[0, 8, 61, 96]),
            ],
        },
    },
    Fault {
        name: "a record after its header",
        versions: &[9],
        rules: &["H-13"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(21, 0, 4, &[0, 64, 22, 64]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(21, 0, 4, &[0, 9, 39, 192]),
            ],
        },
    },
    Fault {
        name: "a record after its export time",
        versions: &[10],
        rules: &["H-11"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(151, 0, 4, &[101, 84, 97, 128]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(151, 0, 4, &[101, 83, 241, 0]),
            ],
        },
    },
    Fault {
        name: "TCP control bits of 4 octets",
        versions: &[9, 10],
        rules: &["F-15"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(6, 0, 4, &[0, 0, 0, 2]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(6, 0, 1, &[2]),
            ],
        },
    },
    Fault {
        name: "IPv4 addresses in IPv6 fields",
        versions: &[9, 10],
        rules: &["F-19"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(
                    27,
                    0,
                    16,
                    &[192, 168, 1, 105, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                ),
                f(
                    28,
                    0,
                    16,
                    &[192, 168, 1, 104, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                ),
            ],
            right: &[
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(
                    27,
                    0,
                    16,
                    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 1, 105],
                ),
                f(
                    28,
                    0,
                    16,
                    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 1, 104],
                ),
            ],
        },
    },
    Fault {
        name: "IPv6 fields of an IPv4 flow",
        versions: &[9, 10],
        rules: &["F-19"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(60, 0, 1, &[4]),
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
            ],
            right: &[
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(60, 0, 1, &[6]),
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
            ],
        },
    },
    Fault {
        name: "a prefix length of 40",
        versions: &[9, 10],
        rules: &["F-21"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(9, 0, 1, &[40]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(9, 0, 1, &[32]),
            ],
        },
    },
    Fault {
        name: "an IP version of 5",
        versions: &[9, 10],
        rules: &["F-21"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(60, 0, 1, &[5]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(60, 0, 1, &[4]),
            ],
        },
    },
    Fault {
        name: "an end reason of 9",
        versions: &[10],
        rules: &["F-22"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(136, 0, 1, &[9]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(136, 0, 1, &[5]),
            ],
        },
    },
    Fault {
        name: "a direction of 2",
        versions: &[9, 10],
        rules: &["F-23"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(61, 0, 1, &[2]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(61, 0, 1, &[0]),
            ],
        },
    },
    Fault {
        name: "a VLAN ID of 13 bits",
        versions: &[9, 10],
        rules: &["F-23"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(58, 0, 2, &[19, 136]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(58, 0, 2, &[15, 254]),
            ],
        },
    },
    Fault {
        name: "an MPLS label of 4 octets",
        versions: &[9, 10],
        rules: &["F-23"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(70, 0, 4, &[0, 0, 19, 136]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(70, 0, 3, &[0, 19, 136]),
            ],
        },
    },
    Fault {
        name: "records without octets",
        versions: &[9, 10],
        rules: &["T-32"],
        tcp: false,
        change: Change::Fields {
            wrong: &[f(82, 0, 0, &[]), f(83, 0, 0, &[])],
            right: &[f(82, 0, 1, &[65]), f(83, 0, 0, &[])],
        },
    },
    Fault {
        name: "a reversed flow ID",
        versions: &[10],
        rules: &["B-02"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(148, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(148, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
        },
    },
    Fault {
        name: "reverse counters without a direction",
        versions: &[10],
        rules: &["B-03"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(1, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(1, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
            right: &[
                f(1, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(1, 29305, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(10, 0, 4, &[0, 0, 0, 1]),
            ],
        },
    },
    Fault {
        name: "a variable length in NetFlow v9",
        versions: &[9],
        rules: &["T-33"],
        tcp: false,
        change: Change::Fields {
            wrong: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(82, 0, 65535, &[65, 66]),
            ],
            right: &[
                f(8, 0, 4, &[192, 0, 2, 1]),
                f(12, 0, 4, &[198, 51, 100, 9]),
                f(7, 0, 2, &[0, 1]),
                f(11, 0, 2, &[0, 2]),
                f(82, 0, 2, &[65, 66]),
            ],
        },
    },
    Fault {
        name: "no scope field",
        versions: &[10],
        rules: &["O-01"],
        tcp: false,
        change: Change::Options {
            scopes: (0, 1),
            wrong: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
            right: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
        },
    },
    Fault {
        name: "more scope fields than fields",
        versions: &[10],
        rules: &["O-02"],
        tcp: false,
        change: Change::Options {
            scopes: (3, 2),
            wrong: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
            right: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
            ],
        },
    },
    Fault {
        name: "statistics without a scope that fits",
        versions: &[10],
        rules: &["O-08"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(144, 0, 4, &[0, 0, 0, 1]),
                f(41, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(42, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 2]),
            ],
            right: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(41, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(42, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 2]),
            ],
        },
    },
    Fault {
        name: "reliability statistics of one moment",
        versions: &[10],
        rules: &["O-09"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(164, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(165, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 2]),
                f(323, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 160]),
            ],
            right: &[
                f(143, 0, 4, &[0, 0, 0, 1]),
                f(164, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(165, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 2]),
                f(323, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 160]),
                f(323, 0, 8, &[0, 0, 1, 139, 207, 228, 125, 165]),
            ],
        },
    },
    Fault {
        name: "flow keys beyond the template",
        versions: &[10],
        rules: &["O-11"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(145, 0, 2, &[1, 0]),
                f(173, 0, 8, &[0, 0, 1, 0, 0, 0, 0, 0]),
            ],
            right: &[
                f(145, 0, 2, &[1, 0]),
                f(173, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 31]),
            ],
        },
    },
    Fault {
        name: "systematic sampling without space",
        versions: &[10],
        rules: &["O-16"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 1]),
                f(305, 0, 4, &[0, 0, 0, 1]),
            ],
            right: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 1]),
                f(305, 0, 4, &[0, 0, 0, 1]),
                f(306, 0, 4, &[0, 0, 0, 9]),
            ],
        },
    },
    Fault {
        name: "a population below its sample",
        versions: &[10],
        rules: &["O-17"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 3]),
                f(309, 0, 4, &[0, 0, 0, 10]),
                f(310, 0, 4, &[0, 0, 0, 1]),
            ],
            right: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 3]),
                f(309, 0, 4, &[0, 0, 0, 1]),
                f(310, 0, 4, &[0, 0, 0, 10]),
            ],
        },
    },
    Fault {
        name: "a sampling probability of 2",
        versions: &[10],
        rules: &["O-17"],
        tcp: false,
        change: Change::Options {
            scopes: (1, 1),
            wrong: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 4]),
                f(311, 0, 8, &[64, 0, 0, 0, 0, 0, 0, 0]),
            ],
            right: &[
                f(302, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
                f(304, 0, 2, &[0, 4]),
                f(311, 0, 8, &[63, 224, 0, 0, 0, 0, 0, 0]),
            ],
        },
    },
    Fault {
        name: "a count of 1",
        versions: &[9],
        rules: &["H-02"],
        tcp: false,
        change: Change::Messages(change::count_of_one),
    },
    Fault {
        name: "a count of FlowSets",
        versions: &[9],
        rules: &["H-02"],
        tcp: false,
        change: Change::Messages(change::count_of_sets),
    },
    Fault {
        name: "a sequence number that counts records",
        versions: &[9],
        rules: &["H-04"],
        tcp: false,
        change: Change::Messages(change::sequence_of_records),
    },
    Fault {
        name: "a sequence number that stands still",
        versions: &[9, 10],
        rules: &["H-04", "H-07"],
        tcp: false,
        change: Change::Messages(change::sequence_stands),
    },
    Fault {
        name: "a sequence number that counts messages",
        versions: &[10],
        rules: &["H-07", "H-08"],
        tcp: false,
        change: Change::Messages(change::sequence_of_messages),
    },
    Fault {
        name: "a sequence number that counts its own message",
        versions: &[10],
        rules: &["H-07"],
        tcp: false,
        change: Change::Messages(change::sequence_of_own),
    },
    Fault {
        name: "a sequence number that counts templates",
        versions: &[10],
        rules: &["H-08"],
        tcp: false,
        change: Change::Messages(change::sequence_of_templates),
    },
    Fault {
        name: "a sequence number without options",
        versions: &[10],
        rules: &["H-07"],
        tcp: false,
        change: Change::Messages(change::sequence_without_options),
    },
    Fault {
        name: "a length too large",
        versions: &[10],
        rules: &["H-06"],
        tcp: false,
        change: Change::Messages(change::length_too_large),
    },
    Fault {
        name: "a length too small",
        versions: &[10],
        rules: &["H-06"],
        tcp: false,
        change: Change::Messages(change::length_too_small),
    },
    Fault {
        name: "an export time of 0",
        versions: &[9, 10],
        rules: &["H-11"],
        tcp: false,
        change: Change::Messages(change::export_time_zero),
    },
    Fault {
        name: "an uptime that stands still",
        versions: &[9],
        rules: &["F-14"],
        tcp: false,
        change: Change::Messages(change::uptime_stands),
    },
    Fault {
        name: "datagrams of 4000 octets",
        versions: &[9, 10],
        rules: &["H-19"],
        tcp: false,
        change: Change::Messages(change::too_large),
    },
    Fault {
        name: "padding that is not zero",
        versions: &[10],
        rules: &["S-03"],
        tcp: false,
        change: Change::Messages(change::dirty_padding),
    },
    Fault {
        name: "FlowSets without padding",
        versions: &[9],
        rules: &["S-06"],
        tcp: false,
        change: Change::Messages(change::no_padding),
    },
    Fault {
        name: "padding that is not zero, in NetFlow v9",
        versions: &[9],
        rules: &["S-06"],
        tcp: false,
        change: Change::Messages(change::dirty_padding),
    },
    Fault {
        name: "a reserved set",
        versions: &[9, 10],
        rules: &["S-08"],
        tcp: false,
        change: Change::Messages(change::reserved_set),
    },
    Fault {
        name: "a set longer than its message",
        versions: &[9, 10],
        rules: &["S-09"],
        tcp: false,
        change: Change::Messages(change::set_too_long),
    },
    Fault {
        name: "a set shorter than its header",
        versions: &[9, 10],
        rules: &["S-10"],
        tcp: false,
        change: Change::Messages(change::set_too_short),
    },
    Fault {
        name: "a data set without data",
        versions: &[9, 10],
        rules: &["S-11"],
        tcp: false,
        change: Change::Messages(change::empty_set),
    },
    Fault {
        name: "half a record",
        versions: &[9, 10],
        rules: &["S-11"],
        tcp: false,
        change: Change::Messages(change::half_a_record),
    },
    Fault {
        name: "octets behind the last set",
        versions: &[9, 10],
        rules: &["S-13"],
        tcp: false,
        change: Change::Messages(change::trailing),
    },
    Fault {
        name: "two messages in one datagram",
        versions: &[10],
        rules: &["S-13"],
        tcp: false,
        change: Change::Messages(change::two_messages),
    },
    Fault {
        name: "a template with ID 200",
        versions: &[9, 10],
        rules: &["T-01"],
        tcp: false,
        change: Change::Messages(change::low_id),
    },
    Fault {
        name: "two meanings of an ID in one message",
        versions: &[10],
        rules: &["T-01"],
        tcp: false,
        change: Change::Messages(change::two_meanings),
    },
    Fault {
        name: "enterprise bits without numbers",
        versions: &[10],
        rules: &["T-04"],
        tcp: false,
        change: Change::Messages(change::no_enterprise_number),
    },
    Fault {
        name: "no templates after a restart",
        versions: &[9],
        rules: &["T-09"],
        tcp: false,
        change: Change::Messages(change::restart_without_templates),
    },
    Fault {
        name: "data before its template",
        versions: &[9],
        rules: &["T-10"],
        tcp: false,
        change: Change::Messages(change::data_first),
    },
    Fault {
        name: "a template behind its data",
        versions: &[9, 10],
        rules: &["T-10"],
        tcp: false,
        change: Change::Messages(change::template_behind),
    },
    Fault {
        name: "templates sent once",
        versions: &[10],
        rules: &["T-11"],
        tcp: false,
        change: Change::Messages(change::never_again),
    },
    Fault {
        name: "templates sent once, in NetFlow v9",
        versions: &[9],
        rules: &["T-12"],
        tcp: false,
        change: Change::Messages(change::never_again),
    },
    Fault {
        name: "a withdrawal over UDP",
        versions: &[10],
        rules: &["T-17"],
        tcp: false,
        change: Change::Messages(change::withdrawal),
    },
    Fault {
        name: "data of a withdrawn template",
        versions: &[10],
        rules: &["T-20"],
        tcp: true,
        change: Change::Messages(change::withdrawal),
    },
    Fault {
        name: "a template withdrawn twice",
        versions: &[10],
        rules: &["T-20"],
        tcp: true,
        change: Change::Messages(change::withdrawn_twice),
    },
    Fault {
        name: "a changed template that was not withdrawn",
        versions: &[10],
        rules: &["T-01"],
        tcp: true,
        change: Change::Messages(change::changed_on_stream),
    },
    Fault {
        name: "data older than its template",
        versions: &[10],
        rules: &["T-23"],
        tcp: false,
        change: Change::Messages(change::older_data),
    },
    Fault {
        name: "an ID with a new meaning",
        versions: &[9],
        rules: &["T-27"],
        tcp: false,
        change: Change::Messages(change::new_meaning),
    },
    Fault {
        name: "a template that counts more fields than it has",
        versions: &[9, 10],
        rules: &["T-30"],
        tcp: false,
        change: Change::Messages(change::too_many_fields),
    },
    Fault {
        name: "a template without fields",
        versions: &[9],
        rules: &["T-31"],
        tcp: false,
        change: Change::Messages(change::no_fields),
    },
    Fault {
        name: "records longer than any message",
        versions: &[9, 10],
        rules: &["T-34"],
        tcp: false,
        change: Change::Messages(change::huge_record),
    },
    Fault {
        name: "records longer than their template",
        versions: &[9, 10],
        rules: &["T-37"],
        tcp: false,
        change: Change::Messages(change::longer_records),
    },
    Fault {
        name: "lengths that count themselves",
        versions: &[10],
        rules: &["F-07"],
        tcp: false,
        change: Change::Messages(change::length_counts_itself),
    },
    Fault {
        name: "a value longer than its set",
        versions: &[10],
        rules: &["F-08"],
        tcp: false,
        change: Change::Messages(change::value_too_long),
    },
    Fault {
        name: "uptimes without the time they count from",
        versions: &[10],
        rules: &["F-13"],
        tcp: false,
        change: Change::Messages(change::no_init_time),
    },
    Fault {
        name: "options lengths that are no multiple of 4",
        versions: &[9],
        rules: &["O-05"],
        tcp: false,
        change: Change::Messages(change::odd_options),
    },
    Fault {
        name: "data before its template on a stream",
        versions: &[10],
        rules: &["X-07"],
        tcp: true,
        change: Change::Messages(change::data_first),
    },
    Fault {
        name: "version and length in little-endian order",
        versions: &[10],
        rules: &["H-01"],
        tcp: false,
        change: Change::Messages(change::little_endian),
    },
];
