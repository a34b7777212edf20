//! From a target to a connection that speaks HTTP.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::lookup_host;
use tokio_rustls::TlsConnector;

use crate::CheckContext;
use crate::checks::fetch::Connection;
use crate::checks::fetch::HttpTarget;
use crate::checks::fetch::InvalidTarget;
use crate::checks::fetch::failure::Failure;
use crate::checks::fetch::failure::Stage;
use crate::checks::fetch::tls;
use crate::error::chain;
use crate::reasons;

/// Connects to one target, directly: no proxy is taken from the environment.
pub(super) struct Connector {
    host: String,
    port: u16,
    tls: Option<Tls>,
}

struct Tls {
    config: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(target: &HttpTarget) -> Result<Self, InvalidTarget> {
        let tls = if target.is_tls() {
            let name = ServerName::try_from(target.host().to_owned());
            Some(Tls {
                config: tls::config(target)?,
                name: name.map_err(|_| InvalidTarget::Host)?,
            })
        } else {
            None
        };
        Ok(Self {
            host: target.host().to_owned(),
            port: target.port(),
            tls,
        })
    }

    pub(super) async fn connect(
        &self,
        stage: &Stage,
        cx: CheckContext,
    ) -> Result<Connection, Failure> {
        let addresses = self.resolve().await?;
        stage.connection();
        let stream = dial(&addresses, cx).await?;
        // A request is one small packet.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            return speak(stream).await;
        };
        stage.tls();
        let stream = TlsConnector::from(Arc::clone(&tls.config))
            .connect(tls.name.clone(), stream)
            .await
            .map_err(|error| Failure::new(reasons::TLS_FAILED, chain(&error)))?;
        speak(stream).await
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let failed = |why: String| {
            let message = format!("failed to resolve {:?}: {why}", self.host);
            Failure::new(reasons::DNS_FAILED, message)
        };
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.map_err(|error| failed(error.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(addresses)
    }
}

/// The first address that answers. None may use up the time of those after it.
async fn dial(addresses: &[SocketAddr], cx: CheckContext) -> Result<TcpStream, Failure> {
    let mut failure = Failure::new(reasons::UNREACHABLE, "it has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let left = cx.deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Failure::connect(&error),
            Err(_) => silent(share),
        };
    }
    Err(failure)
}

fn silent(after: Duration) -> Failure {
    let error = io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no connection within {after:.1?}"),
    );
    Failure::connect(&error)
}

async fn speak<S>(stream: S) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender, and with the runtime.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = chain(&error), "a kept connection ended");
        }
    });
    Ok(sender)
}
