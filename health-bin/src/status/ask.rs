//! Which paths are asked for, and what an answer to them means.

use anyhow::anyhow;
use health_heartbeat::AgentId;
use hyper::StatusCode;
use serde_json::Value;

use super::answer::AGENTS;
use super::answer::Answer;
use super::answer::Detail;
use super::answer::Fleet;
use super::answer::Known;
use super::answer::Report;
use super::table::text;
use crate::http::Url;

/// What a user wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// An agent's report or a hub's fleet, whichever answers.
    Either(Filter),
    /// A hub's fleet.
    Fleet(Filter),
    /// One agent of a hub.
    Agent(AgentId),
}

/// Which agents of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) verdicts: Vec<String>,
    pub(super) workspaces: Vec<String>,
    pub(super) search: Option<String>,
    /// At most so many.
    pub(super) limit: usize,
}

/// What is asked for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Report,
    Fleet,
    Agent,
}

/// What an answer leads to.
#[derive(Debug)]
pub(super) enum Reply {
    /// It is one.
    Some(Value),
    /// It is no agent, so perhaps a hub.
    NoAgent,
}

/// A fleet that is being read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    agents: Vec<Value>,
    read: usize,
}

/// What follows a page.
#[derive(Debug)]
pub(super) enum Page {
    /// The one at this cursor.
    Next(String),
    /// Nothing: this is the whole.
    Whole(Value),
}

/// Where an agent and a hub listen unless they are told otherwise.
pub(crate) const AGENT_URL: &str = "http://127.0.0.1:8081";
pub(crate) const HUB_URL: &str = "http://127.0.0.1:8083";

/// Agents in an answer of a hub; its own default too.
const PAGE_AGENTS: usize = 500;

/// Agents that are looked at by one command, at some KiB of memory each. Nobody reads more lines, and
/// a hub of a million agents is asked with a filter.
pub(crate) const AGENTS_MAX: u16 = 20_000;

/// A hub that goes on with pages that are shorter than asked for is not followed for ever.
const PAGES_MAX: usize = AGENTS_MAX as usize / PAGE_AGENTS * 2;

/// So much of what an unexpected answer says is repeated.
const SAID_MAX: usize = 200;

// === impl Question ===

impl Question {
    /// What is asked for first.
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::Either(_) => Place::Report,
            Self::Fleet(_) => Place::Fleet,
            Self::Agent(_) => Place::Agent,
        }
    }

    /// The path of a place.
    pub(super) fn path(&self, place: Place, cursor: Option<&str>, had: usize) -> String {
        match (place, self) {
            (Place::Agent, Self::Agent(id)) => {
                let id = id.to_string();
                let parts: Vec<_> = id.split('/').map(segment).collect();
                format!("/fleet/{}", parts.join("/"))
            }
            (Place::Fleet, Self::Either(filter) | Self::Fleet(filter)) => filter.path(cursor, had),
            (Place::Report | Place::Fleet | Place::Agent, _) => "/report".to_owned(),
        }
    }

    /// The path of the stream that tells when it changes.
    pub(super) fn events(&self) -> String {
        let mut query = query_of("/events?");
        match self {
            // Who leaves a filter's verdicts changes what is shown too, so verdicts choose nothing.
            Self::Either(filter) | Self::Fleet(filter) => {
                query.extend_pairs(filter.workspaces.iter().map(|one| ("workspace", one)));
            }
            Self::Agent(id) => {
                let id = id.to_string();
                let workspace = id.split_once('/').map_or("", |(workspace, _)| workspace);
                query.append_pair("workspace", workspace);
            }
        }
        query.finish().trim_end_matches('?').to_owned()
    }

    /// At most so many agents.
    pub(super) const fn limit(&self) -> usize {
        match self {
            Self::Either(filter) | Self::Fleet(filter) => filter.limit,
            Self::Agent(_) => 1,
        }
    }
}

// === impl Filter ===

impl Filter {
    /// Whether it leaves nobody out.
    pub(super) const fn is_all(&self) -> bool {
        self.verdicts.is_empty() && self.workspaces.is_empty() && self.search.is_none()
    }

    fn path(&self, cursor: Option<&str>, had: usize) -> String {
        let limit = self.limit.saturating_sub(had).clamp(1, PAGE_AGENTS);
        let mut query = query_of("/fleet?");
        query.append_pair("sort", "verdict");
        query.append_pair("limit", &limit.to_string());
        query.extend_pairs(self.verdicts.iter().map(|one| ("verdict", one)));
        query.extend_pairs(self.workspaces.iter().map(|one| ("workspace", one)));
        query.extend_pairs(self.search.iter().map(|one| ("search", one)));
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        query.finish()
    }
}

// === impl Pages ===

impl Pages {
    /// How many agents there are so far.
    pub(super) fn had(&self) -> usize {
        self.agents.len()
    }

    /// Takes a page. The last one's counts and time are the whole's.
    pub(super) fn add(&mut self, mut page: Value, limit: usize) -> Page {
        self.read += 1;
        let agents = page.get_mut(AGENTS).and_then(Value::as_array_mut);
        let agents = agents.map(std::mem::take).unwrap_or_default();
        let is_empty = agents.is_empty();
        let room = limit.saturating_sub(self.agents.len());
        self.agents.extend(agents.into_iter().take(room));
        let next = page.get("next").and_then(Value::as_str);
        let goes_on = !is_empty && self.agents.len() < limit && self.read < PAGES_MAX;
        match next.filter(|_| goes_on) {
            Some(next) => Page::Next(next.to_owned()),
            None => {
                if let Some(object) = page.as_object_mut() {
                    object.insert(AGENTS.to_owned(), std::mem::take(&mut self.agents).into());
                }
                Page::Whole(page)
            }
        }
    }
}

/// Understands a whole answer.
pub(super) fn understand(place: Place, whole: Value, url: &Url) -> anyhow::Result<Answer> {
    let known = match place {
        Place::Report => Report::of(&whole).map(Known::Report),
        Place::Fleet => Fleet::of(&whole).map(Known::Fleet),
        Place::Agent => Detail::of(&whole).map(|detail| Known::Detail(Box::new(detail))),
    };
    let known = known.ok_or_else(|| {
        anyhow!("{url} answers something else than an agent or a hub of syncer-health does")
    })?;
    Ok(Answer { whole, known })
}

/// What an answer to a place leads to; an error says what to do about it.
pub(super) fn judge(
    question: &Question,
    place: Place,
    url: &Url,
    has_token: bool,
    (status, said): (StatusCode, &str),
) -> anyhow::Result<Reply> {
    let (start, is_all) = text::begin(said.trim(), SAID_MAX);
    let more = if is_all { "" } else { "…" };
    let said_plainly = format!("{}{more}", text::plain(start));
    match status {
        StatusCode::OK => match serde_json::from_str(said) {
            Ok(whole) => Ok(Reply::Some(whole)),
            Err(_) => anyhow::bail!("{url} answers, but not as an agent or a hub does"),
        },
        StatusCode::UNAUTHORIZED if has_token => {
            anyhow::bail!("{url} refuses the token of --token-file; the hub's is in ops.tokenFile")
        }
        StatusCode::UNAUTHORIZED => anyhow::bail!(
            "{url} wants a token: give the file with it by --token-file (the hub's is in \
             ops.tokenFile)"
        ),
        StatusCode::NOT_FOUND => match (place, question) {
            (Place::Report, _) => Ok(Reply::NoAgent),
            (Place::Agent, Question::Agent(id)) if said.starts_with("no agent") => anyhow::bail!(
                "{url} knows no agent {}; -o name without an agent lists those that it knows",
                text::plain(&id.to_string())
            ),
            (Place::Agent, _) | (Place::Fleet, Question::Fleet(_) | Question::Agent(_)) => {
                anyhow::bail!(
                    "{url} is no hub, and only a hub has agents to choose from; a hub's usual \
                     address is {HUB_URL}"
                )
            }
            (Place::Fleet, Question::Either(_)) => anyhow::bail!(
                "{url} answers, but is neither an agent nor a hub: it has no /report and no /fleet"
            ),
        },
        other => anyhow::bail!("{url} answers {other}: {said_plainly}"),
    }
}

/// What is said where no whole answer comes, in front of the reason.
pub(super) fn unanswered(question: &Question, url: &Url) -> String {
    let is_hub = url.to_string() == HUB_URL;
    let hint = match question {
        Question::Either(_) if !is_hub => {
            format!("an agent's address is its server.bind; for a hub try --url {HUB_URL}")
        }
        Question::Either(_) | Question::Fleet(_) | Question::Agent(_) => {
            "--url is where the hub's ops.bind is".to_owned()
        }
    };
    format!("no answer from {url} ({hint})")
}

/// The query behind a path that ends with `?`.
fn query_of(path: &str) -> form_urlencoded::Serializer<'static, String> {
    form_urlencoded::Serializer::for_suffix(path.to_owned(), path.len())
}

/// A part of a path.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests;
