//! The static tokens: each belongs to one target.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;

use anyhow::Context;
use health_heartbeat::AgentId;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::bearer::same;
use crate::target;
use crate::target::parse_target;

/// The static tokens, as one content of the file says them.
///
/// A token is found by its hash under a key that is new at each start, so that neither 15,000 tokens
/// cost 15,000 comparisons, nor does the time of a look-up tell anything about them; what is found is
/// then compared in constant time.
pub(in crate::hub) struct Tokens {
    hasher: RandomState,
    /// More than one under a hash are rare, and looked at one after the other.
    by_hash: HashMap<u64, Vec<(SecretString, AgentId)>>,
    targets: HashSet<AgentId>,
    marks: HashSet<TokenMark>,
}

/// By which token of which target somebody came in, as a keyed hash: whether the two still belong
/// together can be told without keeping the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::hub) struct TokenMark(u64);

/// Which targets have a token now and had none, and the other way round.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::hub) struct TargetChanges {
    pub(in crate::hub) added: Vec<AgentId>,
    pub(in crate::hub) removed: Vec<AgentId>,
}

// === impl Tokens ===

impl Tokens {
    /// The file's errors never show a token. Marks are compared with those of other contents that were
    /// read with the same `hasher` only.
    pub(super) fn parse(file: &[u8], hasher: &RandomState) -> anyhow::Result<Self> {
        let lines: BTreeMap<String, SecretString> = serde_saphyr::from_slice(file)
            .map_err(|_| anyhow::anyhow!("each line must read \"WORKSPACE/NAME\": token"))?;
        let mut tokens = Self {
            hasher: hasher.clone(),
            by_hash: HashMap::with_capacity(lines.len()),
            targets: HashSet::with_capacity(lines.len()),
            marks: HashSet::with_capacity(lines.len()),
        };
        for (target, token) in lines {
            let id = parse_target(&target)
                .with_context(|| format!("{target:?} must read {}", target::EXPECTED))?;
            anyhow::ensure!(
                !token.expose_secret().is_empty(),
                "the token of {target:?} is empty"
            );
            if let Some(other) = tokens.owner(&token) {
                anyhow::bail!("the token of {target:?} is the one of \"{other}\" too");
            }
            tokens.marks.insert(tokens.mark(&id, &token));
            tokens.targets.insert(id.clone());
            let hash = tokens.hash(&token);
            tokens.by_hash.entry(hash).or_default().push((token, id));
        }
        Ok(tokens)
    }

    /// Whose token this is.
    pub(super) fn owner(&self, bearer: &SecretString) -> Option<&AgentId> {
        let found = self.by_hash.get(&self.hash(bearer))?;
        let mut owner = None;
        for (token, id) in found {
            if same(bearer.expose_secret(), token) {
                owner = Some(id);
            }
        }
        owner
    }

    /// Whether a target has a token.
    pub(super) fn has(&self, id: &AgentId) -> bool {
        self.targets.contains(id)
    }

    /// How the targets differ from those of the tokens `before`.
    pub(super) fn changes(&self, before: Option<&Self>) -> TargetChanges {
        let nobody = HashSet::new();
        let before = before.map_or(&nobody, |before| &before.targets);
        TargetChanges {
            added: self.targets.difference(before).cloned().collect(),
            removed: before.difference(&self.targets).cloned().collect(),
        }
    }

    /// What to remember of a token by which `id` came in.
    pub(super) fn mark(&self, id: &AgentId, token: &SecretString) -> TokenMark {
        TokenMark(self.hasher.hash_one((id, token.expose_secret())))
    }

    /// Whether who came in by that token would come in by it now.
    pub(in crate::hub) fn holds(&self, mark: TokenMark) -> bool {
        self.marks.contains(&mark)
    }

    fn hash(&self, token: &SecretString) -> u64 {
        self.hasher.hash_one(token.expose_secret())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("targets", &self.targets.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_tokens_finds_its_target_and_no_other_does() {
        let lines: Vec<_> = (0..2_000)
            .map(|number| format!("\"root:org/edge-{number}\": token-{number}\n"))
            .collect();
        let tokens = parse(&lines.concat()).unwrap();
        assert_eq!(tokens.changes(None).added.len(), 2_000);
        for number in 0..2_000 {
            let owner = tokens.owner(&format!("token-{number}").into()).unwrap();
            assert_eq!(owner.to_string(), format!("root:org/edge-{number}"));
        }
        for wrong in ["", "token-", "token-2000", "token-1 "] {
            assert_eq!(tokens.owner(&wrong.into()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_bad_file_is_told_without_its_secrets() {
        for (text, says) in [
            ("s3cr3t", "each line"),
            ("edge-1: s3cr3t", "WORKSPACE/NAME"),
            ("\"a/b\": \"\"", "is empty"),
            ("\"a/b\": [s3cr3t]", "each line"),
            ("\"a/b\": s3cr3t\n\"a/c\": s3cr3t", "\"a/b\" too"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(says) && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_mark_holds_as_long_as_the_target_has_that_token() {
        let hasher = RandomState::new();
        let read = |text: &str| Tokens::parse(text.as_bytes(), &hasher).unwrap();
        let before = read("\"a/b\": one\n\"a/c\": two\n");
        let id = parse_target("a/b").unwrap();
        let mark = before.mark(&id, &"one".into());
        for (text, holds) in [
            ("\"a/b\": one\n", true),
            ("\"a/c\": two\n\"a/b\": one\n", true),
            ("\"a/b\": other\n", false),
            ("\"a/c\": one\n", false),
            ("{}", false),
        ] {
            assert_eq!(read(text).holds(mark), holds, "{text}");
        }
    }

    fn parse(text: &str) -> anyhow::Result<Tokens> {
        Tokens::parse(text.as_bytes(), &RandomState::new())
    }
}
