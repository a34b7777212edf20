//! TLS: who is trusted, and who we are.

use std::path::Path;
use std::sync::Arc;

use health_transport_ws::ClientCertificate;
use health_transport_ws::DialError;
use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::support::error_saying;
use crate::support::within;

#[tokio::test]
async fn a_trusted_server_is_dialed_with_the_client_certificate() {
    let authority = Authority::new("trusted");
    let mut server = Server::start(&authority).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &authority, server.port);
    config.client_certificate = Some(authority.client(folder.path()));
    assert!(config.check().await.is_empty());
    let tunnel = Tunnel::spawn(config, None);
    assert_eq!(within(server.handshakes.recv()).await, Some(1));
    drop(tunnel);
}

#[tokio::test]
async fn an_untrusted_server_is_refused_and_the_state_says_so() {
    let server = Server::start(&Authority::new("theirs")).await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &Authority::new("ours"), server.port);
    let tunnel = Tunnel::spawn(config, None);
    error_saying(&tunnel, "failed to set up TLS with localhost").await;
    error_saying(&tunnel, "invalid peer certificate").await;
    error_saying(&tunnel, "set caFile to the PEM of the authority").await;
}

/// What `openssl req -x509` makes is an authority by itself.
#[tokio::test]
async fn a_server_that_shows_an_authority_s_certificate_is_told_what_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("itself");
    let own = (authority.der.clone(), authority.key.serialize_der());
    let server = Server::with(&authority, own).await;
    let tunnel = Tunnel::spawn(config(folder.path(), &authority, server.port), None);
    error_saying(&tunnel, "have that authority sign one for the hub").await;
}

#[tokio::test]
async fn a_file_that_holds_no_pem_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "garbage").unwrap();
    let good = authority.client(folder.path());

    let mut wrong = config(folder.path(), &authority, 1);
    wrong.ca_file = Some(garbage.clone());
    check(&wrong, &["caFile"]).await;
    wrong.ca_file = Some("/nowhere".into());
    let told = check(&wrong, &["caFile"]).await;
    assert_eq!(told, "caFile \"/nowhere\" cannot be read");

    let mut wrong = config(folder.path(), &authority, 1);
    wrong.client_certificate = Some(ClientCertificate {
        cert_file: garbage.clone(),
        ..good.clone()
    });
    check(&wrong, &["certFile"]).await;
    wrong.client_certificate = Some(ClientCertificate {
        key_file: garbage.clone(),
        ..good
    });
    check(&wrong, &["keyFile"]).await;

    // All at once, also where nothing is encrypted.
    for url in ["wss://localhost/", "ws://localhost/"] {
        let mut wrong = TunnelConfig::new(url.parse().unwrap(), "edge\n1");
        wrong.token_file = Some("/nowhere".into());
        wrong.ca_file = Some(garbage.clone());
        wrong.client_certificate = Some(ClientCertificate {
            cert_file: garbage.clone(),
            key_file: garbage.clone(),
        });
        let keys = [
            "tokenFile",
            "syncTarget.name",
            "caFile",
            "certFile",
            "keyFile",
        ];
        check(&wrong, &keys).await;
    }
}

/// What is told of the first of what is wrong, after the keys of all.
async fn check(config: &TunnelConfig, keys: &[&str]) -> String {
    let wrong = config.check().await;
    let found: Vec<_> = wrong.iter().map(DialError::key).collect();
    assert_eq!(found, keys, "{wrong:?}");
    wrong[0].to_string()
}

fn config(folder: &Path, authority: &Authority, port: u16) -> TunnelConfig {
    let ca_file = folder.join("ca.crt");
    std::fs::write(&ca_file, &authority.pem).unwrap();
    let url = format!("wss://localhost:{port}/tunnel").parse().unwrap();
    let mut config = TunnelConfig::new(url, "edge-1");
    config.ca_file = Some(ca_file);
    config
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, KeyPair::try_from(key.serialize_der()).unwrap()),
            key,
        }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self, folder: &Path) -> ClientCertificate {
        let (certificate, key) = self.sign("edge-1");
        let files = ClientCertificate {
            cert_file: folder.join("client.crt"),
            key_file: folder.join("client.key"),
        };
        std::fs::write(&files.cert_file, certificate.pem()).unwrap();
        std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
        files
    }
}

/// Does the TLS handshake, tells how many certificates the client sent, and hangs up.
struct Server {
    port: u16,
    handshakes: mpsc::UnboundedReceiver<usize>,
}

impl Server {
    async fn start(authority: &Authority) -> Self {
        let (certificate, key) = authority.sign("localhost");
        let own = (certificate.der().clone(), key.serialize_der());
        Self::with(authority, own).await
    }

    async fn with(
        authority: &Authority,
        (certificate, key): (CertificateDer<'static>, Vec<u8>),
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let key = PrivateKeyDer::try_from(key).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, handshakes) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let (_, session) = stream.get_ref();
                    let sent = session.peer_certificates().map_or(0, <[_]>::len);
                    let _ = sender.send(sent);
                }
            }
        });
        Self { port, handshakes }
    }
}
