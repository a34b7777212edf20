//! A watch, line by line.

use std::time::Duration;

use health_transport_lease::Cluster;
use health_transport_lease::watch::Lines;
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

/// A watch that was begun.
pub(crate) struct Stream {
    body: Body,
    bytes: Vec<u8>,
}

/// A line that does not come in that time is none; the longest stream of a case is 10 s.
const LINE_WAIT: Duration = Duration::from_secs(30);

// === impl Stream ===

impl Stream {
    pub(crate) async fn open(cluster: &Cluster, path: &str) -> Self {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = cluster.client().send(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Self {
            body: response.into_body(),
            bytes: Vec::new(),
        }
    }

    /// The next event; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.bytes.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(LINE_WAIT, self.body.frame()).await;
            let frame = frame.expect("the stream says something, or ends")?;
            let data = frame.unwrap().into_data().unwrap_or_default();
            self.bytes.extend_from_slice(&data);
        }
    }

    /// The next event that is no bookmark, as `TYPE name version`.
    pub(crate) async fn told(&mut self) -> Option<(String, Value)> {
        loop {
            let event = self.next().await?;
            if event["type"] != "BOOKMARK" {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or("");
                let kind = event["type"].as_str().unwrap();
                return Some((format!("{kind} {name}"), event["object"].clone()));
            }
        }
    }

    /// Everything until the end, which the program's own reader understands.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let (mut rest, mut lines) = (Vec::new(), Lines::default());
        while let Some(event) = self.next().await {
            lines.push(format!("{event}\n").as_bytes()).unwrap();
            assert!(lines.next_item().is_some());
            rest.push(event);
        }
        rest
    }
}
