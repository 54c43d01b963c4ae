//! The TLS session of a connection (RFC 7011 section 11): the exporter is the client.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, Error};

use super::stream::CLOSED;

/// A collector that does not want our certificate says so after the handshake, as far as we can see (TLS 1.3). One
/// that wants it usually sends tickets then; after so long without a word we go on.
const OBJECTION: Duration = Duration::from_millis(300);

/// Whom to trust, what to show, and who the collector should be.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

/// Makes a session over a connection. Octets written are added to `written`.
pub(super) fn shake(
    tcp: &mut TcpStream,
    tls: &Tls,
    written: &mut u64,
) -> Result<ClientConnection, String> {
    let connection = ClientConnection::new(tls.config.clone(), tls.name.clone());
    let mut connection = connection.map_err(|error| sentence(&error))?;
    // A message of any size in one go.
    connection.set_buffer_limit(None);
    while connection.is_handshaking() || connection.wants_write() {
        while connection.wants_write() {
            let octets = connection.write_tls(tcp);
            *written += octets.map_err(|error| broken(&error))? as u64;
        }
        if connection.is_handshaking() {
            hear(&mut connection, tcp)?;
        }
    }
    let patience = tcp.read_timeout().ok().flatten();
    let waited = tcp.set_read_timeout(Some(OBJECTION));
    waited.map_err(|error| error.to_string())?;
    let heard = match connection.read_tls(tcp) {
        Ok(0) => Err(CLOSED_EARLY.to_owned()),
        Ok(_) => process(&mut connection),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(broken(&error)),
    };
    heard?;
    let restored = tcp.set_read_timeout(patience);
    restored.map_err(|error| error.to_string())?;
    Ok(connection)
}

/// Reads what the collector has sent.
pub(super) fn hear(connection: &mut ClientConnection, tcp: &mut TcpStream) -> Result<(), String> {
    match connection.read_tls(tcp) {
        Ok(0) if connection.is_handshaking() => Err(CLOSED_EARLY.to_owned()),
        Ok(0) => Err(CLOSED.to_owned()),
        Ok(_) => process(connection),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(broken(&error)),
    }
}

fn process(connection: &mut ClientConnection) -> Result<(), String> {
    match connection.process_new_packets() {
        Ok(state) if state.peer_has_closed() => Err(CLOSED.to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(sentence(&error)),
    }
}

const CLOSED_EARLY: &str = "the collector has closed the connection without a TLS session";

fn broken(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            "the collector does not speak TLS, or too slowly".to_owned()
        }
        _ => format!("the TLS session was not made: {error}"),
    }
}

const NOBODY: &str = "is signed by nobody whom --tls-ca names";

/// What is wrong, in a sentence.
fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => {
            format!("the collector's certificate {}", certificate(error))
        }
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "the collector wants a certificate: give --tls-cert and --tls-key".to_owned()
            }
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA => {
                format!("the collector does not accept our certificate ({alert:?})")
            }
            alert => format!("the collector ended the TLS session ({alert:?})"),
        },
        Error::InvalidMessage(_) => "the collector does not speak TLS".to_owned(),
        error => format!("no TLS session: {error}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is one for another name".to_owned()
        }
        CertificateError::UnknownIssuer => NOBODY.to_owned(),
        // A certificate that signed itself is an authority of its own.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            NOBODY.to_owned()
        }
        error => format!("is not accepted: {error}"),
    }
}
