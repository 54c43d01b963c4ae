//! TCP options (RFC 9293, section 3.1, and the options' own RFCs).

/// The most option kinds of one header, or of all SYNs of a flow, whose order is kept (Tranalyzer's `JA4TOPTMX`).
pub const MAX_OPTION_ORDER: usize = 20;

/// IANA's option kinds.
mod kind {
    pub const END: u8 = 0;
    pub const NO_OPERATION: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const MPTCP: u8 = 30;
}

/// The options of one header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpOptions {
    /// There are options, and they are captured.
    pub present: bool,
    /// They are not captured, or have a length that cannot be.
    pub corrupt: bool,
    /// How many, no-operations included.
    pub count: u16,
    /// A bit for each kind; the last one is for 31 and above.
    pub kinds: u32,
    /// The kinds in their order.
    order: [u8; MAX_OPTION_ORDER],
    order_length: u8,
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Shift count of the window (RFC 7323, section 2).
    pub window_scale: Option<u8>,
    /// Selective acknowledgments.
    pub sack: bool,
    /// Timestamp and echo reply (RFC 7323, section 3).
    pub timestamps: Option<[u32; 2]>,
    /// Multipath TCP.
    pub mptcp: Option<MpTcp>,
}

/// Multipath TCP options of one header (RFC 8684, section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MpTcp {
    /// A bit for each subtype.
    pub subtypes: u16,
    /// Flags of MP_CAPABLE, MP_JOIN and MP_PRIO.
    pub flags: u8,
    /// The last address identifier.
    pub address: Option<u8>,
    /// Flags of the data sequence signal.
    pub data_sequence: u8,
}

impl TcpOptions {
    /// Reads the options of a TCP header.
    #[must_use]
    pub fn read(header: &[u8]) -> Self {
        const FIXED: usize = 20;
        let mut read = TcpOptions::default();
        let octets = usize::from(header.get(12).copied().unwrap_or(0) >> 4) * 4;
        if octets <= FIXED {
            return read;
        }
        let Some(mut options) = header.get(FIXED..octets) else {
            read.corrupt = true;
            return read;
        };
        read.present = true;
        while let Some(&kind) = options.first()
            && kind != kind::END
        {
            read.note(kind);
            let length = match (kind, options.get(1)) {
                (kind::NO_OPERATION, _) => 1,
                (_, Some(&length @ 2..)) if usize::from(length) <= options.len() => {
                    usize::from(length)
                }
                _ => {
                    read.corrupt = true;
                    break;
                }
            };
            let (option, following) = options.split_at_checked(length).unwrap_or((options, &[]));
            read.option(kind, option);
            options = following;
        }
        read
    }

    /// The kinds in their order.
    #[must_use]
    pub fn order(&self) -> &[u8] {
        self.order
            .get(..usize::from(self.order_length))
            .unwrap_or(&[])
    }

    fn note(&mut self, kind: u8) {
        self.count = self.count.saturating_add(1);
        self.kinds |= 1 << kind.min(31);
        if let Some(place) = self.order.get_mut(usize::from(self.order_length)) {
            *place = kind;
            self.order_length += 1;
        }
    }

    fn option(&mut self, kind: u8, option: &[u8]) {
        match (kind, option) {
            (kind::MSS, &[_, _, high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (kind::WINDOW_SCALE, &[_, _, shift]) => self.window_scale = Some(shift),
            (kind::SACK, _) => self.sack = true,
            (kind::TIMESTAMPS, &[_, _, a, b, c, d, e, f, g, h]) => {
                self.timestamps = Some([
                    u32::from_be_bytes([a, b, c, d]),
                    u32::from_be_bytes([e, f, g, h]),
                ]);
            }
            (kind::MPTCP, &[_, _, first, ..]) => {
                let second = option.get(3).copied();
                self.mptcp
                    .get_or_insert_default()
                    .option(first, second, option.len());
            }
            _ => {}
        }
    }
}

impl MpTcp {
    /// `first` and `second` are the octets behind kind and length.
    fn option(&mut self, first: u8, second: Option<u8>, length: usize) {
        /// Longer joins answer: they have no address identifier.
        const LONGEST_FIRST_JOIN: usize = 16;
        let subtype = first >> 4;
        self.subtypes |= 1 << subtype;
        match subtype {
            // MP_CAPABLE
            0 => self.flags |= second.unwrap_or(0),
            // MP_JOIN, MP_PRIO
            1 | 5 if length <= LONGEST_FIRST_JOIN => {
                self.flags |= first & 0x0f;
                self.address = second.or(self.address);
            }
            // DSS
            2 => self.data_sequence |= second.unwrap_or(0) & 0x1f,
            // ADD_ADDR, REMOVE_ADDR
            3 | 4 => self.address = second.or(self.address),
            _ => {}
        }
    }
}
