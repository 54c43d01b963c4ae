//! The columns of macRecorder.

use std::io::{self, Write};

use super::super::list;
use super::super::number::bits;
use super::{Column, column};

/// The bits of `macStat`.
mod stat {
    /// There were more MAC pairs than are recorded.
    pub const OVERFLOW: u8 = 0x01;
}

pub(super) static COLUMNS: [Column; 4] = [
    column("H8", "macStat", "Status of the MAC pairs", |r, w| {
        bits(
            w,
            if r.text.macs.overflow {
                stat::OVERFLOW
            } else {
                0
            },
            2,
        )
    }),
    column("U32", "macPairs", "Different MAC pairs", |r, w| {
        write!(w, "{}", r.text.macs.pairs.len())
    }),
    column(
        "MAC_MAC_U64:R",
        "srcMac_dstMac_numP",
        "Source MAC, destination MAC, packets",
        |r, w| {
            list(w, &r.text.macs.pairs, |w, pair| {
                mac(w, pair.src)?;
                w.write_all(b"_")?;
                mac(w, pair.dst)?;
                write!(w, "_{}", pair.packets)
            })
        },
    ),
    column(
        "SC_SC:R",
        "srcMacLbl_dstMacLbl",
        "Vendors of source and destination MAC",
        |r, w| {
            let Some(vendors) = r.vendors.filter(|vendors| !vendors.is_empty()) else {
                return Ok(());
            };
            list(w, &r.text.macs.pairs, |w, pair| {
                let label = |mac| vendors.label(mac).unwrap_or("-");
                write!(w, "{}_{}", label(pair.src), label(pair.dst))
            })
        },
    ),
];

/// A MAC in hexadecimal with colons.
pub(in crate::sink::text) fn mac(out: &mut dyn Write, mac: [u8; 6]) -> io::Result<()> {
    let [a, b, c, d, e, f] = mac;
    write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
