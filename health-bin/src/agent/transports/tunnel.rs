//! The tunnel to a hub.

use std::path::PathBuf;
use std::sync::Arc;

use health_heartbeat::TransportSetup;
use health_transport_ws::ClientCertificate;
use health_transport_ws::InvalidUrl;
use health_transport_ws::ReportSource;
use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use health_transport_ws::TunnelUrl;
use health_transport_ws::WebsocketTransport;

use super::Parts;
use super::Transports;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Problem;
use crate::config::Problems;

/// The section of the configuration.
const SECTION: &str = "heartbeat.websocket";

/// Stands in for a URL that is wrong, so that what else is wrong beside it is found.
const STAND_IN: &str = "wss://localhost/";

/// Adds the tunnel, if there is a hub to dial; it begins to dial at once. Its files were read when
/// the configuration was.
pub(super) fn add(parts: &Parts<'_>, transports: &mut Transports) -> anyhow::Result<()> {
    let config = parts.config;
    if config.heartbeat.websocket.url.is_empty() {
        return Ok(());
    }
    let heartbeat = config.heartbeat_config()?;
    let tunnel = TunnelConfig {
        heartbeat,
        seed: parts.seed,
        ..tunnel_config(config, url(config)?)
    };
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

/// Finds what is wrong with the URL and with each file. Nobody is dialed.
pub(super) async fn check(config: &AgentConfig, problems: &mut Problems) {
    if config.heartbeat.websocket.url.is_empty() {
        return;
    }
    let url = problems.take(url(config));
    let url = url.unwrap_or_else(|| STAND_IN.parse().expect("it is a URL"));
    for error in tunnel_config(config, url).check().await {
        let key = error.key();
        let problem = match key.split_once('.') {
            // Of the SyncTarget.
            Some((section, key)) => Problem::below(section, key, error),
            None => Problem::below(SECTION, key, error),
        };
        problems.take(Err::<(), _>(problem));
    }
}

fn url(config: &AgentConfig) -> Result<TunnelUrl, ConfigError> {
    let wrong = |error: InvalidUrl| Problem::below(SECTION, "url", error);
    let url = config.heartbeat.websocket.url.parse();
    url.map_err(|error| wrong(error).into())
}

fn tunnel_config(config: &AgentConfig, url: TunnelUrl) -> TunnelConfig {
    let websocket = &config.heartbeat.websocket;
    let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let pair = file(&websocket.cert_file).zip(file(&websocket.key_file));
    TunnelConfig {
        workspace: config.sync_target.workspace.clone(),
        token_file: file(&websocket.token_file),
        ca_file: file(&websocket.ca_file),
        client_certificate: pair.map(|(cert_file, key_file)| ClientCertificate {
            cert_file,
            key_file,
        }),
        allow_plaintext: websocket.allow_plaintext,
        ..TunnelConfig::new(url, config.sync_target.name.as_str())
    }
}
