//! Names that exporters tell, as records of nfcapd files.

use nfdump_compat::names::{INTERFACES, VRFS, encode, encode_applications};

use crate::knowledge::{Name, Named};
use crate::slot::shared::SharedSlot;

/// Writes names of one exporter.
pub fn write(names: &[(Named, u64, &Name)], slot: &mut SharedSlot) {
    let of = |wanted: Named| names.iter().filter(move |(what, ..)| *what == wanted);
    for (wanted, record_type) in [(Named::Interface, INTERFACES), (Named::Vrf, VRFS)] {
        let numbered = of(wanted).filter_map(|(_, number, name)| {
            let number = u32::try_from(*number).ok()?;
            Some((number, name.text()))
        });
        encode(record_type, &numbered.collect::<Vec<_>>(), |record| {
            slot.names(record);
        });
    }
    let applications = of(Named::Application)
        .map(|(.., name)| (&*name.id, &*name.name, &*name.description))
        .collect::<Vec<_>>();
    encode_applications(&applications, |record| slot.names(record));
}
