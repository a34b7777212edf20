//! One GET over plain HTTP, for `probe`.

use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::Request;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The whole exchange must end within this time: the kubelet waits one second by default, but
/// `timeoutSeconds` may be longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than this is not read.
const BODY_MAX: usize = 1024 * 1024;

/// Asks for `url` and gives the answer's status and text.
pub(crate) async fn get(url: &str) -> anyhow::Result<(StatusCode, String)> {
    let asked = tokio::time::timeout(TIMEOUT, exchange(url)).await;
    asked.map_err(|_| anyhow!("{url} did not answer within {TIMEOUT:?}"))?
}

async fn exchange(url: &str) -> anyhow::Result<(StatusCode, String)> {
    let uri: Uri = url
        .parse()
        .with_context(|| format!("{url:?} is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        anyhow::bail!("{url:?} must begin with http://");
    }
    let authority = uri
        .authority()
        .with_context(|| format!("{url:?} names no host"))?
        .clone();
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80)))
        .await
        .with_context(|| format!("cannot connect to {authority}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let response = sender
        .send_request(request)
        .await
        .with_context(|| format!("{url} did not answer"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
    driver.abort();
    let body = body.map_err(|error| anyhow!("the answer of {url} broke off: {error}"))?;
    Ok((
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    ))
}
