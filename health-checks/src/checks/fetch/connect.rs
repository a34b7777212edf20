//! From a target to a connection that speaks HTTP.

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsConnector;

use crate::CheckContext;
use crate::checks::dial::dial;
use crate::checks::failure::Failure;
use crate::checks::failure::Stage;
use crate::checks::fetch::Connection;
use crate::checks::fetch::HttpTarget;
use crate::checks::fetch::InvalidTarget;
use crate::checks::fetch::tls::Tls;
use crate::error::chain;
use crate::reasons;

/// Connects to one target.
pub(super) struct Connector {
    host: String,
    port: u16,
    tls: Option<Tls>,
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(target: &HttpTarget) -> Result<Self, InvalidTarget> {
        let tls = target.is_tls().then(|| Tls::new(target)).transpose()?;
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
        let stream = dial(&self.host, self.port, stage, cx).await?;
        // A request is one small packet.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            return speak(stream).await;
        };
        stage.tls();
        let stream = TlsConnector::from(tls.config())
            .connect(tls.name(), stream)
            .await
            .map_err(|error| Failure::new(reasons::TLS_FAILED, chain(&error)))?;
        speak(stream).await
    }
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
