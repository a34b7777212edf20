//! The HTTP upgrade, as the hub's server sees it.

use http::HeaderMap;
use http::StatusCode;
use http::header;
use secrecy::SecretString;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::protocol;

/// A request to open a tunnel: what its headers say.
///
/// The server answers 101 with `Upgrade: websocket`, `Connection: Upgrade` and
/// `Sec-WebSocket-Accept: `[`accept`](Self::accept), then hands the byte stream to
/// [`AcceptedTunnel`](crate::AcceptedTunnel).
#[derive(Debug, Clone)]
pub struct UpgradeRequest {
    /// The value of the answer's `Sec-WebSocket-Accept`.
    pub accept: String,
    /// `X-SyncTarget`, where it was sent.
    pub sync_target: Option<String>,
    /// `X-Workspace`; empty where it was empty or not sent.
    pub workspace: String,
    /// The bearer token, where one was sent.
    pub bearer: Option<SecretString>,
}

/// Indicates a request that opens no tunnel. Permanent: the client must ask differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// A header of the upgrade is missing or wrong.
    #[error("expected a WebSocket upgrade: the header {0:?} is missing or wrong")]
    Header(&'static str),
    /// Another version of WebSocket.
    #[error("expected Sec-WebSocket-Version: 13")]
    Version,
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(sec_websocket_key: &[u8]) -> String {
    derive_accept_key(sec_websocket_key)
}

// === impl UpgradeRequest ===

impl UpgradeRequest {
    /// Reads the headers of a `GET` request.
    ///
    /// # Errors
    ///
    /// [`UpgradeError`] if they do not ask for a WebSocket of version 13, or name a SyncTarget, a
    /// workspace or a bearer token in something else than visible ASCII.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, UpgradeError> {
        if !has_token(headers, &header::UPGRADE, "websocket") {
            return Err(UpgradeError::Header("Upgrade"));
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(UpgradeError::Header("Connection"));
        }
        let version = headers.get(header::SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            return Err(UpgradeError::Version);
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .ok_or(UpgradeError::Header("Sec-WebSocket-Key"))?;
        let workspace = text(headers, protocol::HEADER_WORKSPACE)?.unwrap_or_default();
        Ok(Self {
            accept: accept_key(key.as_bytes()),
            sync_target: text(headers, protocol::HEADER_SYNC_TARGET)?
                .filter(|name| !name.is_empty()),
            workspace,
            bearer: text(headers, "Authorization")?.as_deref().and_then(bearer),
        })
    }
}

// === impl UpgradeError ===

impl UpgradeError {
    /// The status to answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Header("Upgrade" | "Connection") | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Header(_) => StatusCode::BAD_REQUEST,
        }
    }
}

fn bearer(authorization: &str) -> Option<SecretString> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.into())
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, UpgradeError> {
    headers
        .get(name)
        .map(|value| value.to_str().map(|text| text.trim().to_owned()))
        .transpose()
        .map_err(|_| UpgradeError::Header(name))
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_go_peers_request_is_understood() {
        let request = read(&[
            ("Authorization", "Bearer s3cr3t"),
            ("X-SyncTarget", "edge-1"),
            ("X-Workspace", ""),
        ])
        .unwrap();
        assert_eq!(request.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(request.sync_target.as_deref(), Some("edge-1"));
        assert_eq!(request.workspace, "");
        assert!(!format!("{request:?}").contains("s3cr3t"));
        assert_eq!(request.bearer.unwrap().expose_secret(), "s3cr3t");
    }

    #[test]
    fn what_is_not_sent_is_not_there() {
        let request = read(&[("Authorization", "Basic abc")]).unwrap();
        assert!(request.bearer.is_none() && request.sync_target.is_none());
    }

    #[test]
    fn what_is_no_upgrade_is_refused_with_the_right_status() {
        let error = UpgradeRequest::from_headers(&HeaderMap::new()).unwrap_err();
        assert_eq!(error.status(), StatusCode::UPGRADE_REQUIRED);
        let error = read(&[("Sec-WebSocket-Version", "8")]).unwrap_err();
        assert_eq!(error, UpgradeError::Version);
        let error = read(&[("X-SyncTarget", "edge\u{7f}")]);
        assert!(error.is_err());
    }

    fn read(more: &[(&'static str, &str)]) -> Result<UpgradeRequest, UpgradeError> {
        let mut headers = HeaderMap::new();
        let usual = [
            ("Connection", "keep-alive, Upgrade"),
            ("Upgrade", "WebSocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(more) {
            let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else {
                return Err(UpgradeError::Header("X-SyncTarget"));
            };
            headers.insert(http::HeaderName::try_from(*name).unwrap(), value);
        }
        UpgradeRequest::from_headers(&headers)
    }
}
