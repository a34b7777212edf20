//! Certificates that must not be believed.

use std::path::Path;
use std::sync::Arc;

use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_core::HealthStatus;
use health_core::Outcome;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::support::Server;
use crate::support::head;
use crate::support::ms;
use crate::support::run;
use crate::support::run_within;

/// A server with a certificate, and the authority that it is from.
struct Made {
    authority: tempfile::NamedTempFile,
    server: Server,
}

#[tokio::test]
async fn each_bad_certificate_is_refused_and_it_says_why() {
    for (name, years, trusted, status, says) in [
        ("localhost", (1975, 4096), true, HealthStatus::Healthy, ""),
        (
            "localhost",
            (1975, 2001),
            true,
            HealthStatus::Unhealthy,
            "expired",
        ),
        (
            "localhost",
            (4000, 4096),
            true,
            HealthStatus::Unhealthy,
            "not valid yet",
        ),
        (
            "elsewhere",
            (1975, 4096),
            true,
            HealthStatus::Unhealthy,
            "not valid for name",
        ),
        (
            "localhost",
            (1975, 4096),
            false,
            HealthStatus::Unhealthy,
            "UnknownIssuer",
        ),
    ] {
        let made = Made::new(name, years).await;
        let other = Made::new(name, years).await;
        let authority = if trusted { &made } else { &other };
        let mut target = made.target();
        target.ca = Some(authority.authority.path().into());
        let outcome = ask(target).await;
        let case = format!("{name} {years:?} {trusted}: {}", outcome.message);
        assert_eq!(outcome.status, status, "{case}");
        assert!(outcome.message.contains(says), "{case}");
        if status == HealthStatus::Unhealthy {
            assert_eq!(outcome.reason.as_str(), "TlsFailed", "{case}");
        }
    }
}

/// Spring Boot #28882: an option that nobody reads is worse than none.
#[tokio::test]
async fn pitfall_41_every_option_of_tls_has_an_effect() {
    type Change = fn(&mut HttpTarget, &Path);
    let rows: [(&str, Change); 3] = [
        ("localhost", |target, authority| {
            target.ca = Some(authority.into());
        }),
        ("elsewhere", |target, authority| {
            target.ca = Some(authority.into());
            target.server_name = Some("elsewhere".to_owned());
        }),
        ("elsewhere", |target, _| target.insecure = true),
    ];
    for (name, change) in rows {
        let made = Made::new(name, (1975, 4096)).await;
        let mut target = made.target();
        let before = ask(target.clone()).await;
        assert_eq!(before.reason.as_str(), "TlsFailed", "{}", before.message);
        change(&mut target, made.authority.path());
        let after = ask(target).await;
        assert_eq!(after.reason.as_str(), "Healthy", "{}", after.message);
    }
}

/// Neither a server that speaks plainly nor one that says nothing is taken for anything else.
#[tokio::test]
async fn a_handshake_that_is_none_fails_or_times_out() {
    for (says, reason, stage) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "TlsFailed", ""),
        ("", "Timeout", "the TLS handshake"),
        // The beginning of an answer to the handshake, and no more.
        ("\x16\x03\x03\x01", "Timeout", "the TLS handshake"),
    ] {
        let server = Server::start(move |mut stream, _| async move {
            stream.read_u8().await.ok();
            stream.write_all(says.as_bytes()).await.ok();
            stream.read_to_end(&mut Vec::new()).await.ok();
        })
        .await;
        let url = format!("https://127.0.0.1:{}/", server.port);
        let check = HttpCheck::new(HttpConfig::new(HttpTarget::new(&url).unwrap())).unwrap();
        let outcome = run_within(&check, ms(500)).await;
        assert_eq!(outcome.status, HealthStatus::Unhealthy);
        assert_eq!(outcome.reason.as_str(), reason, "{}", outcome.message);
        assert!(outcome.message.contains(stage), "{}", outcome.message);
    }
}

impl Made {
    /// An authority, and a server with a certificate of that authority for `name`, valid from the
    /// beginning of the first year to that of the second.
    async fn new(name: &str, (from, until): (i32, i32)) -> Self {
        let authority = tempfile::NamedTempFile::new().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let unique = authority.path().display().to_string();
        params
            .distinguished_name
            .push(DnType::CommonName, unique.as_str());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(authority.path(), issuer.pem()).unwrap();

        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Server::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                head(&mut stream).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await;
        Self { authority, server }
    }

    fn target(&self) -> HttpTarget {
        HttpTarget::new(&format!("https://localhost:{}/", self.server.port)).unwrap()
    }
}

async fn ask(target: HttpTarget) -> Outcome {
    run(&HttpCheck::new(HttpConfig::new(target)).unwrap()).await
}
