//! The bytes of a watch's stream, as lines, and what each of them says.

use serde_json::Value;

use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::http_form::status_error;

/// Bytes as they come, and the lines that they are.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Up to where there is no end of a line.
    searched: usize,
}

/// What one line of a stream says.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// The object is there, as it is now.
    Changed(Value),
    /// The object is there no more; as it was last.
    Deleted(Value),
    /// Nothing changed until this resourceVersion.
    Bookmark(Value),
    /// The stream is at its end, and why.
    Error(ApiError),
    /// It is of a kind that nobody here knows.
    Unknown,
}

/// No object is larger in etcd; a longer line ends its stream.
const LINE_MAX: usize = 4 * 1024 * 1024;

// === impl Lines ===

impl Lines {
    /// Takes bytes in. Before the next ones, the complete lines are to be taken out.
    ///
    /// # Errors
    ///
    /// If a line is longer than 4 MiB: the stream is of no use any more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > LINE_MAX && !bytes.contains(&b'\n') {
            self.buffer.clear();
            self.searched = 0;
            let message = format!("a line of the watch is longer than {LINE_MAX} bytes");
            return Err(ApiError::new(ErrorKind::Server, message));
        }
        Ok(())
    }

    /// What the next complete line says.
    pub fn next_item(&mut self) -> Option<StreamItem> {
        loop {
            let end = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| self.searched + end) else {
                self.searched = self.buffer.len();
                return None;
            };
            let item = StreamItem::parse(&self.buffer[..end]);
            self.buffer.drain(..=end);
            self.searched = 0;
            if item.is_some() {
                return item;
            }
        }
    }
}

// === impl StreamItem ===

impl StreamItem {
    /// What the line says; nothing where there is nothing on it.
    ///
    /// What is no JSON is an error: what it meant to tell is lost.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let Ok(mut event) = serde_json::from_slice::<Value>(line) else {
            let message = "a line of the watch is not JSON";
            return Some(Self::Error(ApiError::new(ErrorKind::Server, message)));
        };
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let object = event.get_mut("object").map_or(Value::Null, Value::take);
        Some(match &*kind {
            "ADDED" | "MODIFIED" => Self::Changed(object),
            "DELETED" => Self::Deleted(object),
            "BOOKMARK" => Self::Bookmark(object),
            "ERROR" => Self::Error(status_error(&object)),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let text = "{\"type\":\"ADDED\",\"object\":{\"a\":\"ä\"}}\n\n\r\n\
                    {\"type\":\"BOOKMARK\",\"object\":{}}\n{\"type\":\"DEL";
        let whole = items(text.as_bytes().chunks(1000));
        assert_eq!(
            whole,
            [
                StreamItem::Changed(json!({"a": "ä"})),
                StreamItem::Bookmark(json!({})),
            ]
        );
        for size in 1..20 {
            assert_eq!(items(text.as_bytes().chunks(size)), whole, "{size}");
        }
    }

    /// OCM [R]: whatever is on a line, it is read without a panic.
    #[test]
    fn pitfall_19_every_line_has_its_meaning() {
        let kind = |line: &str| match StreamItem::parse(line.as_bytes()) {
            None => "none".to_owned(),
            Some(StreamItem::Error(error)) => format!("{:?}", error.kind),
            Some(item) => format!("{item:?}").split('(').next().unwrap().to_owned(),
        };
        for (line, expected) in [
            ("", "none"),
            (" \t\r", "none"),
            ("<html>", "Server"),
            ("\u{0}", "Server"),
            ("5", "Unknown"),
            ("null", "Unknown"),
            ("[]", "Unknown"),
            (r#"{"type":5}"#, "Unknown"),
            (r#"{"type":"LATER","object":{}}"#, "Unknown"),
            (r#"{"type":"MODIFIED"}"#, "Changed"),
            (r#"{"type":"DELETED","object":7}"#, "Deleted"),
            (r#"{"type":"ERROR"}"#, "Server"),
            (r#"{"type":"ERROR","object":{"code":410}}"#, "Expired"),
            (r#"{"type":"ERROR","object":{"code":-1}}"#, "Server"),
            (r#"{"type":"ERROR","object":{"code":429}}"#, "TooMany"),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
        let busy = r#"{"type":"ERROR","object":{"code":429,"details":{"retryAfterSeconds":3}}}"#;
        let Some(StreamItem::Error(error)) = StreamItem::parse(busy.as_bytes()) else {
            panic!("{busy}");
        };
        assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let mut lines = Lines::default();
        let mut refused = 0;
        for _ in 0..=2 * LINE_MAX / 65_536 {
            refused += usize::from(lines.push(&[b'x'; 65_536]).is_err());
            assert!(lines.buffer.len() <= LINE_MAX);
            assert_eq!(lines.next_item(), None);
        }
        assert_eq!(refused, 1);
    }

    fn items<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<StreamItem> {
        let mut lines = Lines::default();
        let mut items = Vec::new();
        for chunk in chunks {
            lines.push(chunk).unwrap();
            items.extend(std::iter::from_fn(|| lines.next_item()));
        }
        items
    }
}
