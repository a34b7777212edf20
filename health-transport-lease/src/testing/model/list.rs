//! What is listed: which objects, how many at once, as of when.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::Model;
use super::address::Address;
use super::answer;
use crate::RawResponse;

/// What a list or a watch is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) selector: Selector,
    limit: usize,
    next: String,
    /// Since when to watch; empty for what there is.
    pub(super) version: String,
    pub(super) watch: bool,
    pub(super) bookmarks: bool,
}

/// A label that must be there, or must have that value. Nothing of both is everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    key: String,
    value: Option<String>,
}

/// Where a page began ends the token of the next one.
const TOKEN: char = ':';

// === impl Wanted ===

impl Wanted {
    pub(super) fn parse(query: &str) -> Self {
        let mut wanted = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "labelSelector" => wanted.selector = Selector::parse(&value),
                "limit" => wanted.limit = value.parse().unwrap_or_default(),
                "continue" => wanted.next = value.into_owned(),
                "resourceVersion" => wanted.version = value.into_owned(),
                "watch" => wanted.watch = matches!(&*value, "true" | "1"),
                "allowWatchBookmarks" => wanted.bookmarks = matches!(&*value, "true" | "1"),
                _ => {}
            }
        }
        wanted
    }
}

// === impl Selector ===

impl Selector {
    fn parse(text: &str) -> Self {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_start_matches('='))),
            None => (text, None),
        };
        Self {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        let label = object["metadata"]["labels"][&*self.key].as_str();
        match &self.value {
            Some(value) => label == Some(value),
            None => self.key.is_empty() || label.is_some(),
        }
    }
}

// === impl Model ===

impl Model {
    /// One page; each page of a list is as of the first one.
    pub(super) fn list(
        &self,
        address: &Address<'_>,
        wanted: &Wanted,
    ) -> Result<RawResponse, RawResponse> {
        let (revision, after) = match wanted.next.split_once(TOKEN) {
            Some((revision, after)) => (revision.parse().map_err(|_| bad_token())?, after),
            None if wanted.next.is_empty() => (self.revision, ""),
            None => return Err(bad_token()),
        };
        let objects = self.as_of(address, revision).ok_or_else(too_old_token)?;
        let mut rest = objects
            .into_iter()
            .filter(|(path, object)| **path > *after && wanted.selector.takes(object))
            .peekable();
        let limit = Some(wanted.limit).filter(|limit| *limit > 0);
        let (mut items, mut last) = (Vec::new(), String::new());
        while items.len() < limit.unwrap_or(usize::MAX)
            && let Some((path, object)) = rest.next()
        {
            last = path;
            items.push((*object).clone());
        }
        let mut list = json!({
            "apiVersion": address.kind.api_version(),
            "kind": format!("{}List", address.kind.name()),
            "metadata": { "resourceVersion": revision.to_string() },
            "items": items,
        });
        if rest.peek().is_some() {
            list["metadata"]["continue"] = format!("{revision}{TOKEN}{last}").into();
        }
        Ok(answer::object(200, &list))
    }

    /// The objects there, as they were then; nothing where that is forgotten.
    fn as_of(&self, address: &Address<'_>, revision: u64) -> Option<BTreeMap<String, Arc<Value>>> {
        let prefix = format!("{}/", address.path());
        let there = self.objects.range(prefix.clone()..);
        let there = there.take_while(|(path, _)| path.starts_with(&prefix));
        let mut objects: BTreeMap<_, _> = there
            .map(|(path, object)| (path.clone(), Arc::clone(object)))
            .collect();
        for change in self.history.since(revision)?.rev() {
            if !change.path.starts_with(&prefix) {
                continue;
            }
            match &change.before {
                Some(before) => objects.insert(change.path.clone(), Arc::clone(before)),
                None => objects.remove(&change.path),
            };
        }
        Some(objects)
    }
}

fn bad_token() -> RawResponse {
    let message = "continue key is not valid: it is none of this server's";
    answer::status(400, "BadRequest", message, None)
}

fn too_old_token() -> RawResponse {
    let message = "The provided continue parameter is too old to display a consistent list result. \
                   You must start a new list without the continue parameter.";
    answer::status(410, "Expired", message, None)
}

/// A part of a URL as the text that it means; what is no part of one stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&out).into_owned().into()
}
