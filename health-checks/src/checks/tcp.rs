//! `tcp`: whether somebody accepts connections.

use std::time::Instant;

use health_core::Outcome;
use health_core::Paired;
use http::uri::Authority;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::InvalidCheck;
use crate::checks::dial::dial;
use crate::checks::dial::unbracketed;
use crate::checks::failure::Stage;
use crate::checks::invalid::Worse;
use crate::checks::invalid::validate;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

/// What a [`TcpCheck`] connects to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TcpConfig {
    /// Where it connects to: `host:port`, an IPv6 address in brackets. No default.
    pub address: String,
    /// From how long connecting may take, name resolution included, in seconds, on it is Degraded
    /// or Unhealthy. Default: no limit.
    pub latency_seconds: Paired,
}

/// Whether somebody accepts connections. Nothing is sent, and the connection is closed at once.
///
/// ```
/// use health_checks::checks::TcpCheck;
/// use health_checks::checks::TcpConfig;
///
/// let mut config = TcpConfig::new("postgres.default.svc:5432");
/// config.latency_seconds.degraded = Some(0.5);
/// let check = TcpCheck::new(config)?;
/// # Ok::<(), health_checks::checks::InvalidCheck>(())
/// ```
#[derive(Debug)]
pub struct TcpCheck {
    config: TcpConfig,
    host: String,
    port: u16,
}

// === impl TcpConfig ===

impl TcpConfig {
    /// Connects to `address`, and any time that it takes is good.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            latency_seconds: Paired::default(),
        }
    }
}

// === impl TcpCheck ===

impl TcpCheck {
    /// A check as `config` says. Nothing is connected or resolved yet.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] if the address is none, or the limits are the wrong way round.
    pub fn new(config: TcpConfig) -> Result<Self, InvalidCheck> {
        validate(config.latency_seconds, names::LATENCY_SECONDS, Worse::Above)?;
        let (host, port) =
            parse(&config.address).ok_or_else(|| InvalidCheck::Address(config.address.clone()))?;
        Ok(Self { config, host, port })
    }

    async fn connect(&self, cx: CheckContext) -> Outcome {
        let began = Instant::now();
        let stage = Stage::default();
        let give_up_at = tokio::time::Instant::from_std(cx.give_up_at());
        let dialled = dial(&self.host, self.port, &stage, cx);
        let stream = match tokio::time::timeout_at(give_up_at, dialled).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(failure)) => return failure.into(),
            Err(_) => return stage.timeout(cx.timeout).into(),
        };
        let seconds = began.elapsed().as_secs_f64();
        drop(stream);
        over(
            self.config.latency_seconds,
            seconds,
            reasons::LATENCY_HIGH,
            "seconds until the connection",
        )
        .with_metric(names::LATENCY_SECONDS, seconds)
    }
}

#[async_trait::async_trait]
impl HealthChecker for TcpCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let mut outcome = self.connect(cx).await;
        if !outcome.message.is_empty() {
            outcome.message = format!("{}: {}", self.config.address, outcome.message);
        }
        Ok(outcome)
    }
}

fn parse(address: &str) -> Option<(String, u16)> {
    let authority: Authority = address.parse().ok()?;
    let port = authority.port_u16().filter(|port| *port > 0)?;
    let (host, digits) = address.rsplit_once(':')?;
    // Neither a user before the host, nor a sign before the port.
    let is_plain = host == authority.host() && digits.bytes().all(|c| c.is_ascii_digit());
    let host = unbracketed(host);
    (is_plain && !host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests;
