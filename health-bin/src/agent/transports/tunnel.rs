//! The tunnel to a hub.

use std::path::PathBuf;
use std::sync::Arc;

use health_heartbeat::TransportSetup;
use health_transport_ws::ClientCertificate;
use health_transport_ws::InvalidUrl;
use health_transport_ws::ReportSource;
use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use health_transport_ws::WebsocketTransport;

use super::Parts;
use super::Transports;
use crate::config::ConfigError;

/// Adds the tunnel, if there is a hub to dial; it begins to dial at once.
pub(super) async fn add(parts: &Parts<'_>, transports: &mut Transports) -> anyhow::Result<()> {
    let config = parts.config;
    let websocket = &config.heartbeat.websocket;
    if websocket.url.is_empty() {
        return Ok(());
    }
    let url = websocket
        .url
        .parse()
        .map_err(|error: InvalidUrl| ConfigError::caused("heartbeat.websocket.url", error))?;
    let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let heartbeat = config.heartbeat_config()?;
    let tunnel = TunnelConfig {
        workspace: config.sync_target.workspace.clone(),
        token_file: file(&websocket.token_file),
        ca_file: file(&websocket.ca_file),
        client_certificate: file(&websocket.cert_file)
            .zip(file(&websocket.key_file))
            .map(|(cert_file, key_file)| ClientCertificate {
                cert_file,
                key_file,
            }),
        allow_plaintext: websocket.allow_plaintext,
        heartbeat,
        seed: parts.seed,
        ..TunnelConfig::new(url, config.sync_target.name.as_str())
    };
    let checked = tunnel.check().await;
    checked.map_err(|error| ConfigError::caused("heartbeat.websocket", error))?;
    let report = parts.report.clone();
    let source = ReportSource {
        changes: parts.changes.clone(),
        report: Arc::new(move || report.carried()),
    };
    let tunnel = Tunnel::spawn(tunnel, Some(source));
    transports.tunnel = Some(tunnel.state());
    transports.setups.push(TransportSetup {
        transport: Box::new(WebsocketTransport::new(tunnel)),
        config: heartbeat,
        prompt: false,
    });
    Ok(())
}
