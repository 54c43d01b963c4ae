//! Message boundaries in a byte stream (RFC 7011 section 10.4 for IPFIX).
