//! Where addresses are and to which AS they belong: databases in MaxMind's format
//! (<https://maxmind.github.io/MaxMind-DB/>), in memory.

use crate::{
    field::{self, ext},
    record::{Annotated, RecordView},
};
use maxminddb::{MaxMindDbError, PathElement, Reader};
use serde::Deserialize;
use std::net::IpAddr;

/// One or more databases: that of places and that of AS numbers are sold apart.
#[derive(Debug, Default)]
pub struct GeoDatabase {
    readers: Vec<Reader<Vec<u8>>>,
}

/// What is told about a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Continent, two letters.
    pub continent: String,
    /// Country, two letters (ISO 3166).
    pub country: String,
    /// City, in English.
    pub city: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
}

impl GeoDatabase {
    /// Adds the content of a file.
    ///
    /// # Errors
    /// It is no such database, or a damaged one: why.
    pub fn add(&mut self, content: Vec<u8>) -> Result<(), String> {
        let reader = Reader::from_source(content).map_err(|error| match error {
            MaxMindDbError::InvalidDatabase { .. } => "not a database of MaxMind's format".into(),
            error => error.to_string(),
        })?;
        self.readers.push(reader);
        Ok(())
    }

    /// What the first database that knows it tells at this path. What cannot be read is not known.
    fn find<'a, T: Deserialize<'a>>(
        &'a self,
        address: IpAddr,
        path: &[PathElement<'_>],
    ) -> Option<T> {
        self.readers.iter().find_map(|reader| {
            let found = reader.lookup(address).ok()?;
            found.decode_path(path).ok()?
        })
    }

    /// The country's two letters (ISO 3166), in capitals.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
        let code: &str = self.find(
            address,
            &[PathElement::Key("country"), PathElement::Key("iso_code")],
        )?;
        let letters: [u8; 2] = code.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then(|| letters.map(|letter| letter.to_ascii_uppercase()))
    }

    /// Number of the AS; 0 if it is not known.
    #[must_use]
    pub fn system(&self, address: IpAddr) -> u64 {
        let path = [PathElement::Key("autonomous_system_number")];
        u64::from(self.find::<u32>(address, &path).unwrap_or(0))
    }

    /// Name of the AS.
    #[must_use]
    pub fn organization(&self, address: IpAddr) -> Option<&str> {
        self.find(
            address,
            &[PathElement::Key("autonomous_system_organization")],
        )
    }

    /// Whether the address is in this time zone, as `Europe/Zurich`.
    #[must_use]
    pub fn is_in_zone(&self, address: IpAddr, zone: &str) -> bool {
        let path = [PathElement::Key("location"), PathElement::Key("time_zone")];
        self.find::<&str>(address, &path)
            .is_some_and(|known| known.eq_ignore_ascii_case(zone))
    }

    /// All that is known about the place; none if the country is not.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let [first, second] = self.country(address)?.map(char::from);
        let text = |path: &[PathElement<'_>]| {
            let text = self.find::<&str>(address, path);
            text.unwrap_or_default().to_owned()
        };
        let degrees = |which| {
            let path = [PathElement::Key("location"), PathElement::Key(which)];
            self.find::<f64>(address, &path).unwrap_or_default()
        };
        Some(Place {
            continent: text(&[PathElement::Key("continent"), PathElement::Key("code")]),
            country: [first, second].iter().collect(),
            city: text(&[
                PathElement::Key("city"),
                PathElement::Key("names"),
                PathElement::Key("en"),
            ]),
            longitude: degrees("longitude"),
            latitude: degrees("latitude"),
        })
    }
}

impl std::fmt::Display for Place {
    /// As nfdump prints places.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}/{} long/lat: {:.4}/{:.4}",
            self.continent, self.country, self.city, self.longitude, self.latitude
        )
    }
}

impl GeoDatabase {
    /// Adds to a copy of a record the AS numbers that it does not have and the countries; with `places` also these.
    pub fn annotate(&self, record: &RecordView<'_>, places: bool, to: &mut Annotated) {
        let (source, destination) = (record.src_ip(), record.dst_ip());
        let system = |location, address: Option<IpAddr>| match record.get_or_zero(location) {
            0 => address.map_or(0, |address| self.system(address)),
            system => system,
        };
        let systems = [
            system(field::SRC_AS, source),
            system(field::DST_AS, destination),
        ];
        to.begin(record, Some(ext::AS_ROUTING));
        if record.has(ext::AS_ROUTING) || systems != [0, 0] {
            let [source, destination] = systems.map(|system| (system as u32).to_le_bytes());
            to.push(ext::AS_ROUTING, &[&source, &destination]);
        }
        let country = |address: Option<IpAddr>| {
            let letters = address.and_then(|address| self.country(address));
            letters.map_or([0; 2], |letters| u16::from_be_bytes(letters).to_le_bytes())
        };
        to.push(ext::GEO, &[&country(source), &country(destination)]);
        if places {
            let place = |address: Option<IpAddr>| {
                let place = address.and_then(|address| self.place(address));
                place.map_or_else(String::new, |place| place.to_string().replace('\0', ""))
            };
            let (source, destination) = (place(source), place(destination));
            to.push(
                ext::PLACES,
                &[source.as_bytes(), b"\0", destination.as_bytes(), b"\0"],
            );
        }
    }
}
