//! TLS for those who dial in: our certificate, and whose certificates we believe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use health_heartbeat::AgentId;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::parse_x509_certificate;

use crate::config::ConfigError;
use crate::config::HubTlsConfig;
use crate::config::Problems;
use crate::reloaded::Reloaded;
use crate::target::parse_target;

/// What a TLS handshake needs, as the files say it.
#[derive(Debug, Clone)]
pub(super) struct ServerTls(Arc<Reloaded<Arc<ServerConfig>>>);

/// Whom a certificate names that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Certified {
    /// A target.
    Target(AgentId),
    /// Its subject is no target; this is what it says.
    Other(String),
}

/// The configuration's key of everything here.
const KEY: &str = "server.tls";
const CERT_FILE: &str = "server.tls.certFile";
const KEY_FILE: &str = "server.tls.keyFile";
const CLIENT_CA_FILE: &str = "server.tls.clientCaFile";

// === impl ServerTls ===

impl ServerTls {
    /// Reads the files; nothing where the configuration names none.
    pub(super) fn read(config: &HubTlsConfig, now: Instant) -> Result<Option<Self>, ConfigError> {
        let is_given = !config.cert_file.is_empty();
        if is_given == config.key_file.is_empty() {
            let what = "certFile and keyFile belong together; set both, or none for plain HTTP";
            return Err(ConfigError::one(KEY, what));
        }
        let client_ca = Some(&config.client_ca_file).filter(|path| !path.is_empty());
        if !is_given {
            let what = "needs certFile and keyFile: client certificates are shown over TLS only";
            let lonely = client_ca.map(|_| ConfigError::one(CLIENT_CA_FILE, what));
            return lonely.map_or(Ok(None), Err);
        }
        let mut files = vec![
            (CERT_FILE, PathBuf::from(&config.cert_file)),
            (KEY_FILE, PathBuf::from(&config.key_file)),
        ];
        files.extend(client_ca.map(|path| (CLIENT_CA_FILE, PathBuf::from(path))));
        let made = Reloaded::read(KEY, files, |contents| make(contents).map(Arc::new), now);
        made.map(|files| Some(Self(files)))
    }

    /// Looks at the files now.
    pub(super) async fn look_again(&self, now: Instant) {
        self.0.look_again(now).await;
    }

    /// Shakes hands; the caller sets the deadline. Also tells whom the peer's certificate names.
    pub(super) async fn accept<S>(
        &self,
        stream: S,
        now: Instant,
    ) -> std::io::Result<(TlsStream<S>, Option<Certified>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.0.current(now).await;
        let acceptor = TlsAcceptor::from(Arc::clone(&*config));
        let stream = acceptor.accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let certified = leaf.map(Certified::read);
        Ok((stream, certified))
    }
}

// === impl Certified ===

impl Certified {
    fn read(certificate: &CertificateDer<'_>) -> Self {
        let names = match parse_x509_certificate(certificate) {
            Ok((_, certificate)) => certificate
                .subject()
                .iter_common_name()
                .map(|name| name.as_str().unwrap_or_default().to_owned())
                .collect(),
            Err(_) => Vec::new(),
        };
        // With two names either could be meant.
        match <[String; 1]>::try_from(names) {
            Ok([name]) => parse_target(&name).map_or(Self::Other(name), Self::Target),
            Err(names) => Self::Other(names.join(", ")),
        }
    }
}

fn make(contents: &[Vec<u8>]) -> Result<ServerConfig, ConfigError> {
    let [chain, key, client_ca @ ..] = contents else {
        return Err(ConfigError::one(KEY, "certFile and keyFile are needed"));
    };
    let mut problems = Problems::default();
    let chain = problems.take(certificates(CERT_FILE, chain));
    let key = problems.take(PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        let what = "holds no private key, expected PEM";
        ConfigError::one(KEY_FILE, what)
    }));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = problems.take(match client_ca {
        [] => Ok(WebPkiClientVerifier::no_client_auth()),
        [pem, ..] => verifier(pem, Arc::clone(&provider)),
    });
    let (Some(chain), Some(key), Some(verifier)) = (chain, key, verifier) else {
        return Err(ConfigError(problems.0));
    };
    let unusable = |error| ConfigError::caused(KEY, error);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.into()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .context("certFile and keyFile cannot be used together")
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Who comes back shows its certificate again: one that expired meanwhile is refused.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Believes the authorities in `pem`. Whoever shows no certificate is asked for a token.
fn verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let unusable = |error| ConfigError::caused(CLIENT_CA_FILE, error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA_FILE, pem)? {
        roots
            .add(certificate)
            .context("holds what is no certificate of an authority")
            .map_err(unusable)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .context("cannot be used")
        .map_err(unusable)
}

fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ConfigError::one(key, "holds no certificate, expected PEM")),
        Err(_) => Err(ConfigError::one(key, "holds what is no PEM")),
    }
}

/// Finds out whom a certificate names: a target only where its one name is one.
#[cfg(fuzzing)]
pub fn fuzz(der: &[u8]) {
    match Certified::read(&CertificateDer::from_slice(der)) {
        Certified::Target(id) => {
            assert!(!id.name.is_empty() && !id.name.contains('/'));
            let again = parse_target(&id.to_string());
            assert_eq!(again, Some(id), "it is named as it is shown");
        }
        Certified::Other(name) => assert!(name.len() <= der.len()),
    }
}

#[cfg(test)]
mod tests;
