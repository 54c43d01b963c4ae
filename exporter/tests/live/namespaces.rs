//! Two network namespaces with a pair of interfaces between them, gone when dropped.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use golden::harness::{in_ci, peer, skip};
use nix::unistd::geteuid;

pub struct Namespaces {
    name: String,
    pub near_interface: String,
    pub far_interface: String,
}

impl Namespaces {
    /// `None` is a visible skip: the test returns.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            assert!(!in_ci(), "network namespaces need root");
            skip("network namespaces need root");
            return None;
        }
        peer("ip")?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let spaces = Namespaces {
            name: format!("t2x-{}-{number}", std::process::id()),
            near_interface: "t2near".to_owned(),
            far_interface: "t2far".to_owned(),
        };
        let [near, far] = spaces.names();
        for name in [&near, &far] {
            if let Err(reason) = ip(&["netns", "add", name]) {
                // A container may not make any, root or not.
                skip(&format!("no network namespaces here: {reason}"));
                return None;
            }
            // Nothing but what is replayed is to be seen.
            for scope in ["all", "default"] {
                let setting = format!("net.ipv6.conf.{scope}.disable_ipv6=1");
                // Without IPv6 there is nothing to disable.
                let _ = ip(&["netns", "exec", name, "sysctl", "-qw", &setting]);
            }
        }
        let (one, other) = (&spaces.near_interface, &spaces.far_interface);
        let link = [
            "link", "add", one, "netns", &near, "type", "veth", "peer", "name", other, "netns",
            &far,
        ];
        if let Err(reason) = ip(&link) {
            skip(&format!("no pair of interfaces here: {reason}"));
            return None;
        }
        // Room for frames that a network card has put together.
        for (name, interface) in [(&near, one), (&far, other)] {
            ip(&["-n", name, "link", "set", interface, "mtu", "65535", "up"]).unwrap();
        }
        Some(spaces)
    }

    fn names(&self) -> [String; 2] {
        ["near", "far"].map(|side| format!("{}-{side}", self.name))
    }

    /// A program in the namespace that listens.
    pub fn near(&self, program: &Path) -> Command {
        inside(&self.names()[0], program)
    }

    /// A program in the one that sends.
    pub fn far(&self, program: &Path) -> Command {
        inside(&self.names()[1], program)
    }

    /// Packets are no longer than this from now on; and the far side has addresses, 192.0.2.1 and 2001:db8::1.
    pub fn set_mtu(&self, octets: u32) {
        let [near, far] = self.names();
        let mtu = octets.to_string();
        for (name, interface) in [(&near, &self.near_interface), (&far, &self.far_interface)] {
            ip(&["-n", name, "link", "set", interface, "mtu", &mtu]).unwrap();
        }
        let setting = format!("net.ipv6.conf.{}.disable_ipv6=0", self.far_interface);
        ip(&["netns", "exec", &far, "sysctl", "-qw", &setting]).unwrap();
        for address in ["192.0.2.1/24", "2001:db8::1/64"] {
            let mut add = vec!["-n", &far, "address", "add", address, "dev"];
            add.push(&self.far_interface);
            if address.contains(':') {
                add.push("nodad");
            }
            ip(&add).unwrap();
        }
    }

    /// Takes both interfaces away.
    pub fn remove_link(&self) {
        ip(&["-n", &self.names()[0], "link", "del", &self.near_interface]).unwrap();
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in self.names() {
            // It may not have come to be.
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

fn inside(name: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name]).arg(program);
    command
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
