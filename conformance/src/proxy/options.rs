//! The options of `t2check proxy`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::faults::Fault;
use crate::cli::Listen;
use crate::wire::Transport;

const FAULTS: &str = "\
Faults, each for the share or number of messages that it names; @FROM-TO limits it to these messages, counted from 1:
  loss:5%              drops messages
  duplicate:1%         sends them twice
  reorder:3%[:N]       lets N later messages pass first [1]
  delay:MS[-MS]        holds them back
  corrupt:1%           turns one bit
  truncate:1%          cuts them anywhere
  rate:N               drops what is above N messages a second
  source-port:N        takes another source port every N messages (UDP)
  drop-templates       drops every template set
  drop-templates:N     drops the first N template sets
  swap-templates       moves template sets behind data
  cut-at-set:1%        cuts messages at the border of a set
Example:
  t2check proxy --listen udp://127.0.0.1:9995 --to 127.0.0.1:9996 --fault loss:5% --fault drop-templates@1-100 --seed 7";

/// See the module.
#[derive(Args, Clone, Debug)]
#[command(after_help = FAULTS)]
pub struct Proxy {
    /// Where exporters send to
    #[arg(long, value_name = "[udp|tcp://]ADDR:PORT")]
    pub listen: Listen,
    /// The collector
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: SocketAddr,
    /// What is done to messages; may be repeated
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<Fault>,
    /// The same seed does the same to the same messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Ends after so many seconds [default: with a signal]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,
    /// Ends after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// Keeps what came in and what went out as a capture
    #[arg(long, value_name = "FILE")]
    pub tap: Option<PathBuf>,
    /// Writes the balance as JSON; - writes it to standard output, in place of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Proxy {
    /// How messages travel.
    ///
    /// # Errors
    /// For TLS, which would have to be broken open.
    pub fn transport(&self) -> Result<Transport, String> {
        match self.listen.transport.unwrap_or(Transport::Udp) {
            transport @ (Transport::Udp | Transport::Tcp) => Ok(transport),
            _ => Err("the proxy relays udp and tcp".to_owned()),
        }
    }
}
