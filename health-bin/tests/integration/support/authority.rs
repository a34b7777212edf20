//! What a server of a test's own needs: a certificate, and ports.

use std::net::TcpListener;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;

/// Somebody who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

// === impl Authority ===

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, which those who trust it have.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A new certificate of loopback, and its key.
    pub(crate) fn issue(&self) -> (String, String) {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Free ports below those that the system hands out: while the server is down, nobody else's
/// connection, and no connection of the agent to itself, takes them.
pub(crate) fn free_ports() -> [u16; 3] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut free = std::iter::repeat_with(|| {
        // Another process begins elsewhere.
        let number =
            NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id().wrapping_mul(7) % 10_000;
        let port = u16::try_from(20_000 + number % 10_000).expect("a port");
        let listener = TcpListener::bind(("127.0.0.1", port));
        listener.is_ok().then_some(port)
    })
    .take(10_000)
    .flatten();
    [(); 3].map(|()| free.next().expect("a free port"))
}
