//! TLS as RFC 7011 section 11 asks for it: both sides show certificates, and the names in them count.
//! Everything comes from PEM files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The files of one side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// Whom to trust: certificates of authorities.
    pub ca: Option<PathBuf>,
    /// Our certificate, then those that vouch for it.
    pub cert: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or is no PEM.
    #[error("{path}: cannot read {what}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An option without its companion.
    #[error("{0}")]
    Missing(&'static str),
    /// The certificate and its key, or the authorities, cannot be used.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// The connecting side: it trusts `ca`, and shows `cert` when asked.
///
/// # Errors
/// When a file is missing, unreadable or unusable. Without `ca` nobody could be trusted.
pub fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let ca = files.ca.as_deref();
    let ca = ca.ok_or(TlsError::Missing(
        "TLS needs a certificate authority to trust: give --tls-ca FILE",
    ))?;
    let provider = provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca)?.into(), provider.clone())
        .build()
        .map_err(|error| unusable(ca, &error))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(ca, &error))?
        .with_webpki_verifier(verifier);
    let config = match (&files.cert, &files.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| unusable(cert, &error))?,
        _ => return Err(TlsError::Missing(PAIR)),
    };
    Ok(Arc::new(config))
}

/// The listening side: it shows `cert`, and with `ca` lets in only who shows a certificate of these authorities.
///
/// # Errors
/// When a file is missing, unreadable or unusable.
pub fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let (Some(cert), Some(key)) = (&files.cert, &files.key) else {
        return Err(TlsError::Missing(match (&files.cert, &files.key) {
            (None, None) => "TLS needs a certificate: give --tls-cert FILE and --tls-key FILE",
            _ => PAIR,
        }));
    };
    let chain = certificates(cert)?;
    listening(chain, private_key(key)?, files.ca.as_deref(), cert)
}

/// The listening side with a certificate that was made in memory; `ca` as for [`server`].
///
/// # Errors
/// When the authorities are unreadable or unusable, or the key is not that of the certificate.
pub fn server_made_up(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    listening(chain, key, ca, Path::new("the certificate"))
}

fn listening(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca: Option<&Path>,
    cert: &Path,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(cert, &error))?;
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots(ca)?.into(), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(ca, &error))?)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(cert, &error))?;
    Ok(Arc::new(config))
}

/// Whether the certificate is one for `name`, a DNS name or an address (RFC 7011 section 11.3: DNS-ID).
#[must_use]
pub fn is_valid_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return false;
    };
    match server_name(name) {
        Some(name) => certificate.verify_is_valid_for_subject_name(&name).is_ok(),
        None => false,
    }
}

/// `name` as TLS knows it; `None` if it is neither a DNS name nor an address.
#[must_use]
pub fn server_name(name: &str) -> Option<ServerName<'static>> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::from(address)),
        Err(_) => ServerName::try_from(name.to_owned()).ok(),
    }
}

const PAIR: &str = "a certificate and its key belong together: give --tls-cert and --tls-key";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File {
        path: path.to_owned(),
        what: "certificates",
        reason,
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if chain.is_empty() {
        return Err(failed("there is none in PEM".to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        what: "a private key",
        reason: error.to_string(),
    })
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use rustls::{ClientConnection, ServerConnection};

    use super::*;

    struct Party {
        folder: tempfile::TempDir,
        files: TlsFiles,
        der: CertificateDer<'static>,
    }

    /// An authority's certificate in a file, and one it signed for `name`.
    fn party(name: &str) -> Party {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let write = |file: &str, text: String| {
            let path = folder.path().join(file);
            fs::write(&path, text).unwrap();
            Some(path)
        };
        let files = TlsFiles {
            ca: write("ca.pem", ca.pem()),
            cert: write("cert.pem", cert.pem()),
            key: write("key.pem", key.serialize_pem()),
        };
        let der = cert.der().clone();
        Party { folder, files, der }
    }

    /// Both ends in memory; an error if either refuses the other.
    fn shake(client: &TlsFiles, server_files: &TlsFiles, name: &str) -> Result<(), rustls::Error> {
        let config = super::client(client).unwrap();
        let mut one = ClientConnection::new(config, server_name(name).unwrap())?;
        let mut other = ServerConnection::new(server(server_files).unwrap())?;
        for _ in 0..8 {
            let mut wire = Vec::new();
            while one.wants_write() {
                one.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                other.read_tls(&mut rest).unwrap();
                other.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while other.wants_write() {
                other.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                one.read_tls(&mut rest).unwrap();
                one.process_new_packets()?;
            }
        }
        assert!(!one.is_handshaking() && !other.is_handshaking());
        Ok(())
    }

    #[test]
    fn only_the_certificates_of_the_authority_and_the_right_name_are_taken() {
        let (ours, theirs) = (party("localhost"), party("localhost"));
        assert_eq!(shake(&ours.files, &ours.files, "localhost"), Ok(()));
        assert!(shake(&ours.files, &ours.files, "other.example").is_err());
        assert!(shake(&theirs.files, &ours.files, "localhost").is_err());
        let nameless = TlsFiles {
            cert: None,
            key: None,
            ..ours.files.clone()
        };
        assert!(shake(&nameless, &ours.files, "localhost").is_err());
        let open = TlsFiles {
            ca: None,
            ..ours.files.clone()
        };
        assert_eq!(shake(&nameless, &open, "localhost"), Ok(()));
    }

    #[test]
    fn names_of_certificates() {
        assert!(is_valid_for(
            &party("exporter.example").der,
            "exporter.example"
        ));
        assert!(!is_valid_for(&party("exporter.example").der, "example"));
        assert!(is_valid_for(&party("192.0.2.1").der, "192.0.2.1"));
        assert!(!is_valid_for(&party("192.0.2.1").der, "192.0.2.2"));
        assert!(!is_valid_for(&party("a.example").der, "not a name"));
    }

    #[test]
    fn what_is_missing_or_no_pem_is_said() {
        let ours = party("localhost");
        let say = |files: TlsFiles| server(&files).unwrap_err().to_string();
        assert!(say(TlsFiles::default()).contains("--tls-cert"));
        let alone = TlsFiles {
            key: None,
            ..ours.files.clone()
        };
        assert!(say(alone.clone()).contains("belong together"));
        assert!(client(&alone).is_err());
        assert!(
            client(&TlsFiles::default())
                .unwrap_err()
                .to_string()
                .contains("--tls-ca")
        );
        let rubbish = ours.folder.path().join("rubbish.pem");
        fs::write(&rubbish, "no certificate").unwrap();
        let wrong = TlsFiles {
            cert: Some(rubbish),
            ..ours.files.clone()
        };
        assert!(say(wrong).contains("rubbish.pem: cannot read certificates"));
        let theirs = party("localhost");
        let mixed = TlsFiles {
            key: theirs.files.key.clone(),
            ..ours.files.clone()
        };
        assert!(say(mixed).contains("cert.pem: "));
    }
}
