//! The bits of Tranalyzer's `ipFlags`.

/// Options of a length that cannot be, or not captured.
pub const OPTIONS_CORRUPT: u16 = 0x0001;
/// The IPv4 identification is lower than the one before.
pub const ID_ROLL_OVER: u16 = 0x0004;
/// A fragment below the minimum length with more to come.
pub const SHORT_FRAGMENT: u16 = 0x0008;
/// A fragment that ends beyond the longest datagram.
pub const FRAGMENT_OUT_OF_RANGE: u16 = 0x0010;
/// More fragments follow.
pub const MORE_FRAGMENTS: u16 = 0x0020;
/// IPv4: don't fragment. IPv6: a reserved bit of the fragment header.
pub const DONT_FRAGMENT: u16 = 0x0040;
/// The reserved bit of IPv4.
pub const RESERVED: u16 = 0x0080;
/// A fragment does not begin where the one before it ended.
pub const FRAGMENT_POSITION: u16 = 0x0100;
/// Fragments of two datagrams were mixed, or a connection ended in the middle of one.
pub const FRAGMENT_SEQUENCE: u16 = 0x0200;
/// The checksum of the IPv4 header is wrong.
pub const L3_CHECKSUM: u16 = 0x0400;
/// The checksum of the transport header is wrong, or cannot be verified because the capture cuts the packet.
pub const L4_CHECKSUM: u16 = 0x0800;
/// The capture cuts the packet.
pub const SNAPPED: u16 = 0x1000;
/// The length in a UDP or UDP-Lite header is not what IP holds.
pub const UDP_LENGTH: u16 = 0x2000;
/// Two packets at the same time.
pub const NO_DISTANCE: u16 = 0x4000;
/// A packet before the one before it.
pub const NEGATIVE_DISTANCE: u16 = 0x8000;
