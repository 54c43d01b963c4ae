//! IANA's Information Elements, read from `data/elements.tsv` (number, name, type, semantics, units as in
//! IANA's registry "IPFIX Information Elements"), and the elements that code names.
//!
//! NetFlow v9 field types have the numbers of the same IANA elements (RFC 7012 section 4.3).

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::template::{REVERSE_PEN, VARIABLE_LENGTH};

static SOURCE: &str = include_str!("../data/elements.tsv");
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(SOURCE));

/// Abstract data type of an element (RFC 7012 section 3.1, RFC 6313 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DataType {
    /// Octets without further meaning.
    OctetArray,
    /// 1 octet.
    Unsigned8,
    /// Up to 2 octets.
    Unsigned16,
    /// Up to 4 octets.
    Unsigned32,
    /// Up to 8 octets.
    Unsigned64,
    /// Up to 32 octets.
    Unsigned256,
    /// Two's complement, up to 1 octet.
    Signed8,
    /// Two's complement, up to 2 octets.
    Signed16,
    /// Two's complement, up to 4 octets.
    Signed32,
    /// Two's complement, up to 8 octets.
    Signed64,
    /// IEEE 754, 4 octets.
    Float32,
    /// IEEE 754, 8 octets, or 4 when reduced.
    Float64,
    /// 1 is true, 2 is false.
    Boolean,
    /// 6 octets.
    MacAddress,
    /// UTF-8.
    String,
    /// Seconds since 1970, 4 octets.
    DateTimeSeconds,
    /// Milliseconds since 1970, 8 octets.
    DateTimeMilliseconds,
    /// NTP timestamp, 8 octets, the lowest 11 bits ignored.
    DateTimeMicroseconds,
    /// NTP timestamp, 8 octets.
    DateTimeNanoseconds,
    /// 4 octets.
    Ipv4Address,
    /// 16 octets.
    Ipv6Address,
    /// RFC 6313 `basicList`.
    BasicList,
    /// RFC 6313 `subTemplateList`.
    SubTemplateList,
    /// RFC 6313 `subTemplateMultiList`.
    SubTemplateMultiList,
}

impl DataType {
    /// Whether a field of this length can hold values of the type: addresses, times and floating point have one length
    /// (RFC 7011 section 6.2). Numbers may be of any, as some exporters send them longer than their type.
    pub fn allows(self, length: u16) -> bool {
        let exactly = match self {
            Self::Ipv4Address | Self::DateTimeSeconds | Self::Float32 => 4,
            Self::Ipv6Address => 16,
            Self::MacAddress => 6,
            Self::Float64 if length == 4 => 4,
            Self::Float64
            | Self::DateTimeMilliseconds
            | Self::DateTimeMicroseconds
            | Self::DateTimeNanoseconds => 8,
            _ => return true,
        };
        length == exactly || length == VARIABLE_LENGTH
    }

    /// The type of a number in IANA's "IPFIX Information Element Data Types" (RFC 5610 section 3.1).
    pub fn of_number(number: u64) -> Option<Self> {
        const TYPES: [DataType; 24] = [
            DataType::OctetArray,
            DataType::Unsigned8,
            DataType::Unsigned16,
            DataType::Unsigned32,
            DataType::Unsigned64,
            DataType::Signed8,
            DataType::Signed16,
            DataType::Signed32,
            DataType::Signed64,
            DataType::Float32,
            DataType::Float64,
            DataType::Boolean,
            DataType::MacAddress,
            DataType::String,
            DataType::DateTimeSeconds,
            DataType::DateTimeMilliseconds,
            DataType::DateTimeMicroseconds,
            DataType::DateTimeNanoseconds,
            DataType::Ipv4Address,
            DataType::Ipv6Address,
            DataType::BasicList,
            DataType::SubTemplateList,
            DataType::SubTemplateMultiList,
            DataType::Unsigned256,
        ];
        TYPES.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether values are lists, to be read with [`structured`](crate::structured).
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::BasicList | Self::SubTemplateList | Self::SubTemplateMultiList
        )
    }
}

/// One Information Element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element {
    /// Private enterprise number; 0 for IANA, [`REVERSE_PEN`] for a reversed IANA element.
    pub pen: u32,
    /// Element number.
    pub id: u16,
    /// IANA's name; reversed elements are named as RFC 5103 section 6.1 says (`reverseOctetDeltaCount`).
    pub name: &'static str,
    /// How values are encoded.
    pub data_type: DataType,
    /// IANA's data type semantics (`deltaCounter`, `identifier` …); empty where IANA gives none.
    pub semantics: &'static str,
    /// IANA's units (`octets`, `milliseconds` …); empty where IANA gives none.
    pub units: &'static str,
}

/// The element of this number; `None` if the registry does not have it.
pub fn element(pen: u32, id: u16) -> Option<&'static Element> {
    let elements = match pen {
        0 => &TABLE.forward,
        REVERSE_PEN => &TABLE.reverse,
        _ => return None,
    };
    elements.get(usize::from(id))?.as_ref()
}

/// The element of this name, IANA's or reversed.
pub fn by_name(name: &str) -> Option<&'static Element> {
    let (pen, id) = *TABLE.names.get(name)?;
    element(pen, id)
}

/// All of IANA's elements in the order of their numbers.
pub fn elements() -> impl Iterator<Item = &'static Element> {
    TABLE.forward.iter().flatten()
}

/// Elements by number, and numbers by name.
struct Table {
    forward: Vec<Option<Element>>,
    reverse: Vec<Option<Element>>,
    names: HashMap<&'static str, (u32, u16), foldhash::fast::FixedState>,
}

impl Table {
    /// Lines that cannot be read are left out; a test sees to it that there are none.
    fn read(source: &'static str) -> Self {
        let mut table = Self {
            forward: Vec::new(),
            reverse: Vec::new(),
            names: HashMap::default(),
        };
        for element in source.lines().skip(1).filter_map(parse_line) {
            table.add(element);
            // Leaked once for the life of the process: the table is a static.
            let name: &'static str = Box::leak(reverse_name(element.name).into_boxed_str());
            table.add(Element {
                pen: REVERSE_PEN,
                name,
                ..element
            });
        }
        table
    }

    fn add(&mut self, element: Element) {
        let elements = if element.pen == 0 {
            &mut self.forward
        } else {
            &mut self.reverse
        };
        let index = usize::from(element.id);
        if elements.len() <= index {
            elements.resize(index + 1, None);
        }
        if let Some(slot) = elements.get_mut(index) {
            *slot = Some(element);
        }
        self.names.insert(element.name, (element.pen, element.id));
    }
}

fn reverse_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    "reverse".chars().chain(first).chain(letters).collect()
}

fn parse_line(line: &'static str) -> Option<Element> {
    let mut columns = line.split('\t');
    let id = columns.next()?.parse().ok()?;
    let name = columns.next()?;
    let data_type = parse_type(columns.next()?)?;
    let semantics = columns.next()?;
    let units = columns.next()?;
    Some(Element {
        pen: 0,
        id,
        name,
        data_type,
        semantics,
        units,
    })
}

fn parse_type(name: &str) -> Option<DataType> {
    Some(match name {
        "octetArray" => DataType::OctetArray,
        "unsigned8" => DataType::Unsigned8,
        "unsigned16" => DataType::Unsigned16,
        "unsigned32" => DataType::Unsigned32,
        "unsigned64" => DataType::Unsigned64,
        "unsigned256" => DataType::Unsigned256,
        "signed8" => DataType::Signed8,
        "signed16" => DataType::Signed16,
        "signed32" => DataType::Signed32,
        "signed64" => DataType::Signed64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "macAddress" => DataType::MacAddress,
        "string" => DataType::String,
        "dateTimeSeconds" => DataType::DateTimeSeconds,
        "dateTimeMilliseconds" => DataType::DateTimeMilliseconds,
        "dateTimeMicroseconds" => DataType::DateTimeMicroseconds,
        "dateTimeNanoseconds" => DataType::DateTimeNanoseconds,
        "ipv4Address" => DataType::Ipv4Address,
        "ipv6Address" => DataType::Ipv6Address,
        "basicList" => DataType::BasicList,
        "subTemplateList" => DataType::SubTemplateList,
        "subTemplateMultiList" => DataType::SubTemplateMultiList,
        _ => return None,
    })
}

/// Numbers of the elements that code names, under IANA's names.
pub mod ie {
    macro_rules! numbers {
        ($($name:ident = $id:literal, $iana:literal;)*) => {
            $(#[doc = concat!("`", $iana, "`")] pub const $name: u16 = $id;)*
            #[cfg(test)]
            pub(super) const NAMED: &[(u16, &str)] = &[$(($id, $iana)),*];
        };
    }

    numbers! {
        OCTET_DELTA_COUNT = 1, "octetDeltaCount";
        PACKET_DELTA_COUNT = 2, "packetDeltaCount";
        DELTA_FLOW_COUNT = 3, "deltaFlowCount";
        PROTOCOL_IDENTIFIER = 4, "protocolIdentifier";
        IP_CLASS_OF_SERVICE = 5, "ipClassOfService";
        TCP_CONTROL_BITS = 6, "tcpControlBits";
        SOURCE_TRANSPORT_PORT = 7, "sourceTransportPort";
        SOURCE_IPV4_ADDRESS = 8, "sourceIPv4Address";
        SOURCE_IPV4_PREFIX_LENGTH = 9, "sourceIPv4PrefixLength";
        INGRESS_INTERFACE = 10, "ingressInterface";
        DESTINATION_TRANSPORT_PORT = 11, "destinationTransportPort";
        DESTINATION_IPV4_ADDRESS = 12, "destinationIPv4Address";
        DESTINATION_IPV4_PREFIX_LENGTH = 13, "destinationIPv4PrefixLength";
        EGRESS_INTERFACE = 14, "egressInterface";
        IP_NEXT_HOP_IPV4_ADDRESS = 15, "ipNextHopIPv4Address";
        BGP_SOURCE_AS_NUMBER = 16, "bgpSourceAsNumber";
        BGP_DESTINATION_AS_NUMBER = 17, "bgpDestinationAsNumber";
        BGP_NEXT_HOP_IPV4_ADDRESS = 18, "bgpNextHopIPv4Address";
        FLOW_END_SYS_UP_TIME = 21, "flowEndSysUpTime";
        FLOW_START_SYS_UP_TIME = 22, "flowStartSysUpTime";
        POST_OCTET_DELTA_COUNT = 23, "postOctetDeltaCount";
        POST_PACKET_DELTA_COUNT = 24, "postPacketDeltaCount";
        MINIMUM_IP_TOTAL_LENGTH = 25, "minimumIpTotalLength";
        MAXIMUM_IP_TOTAL_LENGTH = 26, "maximumIpTotalLength";
        SOURCE_IPV6_ADDRESS = 27, "sourceIPv6Address";
        DESTINATION_IPV6_ADDRESS = 28, "destinationIPv6Address";
        SOURCE_IPV6_PREFIX_LENGTH = 29, "sourceIPv6PrefixLength";
        DESTINATION_IPV6_PREFIX_LENGTH = 30, "destinationIPv6PrefixLength";
        FLOW_LABEL_IPV6 = 31, "flowLabelIPv6";
        ICMP_TYPE_CODE_IPV4 = 32, "icmpTypeCodeIPv4";
        IGMP_TYPE = 33, "igmpType";
        SAMPLING_INTERVAL = 34, "samplingInterval";
        SAMPLING_ALGORITHM = 35, "samplingAlgorithm";
        FLOW_ACTIVE_TIMEOUT = 36, "flowActiveTimeout";
        FLOW_IDLE_TIMEOUT = 37, "flowIdleTimeout";
        ENGINE_TYPE = 38, "engineType";
        ENGINE_ID = 39, "engineId";
        EXPORTED_OCTET_TOTAL_COUNT = 40, "exportedOctetTotalCount";
        EXPORTED_MESSAGE_TOTAL_COUNT = 41, "exportedMessageTotalCount";
        EXPORTED_FLOW_RECORD_TOTAL_COUNT = 42, "exportedFlowRecordTotalCount";
        IPV4_ROUTER_SC = 43, "ipv4RouterSc";
        SAMPLER_ID = 48, "samplerId";
        SAMPLER_MODE = 49, "samplerMode";
        SAMPLER_RANDOM_INTERVAL = 50, "samplerRandomInterval";
        MINIMUM_TTL = 52, "minimumTTL";
        MAXIMUM_TTL = 53, "maximumTTL";
        FRAGMENT_IDENTIFICATION = 54, "fragmentIdentification";
        POST_IP_CLASS_OF_SERVICE = 55, "postIpClassOfService";
        SOURCE_MAC_ADDRESS = 56, "sourceMacAddress";
        POST_DESTINATION_MAC_ADDRESS = 57, "postDestinationMacAddress";
        VLAN_ID = 58, "vlanId";
        POST_VLAN_ID = 59, "postVlanId";
        IP_VERSION = 60, "ipVersion";
        FLOW_DIRECTION = 61, "flowDirection";
        IP_NEXT_HOP_IPV6_ADDRESS = 62, "ipNextHopIPv6Address";
        BGP_NEXT_HOP_IPV6_ADDRESS = 63, "bgpNextHopIPv6Address";
        IPV6_EXTENSION_HEADERS = 64, "ipv6ExtensionHeaders";
        MPLS_TOP_LABEL_STACK_SECTION = 70, "mplsTopLabelStackSection";
        MPLS_LABEL_STACK_SECTION2 = 71, "mplsLabelStackSection2";
        MPLS_LABEL_STACK_SECTION3 = 72, "mplsLabelStackSection3";
        MPLS_LABEL_STACK_SECTION4 = 73, "mplsLabelStackSection4";
        MPLS_LABEL_STACK_SECTION5 = 74, "mplsLabelStackSection5";
        MPLS_LABEL_STACK_SECTION6 = 75, "mplsLabelStackSection6";
        MPLS_LABEL_STACK_SECTION7 = 76, "mplsLabelStackSection7";
        MPLS_LABEL_STACK_SECTION8 = 77, "mplsLabelStackSection8";
        MPLS_LABEL_STACK_SECTION9 = 78, "mplsLabelStackSection9";
        MPLS_LABEL_STACK_SECTION10 = 79, "mplsLabelStackSection10";
        DESTINATION_MAC_ADDRESS = 80, "destinationMacAddress";
        POST_SOURCE_MAC_ADDRESS = 81, "postSourceMacAddress";
        INTERFACE_NAME = 82, "interfaceName";
        INTERFACE_DESCRIPTION = 83, "interfaceDescription";
        OCTET_TOTAL_COUNT = 85, "octetTotalCount";
        PACKET_TOTAL_COUNT = 86, "packetTotalCount";
        FORWARDING_STATUS = 89, "forwardingStatus";
        APPLICATION_ID = 95, "applicationId";
        APPLICATION_NAME = 96, "applicationName";
        BGP_NEXT_ADJACENT_AS_NUMBER = 128, "bgpNextAdjacentAsNumber";
        BGP_PREV_ADJACENT_AS_NUMBER = 129, "bgpPrevAdjacentAsNumber";
        EXPORTER_IPV4_ADDRESS = 130, "exporterIPv4Address";
        EXPORTER_IPV6_ADDRESS = 131, "exporterIPv6Address";
        FLOW_END_REASON = 136, "flowEndReason";
        COMMON_PROPERTIES_ID = 137, "commonPropertiesId";
        OBSERVATION_POINT_ID = 138, "observationPointId";
        ICMP_TYPE_CODE_IPV6 = 139, "icmpTypeCodeIPv6";
        MPLS_TOP_LABEL_IPV6_ADDRESS = 140, "mplsTopLabelIPv6Address";
        LINE_CARD_ID = 141, "lineCardId";
        PORT_ID = 142, "portId";
        METERING_PROCESS_ID = 143, "meteringProcessId";
        EXPORTING_PROCESS_ID = 144, "exportingProcessId";
        TEMPLATE_ID = 145, "templateId";
        WLAN_CHANNEL_ID = 146, "wlanChannelId";
        WLAN_SSID = 147, "wlanSSID";
        FLOW_ID = 148, "flowId";
        OBSERVATION_DOMAIN_ID = 149, "observationDomainId";
        FLOW_START_SECONDS = 150, "flowStartSeconds";
        FLOW_END_SECONDS = 151, "flowEndSeconds";
        FLOW_START_MILLISECONDS = 152, "flowStartMilliseconds";
        FLOW_END_MILLISECONDS = 153, "flowEndMilliseconds";
        FLOW_START_MICROSECONDS = 154, "flowStartMicroseconds";
        FLOW_END_MICROSECONDS = 155, "flowEndMicroseconds";
        FLOW_START_NANOSECONDS = 156, "flowStartNanoseconds";
        FLOW_END_NANOSECONDS = 157, "flowEndNanoseconds";
        FLOW_START_DELTA_MICROSECONDS = 158, "flowStartDeltaMicroseconds";
        FLOW_END_DELTA_MICROSECONDS = 159, "flowEndDeltaMicroseconds";
        SYSTEM_INIT_TIME_MILLISECONDS = 160, "systemInitTimeMilliseconds";
        FLOW_DURATION_MILLISECONDS = 161, "flowDurationMilliseconds";
        FLOW_DURATION_MICROSECONDS = 162, "flowDurationMicroseconds";
        OBSERVED_FLOW_TOTAL_COUNT = 163, "observedFlowTotalCount";
        IGNORED_PACKET_TOTAL_COUNT = 164, "ignoredPacketTotalCount";
        IGNORED_OCTET_TOTAL_COUNT = 165, "ignoredOctetTotalCount";
        NOT_SENT_FLOW_TOTAL_COUNT = 166, "notSentFlowTotalCount";
        NOT_SENT_PACKET_TOTAL_COUNT = 167, "notSentPacketTotalCount";
        NOT_SENT_OCTET_TOTAL_COUNT = 168, "notSentOctetTotalCount";
        DESTINATION_IPV6_PREFIX = 169, "destinationIPv6Prefix";
        SOURCE_IPV6_PREFIX = 170, "sourceIPv6Prefix";
        POST_OCTET_TOTAL_COUNT = 171, "postOctetTotalCount";
        POST_PACKET_TOTAL_COUNT = 172, "postPacketTotalCount";
        FLOW_KEY_INDICATOR = 173, "flowKeyIndicator";
        ICMP_TYPE_IPV4 = 176, "icmpTypeIPv4";
        ICMP_CODE_IPV4 = 177, "icmpCodeIPv4";
        ICMP_TYPE_IPV6 = 178, "icmpTypeIPv6";
        ICMP_CODE_IPV6 = 179, "icmpCodeIPv6";
        TCP_SEQUENCE_NUMBER = 184, "tcpSequenceNumber";
        IP_HEADER_LENGTH = 189, "ipHeaderLength";
        IP_TTL = 192, "ipTTL";
        NEXT_HEADER_IPV6 = 193, "nextHeaderIPv6";
        MPLS_PAYLOAD_LENGTH = 194, "mplsPayloadLength";
        IP_DIFF_SERV_CODE_POINT = 195, "ipDiffServCodePoint";
        FRAGMENT_FLAGS = 197, "fragmentFlags";
        IS_MULTICAST = 206, "isMulticast";
        IPV4_IHL = 207, "ipv4IHL";
        TCP_OPTIONS = 209, "tcpOptions";
        PADDING_OCTETS = 210, "paddingOctets";
        IP_TOTAL_LENGTH = 224, "ipTotalLength";
        POST_NAT_SOURCE_IPV4_ADDRESS = 225, "postNATSourceIPv4Address";
        POST_NAT_DESTINATION_IPV4_ADDRESS = 226, "postNATDestinationIPv4Address";
        POST_NAPT_SOURCE_TRANSPORT_PORT = 227, "postNAPTSourceTransportPort";
        POST_NAPT_DESTINATION_TRANSPORT_PORT = 228, "postNAPTDestinationTransportPort";
        NAT_EVENT = 230, "natEvent";
        INITIATOR_OCTETS = 231, "initiatorOctets";
        RESPONDER_OCTETS = 232, "responderOctets";
        FIREWALL_EVENT = 233, "firewallEvent";
        INGRESS_VRFID = 234, "ingressVRFID";
        EGRESS_VRFID = 235, "egressVRFID";
        BIFLOW_DIRECTION = 239, "biflowDirection";
        DOT1Q_VLAN_ID = 243, "dot1qVlanId";
        DOT1Q_PRIORITY = 244, "dot1qPriority";
        DOT1Q_CUSTOMER_VLAN_ID = 245, "dot1qCustomerVlanId";
        INGRESS_PHYSICAL_INTERFACE = 252, "ingressPhysicalInterface";
        EGRESS_PHYSICAL_INTERFACE = 253, "egressPhysicalInterface";
        POST_DOT1Q_VLAN_ID = 254, "postDot1qVlanId";
        ETHERNET_TYPE = 256, "ethernetType";
        COLLECTION_TIME_MILLISECONDS = 258, "collectionTimeMilliseconds";
        POST_NAT_SOURCE_IPV6_ADDRESS = 281, "postNATSourceIPv6Address";
        POST_NAT_DESTINATION_IPV6_ADDRESS = 282, "postNATDestinationIPv6Address";
        NAT_POOL_ID = 283, "natPoolId";
        BASIC_LIST = 291, "basicList";
        SUB_TEMPLATE_LIST = 292, "subTemplateList";
        SUB_TEMPLATE_MULTI_LIST = 293, "subTemplateMultiList";
        INITIATOR_PACKETS = 298, "initiatorPackets";
        RESPONDER_PACKETS = 299, "responderPackets";
        SELECTION_SEQUENCE_ID = 301, "selectionSequenceId";
        SELECTOR_ID = 302, "selectorId";
        INFORMATION_ELEMENT_ID = 303, "informationElementId";
        SELECTOR_ALGORITHM = 304, "selectorAlgorithm";
        SAMPLING_PACKET_INTERVAL = 305, "samplingPacketInterval";
        SAMPLING_PACKET_SPACE = 306, "samplingPacketSpace";
        SAMPLING_SIZE = 309, "samplingSize";
        SAMPLING_POPULATION = 310, "samplingPopulation";
        SAMPLING_PROBABILITY = 311, "samplingProbability";
        SELECTOR_ID_TOTAL_PKTS_OBSERVED = 318, "selectorIdTotalPktsObserved";
        SELECTOR_ID_TOTAL_PKTS_SELECTED = 319, "selectorIdTotalPktsSelected";
        OBSERVATION_TIME_SECONDS = 322, "observationTimeSeconds";
        OBSERVATION_TIME_MILLISECONDS = 323, "observationTimeMilliseconds";
        OBSERVATION_TIME_MICROSECONDS = 324, "observationTimeMicroseconds";
        OBSERVATION_TIME_NANOSECONDS = 325, "observationTimeNanoseconds";
        PORT_RANGE_START = 361, "portRangeStart";
        PORT_RANGE_END = 362, "portRangeEnd";
        PORT_RANGE_STEP_SIZE = 363, "portRangeStepSize";
        PORT_RANGE_NUM_PORTS = 364, "portRangeNumPorts";
        TRANSPORT_OCTET_DELTA_COUNT = 401, "transportOctetDeltaCount";
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_line_of_the_table_is_an_element() {
        assert_eq!(elements().count(), SOURCE.lines().count() - 1);
        assert_eq!(elements().count(), 502);
    }

    #[test]
    fn constants_carry_ianas_names() {
        for (id, name) in ie::NAMED {
            assert_eq!(element(0, *id).unwrap().name, *name);
        }
    }

    #[test]
    fn lookups_by_number_and_name() {
        let octets = element(0, ie::OCTET_DELTA_COUNT).unwrap();
        assert_eq!(
            (octets.data_type, octets.semantics, octets.units),
            (DataType::Unsigned64, "deltaCounter", "octets")
        );
        assert_eq!(by_name("flowStartMilliseconds").unwrap().id, 152);
        let reverse = by_name("reverseOctetDeltaCount").unwrap();
        assert_eq!((reverse.pen, reverse.id), (REVERSE_PEN, 1));
        assert!(element(0, 0).is_none_or(|element| element.id == 0));
        assert!(element(0, 65535).is_none());
        assert!(element(9, 1).is_none());
        assert!(by_name("noSuchElement").is_none());
    }
}
