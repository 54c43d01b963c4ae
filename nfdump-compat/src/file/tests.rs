//! Tests of reading and writing together, with the real nfdump where it is installed.
