//! Generators of captures and flows, and the golden tests.
