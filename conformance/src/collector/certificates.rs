//! Who an exporter is over TLS: certificates that are right, and those that a collector has to refuse.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ClientConfig;
use service::tls::{self, TlsFiles};

/// The certificate that an exporter shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Identity {
    /// One of an authority that the collector trusts, or the one of the options.
    #[default]
    Right,
    /// None.
    None,
    /// One of another authority.
    Other,
    /// One that has run out.
    Expired,
}

impl Identity {
    /// All of them.
    pub const ALL: [Identity; 4] = [
        Identity::Right,
        Identity::None,
        Identity::Other,
        Identity::Expired,
    ];
}

/// How to speak TLS as each of the identities; `None` for one that cannot be had.
#[derive(Clone, Debug)]
pub struct Clients([Option<Arc<ClientConfig>>; 4]);

/// The files of a collector that trusts an authority made for this run.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate.
    pub ca: PathBuf,
    /// The collector's, for localhost and the address.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// What exporters show.
    pub clients: Clients,
}

impl Clients {
    /// With the files of the options. The others have certificates of nobody the collector could trust.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn of(files: &TlsFiles) -> anyhow::Result<Self> {
        let nobody = TlsFiles {
            ca: files.ca.clone(),
            ..TlsFiles::default()
        };
        Ok(Self([
            Some(tls::client(files)?),
            Some(tls::client(&nobody)?),
            None,
            None,
        ]))
    }

    /// One of them.
    pub fn get(&self, identity: Identity) -> Option<&Arc<ClientConfig>> {
        let place = Identity::ALL.iter().position(|known| *known == identity)?;
        self.0.get(place)?.as_ref()
    }
}

impl Authority {
    /// Makes an authority, and certificates for a collector at `ip` and for exporters, in files of `dir`.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub fn make(dir: &Path, ip: IpAddr) -> anyhow::Result<Self> {
        let ours = authority("t2check")?;
        let other = authority("somebody else")?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        let ca = write("ca.pem", &ours.pem())?;
        let issue = |name: &str, issuer: &Issuer, params: &CertificateParams| {
            let key = KeyPair::generate()?;
            let cert = params.signed_by(&key, issuer)?;
            anyhow::Ok((
                write(&format!("{name}.pem"), &cert.pem())?,
                write(&format!("{name}.key"), &key.serialize_pem())?,
            ))
        };
        let localhost = vec!["localhost".to_owned(), ip.to_string()];
        let (cert, key) = issue("collector", &ours, &CertificateParams::new(localhost)?)?;
        // Named as what stands for it in the collector's eyes: the same address.
        let names = vec!["localhost".to_owned(), ip.to_string()];
        let valid = CertificateParams::new(names)?;
        let mut expired = valid.clone();
        expired.not_before = date_time_ymd(2001, 1, 1);
        expired.not_after = date_time_ymd(2002, 1, 1);
        let client = |name: &str, issuer: &Issuer, params| {
            let (cert, key) = issue(name, issuer, params)?;
            anyhow::Ok(Some(tls::client(&TlsFiles {
                ca: Some(ca.clone()),
                cert: Some(cert),
                key: Some(key),
            })?))
        };
        let nobody = tls::client(&TlsFiles {
            ca: Some(ca.clone()),
            ..TlsFiles::default()
        })?;
        let clients = Clients([
            client("exporter", &ours, &valid)?,
            Some(nobody),
            client("other", &other, &valid)?,
            client("expired", &ours, &expired)?,
        ]);
        Ok(Self {
            ca,
            cert,
            key,
            clients,
        })
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> anyhow::Result<Issuer> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
