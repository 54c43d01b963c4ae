//! TLS on a stream: who may come in, and how long a handshake may take (RFC 7011 section 11).

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use service::tls::{self, TlsError, TlsFiles};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::places::{Pace, Places};

/// A handshake that takes longer is given up.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time, over all addresses; further peers are refused.
pub const MAX_HANDSHAKES: usize = 64;
/// Handshakes at a time of one address.
const MAX_OF_ADDRESS: usize = 16;
/// Handshakes that may begin within a second, over all addresses: each costs a signature.
pub const MAX_PER_SECOND: usize = 200;
/// Those of one address.
const MAX_OF_ADDRESS_PER_SECOND: usize = 50;
/// Octets of one TLS connection: records in both directions, keys, the certificates of the peer.
pub const CONNECTION: usize = 128 << 10;

/// The gate of all TLS listeners.
#[derive(Debug)]
pub struct Gate {
    /// Certificates are read again on request; connections that are open keep theirs.
    config: RwLock<Arc<ServerConfig>>,
    /// Names of which a client's certificate must have one; none: any certificate that the authority signed.
    peers: Vec<String>,
    handshakes: Arc<Places>,
    pace: Pace,
}

/// Why a peer is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Too much at once.
    #[error("too many handshakes are going on already")]
    Crowd,
    /// Too often.
    #[error("too many handshakes within a second")]
    Haste,
    /// It does not go on.
    #[error("no complete handshake within {} s", HANDSHAKE.as_secs())]
    Slow,
    /// What is wrong with its certificate, or what it says.
    #[error("{0}")]
    Handshake(#[from] std::io::Error),
    /// Signed by the authority, but for somebody else.
    #[error("its certificate is for none of the names of --tls-peer ({0})")]
    Name(String),
}

impl Refusal {
    /// A limit is reached; the peer itself may be as it should.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Crowd | Self::Haste)
    }
}

impl Gate {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing, unreadable or unusable.
    pub fn new(files: &TlsFiles, peers: Vec<String>) -> Result<Self, TlsError> {
        Ok(Self {
            config: RwLock::new(read(files)?),
            peers,
            handshakes: Places::new(MAX_HANDSHAKES, MAX_OF_ADDRESS),
            pace: Pace::new(MAX_PER_SECOND, MAX_OF_ADDRESS_PER_SECOND),
        })
    }

    /// Reads the files again, for connections to come.
    ///
    /// # Errors
    /// As [`Gate::new`]; what was read before stays then.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        let config = read(files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Lets a peer in, or says why not.
    ///
    /// # Errors
    /// The reason.
    pub async fn admit(
        &self,
        stream: TcpStream,
        address: IpAddr,
    ) -> Result<TlsStream<TcpStream>, Refusal> {
        if !self.pace.pass(Instant::now(), address) {
            return Err(Refusal::Haste);
        }
        let place = self.handshakes.take(address);
        let _place = place.map_err(|_| Refusal::Crowd)?;
        let config = {
            let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&config)
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = match timeout(HANDSHAKE, handshake).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(Refusal::Slow),
        };
        self.check_name(&stream)?;
        Ok(stream)
    }

    fn check_name(&self, stream: &TlsStream<TcpStream>) -> Result<(), Refusal> {
        if self.peers.is_empty() {
            return Ok(());
        }
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let known = certificate.is_some_and(|certificate| {
            let mut names = self.peers.iter();
            names.any(|name| tls::is_valid_for(certificate, name))
        });
        if known {
            Ok(())
        } else {
            Err(Refusal::Name(self.peers.join(", ")))
        }
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = Arc::unwrap_or_clone(tls::server(files)?);
    // Exporters only write: one that ends with a ticket unread resets the connection, and what is under way is lost.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
