use std::path::Path;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::*;

#[tokio::test]
async fn a_certificate_that_holds_names_the_target_and_none_is_no_error() {
    let rig = Rig::new();
    let start = Instant::now();
    let tls = rig.tls(start);
    for (name, certified) in [
        (None, None),
        (
            Some("root:org:edge/edge-1"),
            Some(Certified::Target(id("root:org:edge", "edge-1"))),
        ),
        (Some("-/edge-2"), Some(Certified::Target(id("", "edge-2")))),
        (Some("edge-3"), Some(Certified::Other("edge-3".to_owned()))),
    ] {
        let client = name.map(|name| rig.authority.sign(name, |_| {}));
        assert_eq!(
            rig.dial(&tls, client, start).await,
            Ok(certified),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn an_expired_and_a_foreign_certificate_are_refused() {
    let rig = Rig::new();
    let start = Instant::now();
    let tls = rig.tls(start);
    let expired = rig.authority.sign("root/edge-1", |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let error = rig.dial(&tls, Some(expired), start).await.unwrap_err();
    assert!(error.contains("xpired"), "{error}");
    let foreign = Authority::new().sign("root/edge-1", |_| {});
    let error = rig.dial(&tls, Some(foreign), start).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn rotated_files_are_picked_up_and_a_half_written_one_changes_nothing() {
    let rig = Rig::new();
    let start = Instant::now();
    let tls = rig.tls(start);
    let mut now = start;
    let next = Authority::new();
    // The certificate is there, its key is not yet.
    let (certificate, key) = next.sign("hub", |_| {});
    std::fs::write(rig.path("tls.crt"), &certificate).unwrap();
    now += Duration::from_secs(2);
    assert_eq!(rig.dial(&tls, None, now).await, Ok(None), "the old one");
    std::fs::write(rig.path("tls.key"), &key).unwrap();
    now += Duration::from_secs(2);
    let error = rig.dial(&tls, None, now).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    let rig = Rig {
        authority: next,
        ..rig
    };
    assert_eq!(rig.dial(&tls, None, now).await, Ok(None), "the new one");
}

#[test]
fn what_is_wrong_with_the_files_is_told_with_the_key() {
    let rig = Rig::new();
    let now = Instant::now();
    for (file, content, says) in [
        ("tls.crt", "", "certFile: holds no certificate"),
        ("tls.key", "rubbish", "keyFile: holds no private key"),
        ("ca.crt", "", "clientCaFile: holds no certificate"),
    ] {
        let good = std::fs::read(rig.path(file)).unwrap();
        std::fs::write(rig.path(file), content).unwrap();
        let error = ServerTls::read(&rig.config(), now).unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("server.tls"),
            "{error}"
        );
        std::fs::write(rig.path(file), good).unwrap();
    }
    let (_, foreign_key) = rig.authority.sign("hub", |_| {});
    std::fs::write(rig.path("tls.key"), foreign_key).unwrap();
    let error = ServerTls::read(&rig.config(), now).unwrap_err().to_string();
    assert!(error.contains("cannot be used together"), "{error}");
}

struct Rig {
    folder: tempfile::TempDir,
    authority: Authority,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

// === impl Rig ===

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let rig = Self { folder, authority };
        let (certificate, key) = rig.authority.sign("hub", |_| {});
        std::fs::write(rig.path("tls.crt"), certificate).unwrap();
        std::fs::write(rig.path("tls.key"), key).unwrap();
        std::fs::write(rig.path("ca.crt"), &rig.authority.pem).unwrap();
        rig
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn config(&self) -> HubTlsConfig {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        HubTlsConfig {
            cert_file: text(&self.path("tls.crt")),
            key_file: text(&self.path("tls.key")),
            client_ca_file: text(&self.path("ca.crt")),
        }
    }

    fn tls(&self, now: Instant) -> ServerTls {
        ServerTls::read(&self.config(), now).unwrap().unwrap()
    }

    /// Whom the server sees, or what the first of the two that noticed says is wrong.
    async fn dial(
        &self,
        tls: &ServerTls,
        client: Option<(String, String)>,
        now: Instant,
    ) -> Result<Option<Certified>, String> {
        let mut roots = RootCertStore::empty();
        for der in certificates("ca", self.authority.pem.as_bytes()).unwrap() {
            roots.add(der).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates("chain", chain.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let connector = TlsConnector::from(Arc::new(config));
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let name = "localhost".try_into().unwrap();
        let (client, server) = tokio::join!(connector.connect(name, theirs), tls.accept(ours, now));
        // A client learns of a refused certificate only when it reads.
        if let Err(error) = &client
            && !error.to_string().contains("alert")
        {
            return Err(error.to_string());
        }
        server
            .map(|(_, certified)| certified)
            .map_err(|error| error.to_string())
    }
}

// === impl Authority ===

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate for that common name, and its key.
    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn id(workspace: &str, name: &str) -> AgentId {
    AgentId {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
    }
}
