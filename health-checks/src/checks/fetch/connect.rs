//! From a target to a connection that speaks HTTP.

use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
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
use crate::checks::fetch::tls;
use crate::error::chain;
use crate::reasons;

/// Connects to one target.
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
        let stream = dial(&self.host, self.port, stage, cx).await?;
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
