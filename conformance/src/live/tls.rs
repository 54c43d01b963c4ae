//! TLS of the collector's side (RFC 7011 section 11): certificates, and connections that are read without waiting.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use service::tls::{self, TlsFiles};

use crate::cli::Exporter;

/// What `--tls-cert`, `--tls-key` and `--tls-ca` say. Without a certificate one is made for this run, in the names
/// of `ip` and of localhost.
///
/// # Errors
/// When a file cannot be read, or what is in it cannot be used.
pub(super) fn server(options: &Exporter, ip: IpAddr) -> anyhow::Result<Arc<ServerConfig>> {
    if options.tls_cert.is_some() {
        return Ok(tls::server(&TlsFiles {
            ca: options.tls_ca.clone(),
            cert: options.tls_cert.clone(),
            key: options.tls_key.clone(),
        })?);
    }
    let names = vec!["localhost".to_owned(), ip.to_string()];
    let made = rcgen::generate_simple_self_signed(names).context("no certificate could be made")?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let chain = vec![made.cert.der().clone()];
    Ok(tls::server_made_up(
        chain,
        key.into(),
        options.tls_ca.as_deref(),
    )?)
}

/// One TLS connection.
#[derive(Debug)]
pub(super) struct Session(Box<ServerConnection>);

/// Why a connection cannot be read any further.
pub(super) enum Broken {
    /// The other side broke it, or the network.
    Reset(std::io::Error),
    /// TLS refused it.
    Refused(rustls::Error),
}

impl Session {
    pub(super) fn new(config: &Arc<ServerConfig>) -> anyhow::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config))?;
        Ok(Self(Box::new(connection)))
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Version and suite, once they are agreed on.
    pub(super) fn agreed(&self) -> String {
        let mut text = String::new();
        if let Some(version) = self.0.protocol_version() {
            let _ = write!(text, "{version:?}");
        }
        if let Some(suite) = self.0.negotiated_cipher_suite() {
            let _ = write!(text, " with {:?}", suite.suite());
        }
        text.push_str(match self.0.peer_certificates() {
            Some(_) => ", the exporter showed a certificate",
            None => ", no certificate of the exporter",
        });
        text
    }

    /// Takes what has arrived, answers, and puts the plain octets into `buffer`. `Ok(None)` when nothing more is
    /// there yet, `Ok(Some(0))` at the end.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Broken> {
        loop {
            match self.0.reader().read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It ended without a close_notify, as streams over TCP do.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Some(0)),
                Err(error) => return Err(Broken::Reset(error)),
            }
            let arrived = self.0.read_tls(stream);
            let processed = self.0.process_new_packets();
            // Alerts too: the exporter is told why it is refused.
            while self.0.wants_write() && self.0.write_tls(stream).is_ok_and(|sent| sent > 0) {}
            processed.map_err(Broken::Refused)?;
            match arrived {
                Ok(0) if self.0.is_handshaking() => {
                    return Err(Broken::Reset(ErrorKind::UnexpectedEof.into()));
                }
                Ok(_) => {}
                Err(error) if super::is_pause(&error) => return Ok(None),
                Err(error) => return Err(Broken::Reset(error)),
            }
        }
    }
}
