//! Who may dial in, and for which target.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use health_heartbeat::AgentId;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::bearer::same;

/// The tokens of the targets.
#[derive(Debug)]
pub(super) enum TunnelAuth {
    /// Nobody is asked; the headers are believed.
    Anonymous,
    /// A token belongs to one target.
    Tokens(Vec<(AgentId, SecretString)>),
}

/// Indicates a request whose credentials do not let it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, or one that belongs to nobody.
    Unauthorized,
    /// A token that belongs to another target.
    Forbidden,
}

/// What the request says of its target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) bearer: Option<&'a SecretString>,
    pub(super) workspace: &'a str,
    pub(super) name: Option<&'a str>,
}

// === impl TunnelAuth ===

impl TunnelAuth {
    pub(super) fn read(path: &str) -> anyhow::Result<Self> {
        if path.is_empty() {
            return Ok(Self::Anonymous);
        }
        let text = std::fs::read_to_string(Path::new(path))
            .with_context(|| format!("cannot read {path:?}"))?;
        Self::parse(&text).with_context(|| format!("{path:?}"))
    }

    /// The file's errors never show a token.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let tokens: BTreeMap<String, SecretString> = serde_saphyr::from_str(text)
            .map_err(|_| anyhow::anyhow!("each line must read \"WORKSPACE/NAME\": token"))?;
        let mut parsed = Vec::with_capacity(tokens.len());
        for (target, token) in tokens {
            let (workspace, name) = target
                .split_once('/')
                .with_context(|| format!("{target:?} must read WORKSPACE/NAME"))?;
            anyhow::ensure!(
                !token.expose_secret().is_empty(),
                "the token of {target:?} is empty"
            );
            let workspace = if workspace == "-" { "" } else { workspace };
            parsed.push((
                AgentId {
                    workspace: workspace.to_owned(),
                    name: name.to_owned(),
                },
                token,
            ));
        }
        Ok(Self::Tokens(parsed))
    }

    /// The targets that tokens name: they are expected.
    pub(super) fn targets(&self) -> impl Iterator<Item = &AgentId> {
        let tokens = match self {
            Self::Anonymous => &[][..],
            Self::Tokens(tokens) => tokens,
        };
        tokens.iter().map(|(id, _)| id)
    }

    /// Whose tunnel this is. Every token is compared, so that time tells nothing.
    ///
    /// What the headers leave out comes from the token; where nobody is asked and no name is sent,
    /// it comes from the handshake and is empty here.
    pub(super) fn admit(&self, claim: Claim<'_>) -> Result<AgentId, Denied> {
        let name = claim.name.unwrap_or_default();
        let tokens = match self {
            Self::Anonymous => {
                let workspace = claim.workspace.to_owned();
                return Ok(AgentId {
                    workspace,
                    name: name.to_owned(),
                });
            }
            Self::Tokens(tokens) => tokens,
        };
        let bearer = claim.bearer.ok_or(Denied::Unauthorized)?;
        let mut owner = None;
        for (id, token) in tokens {
            if same(bearer.expose_secret(), token) {
                owner = Some(id);
            }
        }
        let id = owner.ok_or(Denied::Unauthorized)?;
        let agrees = |said: &str, true_one: &str| said.is_empty() || said == true_one;
        if agrees(name, &id.name) && agrees(claim.workspace, &id.workspace) {
            Ok(id.clone())
        } else {
            Err(Denied::Forbidden)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\"root:org:edge/edge-1\": s3cr3t\n\"-/edge-2\": other\n";

    #[test]
    fn a_token_belongs_to_one_target() {
        let auth = TunnelAuth::parse(FILE).unwrap();
        for (bearer, workspace, name, admitted) in [
            (
                Some("s3cr3t"),
                "root:org:edge",
                Some("edge-1"),
                Ok("root:org:edge/edge-1"),
            ),
            (
                Some("s3cr3t"),
                "",
                Some("edge-1"),
                Ok("root:org:edge/edge-1"),
            ),
            (Some("s3cr3t"), "", None, Ok("root:org:edge/edge-1")),
            (
                Some("s3cr3t"),
                "root:org:edge",
                Some("edge-2"),
                Err(Denied::Forbidden),
            ),
            (
                Some("s3cr3t"),
                "root:other",
                Some("edge-1"),
                Err(Denied::Forbidden),
            ),
            (Some("other"), "", Some("edge-2"), Ok("-/edge-2")),
            (Some("wrong"), "", Some("edge-1"), Err(Denied::Unauthorized)),
            (None, "", Some("edge-1"), Err(Denied::Unauthorized)),
        ] {
            let bearer = bearer.map(SecretString::from);
            let claim = Claim {
                bearer: bearer.as_ref(),
                workspace,
                name,
            };
            let found = auth.admit(claim).map(|id| id.to_string());
            assert_eq!(found, admitted.map(str::to_owned), "{claim:?}");
        }
    }

    #[test]
    fn a_bad_file_is_told_without_its_secrets() {
        for text in [
            "s3cr3t",
            "edge-1: s3cr3t",
            "\"a/b\": \"\"",
            "\"a/b\": [s3cr3t]",
        ] {
            let error = format!("{:#}", TunnelAuth::parse(text).unwrap_err());
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
