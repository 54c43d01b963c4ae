//! Records in, NetFlow v9 or IPFIX messages out.
