//! Names that a collector stores beside the flows, in records of their own: of applications (type 12), interfaces (13) and
//! VRFs (14). nfcapd makes them of what exporters tell in options data; nfdump shows them beside the numbers.
//!
//! Such a record says nothing of the exporter: where several name the same number in one file, the last name holds.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::record::uint;

/// Record type of names of applications, each with a description.
pub const APPLICATIONS: u16 = 12;
/// Record type of names of interfaces.
pub const INTERFACES: u16 = 13;
/// Record type of names of VRFs.
pub const VRFS: u16 = 14;

/// Octets before the elements: type, size, number and size of the elements, size of a name; two that are unused.
const NUMBERED_HEADER: usize = 12;
/// As above with the sizes of an application's id, name and description.
const APPLICATION_HEADER: usize = 14;
/// Octets of names that are kept; names beyond are not known.
const MAX_OCTETS: usize = 64 << 20;
/// What an entry takes beside its name.
const ENTRY: usize = 96;

/// The name of an application, and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its description.
    pub description: Box<[u8]>,
}

type Table<K, V> = HashMap<K, V, RandomState>;

/// The names of all files read so far.
#[derive(Debug, Default)]
pub struct Names {
    interfaces: Table<u32, Box<[u8]>>,
    vrfs: Table<u32, Box<[u8]>>,
    applications: Table<Box<[u8]>, Application>,
    octets: usize,
}

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// There are no names of this kind at all.
    Nothing,
    /// There are names, but none for this number.
    Others,
    /// Its name, of any octets.
    Name(&'a [u8]),
}

impl Names {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// Takes in a record of these types; others are none of its business. What does not fit its record is left out.
    pub fn take(&mut self, record_type: u16, record: &[u8]) {
        match record_type {
            APPLICATIONS => self.take_applications(record),
            INTERFACES | VRFS => self.take_numbered(record_type, record),
            _ => {}
        }
    }

    fn take_numbered(&mut self, record_type: u16, record: &[u8]) {
        for element in elements(record, NUMBERED_HEADER) {
            let Some((number, name)) = element.split_at_checked(4) else {
                return;
            };
            let (number, name) = (uint(number) as u32, text(name));
            let table = match record_type {
                INTERFACES => &mut self.interfaces,
                _ => &mut self.vrfs,
            };
            if let Some(known) = table.get_mut(&number) {
                if **known != *name {
                    *known = name.into();
                }
            } else if has_room(&mut self.octets, name.len()) {
                table.insert(number, name.into());
            }
        }
    }

    fn take_applications(&mut self, record: &[u8]) {
        let size = |at: usize| record.get(at..at + 2).map_or(0, uint) as usize;
        let (id_size, name_size, description_size) = (size(8), size(10), size(12));
        for element in elements(record, APPLICATION_HEADER) {
            let Some((id, rest)) = element.split_at_checked(id_size) else {
                return;
            };
            let Some((name, rest)) = rest.split_at_checked(name_size) else {
                return;
            };
            let Some(description) = rest.get(..description_size) else {
                return;
            };
            let application = Application {
                name: text(name).into(),
                description: text(description).into(),
            };
            if let Some(known) = self.applications.get_mut(id) {
                *known = application;
            } else if has_room(&mut self.octets, id.len() + name_size + description_size) {
                self.applications.insert(id.into(), application);
            }
        }
    }

    /// The name of an interface.
    #[must_use]
    pub fn interface(&self, number: u64) -> Found<'_> {
        known(&self.interfaces, number)
    }

    /// The name of a VRF.
    #[must_use]
    pub fn vrf(&self, number: u64) -> Found<'_> {
        known(&self.vrfs, number)
    }

    /// Name and description of the application with this id (RFC 6759), as the flow record has it.
    #[must_use]
    pub fn application(&self, id: &[u8]) -> Option<&Application> {
        self.applications.get(id)
    }
}

fn known(table: &Table<u32, Box<[u8]>>, number: u64) -> Found<'_> {
    if table.is_empty() {
        return Found::Nothing;
    }
    let found = u32::try_from(number).ok().and_then(|n| table.get(&n));
    found.map_or(Found::Others, |name| Found::Name(name))
}

fn has_room(octets: &mut usize, more: usize) -> bool {
    let sum = *octets + more + ENTRY;
    let fits = sum <= MAX_OCTETS;
    if fits {
        *octets = sum;
    }
    fits
}

/// The whole elements of a record, as many as it says.
fn elements(record: &[u8], header: usize) -> impl Iterator<Item = &[u8]> {
    let size = |at: usize| record.get(at..at + 2).map_or(0, uint) as usize;
    let (count, each) = (size(4), size(6));
    let rest = record.get(header..).unwrap_or_default();
    // An element of no size has no number either.
    rest.chunks_exact(each.max(1))
        .take(if each == 0 { 0 } else { count })
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Makes records of names of interfaces or VRFs and gives each to `take`: as many as there must be.
pub fn encode(record_type: u16, names: &[(u32, &str)], mut take: impl FnMut(&[u8])) {
    let longest = names.iter().map(|(_, name)| name.len()).max().unwrap_or(0);
    // nfdump reads a name up to its NUL.
    let name_size = (longest + 1).next_multiple_of(4);
    let each = 4 + name_size;
    let mut record = Vec::new();
    for names in names.chunks(most(NUMBERED_HEADER, each)) {
        begin(&mut record, record_type, names.len(), each);
        push_size(&mut record, name_size);
        push_size(&mut record, 0);
        for (number, name) in names {
            record.extend_from_slice(&number.to_le_bytes());
            push_padded(&mut record, name, name_size);
        }
        end(&mut record);
        take(&record);
    }
}

/// As [`encode`] for applications: the octets of an id, name and description of each. Ids of one length share a record.
pub fn encode_applications(names: &[(&[u8], &str, &str)], mut take: impl FnMut(&[u8])) {
    let mut record = Vec::new();
    for names in names.chunk_by(|a, b| a.0.len() == b.0.len()) {
        let id_size = names.first().map_or(0, |(id, ..)| id.len());
        let longest = |of: fn(&(&[u8], &str, &str)) -> usize| {
            let longest = names.iter().map(of).max().unwrap_or(0);
            (longest + 1).next_multiple_of(4)
        };
        let (name_size, description_size) = (longest(|n| n.1.len()), longest(|n| n.2.len()));
        let each = id_size + name_size + description_size;
        for names in names.chunks(most(APPLICATION_HEADER, each)) {
            begin(&mut record, APPLICATIONS, names.len(), each);
            push_size(&mut record, id_size);
            push_size(&mut record, name_size);
            push_size(&mut record, description_size);
            for (id, name, description) in names {
                record.extend_from_slice(id);
                push_padded(&mut record, name, name_size);
                push_padded(&mut record, description, description_size);
            }
            end(&mut record);
            take(&record);
        }
    }
}

/// Elements of this size that a record has room for; at least one.
fn most(header: usize, each: usize) -> usize {
    ((usize::from(u16::MAX) - header) / each).max(1)
}

fn begin(record: &mut Vec<u8>, record_type: u16, count: usize, each: usize) {
    record.clear();
    record.extend_from_slice(&record_type.to_le_bytes());
    record.extend_from_slice(&[0; 2]);
    push_size(record, count);
    push_size(record, each);
}

fn end(record: &mut [u8]) {
    let size = u16::try_from(record.len()).unwrap_or(u16::MAX);
    if let Some(place) = record.get_mut(2..4) {
        place.copy_from_slice(&size.to_le_bytes());
    }
}

fn push_size(record: &mut Vec<u8>, size: usize) {
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    record.extend_from_slice(&size.to_le_bytes());
}

fn push_padded(record: &mut Vec<u8>, text: &str, size: usize) {
    let end = record.len() + size;
    record.extend_from_slice(text.as_bytes());
    record.resize(end, 0);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As nfcapd 1.7.5 writes names of 32 octets of interfaces, of 16 of VRFs, and of applications (16 and 32).
    fn of_nfcapd() -> Names {
        let interfaces = [
            &b"\x0d\0\x54\0\x02\0\x24\0\x20\0\0\0"[..],
            b"\x01\0\0\0uplink",
            &[0; 26],
            b"\x02\0\0\0lan \x1b[31m red",
            &[0; 19],
        ];
        let vrfs = [
            &b"\x0e\0\x34\0\x02\0\x14\0\x10\0\0\0"[..],
            b"\x01\0\0\0red",
            &[0; 13],
            b"\x02\0\0\0blue",
            &[0; 12],
        ];
        let applications = [
            &b"\x0c\0\x76\0\x02\0\x34\0\x04\0\x10\0\x20\0"[..],
            b"\x03\0\0\x50http",
            &[0; 12],
            b"World Wide Web",
            &[0; 18],
            b"\x0d\0\0\x01=cmd()",
            &[0; 10],
            b"evil",
            &[0; 28],
        ];
        let mut names = Names::default();
        for (record_type, record) in [
            (INTERFACES, interfaces.concat()),
            (VRFS, vrfs.concat()),
            (APPLICATIONS, applications.concat()),
        ] {
            assert_eq!(uint(&record[2..4]) as usize, record.len());
            names.take(record_type, &record);
        }
        names
    }

    #[test]
    fn reads_what_nfcapd_writes() {
        assert_eq!(Names::default().interface(1), Found::Nothing);
        let names = of_nfcapd();
        assert_eq!(names.interface(1), Found::Name(b"uplink"));
        assert_eq!(names.interface(2), Found::Name(b"lan \x1b[31m red"));
        assert_eq!(names.interface(3), Found::Others);
        assert_eq!(names.interface(1 << 32 | 1), Found::Others);
        assert_eq!(names.vrf(2), Found::Name(b"blue"));
        let http = names.application(&[3, 0, 0, 0x50]).unwrap();
        assert_eq!(
            (&*http.name, &*http.description),
            (&b"http"[..], &b"World Wide Web"[..])
        );
        assert_eq!(names.application(&[3, 0, 0]), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "n".repeat(200);
        let numbered: Vec<(u32, &str)> = (0..1000).map(|n| (n, long.as_str())).collect();
        let mut names = Names::default();
        let mut records = 0;
        encode(INTERFACES, &numbered, |record| {
            records += 1;
            assert_eq!(uint(&record[2..4]) as usize, record.len());
            names.take(INTERFACES, record);
        });
        // 208 octets each, in records of at most 65535.
        assert_eq!(records, 4);
        assert_eq!(names.interface(999), Found::Name(long.as_bytes()));
        let applications = [
            (&[1, 0, 0, 6][..], "tcp", ""),
            (&[3, 0, 0, 80], "http", "Web"),
            (&[20, 0, 0, 1, 2, 3, 4], "own", "of a vendor"),
        ];
        encode_applications(&applications, |record| names.take(APPLICATIONS, record));
        for (id, name, description) in applications {
            let known = names.application(id).unwrap();
            assert_eq!(&*known.name, name.as_bytes());
            assert_eq!(&*known.description, description.as_bytes());
        }
        encode(INTERFACES, &[(7, "new")], |r| names.take(INTERFACES, r));
        assert_eq!(names.interface(7), Found::Name(b"new"));
        encode(VRFS, &[], |_| panic!("a record without names"));
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Names::default();
        let long = "n".repeat(60_000);
        for number in 0..2000 {
            encode(VRFS, &[(number, &long)], |record| names.take(VRFS, record));
        }
        assert_eq!(names.vrf(1000), Found::Name(long.as_bytes()));
        assert_eq!(names.vrf(1999), Found::Others);
        assert!(names.octets <= MAX_OCTETS);
    }

    proptest::proptest! {
        #[test]
        fn any_octets(mut record in proptest::collection::vec(proptest::num::u8::ANY, 0..200), kind in 11u16..16, small: bool) {
            if small {
                for at in [5, 7, 9, 11, 13] {
                    if let Some(byte) = record.get_mut(at) {
                        *byte = 0;
                    }
                }
            }
            let mut names = Names::default();
            names.take(kind, &record);
            let _ = (names.interface(0), names.vrf(0), names.application(&[]));
        }
    }
}
