//! Certificates for tests of TLS, made anew each time: an authority, those it signed, and those that must be refused.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The files of an authority and of those that know it.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
    /// The authority's certificate.
    pub ca: PathBuf,
    /// For `localhost`, 127.0.0.1 and ::1.
    pub server: Pair,
    /// For `exporter.example`.
    pub client: Pair,
    /// Signed by the authority for `other.example`.
    pub wrong_name: Pair,
    /// For `exporter.example`, valid until the end of 2020.
    pub expired: Pair,
    /// For `exporter.example`, signed by its own key.
    pub self_signed: Pair,
}

impl Certificates {
    /// Makes all of them in a temporary folder that goes with this value.
    pub fn new() -> Self {
        let folder = super::temp_dir();
        let mut params = CertificateParams::new(Vec::new()).expect("no names are no wrong names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().expect("a key can be made");
        let ca = params.self_signed(&key).expect("an authority signs itself");
        let at = folder.path();
        let ca = write(at, "ca.pem", &ca.pem());
        let authority = Issuer::new(params, key);
        Self {
            ca,
            server: pair(
                at,
                "server",
                &names(&["localhost", "127.0.0.1", "::1"]),
                Some(&authority),
            ),
            client: pair(
                at,
                "client",
                &names(&["exporter.example"]),
                Some(&authority),
            ),
            wrong_name: pair(
                at,
                "wrong-name",
                &names(&["other.example"]),
                Some(&authority),
            ),
            expired: pair(
                at,
                "expired",
                &old(names(&["exporter.example"])),
                Some(&authority),
            ),
            self_signed: pair(at, "self-signed", &names(&["exporter.example"]), None),
            folder,
        }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn names(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().expect("a DNS name")),
        })
        .collect();
    params
}

fn old(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 12, 31);
    params
}

/// Signed by the authority, else by itself.
fn pair(
    folder: &Path,
    name: &str,
    params: &CertificateParams,
    authority: Option<&Issuer<'_, KeyPair>>,
) -> Pair {
    let key = KeyPair::generate().expect("a key can be made");
    let signed = match authority {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let cert = signed.expect("a certificate can be signed");
    Pair {
        cert: write(folder, &format!("{name}.pem"), &cert.pem()),
        key: write(folder, &format!("{name}.key"), &key.serialize_pem()),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
