//! The client's side of TLS.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

use crate::TunnelConfig;

/// What TLS is made from, and what was last made from it.
#[derive(Debug)]
pub(crate) struct Tls {
    sources: Sources,
    made: Option<Made>,
}

#[derive(Debug)]
struct Sources {
    ca_file: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
}

struct Made {
    from: Contents,
    connector: TlsConnector,
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    ca: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Indicates that no TLS connection can be tried. Transient: the files may be written again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key} {path:?} cannot be read")]
    Unreadable {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key} {path:?} holds no {expected}, expected PEM")]
    Malformed {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The system trusts nobody.
    #[error("the system has no root certificates{0}; name some in caFile")]
    NoRoots(String),
    /// The certificate and the key do not go together, or are not supported.
    #[error("certFile and keyFile cannot be used")]
    Client(#[source] rustls::Error),
    /// The library refuses.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

const CA_FILE: &str = "caFile";
const CERT_FILE: &str = "certFile";
const KEY_FILE: &str = "keyFile";

// === impl Tls ===

impl Tls {
    pub(crate) fn new(config: &TunnelConfig) -> Self {
        let client = config.client_certificate.as_ref();
        Self {
            sources: Sources {
                ca_file: config.ca_file.clone(),
                client: client.map(|client| (client.cert_file.clone(), client.key_file.clone())),
            },
            made: None,
        }
    }

    pub(crate) const fn has_files(&self) -> bool {
        self.sources.ca_file.is_some() || self.sources.client.is_some()
    }

    /// What is wrong with each file, or else with all of it together.
    pub(crate) async fn check(&mut self) -> Vec<TlsError> {
        let mut wrong = Vec::new();
        if let Some(path) = &self.sources.ca_file {
            let roots = read(CA_FILE, path).await;
            wrong.extend(roots.and_then(|pem| given_roots(&pem, path)).err());
        }
        if let Some((cert, key)) = &self.sources.client {
            let chain = read(CERT_FILE, cert).await;
            wrong.extend(
                chain
                    .and_then(|pem| certificates(CERT_FILE, cert, &pem))
                    .err(),
            );
            let private = read(KEY_FILE, key).await;
            wrong.extend(private.and_then(|pem| private_key(key, &pem)).err());
        }
        if wrong.is_empty() {
            wrong.extend(self.make().await.err());
        }
        wrong
    }

    /// The connector of the files as they are now, or as they last were good.
    pub(crate) async fn connector(&mut self) -> Result<TlsConnector, TlsError> {
        match self.make().await {
            Ok(connector) => Ok(connector),
            Err(error) => match &self.made {
                Some(made) => {
                    tracing::warn!(
                        error = crate::chain(&error),
                        "the last good certificates are used"
                    );
                    Ok(made.connector.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn make(&mut self) -> Result<TlsConnector, TlsError> {
        let contents = self.sources.read().await?;
        if let Some(made) = self.made.as_ref().filter(|made| made.from == contents) {
            return Ok(made.connector.clone());
        }
        let roots = match (&contents.ca, &self.sources.ca_file) {
            (Some(pem), Some(path)) => given_roots(pem, path)?,
            _ => system_roots().await?,
        };
        let config = self.sources.client_config(roots, &contents)?;
        let connector = TlsConnector::from(Arc::new(config));
        self.made = Some(Made {
            from: contents,
            connector: connector.clone(),
        });
        Ok(connector)
    }
}

// === impl TlsError ===

impl TlsError {
    /// The key of the configuration that is to be mended.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::Unreadable { key, .. } | Self::Malformed { key, .. } => key,
            Self::NoRoots(_) => CA_FILE,
            Self::Client(_) => CERT_FILE,
            Self::Setup(_) => "url",
        }
    }
}

// === impl Sources ===

impl Sources {
    async fn read(&self) -> Result<Contents, TlsError> {
        let ca = match &self.ca_file {
            Some(path) => Some(read(CA_FILE, path).await?),
            None => None,
        };
        let client = match &self.client {
            Some((cert, key)) => Some((read(CERT_FILE, cert).await?, read(KEY_FILE, key).await?)),
            None => None,
        };
        Ok(Contents { ca, client })
    }

    fn client_config(
        &self,
        roots: RootCertStore,
        contents: &Contents,
    ) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots);
        let (Some((cert_path, key_path)), Some((cert, key))) = (&self.client, &contents.client)
        else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(CERT_FILE, cert_path, cert)?;
        let key = private_key(key_path, key)?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(TlsError::Client)
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

async fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| TlsError::Unreadable {
            key,
            path: path.to_owned(),
            source,
        })
}

fn malformed(key: &'static str, path: &Path, expected: &'static str) -> TlsError {
    TlsError::Malformed {
        key,
        path: path.to_owned(),
        expected,
    }
}

fn certificates(
    key: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| malformed(key, path, "certificate"))
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| malformed(KEY_FILE, path, "private key"))
}

fn given_roots(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA_FILE, path, pem)? {
        roots
            .add(certificate)
            .map_err(|_| malformed(CA_FILE, path, "valid certificate"))?;
    }
    Ok(roots)
}

/// Reads some hundred files, so not on the thread that everything else waits for.
async fn system_roots() -> Result<RootCertStore, TlsError> {
    let load = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        let error = found.errors.first().map(|error| format!(" ({error})"));
        (roots, error.unwrap_or_default())
    });
    match load.await {
        Ok((roots, _)) if !roots.is_empty() => Ok(roots),
        Ok((_, error)) => Err(TlsError::NoRoots(error)),
        Err(error) => Err(TlsError::NoRoots(format!(" ({error})"))),
    }
}
