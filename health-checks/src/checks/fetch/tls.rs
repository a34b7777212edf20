//! TLS with the provider named, so that no process-wide one is needed.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;

use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;

use crate::checks::dial::unbracketed;
use crate::checks::fetch::ClientCertificate;
use crate::checks::fetch::HttpTarget;
use crate::checks::fetch::InvalidTarget;
use crate::checks::fetch::Material;
use crate::error::chain;

/// How one target is spoken to over TLS.
pub(super) struct Tls {
    name: ServerName<'static>,
    insecure: bool,
    ca: Option<Material>,
    client: Option<ClientCertificate>,
    last: Mutex<Last>,
}

/// What was last good.
struct Last {
    files: Files,
    config: Arc<ClientConfig>,
    /// Whether it was told that nothing newer is good.
    is_told: bool,
}

/// The content of every file, as it was read.
#[derive(PartialEq, Eq)]
struct Files {
    ca: Option<Vec<u8>>,
    /// The certificate and its key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Takes any certificate, but still wants the peer to own its key.
#[derive(Debug)]
struct TakeAny(Arc<CryptoProvider>);

// === impl Tls ===

impl Tls {
    pub(super) fn new(target: &HttpTarget) -> Result<Self, InvalidTarget> {
        let name = target.server_name.as_deref();
        let name = name.unwrap_or_else(|| target.host());
        let name = ServerName::try_from(unbracketed(name).to_owned());
        let name = name.map_err(|_| InvalidTarget::Host)?;
        let ca = target.ca.as_ref().filter(|_| !target.insecure);
        let client = target.client_certificate.as_ref();
        let files = Files::read(ca, client)?;
        let config = files.config(target.insecure, ca, client)?;
        Ok(Self {
            name,
            insecure: target.insecure,
            ca: ca.cloned(),
            client: client.cloned(),
            last: Mutex::new(Last {
                files,
                config,
                is_told: false,
            }),
        })
    }

    /// The name that the server's certificate must have.
    pub(super) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// As the files are now; while they cannot be used, as they last were.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.changed(&last.files) {
            Ok(None) => last.is_told = false,
            Ok(Some((files, config))) => {
                *last = Last {
                    files,
                    config,
                    is_told: false,
                }
            }
            Err(error) => {
                if !last.is_told {
                    let error = chain(&error);
                    tracing::warn!(error, "the certificates that were last good are used");
                }
                last.is_told = true;
            }
        }
        Arc::clone(&last.config)
    }

    /// What the files hold now, if that is something else. The same configuration goes on where
    /// nothing changed: it also holds what makes the next handshake short.
    fn changed(&self, last: &Files) -> Result<Option<(Files, Arc<ClientConfig>)>, InvalidTarget> {
        let (ca, client) = (self.ca.as_ref(), self.client.as_ref());
        let files = Files::read(ca, client)?;
        if files == *last {
            return Ok(None);
        }
        let config = files.config(self.insecure, ca, client)?;
        Ok(Some((files, config)))
    }
}

// === impl Files ===

impl Files {
    fn read(
        ca: Option<&Material>,
        client: Option<&ClientCertificate>,
    ) -> Result<Self, InvalidTarget> {
        let ca = ca.map(|from| from.read().map_err(|source| bad_ca(from, source)));
        let client = client.map(|client| {
            let certificate = client.certificate.read();
            let key = client.key.read();
            Ok::<_, InvalidTarget>((
                certificate.map_err(|source| bad_certificate(client, source))?,
                key.map_err(|source| bad_key(client, source))?,
            ))
        });
        Ok(Self {
            ca: ca.transpose()?,
            client: client.transpose()?,
        })
    }

    /// The two others are where the files are, for errors.
    fn config(
        &self,
        insecure: bool,
        ca: Option<&Material>,
        client: Option<&ClientCertificate>,
    ) -> Result<Arc<ClientConfig>, InvalidTarget> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(InvalidTarget::Tls)?;
        let builder = if insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TakeAny(provider)))
        } else {
            let roots = match (&self.ca, ca) {
                (Some(text), Some(from)) => roots(text).map_err(|source| bad_ca(from, source))?,
                (None, _) | (_, None) => system_roots(),
            };
            builder.with_root_certificates(roots)
        };
        let config = match (&self.client, client) {
            (Some((certificate, key)), Some(client)) => {
                let certificates =
                    certificates(certificate).map_err(|source| bad_certificate(client, source))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    let why = "there is no PEM of a key in it that is not encrypted";
                    bad_key(client, io::Error::other(why))
                })?;
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(InvalidTarget::Pair)?
            }
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

fn bad_ca(from: &Material, source: io::Error) -> InvalidTarget {
    let from = from.clone();
    InvalidTarget::Ca { from, source }
}

fn bad_certificate(client: &ClientCertificate, source: io::Error) -> InvalidTarget {
    let from = client.certificate.clone();
    InvalidTarget::Certificate { from, source }
}

fn bad_key(client: &ClientCertificate, source: io::Error) -> InvalidTarget {
    let from = client.key.clone();
    InvalidTarget::Key { from, source }
}

fn roots(text: &[u8]) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    Ok(Arc::new(roots))
}

/// At least one. The parser's own errors repeat lines of the text, so they are not passed on.
fn certificates(text: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|_| io::Error::other("it is no PEM"))?;
    if found.is_empty() {
        return Err(io::Error::other("there is no certificate in it"));
    }
    Ok(found)
}

/// The authorities of the system, read once: there are many of them.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "failed to read some of the system's authorities");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    });
    Arc::clone(roots)
}

// === impl TakeAny ===

impl ServerCertVerifier for TakeAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
