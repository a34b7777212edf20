//! One dial: from the name to an upgraded WebSocket.

mod answer;

mod remedy;

use std::io;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::TlsError;
use crate::TokenError;
use crate::TunnelConfig;
use crate::link;
use crate::link::Link;
use crate::link::MESSAGE_MAX;
use crate::protocol;
use crate::tls::Tls;
use crate::token::TOKEN_FILE;
use crate::token::TokenFile;

/// Enough to keep a link of 1 Gbit/s busy between two turns of the event loop, half a millisecond.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 64 * 1024;

/// The keys of what stands in the headers.
const NAME: &str = "syncTarget.name";
const WORKSPACE: &str = "syncTarget.workspace";

/// Dials again and again, with the files as they are then.
#[derive(Debug)]
pub(crate) struct Dialer {
    token: Option<TokenFile>,
    tls: Tls,
}

/// The stream of a tunnel, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Indicates that a dial failed. Always transient: it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The token would travel in the clear.
    #[error(
        "the bearer token is not sent over ws:// beyond this machine; \
         use wss://, or set allowPlaintext"
    )]
    PlaintextToken,
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// TLS cannot be tried.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The name or workspace cannot stand in a header.
    #[error("{0} holds more than visible ASCII, which cannot stand in a header")]
    Header(&'static str),
    /// Nobody answers there.
    #[error("failed to connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The peer's certificate is not trusted, or ours is not.
    #[error("failed to set up TLS with {address}{}", remedy::remedy(source))]
    TlsHandshake {
        /// With whom.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke before the upgrade.
    #[error("the upgrade broke off")]
    Broken(#[source] io::Error),
    /// The server answered with something else than an upgrade.
    #[error("the server answered {status}{}", quoted(.body))]
    Rejected {
        /// The status.
        status: StatusCode,
        /// The first line of what it said.
        body: String,
        /// Not to come back before that has passed, if the server says.
        retry_after: Option<Duration>,
    },
    /// The server answered what is no HTTP, or no upgrade to a WebSocket.
    #[error("the server's answer is no upgrade to a WebSocket: {0}")]
    NoUpgrade(&'static str),
    /// It took too long.
    #[error("the dial did not end within {0:?}")]
    TimedOut(Duration),
}

/// Reads a server's answer, all of which is there: what comes after it.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_answer(mut bytes: &[u8], key: &str) -> Result<Vec<u8>, DialError> {
    use futures_util::FutureExt;

    let read = answer::read(&mut bytes, key).now_or_never();
    let early = read.expect("a slice is never waited for")?;
    Ok([&early, bytes].concat())
}

// === impl Dialer ===

impl Dialer {
    pub(crate) fn new(config: &TunnelConfig) -> Self {
        Self {
            token: config.token_file.clone().map(TokenFile::new),
            tls: Tls::new(config),
        }
    }

    /// Reads every file that is named, and tells all that a dial would stumble over.
    pub(crate) async fn check(&mut self, config: &TunnelConfig) -> Vec<DialError> {
        let mut wrong = Vec::new();
        wrong.extend(self.bearer(config).await.err());
        wrong.extend(header(NAME, &config.sync_target).err());
        wrong.extend(header(WORKSPACE, &config.workspace).err());
        if config.url.is_secure() || self.tls.has_files() {
            wrong.extend(self.tls.check().await.into_iter().map(DialError::Tls));
        }
        wrong
    }

    /// Dials once, within the deadline.
    ///
    /// # Cancel safety
    ///
    /// A dropped dial leaves nothing behind.
    pub(crate) async fn dial(
        &mut self,
        config: &TunnelConfig,
    ) -> Result<Link<Box<dyn Stream>>, DialError> {
        let deadline = config.deadlines().dial;
        tokio::time::timeout(deadline, self.dial_unbounded(config))
            .await
            .unwrap_or(Err(DialError::TimedOut(deadline)))
    }

    async fn dial_unbounded(
        &mut self,
        config: &TunnelConfig,
    ) -> Result<Link<Box<dyn Stream>>, DialError> {
        let key = generate_key();
        let request = request(config, self.bearer(config).await?.as_ref(), &key)?;
        let mut stream = self.connect(config).await?;
        stream
            .write_all(request.expose_secret().as_bytes())
            .await
            .map_err(DialError::Broken)?;
        stream.flush().await.map_err(DialError::Broken)?;
        let early = answer::read(&mut stream, &key).await?;
        tracing::debug!("the hub took the upgrade");
        let config = link::config(MESSAGE_MAX);
        let socket =
            WebSocketStream::from_partially_read(stream, early, Role::Client, Some(config)).await;
        Ok(Link::new(socket))
    }

    async fn connect(&mut self, config: &TunnelConfig) -> Result<Box<dyn Stream>, DialError> {
        let (host, port) = (config.url.host(), config.url.port());
        let address = || format!("{host}:{port}");
        let connector = if config.url.is_secure() {
            Some(self.tls.connector().await?)
        } else {
            None
        };
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream
            .and_then(|stream| tuned(&stream).map(|()| stream))
            .map_err(|source| DialError::Connect {
                address: address(),
                source,
            })?;
        let Some(connector) = connector else {
            return Ok(Box::new(stream));
        };
        let encrypted = match ServerName::try_from(host.to_owned()) {
            Ok(name) => connector.connect(name, stream).await,
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        };
        match encrypted {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(DialError::TlsHandshake {
                address: address(),
                source,
            }),
        }
    }

    /// The token, if there is one and it may be sent.
    async fn bearer(&mut self, config: &TunnelConfig) -> Result<Option<SecretString>, DialError> {
        let Some(file) = &mut self.token else {
            return Ok(None);
        };
        if !config.url.may_carry_token(config.allow_plaintext) {
            return Err(DialError::PlaintextToken);
        }
        Ok(Some(file.read().await?))
    }
}

// === impl DialError ===

impl DialError {
    /// The key of the configuration that is to be mended: `url`, `tokenFile`, `caFile`, `certFile`,
    /// `keyFile`, `syncTarget.name` or `syncTarget.workspace`.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Token(_) => TOKEN_FILE,
            Self::Tls(error) => error.key(),
            Self::Header(key) => key,
            Self::PlaintextToken
            | Self::Connect { .. }
            | Self::TlsHandshake { .. }
            | Self::Broken(_)
            | Self::Rejected { .. }
            | Self::NoUpgrade(_)
            | Self::TimedOut(_) => "url",
        }
    }

    /// Not to come back before that has passed, if the server says.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            Self::PlaintextToken
            | Self::Token(_)
            | Self::Tls(_)
            | Self::Header(_)
            | Self::Connect { .. }
            | Self::TlsHandshake { .. }
            | Self::Broken(_)
            | Self::NoUpgrade(_)
            | Self::TimedOut(_) => None,
        }
    }
}

/// What is given to the kernel cannot be overtaken any more: a ping would wait for megabytes of
/// bulk. So the kernel is given little that it cannot send yet.
fn tuned(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

/// The request is written here and not by the WebSocket library, which logs what it writes, the
/// token included.
fn request(
    config: &TunnelConfig,
    token: Option<&SecretString>,
    key: &str,
) -> Result<SecretString, DialError> {
    let target = header(NAME, &config.sync_target)?;
    let workspace = header(WORKSPACE, &config.workspace)?;
    let mut text = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
         {}: {target}\r\n{}: {workspace}\r\n",
        config.url.path_and_query(),
        config.url.authority(),
        protocol::HEADER_SYNC_TARGET,
        protocol::HEADER_WORKSPACE,
    );
    if let Some(token) = token {
        text.push_str("Authorization: Bearer ");
        text.push_str(token.expose_secret());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Ok(text.into())
}

/// Nothing that a header carries may end it.
fn header<'a>(key: &'static str, text: &'a str) -> Result<&'a str, DialError> {
    let visible = HeaderValue::from_str(text).is_ok_and(|value| value.to_str().is_ok());
    if visible {
        Ok(text)
    } else {
        Err(DialError::Header(key))
    }
}

fn quoted(body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!(": {body}")
    }
}
