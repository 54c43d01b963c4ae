//! Sessions as other people's programs count them in the same captures, compared with our flows.
//!
//! Sessions and flows are merged by their ends over the whole capture, both directions apart: time-outs differ, and the
//! recordings of Zeek have no times. What cannot be compared, and every difference, is counted by its cause; a
//! difference without a cause fails the test.
#![allow(clippy::unwrap_used)]

mod arkime;
mod compare;
mod flowtest;
mod ours;
mod suricata;
mod zeek;
