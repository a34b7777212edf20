//! Who dials a hub: as little of a WebSocket as an agent needs, so that a thousand cost little, and
//! so that it can be wrong on purpose.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An authority that a hub and its agents believe.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// A connection to the hub.
pub(crate) struct Peer {
    stream: Box<dyn Stream>,
    /// What came and was not taken yet.
    came: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What the hub answered to the upgrade.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

// === impl Authority ===

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate and its key in PEM.
    pub(super) fn sign(&self, name: &str, expired: bool) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        if expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// What a client believes and shows.
    pub(super) fn connector(&self, client: Option<(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        for certificate in chain(&self.pem) {
            roots.add(certificate).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((pem, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let config = builder.with_client_auth_cert(chain(&pem), key);
                config.expect("they belong together")
            }
        };
        Arc::new(config).into()
    }
}

// === impl Peer ===

impl Peer {
    /// A connection over TLS.
    pub(super) async fn connect(hub: SocketAddr, tls: &TlsConnector) -> io::Result<Self> {
        let stream = TcpStream::connect(hub).await?;
        stream.set_nodelay(true)?;
        let name = "localhost".try_into().expect("a name");
        Ok(Self::over(tls.connect(name, stream).await?))
    }

    /// A connection without TLS.
    pub(crate) async fn connect_plain(hub: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(hub).await?))
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            came: Vec::new(),
        }
    }

    /// Asks to open a tunnel; what the hub answers.
    pub(crate) async fn upgrade(&mut self, headers: &[(&str, &str)]) -> io::Result<Answer> {
        let mut request = "GET /tunnel HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            .to_owned();
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.write(request.as_bytes()).await?;
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.came.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head: Vec<_> = self.came.drain(..end).collect();
        let mut text = String::from_utf8_lossy(&head).into_owned();
        let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no HTTP"))?;
        let upgraded = text.to_lowercase().contains("\r\nconnection: upgrade\r\n");
        if (status == 101) != upgraded {
            return Err(io::Error::other(text));
        }
        if status != 101 {
            while self.more().await.is_ok() {}
            text.push_str(&String::from_utf8_lossy(&self.came));
        }
        Ok(Answer { status, text })
    }

    /// Opens a tunnel for a target with its token, up to the accepted handshake.
    pub(super) async fn open(mut self, name: &str, token: &str) -> io::Result<Self> {
        let bearer = format!("Bearer {token}");
        let answer = self.upgrade(&[("Authorization", &bearer)]).await?;
        if answer.status != 101 {
            return Err(io::Error::other(answer.text));
        }
        let payload =
            json!({"syncTarget": name, "version": "v1alpha1", "capabilities": ["heartbeat"]});
        self.send(&json!({"id": "h", "type": "handshake", "payload": payload}).to_string())
            .await?;
        let answer = self.next().await?;
        let error = &answer["error"];
        if error.is_null() {
            Ok(self)
        } else {
            Err(io::Error::other(error.to_string()))
        }
    }

    /// Sends a heartbeat and waits until it is acknowledged.
    pub(super) async fn beat(&mut self, name: &str, sequence: u64) -> io::Result<()> {
        let payload = json!({
            "slot": name, "incarnation": "7f", "sequence": sequence, "intervalSeconds": 2.0,
            "timeoutSeconds": 10.0, "status": "Healthy",
        });
        self.send(&json!({"id": "b", "type": "ping", "payload": payload}).to_string())
            .await?;
        let pong = self.next().await?;
        match pong["payload"]["sequence"].as_u64() {
            Some(it) if it == sequence => Ok(()),
            Some(_) | None => Err(io::Error::other(pong.to_string())),
        }
    }

    pub(super) async fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = head(text.len());
        frame.extend(text.as_bytes());
        self.write(&frame).await
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> io::Result<Value> {
        let (opcode, text) = self.frame().await?;
        if opcode != 1 {
            let text = String::from_utf8_lossy(&text).into_owned();
            return Err(io::Error::other(format!("closed: {text}")));
        }
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Waits until the hub ends the connection, and gives all that it said meanwhile.
    pub(super) async fn ended(&mut self) -> String {
        let mut said = String::new();
        while let Ok((_, text)) = self.frame().await {
            said.push_str(&String::from_utf8_lossy(&text));
        }
        said
    }

    async fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some((length, start)) = length(&self.came)
                && self.came.len() >= start + length
            {
                let opcode = self.came[0] & 0x0F;
                let frame: Vec<_> = self.came.drain(..start + length).skip(start).collect();
                return Ok((opcode, frame));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.came).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A connection from another address of this machine, so that it is another party.
pub(super) async fn connect_from(from: Ipv4Addr, hub: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(hub).await
}

/// The head of a text frame, masked with zeros.
pub(super) fn head(length: usize) -> Vec<u8> {
    let mut head = vec![0x81];
    match length {
        0..=125 => head.push(0x80 | u8::try_from(length).expect("it is small")),
        126..=0xFFFF => {
            head.push(0x80 | 126);
            head.extend(u16::try_from(length).expect("it is small").to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

/// The length of the frame's content and where it begins, of a server's frame.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7F {
        126 => {
            let bytes = bytes.get(2..4)?.try_into().expect("two bytes");
            Some((u16::from_be_bytes(bytes).into(), 4))
        }
        127 => panic!("the hub says no more than it must"),
        length => Some((length.into(), 2)),
    }
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    let chain: Result<_, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    chain.expect("PEM")
}
