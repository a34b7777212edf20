//! TLS for those who dial in: our certificate, and whose certificates we believe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use anyhow::anyhow;
use health_heartbeat::AgentId;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::parse_x509_certificate;

use crate::config::ConfigError;
use crate::config::HubTlsConfig;
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

// === impl ServerTls ===

impl ServerTls {
    /// Reads the files; nothing where the configuration names none.
    pub(super) fn read(config: &HubTlsConfig, now: Instant) -> Result<Option<Self>, ConfigError> {
        if config.cert_file.is_empty() {
            return Ok(None);
        }
        let mut paths = vec![
            PathBuf::from(&config.cert_file),
            PathBuf::from(&config.key_file),
        ];
        paths.extend(
            Some(&config.client_ca_file)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        );
        let made = Reloaded::read(KEY, paths, |contents| make(contents).map(Arc::new), now);
        let files = made.map_err(|error| ConfigError::caused(KEY, error))?;
        Ok(Some(Self(files)))
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

fn make(contents: &[Vec<u8>]) -> anyhow::Result<ServerConfig> {
    let [chain, key, client_ca @ ..] = contents else {
        return Err(anyhow!("certFile and keyFile are needed"));
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        [] => builder.with_no_client_auth(),
        [pem, ..] => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("clientCaFile", pem)? {
                roots
                    .add(certificate)
                    .context("clientCaFile holds what is no certificate of an authority")?;
            }
            // Whoever shows none is asked for a token.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .context("clientCaFile cannot be used")?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates("certFile", chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| anyhow!("keyFile holds no private key, expected PEM"))?;
    let mut config = builder
        .with_single_cert(chain, key)
        .context("certFile and keyFile cannot be used together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Who comes back shows its certificate again: one that expired meanwhile is refused.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn certificates(key: &str, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| anyhow!("{key} holds what is no PEM"))?;
    anyhow::ensure!(
        !found.is_empty(),
        "{key} holds no certificate, expected PEM"
    );
    Ok(found)
}

#[cfg(test)]
mod tests;
