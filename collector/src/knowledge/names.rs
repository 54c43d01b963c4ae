//! Names of interfaces, VRFs, applications and samplers.

use protocol::registry::ie;

use super::{
    APPLICATION_DESCRIPTION, Knowledge, MAX_PER_EXPORTER, Origin, SAMPLER_NAME, Told, VRF_NAME,
};

/// What a name belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Named {
    /// ingressInterface or egressInterface.
    Interface,
    /// ingressVRFID or egressVRFID.
    Vrf,
    /// applicationId.
    Application,
    /// samplerId or selectorId.
    Sampler,
}

/// A name and a description; one of them may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// As interfaceName, applicationName.
    pub name: Box<str>,
    /// As interfaceDescription, applicationDescription.
    pub description: Box<str>,
    /// The id of an application as it was sent; empty for others.
    pub id: Box<[u8]>,
}

impl Knowledge {
    /// Takes in the names of an options record; gives those that are new.
    pub(super) fn learn_names(
        &mut self,
        origin: Origin,
        sampler: Option<u64>,
        told: &Told<'_>,
    ) -> Vec<(Named, u64)> {
        let either = |one, other| told.number(one).or(told.number(other));
        let names = [
            (
                Named::Interface,
                either(ie::INGRESS_INTERFACE, ie::EGRESS_INTERFACE),
                told.name(ie::INTERFACE_NAME),
                told.name(ie::INTERFACE_DESCRIPTION),
            ),
            (
                Named::Vrf,
                either(ie::INGRESS_VRFID, ie::EGRESS_VRFID),
                told.name(VRF_NAME),
                None,
            ),
            (
                Named::Application,
                told.number(ie::APPLICATION_ID),
                told.name(ie::APPLICATION_NAME),
                told.name(APPLICATION_DESCRIPTION),
            ),
            (Named::Sampler, sampler, told.name(SAMPLER_NAME), None),
        ];
        let mut new = Vec::new();
        for (what, number, name, description) in names {
            let Some(number) = number.filter(|_| name.is_some() || description.is_some()) else {
                continue;
            };
            let id = told.application.filter(|_| what == Named::Application);
            let name = Name {
                name: name.unwrap_or_default(),
                description: description.unwrap_or_default(),
                id: id.unwrap_or_default().into(),
            };
            let key = (origin, what, number);
            if self.names.get(&key) != Some(&name) {
                self.names.insert(origin.0, MAX_PER_EXPORTER, key, name);
                new.push((what, number));
            }
        }
        new
    }

    /// Names that an exporter has told, sorted.
    pub fn names(&self, origin: Origin) -> Vec<(Named, u64, &Name)> {
        if !self.names.filled.contains_key(&origin.0) {
            return Vec::new();
        }
        let mut names: Vec<_> = self
            .names
            .entries
            .iter()
            .filter(|((of, ..), _)| *of == origin)
            .map(|((_, what, number), name)| (*what, *number, name))
            .collect();
        names.sort_unstable_by_key(|(what, number, _)| (*what, *number));
        names
    }

    /// One of them.
    pub fn name(&self, origin: Origin, what: Named, number: u64) -> Option<&Name> {
        self.names.get(&(origin, what, number))
    }
}

impl Name {
    /// What to show where there is room for one text: what an interface is for says more than what it is called, and nfcapd
    /// knows nothing else.
    #[must_use]
    pub fn text(&self) -> &str {
        if self.description.is_empty() {
            &self.name
        } else {
            &self.description
        }
    }
}
