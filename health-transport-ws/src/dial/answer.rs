//! The server's answer to the upgrade.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

use super::DialError;
use crate::accept_key;

/// The longest answer that is read; a header of a megabyte is no server of ours.
const ANSWER_MAX: usize = 16 * 1024;

/// As many headers as the common servers and proxies send together.
const HEADERS_MAX: usize = 64;

/// The longest line of a body that is shown.
const BODY_SHOWN: usize = 200;

/// Reads the answer; what came of the WebSocket's frames with it is returned.
pub(super) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    key: &str,
) -> Result<Vec<u8>, DialError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let count = stream
            .read_buf(&mut bytes)
            .await
            .map_err(DialError::Broken)?;
        if count == 0 {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed");
            return Err(DialError::Broken(error));
        }
        if let Some(end) = parse(&bytes, key)? {
            return Ok(bytes.split_off(end));
        }
        if bytes.len() >= ANSWER_MAX {
            return Err(DialError::NoUpgrade("its header is too long"));
        }
    }
}

/// Where the answer ends, once all of it is there.
fn parse(bytes: &[u8], key: &str) -> Result<Option<usize>, DialError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(DialError::NoUpgrade("it is no HTTP")),
    };
    let header = |name: &str| {
        response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.trim_ascii())
    };
    let status = response.code.unwrap_or_default();
    if status != StatusCode::SWITCHING_PROTOCOLS.as_u16() {
        let retry_after = header("Retry-After").and_then(seconds);
        return Err(DialError::Rejected {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
            body: first_line(&bytes[end..]),
            retry_after,
        });
    }
    let is = |name, value: &str| {
        header(name).is_some_and(|found| found.eq_ignore_ascii_case(value.as_bytes()))
    };
    if !is("Upgrade", "websocket") || !is("Connection", "upgrade") {
        return Err(DialError::NoUpgrade("it upgrades to something else"));
    }
    if header("Sec-WebSocket-Accept") != Some(accept_key(key.as_bytes()).as_bytes()) {
        return Err(DialError::NoUpgrade("its Sec-WebSocket-Accept is wrong"));
    }
    if header("Sec-WebSocket-Extensions").is_some() {
        return Err(DialError::NoUpgrade("it uses an extension"));
    }
    Ok(Some(end))
}

/// A `Retry-After` in seconds; a date, which only a common clock makes sense of, is not obeyed.
fn seconds(value: &[u8]) -> Option<Duration> {
    let seconds: u32 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars()
        .filter(|c| !c.is_control())
        .take(BODY_SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[tokio::test]
    async fn frames_that_come_with_the_answer_are_kept() {
        let bytes = [UPGRADE.as_bytes(), b"\x81\x02hi"].concat();
        assert_eq!(read(&mut &*bytes, KEY).await.unwrap(), b"\x81\x02hi");
    }

    #[tokio::test]
    async fn an_answer_that_is_no_upgrade_is_an_error_that_says_why() {
        for (answer, says) in [
            (
                "HTTP/1.1 401 Unauthorized\r\n\r\nunknown token\nmore",
                "the server answered 401 Unauthorized: unknown token",
            ),
            (
                "HTTP/1.1 404 Not Found\r\n\r\n",
                "the server answered 404 Not Found",
            ),
            ("SSH-2.0-OpenSSH\r\n", "it is no HTTP"),
            ("HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n", "something else"),
            (&UPGRADE.replace("s3p", "xxx"), "Sec-WebSocket-Accept"),
            ("", "broke off"),
            (&UPGRADE[..40], "broke off"),
            (
                &format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(20_000)),
                "too long",
            ),
        ] {
            let error = read(&mut answer.as_bytes(), KEY).await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[tokio::test]
    async fn a_retry_after_in_seconds_is_obeyed_and_a_date_is_not() {
        for (value, seconds) in [
            ("7", Some(7)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("-1", None),
        ] {
            let answer = format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\n\r\n");
            let error = read(&mut answer.as_bytes(), KEY).await.unwrap_err();
            assert_eq!(error.retry_after(), seconds.map(Duration::from_secs));
        }
    }
}
