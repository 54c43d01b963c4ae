//! Vendors of MACs, from the list of the IEEE as systems have it: its `oui.csv`, or Wireshark's `manuf`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Characters of a name made of an organisation's.
const NAME: usize = 9;

/// By length in bits, longest first: the prefix in the highest bits of 48, and the label.
type Prefixes = Vec<(u32, HashMap<u64, Box<str>>)>;

/// Prefixes of MACs and whose they are.
#[derive(Debug)]
pub struct Vendors {
    by_length: OnceLock<Prefixes>,
    load: fn() -> Vendors,
}

impl Default for Vendors {
    /// Nobody.
    fn default() -> Self {
        Vendors::from(Prefixes::default())
    }
}

impl From<Prefixes> for Vendors {
    fn from(mut prefixes: Prefixes) -> Self {
        prefixes.sort_unstable_by_key(|(bits, _)| Reverse(*bits));
        Vendors {
            by_length: prefixes.into(),
            load: Vendors::default,
        }
    }
}

impl Vendors {
    /// The vendors that `load` gives, when the first label is asked for.
    #[must_use]
    pub fn when_needed(load: fn() -> Vendors) -> Self {
        Vendors {
            by_length: OnceLock::new(),
            load,
        }
    }

    fn by_length(&self) -> &Prefixes {
        self.by_length
            .get_or_init(|| (self.load)().by_length.into_inner().unwrap_or_default())
    }

    /// Reads the IEEE's `oui.csv`: registry, assignment, organisation, address. The label is made of the organisation's
    /// first letters and the country, as Tranalyzer's are: `CiscoSyst,US`. Lines that are none are skipped.
    #[must_use]
    pub fn from_ieee_csv(text: &str) -> Self {
        let mut prefixes = Prefixes::default();
        for line in text.lines() {
            let [_, assignment, organisation, address] = fields(line);
            let bits = assignment.len() as u32 * 4;
            if let Ok(prefix) = u64::from_str_radix(assignment, 16)
                && (24..=48).contains(&bits)
            {
                let name: String = plain(organisation).take(NAME).collect();
                let label = match country(address) {
                    Some(country) => format!("{name},{country}"),
                    None => name,
                };
                add(&mut prefixes, prefix << (48 - bits), bits, &label);
            }
        }
        prefixes.into()
    }

    /// Reads Wireshark's `manuf`: prefix with an optional length, short name, long name. The label is the short name.
    #[must_use]
    pub fn from_manuf(text: &str) -> Self {
        let mut prefixes = Prefixes::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(prefix), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let (octets, length) = prefix.split_once('/').unwrap_or((prefix, ""));
            let digits: String = octets.chars().filter(char::is_ascii_hexdigit).collect();
            let given = digits.len() as u32 * 4;
            let bits = length.parse().unwrap_or(given);
            if let Ok(prefix) = u64::from_str_radix(&digits, 16)
                && (1..=48).contains(&given)
                && (1..=48).contains(&bits)
            {
                let label: String = plain(name).collect();
                add(&mut prefixes, prefix << (48 - given), bits, &label);
            }
        }
        prefixes.into()
    }

    /// Whose MAC it is: the owner of the longest prefix.
    #[must_use]
    pub fn label(&self, mac: [u8; 6]) -> Option<&str> {
        let [a, b, c, d, e, f] = mac;
        let mac = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let found = self
            .by_length()
            .iter()
            .find_map(|(bits, prefixes)| prefixes.get(&(mac & mask(*bits))));
        found.map(AsRef::as_ref)
    }

    /// No prefix is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_length().is_empty()
    }
}

fn add(prefixes: &mut Prefixes, prefix: u64, bits: u32, label: &str) {
    if label.is_empty() {
        return;
    }
    let at = match prefixes.iter().position(|(known, _)| *known == bits) {
        Some(at) => at,
        None => {
            prefixes.push((bits, HashMap::new()));
            prefixes.len() - 1
        }
    };
    if let Some((_, labels)) = prefixes.get_mut(at) {
        labels
            .entry(prefix & mask(bits))
            .or_insert_with(|| label.into());
    }
}

fn mask(bits: u32) -> u64 {
    const ALL: u64 = (1 << 48) - 1;
    ALL & !(ALL >> bits)
}

/// Letters, digits and dashes: nothing that separates columns, repeated values or their parts.
fn plain(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
}

/// The last word of an address that is two capital letters.
fn country(address: &str) -> Option<&str> {
    address
        .split_whitespace()
        .rfind(|word| word.len() == 2 && word.bytes().all(|letter| letter.is_ascii_uppercase()))
}

/// The first four fields of a line of comma-separated values; those with commas are in quotes.
fn fields(mut line: &str) -> [&str; 4] {
    let mut fields = [""; 4];
    for field in &mut fields {
        let (value, rest) = match line.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
                (value, rest.split_once(',').map_or("", |(_, rest)| rest))
            }
            None => line.split_once(',').unwrap_or((line, "")),
        };
        *field = value;
        line = rest;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_ieee() {
        let text = "Registry,Assignment,Organization Name,Organization Address\r\n\
            MA-L,00000C,\"Cisco Systems, Inc\",170 WEST TASMAN DRIVE SAN JOSE CA US 95134-1706 \r\n\
            MA-L,0002B3,Intel Corporation,\"M/S: JF3-420, Hillsboro OR US 97124\"\r\n\
            MA-S,70B3D5123,Tiny_Co;,Cambridge GB CB4 0WS\r\n\
            MA-L,0019E3,,\r\n";
        let vendors = Vendors::from_ieee_csv(text);
        let cases = [
            ([0, 0, 0x0c, 1, 2, 3], Some("CiscoSyst,US")),
            ([0, 2, 0xb3, 0, 0, 0], Some("IntelCorp,US")),
            ([0x70, 0xb3, 0xd5, 0x12, 0x3f, 0xff], Some("TinyCo,GB")),
            ([0x70, 0xb3, 0xd5, 0x12, 0x40, 0], None),
            ([0, 0x19, 0xe3, 0, 0, 0], None),
        ];
        for (mac, label) in cases {
            assert_eq!(vendors.label(mac), label);
        }
    }

    #[test]
    fn the_list_of_wireshark() {
        let text = "# comment\n\
            00:00:0C\tCisco\tCisco Systems, Inc\n\
            00:1B:C5:00:00:00/36\tConvergi\tConverging Systems Inc.\n\
            01-80-C2-00-00-00/44\t802.1\n\
            FF:FF:FF:FF:FF:FF\tBroadcast\n\
            zz\tnothing\n";
        let vendors = Vendors::from_manuf(text);
        let cases = [
            ([0, 0, 0x0c, 1, 2, 3], Some("Cisco")),
            ([0, 0x1b, 0xc5, 0, 0x0f, 0xff], Some("Convergi")),
            ([0, 0x1b, 0xc5, 0, 0x10, 0], None),
            ([1, 0x80, 0xc2, 0, 0, 0x0e], Some("8021")),
            ([0xff; 6], Some("Broadcast")),
        ];
        for (mac, label) in cases {
            assert_eq!(vendors.label(mac), label);
        }
        assert!(Vendors::from_manuf("").is_empty());
        let later = Vendors::when_needed(|| Vendors::from_manuf("00:00:0C\tCisco"));
        assert_eq!(later.label([0, 0, 0x0c, 1, 2, 3]), Some("Cisco"));
        assert!(!later.is_empty() && Vendors::when_needed(Vendors::default).is_empty());
    }
}
