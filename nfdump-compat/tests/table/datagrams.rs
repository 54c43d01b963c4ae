//! Export packets as other people's exporters send them, made from a few lines: NetFlow v5, v9 and IPFIX with records whose
//! values come from fixed dice.

/// A template: its fields as element and length.
pub struct Shape {
    pub name: &'static str,
    /// Protocols its records have.
    pub protocols: &'static [u64],
    pub fields: &'static [(u16, u16)],
}

/// NetFlow v9 or IPFIX.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V9,
    Ipfix,
}

const ADDRESSES: [(u16, u16); 2] = [(8, 4), (12, 4)];
const MPLS: [(u16, u16); 10] = [
    (70, 3),
    (71, 3),
    (72, 3),
    (73, 3),
    (74, 3),
    (75, 3),
    (76, 3),
    (77, 3),
    (78, 3),
    (79, 3),
];

/// The templates.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "basic",
        protocols: &[6, 6, 6, 17, 17, 47, 50, 132],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (5, 1),
            (1, 8),
            (2, 8),
            (152, 8),
            (153, 8),
        ],
    },
    Shape {
        name: "uptime",
        protocols: &[6, 17],
        fields: &[
            (22, 4),
            (21, 4),
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (1, 4),
            (2, 4),
            (4, 1),
            (6, 1),
            (5, 1),
            (10, 2),
            (14, 2),
            (61, 1),
        ],
    },
    Shape {
        name: "full",
        protocols: &[6, 6, 17, 17, 2],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (5, 1),
            (1, 8),
            (2, 8),
            (23, 8),
            (24, 8),
            (3, 4),
            (152, 8),
            (153, 8),
            (10, 4),
            (14, 4),
            (16, 4),
            (17, 4),
            (9, 1),
            (13, 1),
            (55, 1),
            (61, 1),
            (15, 4),
            (18, 4),
            (58, 2),
            (59, 2),
            (56, 6),
            (57, 6),
            (80, 6),
            (81, 6),
            MPLS[0],
            MPLS[1],
            MPLS[2],
            MPLS[3],
            MPLS[4],
            MPLS[5],
            MPLS[6],
            MPLS[7],
            MPLS[8],
            MPLS[9],
            (89, 1),
            (128, 4),
            (129, 4),
            (136, 1),
            (138, 8),
            (149, 4),
            (234, 4),
            (235, 4),
            (239, 1),
        ],
    },
    Shape {
        name: "ipv6",
        protocols: &[6, 6, 17],
        fields: &[
            (27, 16),
            (28, 16),
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (5, 1),
            (1, 8),
            (2, 8),
            (23, 8),
            (24, 8),
            (152, 8),
            (153, 8),
            (10, 4),
            (14, 4),
            (16, 4),
            (17, 4),
            (29, 1),
            (30, 1),
            (62, 16),
            (63, 16),
            (61, 1),
            (55, 1),
        ],
    },
    Shape {
        name: "icmp",
        protocols: &[1],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (4, 1),
            (5, 1),
            (1, 4),
            (2, 4),
            (152, 8),
            (153, 8),
            (32, 2),
        ],
    },
    Shape {
        name: "icmp6",
        protocols: &[58],
        fields: &[
            (27, 16),
            (28, 16),
            (4, 1),
            (5, 1),
            (1, 4),
            (2, 4),
            (152, 8),
            (153, 8),
            (32, 2),
        ],
    },
    Shape {
        name: "asa",
        protocols: &[6, 17],
        fields: &[
            (148, 4),
            ADDRESSES[0],
            (7, 2),
            ADDRESSES[1],
            (11, 2),
            (4, 1),
            (225, 4),
            (226, 4),
            (227, 2),
            (228, 2),
            (233, 1),
            (33002, 2),
            (323, 8),
            (231, 4),
            (232, 4),
            (33000, 12),
            (33001, 12),
            (40000, 20),
            (152, 8),
        ],
    },
    Shape {
        name: "nel",
        protocols: &[6, 17],
        fields: &[
            (230, 1),
            (323, 8),
            ADDRESSES[0],
            ADDRESSES[1],
            (225, 4),
            (226, 4),
            (7, 2),
            (11, 2),
            (227, 2),
            (228, 2),
            (4, 1),
            (234, 4),
            (235, 4),
            (361, 2),
            (362, 2),
            (363, 2),
            (364, 2),
        ],
    },
    Shape {
        name: "latency",
        protocols: &[6],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (1, 4),
            (2, 4),
            (152, 8),
            (153, 8),
            (57554, 4),
            (57555, 4),
            (57556, 4),
            (57557, 4),
            (57558, 4),
            (57559, 4),
        ],
    },
    Shape {
        name: "nbar",
        protocols: &[6, 17],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (1, 4),
            (2, 4),
            (152, 8),
            (153, 8),
            (95, 4),
        ],
    },
    Shape {
        name: "huge",
        protocols: &[6, 17],
        fields: &[
            ADDRESSES[0],
            ADDRESSES[1],
            (7, 2),
            (11, 2),
            (4, 1),
            (6, 1),
            (1, 8),
            (2, 8),
            (152, 8),
            (153, 8),
        ],
    },
];

/// Fixed pseudo-random numbers (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick(&mut self, choice: &[u64]) -> u64 {
        choice[self.below(choice.len() as u64) as usize]
    }
}

/// The first second of the flows: 2026-11-23 15:30 UTC.
const BEGIN_S: u64 = 1_795_447_800;
/// What the exporters' uptime is at that second, milliseconds.
const UPTIME_MS: u64 = 10_000_000;

/// What the fields of one record share.
struct Flow {
    protocol: u64,
    first_ms: u64,
    last_ms: u64,
    huge: bool,
}

impl Flow {
    fn new(dice: &mut Dice, shape: &Shape) -> Self {
        let first_ms = BEGIN_S * 1000 + dice.below(600_000);
        let durations = [0, 0, 1, 37, 999, 1000, 1597, 61_003, 3_600_000, 90_061_001];
        Self {
            protocol: dice.pick(shape.protocols),
            first_ms,
            last_ms: first_ms + dice.pick(&durations),
            huge: shape.name == "huge",
        }
    }

    /// Appends the value of an element in this many octets.
    fn push(&self, out: &mut Vec<u8>, dice: &mut Dice, (element, length): (u16, u16)) {
        let wide = |out: &mut Vec<u8>, value: u128| {
            out.extend_from_slice(&value.to_be_bytes()[16 - usize::from(length)..]);
        };
        let value = match element {
            8 | 12 | 15 | 18 | 225 | 226 => {
                let hosts = [
                    0xc0a8_0169,
                    0xc0a8_0101,
                    0x0a00_0001,
                    0x0a01_02fe,
                    0x839f_1501,
                    0xac10_0009,
                    0x0808_0808,
                    0xe000_00fb,
                ];
                dice.pick(&hosts)
            }
            27 | 28 | 62 | 63 => {
                let network = dice.pick(&[
                    0x2001_0db8_0000_0001,
                    0x2001_0620_0000_00ff,
                    0xfe80_0000_0000_0000,
                ]);
                let host = dice.pick(&[1, 0xfed5, 0x0219_e3ff_fee7_5d23, 0x1111_2222_3333_4444]);
                return wide(out, u128::from(network) << 64 | u128::from(host));
            }
            7 | 227 => dice.pick(&[22, 53, 80, 443, 1024, 1025, 51_880, 58_649, 64_334, 65_535]),
            11 | 228 => dice.pick(&[22, 25, 53, 80, 80, 443, 443, 1911, 49_218]),
            4 => self.protocol,
            6 => dice.pick(&[2, 0x12, 0x1b, 0x1b, 0x1b, 0x14, 0xdb, 0]),
            5 | 55 => dice.pick(&[0, 0, 0, 8, 72, 184, 255]),
            1 | 23 | 231 | 232 if self.huge => dice.below(9_000_000_000_000),
            2 | 24 if self.huge => dice.below(12_000_000_000),
            1 | 23 | 231 | 232 => {
                dice.pick(&[
                    0, 40, 64, 1500, 3549, 97_078, 547_141, 999_999, 1_000_000, 4_255_056,
                ]) + dice.below(50)
            }
            2 | 24 => dice.pick(&[1, 1, 2, 3, 20, 236, 1002]),
            3 => dice.below(4),
            22 => self.first_ms - BEGIN_S * 1000 + UPTIME_MS,
            21 => self.last_ms - BEGIN_S * 1000 + UPTIME_MS,
            152 => self.first_ms,
            153 => self.last_ms,
            323 => self.first_ms + 17,
            10 | 14 => dice.below(5),
            16 | 17 | 128 | 129 => dice.pick(&[0, 559, 3303, 65_537, 4_200_000_000]),
            9 | 13 => dice.pick(&[0, 8, 16, 24, 30, 32]),
            29 | 30 => dice.pick(&[0, 32, 48, 64, 65, 96, 128]),
            56 | 57 | 80 | 81 => dice.pick(&[0x0019_e3e7_5d23, 0x0008_7408_c37d, 0]),
            58 | 59 => dice.pick(&[0, 1, 100, 4095]),
            32 => dice.pick(&[0x0800, 0, 0x0303, 0x0b00, 0x8000, 0x8100, 0x0501]),
            61 | 239 => dice.below(3),
            136 => dice.below(6),
            89 => dice.pick(&[0, 64, 66, 130]),
            148 => dice.below(1_000_000),
            233 | 230 => dice.below(6),
            33002 => dice.pick(&[0, 1001, 1002, 1003, 1004, 2014]),
            95 => dice.pick(&[0x0300_0050, 0x0d00_01c7, 0x0d00_0018]),
            138 => dice.below(1 << 40),
            149 => dice.below(1 << 20),
            234 | 235 => dice.below(4),
            361 => dice.pick(&[1024, 2048]),
            362 => dice.pick(&[2047, 4095]),
            363 => dice.below(3),
            364 => 1024,
            33000 | 33001 => {
                let words = [dice.below(1 << 32), dice.below(1 << 16), dice.below(3)];
                words
                    .iter()
                    .for_each(|word| out.extend_from_slice(&(*word as u32).to_be_bytes()));
                return;
            }
            40000 => {
                let names = [&b"alice"[..], b"", b"DOMAIN\\bob"];
                let mut text = names[dice.below(3) as usize].to_vec();
                text.resize(usize::from(length), 0);
                return out.extend_from_slice(&text);
            }
            57554..=57559 => dice.below(2_000_000),
            70..=79 => dice.pick(&[0, 0x101, 0xa_bcd3, 0xff_fff1]),
            _ => unreachable!("element {element} has no values"),
        };
        wide(out, u128::from(value));
    }
}

/// Datagrams with `count` records of each of these shapes, the templates in the first.
pub fn datagrams(
    version: Version,
    shapes: &[&str],
    count: usize,
    source_id: u32,
    dice: &mut Dice,
) -> Vec<Vec<u8>> {
    const RECORDS: usize = 8;
    let mut stream = Stream {
        version,
        source_id,
        sequence: 0,
        sent: Vec::new(),
    };
    for (at, name) in shapes.iter().enumerate() {
        let id = 256 + at as u16;
        let shape = SHAPES
            .iter()
            .find(|shape| shape.name == *name)
            .expect("a shape");
        let fields: Vec<(u16, u16)> = shape
            .fields
            .iter()
            .copied()
            .filter(|(element, _)| known(version, *element))
            .collect();
        stream.send(
            if version == Version::V9 { 0 } else { 2 },
            1,
            0,
            &template(id, &fields),
        );
        let mut left = count;
        while left > 0 {
            let now = left.min(RECORDS);
            let mut body = Vec::new();
            for _ in 0..now {
                let flow = Flow::new(dice, shape);
                fields
                    .iter()
                    .for_each(|field| flow.push(&mut body, dice, *field));
            }
            stream.send(id, now as u16, now as u32, &body);
            left -= now;
        }
    }
    stream.sent
}

/// Enterprise-style numbers exist in v9 only; the others everywhere.
fn known(version: Version, element: u16) -> bool {
    version == Version::V9 || element < 0x8000
}

fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut body = [id.to_be_bytes(), (fields.len() as u16).to_be_bytes()].concat();
    for (element, length) in fields {
        body.extend_from_slice(&element.to_be_bytes());
        body.extend_from_slice(&length.to_be_bytes());
    }
    body
}

struct Stream {
    version: Version,
    source_id: u32,
    sequence: u32,
    sent: Vec<Vec<u8>>,
}

impl Stream {
    /// One message with one set.
    fn send(&mut self, set: u16, records: u16, data_records: u32, body: &[u8]) {
        let padding = (4 - body.len() % 4) % 4;
        let set_length = (4 + body.len() + padding) as u16;
        let now = (BEGIN_S as u32).to_be_bytes();
        let mut message = Vec::new();
        match self.version {
            Version::V9 => {
                message.extend_from_slice(&[0, 9]);
                message.extend_from_slice(&records.to_be_bytes());
                message.extend_from_slice(&(UPTIME_MS as u32).to_be_bytes());
                message.extend_from_slice(&now);
                message.extend_from_slice(&self.sequence.to_be_bytes());
                self.sequence += 1;
            }
            Version::Ipfix => {
                message.extend_from_slice(&[0, 10]);
                message.extend_from_slice(&(16 + set_length).to_be_bytes());
                message.extend_from_slice(&now);
                message.extend_from_slice(&self.sequence.to_be_bytes());
                self.sequence += data_records;
            }
        }
        message.extend_from_slice(&self.source_id.to_be_bytes());
        message.extend_from_slice(&set.to_be_bytes());
        message.extend_from_slice(&set_length.to_be_bytes());
        message.extend_from_slice(body);
        message.resize(message.len() + padding, 0);
        self.sent.push(message);
    }
}

/// NetFlow v5 datagrams with `count` records.
pub fn v5(count: usize, engine: (u8, u8), dice: &mut Dice) -> Vec<Vec<u8>> {
    const RECORDS: usize = 24;
    const FIELDS: [(u16, u16); 17] = [
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 2),
        (14, 2),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (0, 1),
        (6, 1),
        (4, 1),
        (5, 1),
        (16, 2),
        (17, 2),
    ];
    let shape = &SHAPES[0];
    let mut sent = Vec::new();
    let mut done = 0;
    while done < count {
        let now = (count - done).min(RECORDS);
        let mut message = vec![0, 5];
        message.extend_from_slice(&(now as u16).to_be_bytes());
        message.extend_from_slice(&(UPTIME_MS as u32).to_be_bytes());
        message.extend_from_slice(&(BEGIN_S as u32).to_be_bytes());
        message.extend_from_slice(&123_000_000_u32.to_be_bytes());
        message.extend_from_slice(&(done as u32).to_be_bytes());
        message.extend_from_slice(&[engine.0, engine.1, 0, 0]);
        for _ in 0..now {
            let flow = Flow::new(dice, shape);
            for field in FIELDS {
                match field.0 {
                    0 => message.push(0),
                    _ => flow.push(&mut message, dice, field),
                }
            }
            flow.push(&mut message, dice, (9, 1));
            flow.push(&mut message, dice, (13, 1));
            message.extend_from_slice(&[0, 0]);
        }
        sent.push(message);
        done += now;
    }
    sent
}
