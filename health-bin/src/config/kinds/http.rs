//! The kind `http`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use hyper::Method;
use hyper::StatusCode;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde::Serialize;

use super::Credentials;
use super::PairedConfig;
use super::set_checked;

/// Asks a URL.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpKind {
    /// What is asked.
    #[cfg_attr(test, schemars(regex(pattern = r"^https?://")))]
    pub(crate) url: String,
    /// How it is asked. Without it: GET.
    #[cfg_attr(test, schemars(extend("enum" = ["GET", "HEAD", "OPTIONS", "POST"])))]
    pub(crate) method: Option<String>,
    /// The statuses that are good; without any, 200 to 299.
    #[serde(default)]
    #[cfg_attr(test, schemars(inner(range(min = 100, max = 999))))]
    pub(crate) expected_status: Vec<u16>,
    /// Headers that are sent.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The file with the bearer token that is sent.
    pub(crate) token_file: Option<PathBuf>,
    /// PEM with the authorities that are believed. Without it: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM with the client's certificate; together with `keyFile`.
    pub(crate) cert_file: Option<PathBuf>,
    /// PEM with the client's key; together with `certFile`.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether any certificate is believed.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// How long the answer may take.
    pub(crate) latency_seconds: Option<PairedConfig>,
}

// === impl HttpKind ===

impl HttpKind {
    pub(super) fn make(&self) -> anyhow::Result<HttpCheck> {
        let mut target = HttpTarget::new(&self.url)?;
        self.credentials().give(&mut target)?;
        target.insecure = self.insecure;
        for (name, value) in &self.headers {
            // Neither error shows the value, which may be a secret.
            let header = HeaderName::try_from(name.as_str())
                .with_context(|| format!("headers: {name:?} cannot be a header's name"))?;
            let value = HeaderValue::try_from(value.as_str())
                .with_context(|| format!("headers.{name}: a header cannot hold this value"))?;
            target.headers.insert(header, value);
        }
        let mut config = HttpConfig::new(target);
        if let Some(method) = &self.method {
            let known = [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST];
            config.method = known
                .into_iter()
                .find(|known| known.as_str() == method)
                .with_context(|| format!("method: {method:?}; give GET, HEAD, OPTIONS or POST"))?;
        }
        for status in &self.expected_status {
            let status = StatusCode::from_u16(*status)
                .with_context(|| format!("expectedStatus: {status}; give 100 to 999"))?;
            config.expected_status.push(status);
        }
        set_checked(
            &mut config.latency_seconds,
            self.latency_seconds,
            "latencySeconds",
        )?;
        Ok(HttpCheck::new(config)?)
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            token_file: self.token_file.as_ref(),
            ca_file: self.ca_file.as_ref(),
            cert_file: self.cert_file.as_ref(),
            key_file: self.key_file.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_told_without_the_value() {
        for (more, expected) in [
            (
                "method: FETCH",
                "method: \"FETCH\"; give GET, HEAD, OPTIONS or POST",
            ),
            (
                "expectedStatus: [20]",
                "expectedStatus: 20; give 100 to 999",
            ),
            (
                "headers: { \"a b\": c }",
                "headers: \"a b\" cannot be a header's name",
            ),
            (
                "headers: { authorization: \"secret\\n\" }",
                "headers.authorization: a header cannot hold this value",
            ),
        ] {
            let text = format!("url: http://127.0.0.1/\n{more}\n");
            let kind: HttpKind = serde_saphyr::from_str(&text).unwrap();
            let error = kind.make().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
        let text = "{ url: http://a/, method: HEAD, expectedStatus: [204], headers: { x-a: b } }";
        let kind: HttpKind = serde_saphyr::from_str(text).unwrap();
        assert!(kind.make().is_ok());
    }
}
