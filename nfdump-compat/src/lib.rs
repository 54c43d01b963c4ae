//! nfcapd files and nfdump's reports, compatible with nfdump 1.7.1.
