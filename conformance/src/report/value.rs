//! Values of fields as text (after RFC 7373).

use std::net::{Ipv4Addr, Ipv6Addr};

use protocol::registry::DataType;
use protocol::value::unsigned;

use super::{hex, time};

/// Octets of a value that are shown at most.
const MOST: usize = 64;

/// Seconds between the epochs of NTP and Unix.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// The value as its type says, in hexadecimal where its length does not fit that.
pub(super) fn shown(data_type: DataType, value: &[u8]) -> String {
    typed(data_type, value).unwrap_or_else(|| octets(value))
}

fn octets(value: &[u8]) -> String {
    let start = value.get(..MOST).unwrap_or(value);
    let more = if value.len() > MOST { "…" } else { "" };
    format!("0x{}{more}", hex(start))
}

fn typed(data_type: DataType, value: &[u8]) -> Option<String> {
    let number = || unsigned(value).filter(|_| !value.is_empty());
    Some(match data_type {
        DataType::Unsigned8
        | DataType::Unsigned16
        | DataType::Unsigned32
        | DataType::Unsigned64 => number()?.to_string(),
        DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64 => {
            let unused = 64 - 8 * u32::try_from(value.len()).ok()?;
            ((number()? << unused).cast_signed() >> unused).to_string()
        }
        DataType::Float32 | DataType::Float64 => match value.len() {
            4 => f32::from_be_bytes(value.try_into().ok()?).to_string(),
            _ => f64::from_be_bytes(value.try_into().ok()?).to_string(),
        },
        DataType::Boolean => match value {
            [1] => "true".to_owned(),
            [2] => "false".to_owned(),
            _ => return None,
        },
        DataType::MacAddress if value.len() == 6 => value
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<Vec<_>>()
            .join(":"),
        DataType::String => {
            let start = value.get(..MOST).unwrap_or(value);
            format!("{:?}", String::from_utf8_lossy(start))
        }
        DataType::Ipv4Address => Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string(),
        DataType::Ipv6Address => Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).to_string(),
        DataType::DateTimeSeconds => time(number()?.checked_mul(1000)?),
        DataType::DateTimeMilliseconds => time(number()?),
        DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds if value.len() == 8 => {
            let raw = number()?;
            let seconds = (raw >> 32).checked_sub(NTP_OFFSET_S)?;
            let ms = ((raw & 0xffff_ffff) * 1000) >> 32;
            time(seconds * 1000 + ms)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds() {
        for (data_type, value, text) in [
            (DataType::Unsigned64, &[1, 0, 0][..], "65536"),
            (DataType::Unsigned32, &[], "0x"),
            (DataType::Signed32, &[0xff, 0xfe], "-2"),
            (DataType::Float64, &[0x3f, 0x80, 0, 0], "1"),
            (DataType::Boolean, &[2], "false"),
            (DataType::Boolean, &[3], "0x03"),
            (
                DataType::MacAddress,
                &[2, 0, 0, 0, 0, 10],
                "02:00:00:00:00:0a",
            ),
            (DataType::String, b"a\"\xff", "\"a\\\"\u{fffd}\""),
            (DataType::Ipv4Address, &[192, 0, 2, 1], "192.0.2.1"),
            (DataType::Ipv4Address, &[192, 0, 2], "0xc00002"),
            (
                DataType::DateTimeSeconds,
                &[0x65, 0x92, 0, 0x80],
                "2024-01-01T00:00:00Z",
            ),
            // RFC 7011 section 6.1.9: seconds since 1900, and a fraction.
            (
                DataType::DateTimeNanoseconds,
                &[0xe9, 0x3c, 0x7f, 0, 0x80, 0, 0, 0],
                "2024-01-01T00:00:00.5Z",
            ),
        ] {
            assert_eq!(shown(data_type, value), text, "{data_type:?} {value:02x?}");
        }
        assert!(shown(DataType::OctetArray, &[7; 100]).ends_with("07…"));
    }
}
