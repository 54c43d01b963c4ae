//! The options of `t2check exporter` for known traffic.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::device::Device;
use super::drive::{Drive, How, Pace};
use crate::cli::Exporter;

/// Seconds that injected packets may be late or early.
const INJECTED: f64 = 0.25;

const HEADING: &str = "Known traffic";

/// See the module.
#[derive(Args, Clone, Debug, Default)]
pub struct Known {
    /// The capture of the traffic that the exporter meters: what it reports is compared with the packets. With
    /// --capture what it reported before
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub pcap: Option<PathBuf>,
    /// Runs the exporter on it, with the shell: {pcap} is the capture, {host} and {port} where to send, {dir} a folder
    /// of its own. An exporter that runs on is ended with SIGTERM after --quiet
    #[arg(long, value_name = "CMD", requires = "pcap", conflicts_with_all = ["capture", "inject"], help_heading = HEADING)]
    pub replay: Option<String>,
    /// Puts its packets on this interface, by tcpreplay
    #[arg(long, value_name = "IFACE", requires = "pcap", conflicts_with = "capture", help_heading = HEADING)]
    pub inject: Option<String>,
    /// With --inject: starts the exporter, and ends it with SIGTERM when all is quiet; placeholders as for --replay
    #[arg(long, value_name = "CMD", requires = "inject", help_heading = HEADING)]
    pub start: Option<String>,
    /// With --inject: so many times the capture's speed
    #[arg(long, value_name = "TIMES", requires = "inject", default_value_t = 1.0, value_parser = parse_speed, help_heading = HEADING)]
    pub speed: f64,
    /// What the exporter's flows are, in TOML: key, bytes, time-outs, sampling …
    #[arg(long, value_name = "FILE", requires = "pcap", help_heading = HEADING)]
    pub dut: Option<PathBuf>,
    /// Seconds without a message after which an exporter that runs on is ended
    #[arg(long, value_name = "N", requires = "pcap", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600), help_heading = HEADING)]
    pub quiet: u16,
    /// Runs --replay twice: the flows are to be the same
    #[arg(long, requires = "replay", help_heading = HEADING)]
    pub repeat: bool,
}

impl Known {
    /// Whether silence is a finding too: of the exporter's traffic all is known.
    pub fn counts(&self) -> bool {
        self.pcap.is_some()
    }
}

impl Exporter {
    /// What makes the exporter meter, if anything does.
    pub fn drive(&self) -> Option<Drive> {
        let known = &self.known;
        let how = match (&known.replay, &known.inject) {
            (Some(command), _) => How::Replay(command.clone()),
            (None, Some(iface)) => How::Inject {
                iface: iface.clone(),
                pace: Pace::Times(known.speed),
                start: known.start.clone(),
            },
            (None, None) => return None,
        };
        Some(Drive {
            pcap: known.pcap.clone()?,
            how,
            quiet: Duration::from_secs(known.quiet.into()),
            time: Duration::from_secs(self.seconds.into()),
        })
    }

    /// The device as it is declared. Injected packets come with the times of this machine.
    pub fn declared(&self, device: Option<Device>) -> Device {
        let device = device.unwrap_or_default();
        match self.known.inject {
            Some(_) => Device {
                tolerance: device.tolerance.or(Some(INJECTED)),
                ..device
            },
            None => device,
        }
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a number wanted".to_owned())?;
    match (0.001..=1000.0).contains(&speed) {
        true => Ok(speed),
        false => Err("0.001 to 1000 wanted".to_owned()),
    }
}
