//! From a host's name to a TCP connection, directly: no proxy is taken from the environment.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::net::lookup_host;

use crate::CheckContext;
use crate::checks::failure::Failure;
use crate::checks::failure::Stage;
use crate::reasons;

/// Connects to `port` of `host`, an address or a name. Names are resolved anew each time.
pub(super) async fn dial(
    host: &str,
    port: u16,
    stage: &Stage,
    cx: CheckContext,
) -> Result<TcpStream, Failure> {
    let addresses = resolve(host, port).await?;
    stage.connection();
    first(&addresses, cx).await
}

/// The host of a URL without the brackets of an IPv6 address.
pub(super) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let failed = |why: String| {
        let message = format!("failed to resolve {host:?}: {why}");
        Failure::new(reasons::DNS_FAILED, message)
    };
    let found = lookup_host((host, port)).await;
    let addresses: Vec<_> = found.map_err(|error| failed(error.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// The first address that answers. None may use up the time of those after it.
async fn first(addresses: &[SocketAddr], cx: CheckContext) -> Result<TcpStream, Failure> {
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
