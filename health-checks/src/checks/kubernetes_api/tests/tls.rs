//! Client certificates, authorities and names.

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use super::*;
use crate::checks::ClientCertificate;
use crate::error::chain;

#[tokio::test]
async fn a_server_that_wants_a_certificate_takes_ours_from_files_or_inline() {
    let authority = Authority::new();
    let server = authority.server(false).await;
    let alice = authority.certificate("alice");
    let url = server.url("https", "");

    let nobody = run(&authority.check(&url, None)).await;
    assert_eq!(nobody.reason.as_str(), "TlsFailed", "{}", nobody.message);
    assert!(
        nobody.message.contains("CertificateRequired"),
        "{}",
        nobody.message
    );

    let stranger = Authority::new().certificate("alice").inline();
    let stranger = run(&authority.check(&url, Some(stranger))).await;
    assert_eq!(
        stranger.reason.as_str(),
        "TlsFailed",
        "{}",
        stranger.message
    );

    let files = Files::new(&alice);
    for given in [files.given(), alice.inline()] {
        let check = authority.check(&url, Some(given));
        assert_eq!(run(&check).await.status, HealthStatus::Healthy);
        assert!(!format!("{check:?}").contains("PRIVATE"));
    }
}

#[tokio::test]
async fn a_rotated_certificate_is_shown_on_the_next_connection_and_a_bad_one_never() {
    let authority = Authority::new();
    let server = authority.server(true).await;
    let (alice, bob) = (authority.certificate("alice"), authority.certificate("bob"));
    let files = Files::new(&alice);
    let check = authority.check(&server.url("https", ""), Some(files.given()));
    let shown = async || {
        assert_eq!(run(&check).await.status, HealthStatus::Healthy);
        server.asked().pop().unwrap()
    };
    assert_eq!(shown().await, "alice");
    files.write(&bob);
    assert_eq!(shown().await, "bob");
    // As between the writing of the one and of the other.
    std::fs::write(&files.certificate, &alice.certificate).unwrap();
    assert_eq!(shown().await, "bob");
    std::fs::write(&files.certificate, "rubbish").unwrap();
    assert_eq!(shown().await, "bob");
    std::fs::remove_file(&files.key).unwrap();
    assert_eq!(shown().await, "bob");
    files.write(&alice);
    assert_eq!(shown().await, "alice");
}

/// The API server looks at the certificate of the connection at each request: one that expired is
/// refused on it for ever, however often its file was replaced.
#[tokio::test]
async fn a_connection_whose_certificate_is_refused_is_not_kept() {
    let authority = Authority::new();
    let server = authority.server_for("bob").await;
    let (alice, bob) = (authority.certificate("alice"), authority.certificate("bob"));
    let files = Files::new(&alice);
    let check = authority.check(&server.url("https", ""), Some(files.given()));
    assert_eq!(run(&check).await.reason.as_str(), "Unauthorized");
    files.write(&bob);
    for _ in 0..3 {
        assert_eq!(run(&check).await.status, HealthStatus::Healthy);
    }
    assert_eq!(server.connections(), 2, "a good one is kept");
}

#[tokio::test]
async fn a_rotated_authority_is_trusted_on_the_next_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = new.server(true).await;
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, &old.pem).unwrap();
    let mut target = HttpTarget::new(&server.url("https", "")).unwrap();
    target.ca = Some(ca.as_path().into());
    target.client_certificate = Some(new.certificate("alice").inline());
    let check = KubernetesApiCheck::new(KubernetesApiConfig::new(target)).unwrap();
    let refused = run(&check).await;
    assert_eq!(refused.reason.as_str(), "TlsFailed", "{}", refused.message);
    std::fs::write(&ca, &new.pem).unwrap();
    assert_eq!(run(&check).await.status, HealthStatus::Healthy);
    std::fs::remove_file(&ca).unwrap();
    assert_eq!(run(&check).await.status, HealthStatus::Healthy);
}

#[tokio::test]
async fn the_name_may_be_another_than_the_host() {
    let authority = Authority::new();
    let server = authority.server(false).await;
    for (name, reason) in [("kube.example", "Healthy"), ("elsewhere", "TlsFailed")] {
        let mut target = authority.target(&server.url("https", ""));
        target.client_certificate = Some(authority.certificate("alice").inline());
        target.server_name = Some(name.to_owned());
        let check = KubernetesApiCheck::new(KubernetesApiConfig::new(target)).unwrap();
        assert_eq!(run(&check).await.reason.as_str(), reason);
    }
}

#[test]
fn what_cannot_be_used_is_told_at_the_start_without_secrets() {
    let authority = Authority::new();
    let (alice, bob) = (authority.certificate("alice"), authority.certificate("bob"));
    let inline = |text: &str| Material::inline(text);
    let hunter = "-----BEGIN CERTIFICATE-----\nhunter2!\n";
    for (certificate, key, expected) in [
        (
            inline(&alice.certificate),
            inline(&bob.key),
            "the client certificate and its key cannot be used: keys may not be consistent",
        ),
        (
            inline("hunter2"),
            inline(&alice.key),
            "failed to read the client certificate data: there is no certificate in it",
        ),
        (
            inline(hunter),
            inline(&alice.key),
            "failed to read the client certificate data: it is no PEM",
        ),
        (
            inline(&alice.certificate),
            inline("hunter2"),
            "failed to read the key data of the client certificate: there is no PEM of a key",
        ),
        (
            Path::new("/nowhere/tls.crt").into(),
            inline(&alice.key),
            "failed to read the client certificate file \"/nowhere/tls.crt\": No such file",
        ),
        (
            inline(&alice.certificate),
            Path::new("/nowhere/tls.key").into(),
            "failed to read the key file \"/nowhere/tls.key\" of the client certificate: No such",
        ),
    ] {
        let mut target = authority.target("https://localhost");
        target.client_certificate = Some(ClientCertificate { certificate, key });
        let error = KubernetesApiCheck::new(KubernetesApiConfig::new(target)).unwrap_err();
        let error = chain(&error);
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Signs the certificates of a server and of its clients.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
struct Certificate {
    certificate: String,
    key: String,
}

/// The same in files.
struct Files {
    _folder: TempDir,
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = issuer.pem();
        Self { issuer, pem }
    }

    fn certificate(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Certificate {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Notes who asks in place of what is asked for; `closes` allows one request a connection.
    async fn server(&self, closes: bool) -> Server {
        self.start(closes, |_| answer("200 OK", "ok")).await
    }

    /// Takes everybody's connection, and the requests of `name` only.
    async fn server_for(&self, name: &'static str) -> Server {
        self.start(false, move |who| match who == name {
            true => answer("200 OK", "ok"),
            false => answer("401 Unauthorized", ""),
        })
        .await
    }

    async fn start(
        &self,
        closes: bool,
        answers: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Server {
        let acceptor = self.acceptor();
        let answers = Arc::new(answers);
        Server::start(move |stream, seen| {
            let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
            async move {
                let mut stream = match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => stream,
                    Err((_, mut stream)) => {
                        // An end with something unread would also take the alert back.
                        stream.read_to_end(&mut Vec::new()).await.ok();
                        return;
                    }
                };
                let (_, session) = stream.get_ref();
                let who = common_name(&session.peer_certificates().unwrap()[0]);
                serve(&mut stream, &Mutex::default(), |_| {
                    seen.lock().unwrap().asked.push(who.to_owned());
                    let close = if closes { "connection: close\r\n" } else { "" };
                    answers(who).replacen("\r\n", &format!("\r\n{close}"), 1)
                })
                .await;
            }
        })
        .await
    }

    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let names = ["127.0.0.1", "kube.example"].map(str::to_owned);
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config).into()
    }

    fn target(&self, url: &str) -> HttpTarget {
        let mut target = HttpTarget::new(url).unwrap();
        target.ca = Some(Material::inline(self.pem.as_str()));
        target
    }

    fn check(&self, url: &str, client: Option<ClientCertificate>) -> KubernetesApiCheck {
        let mut target = self.target(url);
        target.client_certificate = client;
        KubernetesApiCheck::new(KubernetesApiConfig::new(target)).unwrap()
    }
}

impl Certificate {
    fn inline(&self) -> ClientCertificate {
        ClientCertificate {
            certificate: Material::inline(self.certificate.as_str()),
            key: Material::inline(self.key.as_str()),
        }
    }
}

impl Files {
    fn new(of: &Certificate) -> Self {
        let folder = TempDir::new().unwrap();
        let files = Self {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
            _folder: folder,
        };
        files.write(of);
        files
    }

    fn write(&self, of: &Certificate) {
        std::fs::write(&self.certificate, &of.certificate).unwrap();
        std::fs::write(&self.key, &of.key).unwrap();
    }

    fn given(&self) -> ClientCertificate {
        ClientCertificate {
            certificate: self.certificate.as_path().into(),
            key: self.key.as_path().into(),
        }
    }
}

fn common_name(certificate: &CertificateDer<'_>) -> &'static str {
    let has = |name: &str| {
        let mut windows = certificate.windows(name.len());
        windows.any(|window| window == name.as_bytes())
    };
    ["alice", "bob"].into_iter().find(|name| has(name)).unwrap()
}
