//! Support for tests against other programs.
