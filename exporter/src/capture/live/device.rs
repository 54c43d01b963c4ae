//! An interface through libpcap: the only place that captures with it.

use super::{Head, LiveCounters, LiveError, Source};
use crate::capture::{Filter, LinkType};
use crate::config::LiveConfig;

#[cfg(feature = "live")]
pub(super) use opened::Device;

#[cfg(feature = "live")]
mod opened {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use pcap::{Active, Capture, Precision, Stat};

    use super::*;
    use crate::capture::clamp_ns;
    use crate::capture::live::{BATCH, PATIENCE};

    /// Linux has nanoseconds for every interface; what others do cannot be asked for.
    const PRECISION: (Precision, i128) = if cfg!(target_os = "linux") {
        (Precision::Nano, 1)
    } else {
        (Precision::Micro, 1000)
    };

    /// The interface that stands for all.
    const ANY: &str = "any";

    /// An open interface.
    pub(in super::super) struct Device {
        capture: Capture<Active>,
        /// libpcap's counters have 32 bits: their last values, and the sums.
        last: Stat,
        counters: LiveCounters,
    }

    impl Device {
        pub(in super::super) fn open(
            config: &LiveConfig,
            filter: Option<&mut Filter>,
        ) -> Result<Self, LiveError> {
            let interface = config.interface.as_str();
            let fail = |error| failure(interface, error);
            let octets = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
            let capture = Capture::from_device(interface)
                .map_err(fail)?
                .buffer_size(octets(config.buffer))
                .snaplen(octets(config.snap_length))
                // All interfaces at once have no promiscuous mode.
                .promisc(config.promiscuous && interface != ANY)
                .precision(PRECISION.0)
                .timeout(PATIENCE.as_millis() as i32);
            let capture = capture.open().map_err(fail)?;
            let mut capture = capture.setnonblock().map_err(fail)?;
            if let Some(filter) = filter {
                filter.prepare(link(&capture))?;
                capture.filter(filter.expression(), true).map_err(fail)?;
            }
            Ok(Device {
                capture,
                last: Stat {
                    received: 0,
                    dropped: 0,
                    if_dropped: 0,
                },
                counters: LiveCounters::default(),
            })
        }

        pub(in super::super) fn link(&self) -> LinkType {
            link(&self.capture)
        }
    }

    impl Source for Device {
        fn poll(&mut self, take: &mut dyn FnMut(Head, &[u8])) -> Result<usize, String> {
            // libpcap's own wait has no end while nothing arrives.
            let mut fds = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
            let patience = PollTimeout::from(PATIENCE.as_millis() as u8);
            if poll(&mut fds, patience) == Ok(0) {
                return Ok(0);
            }
            // An error of the socket is libpcap's to tell.
            let taken = self.capture.dispatch(Some(BATCH), |packet| {
                let header = packet.header;
                let ns = i128::from(header.ts.tv_sec) * 1_000_000_000
                    + i128::from(header.ts.tv_usec) * PRECISION.1;
                let head = Head {
                    ts_ns: clamp_ns(ns),
                    captured: header.caplen,
                    original: header.len,
                };
                take(head, packet.data);
            });
            taken.map_err(message)
        }

        fn counters(&mut self) -> LiveCounters {
            if let Ok(now) = self.capture.stats() {
                let since = |now: u32, last: u32| u64::from(now.wrapping_sub(last));
                self.counters.received += since(now.received, self.last.received);
                self.counters.kernel_dropped += since(now.dropped, self.last.dropped);
                self.counters.interface_dropped += since(now.if_dropped, self.last.if_dropped);
                self.last = now;
            }
            self.counters
        }
    }

    fn link(capture: &Capture<Active>) -> LinkType {
        // The numbers of this platform are those of files, but for raw IP and one kind of ATM.
        match capture.get_datalink().0 {
            11 => LinkType(100),
            number => LinkType::in_file(u16::try_from(number).unwrap_or(u16::MAX)),
        }
    }

    fn message(error: pcap::Error) -> String {
        match error {
            pcap::Error::PcapError(message) => message,
            error => error.to_string(),
        }
    }

    /// Why the interface cannot be opened. libpcap's codes do not get here, so its words and the system are asked.
    fn failure(interface: &str, error: pcap::Error) -> LiveError {
        let interface = interface.to_owned();
        let message = message(error);
        let known = pcap::Device::list().unwrap_or_default();
        let mut known: Vec<String> = known.into_iter().map(|device| device.name).collect();
        let exists =
            known.contains(&interface) || nix::net::if_::if_nametoindex(interface.as_str()).is_ok();
        if !exists && interface != ANY {
            if known.is_empty() {
                known.push(ANY.to_owned());
            }
            return LiveError::Unknown { interface, known };
        }
        let words = message.to_lowercase();
        let refused = ["permission", "permitted", "cap_net"];
        if refused.iter().any(|word| words.contains(word)) {
            let program = std::env::current_exe();
            let program = program.map_or("t2x".to_owned(), |path| path.display().to_string());
            return LiveError::Permission {
                interface,
                message,
                program,
            };
        }
        LiveError::Open { interface, message }
    }
}

/// Without libpcap there is no interface that can be opened.
#[cfg(not(feature = "live"))]
pub(super) enum Device {}

#[cfg(not(feature = "live"))]
impl Device {
    pub(super) fn open(config: &LiveConfig, _: Option<&mut Filter>) -> Result<Self, LiveError> {
        Err(LiveError::Open {
            interface: config.interface.clone(),
            message: "this program was built without libpcap (cargo feature live)".to_owned(),
        })
    }

    pub(super) fn link(&self) -> LinkType {
        match *self {}
    }
}

#[cfg(not(feature = "live"))]
impl Source for Device {
    fn poll(&mut self, _: &mut dyn FnMut(Head, &[u8])) -> Result<usize, String> {
        match *self {}
    }

    fn counters(&mut self) -> LiveCounters {
        match *self {}
    }
}
