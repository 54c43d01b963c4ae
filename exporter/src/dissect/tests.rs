//! Frames by hand.
