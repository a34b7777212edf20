//! What a fuzz target reaches of a request to `ops`: whatever it says, no promise is broken.

use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header;
use axum::http::uri::Authority;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Fleet;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetTerms;
use health_heartbeat::FleetVerdict;
use secrecy::ExposeSecret;

use super::access;
use super::events::LAST_EVENT_ID;
use super::events::Start;
use super::listing::Listing;
use super::order::Epoch;
use super::order::Sort;
use super::query::FleetQuery;
use super::stream::Stream;
use super::stream::Transition;

/// The same for each input, so that a seed's cursors and ids are of this start.
const TAG: &str = "f0220000";

/// Agents that are listed, and transitions that are told.
const NAMES: [&str; 5] = ["edge-1", "edge-2", "Edge-3", "edge \u{fc}", "/"];

/// Takes a request with this query, these headers and this body.
pub fn request(query: &str, headers: &HeaderMap, body: &[u8]) {
    let epoch = Epoch {
        start: Instant::now(),
        tag: TAG.to_owned(),
    };
    pages(query, &epoch);
    let mut start = Start::parse(query);
    let id = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    start.last_event_id = id.map(str::to_owned).or(start.last_event_id);
    resumed(&start);
    host(headers);
    cookie(headers);
    form(body);
}

/// From wherever a cursor points, its pages are not longer than they may be, and end.
fn pages(query: &str, epoch: &Epoch) {
    let mut query = match FleetQuery::parse(query, epoch) {
        Ok(query) => query,
        Err(problem) => {
            let told = problem.to_string();
            return assert!(!told.contains(char::is_control), "{told:?}");
        }
    };
    assert_eq!(Sort::parse(&query.sort.to_string()), Some(query.sort));
    let fleet = fleet(epoch.start);
    let from_the_beginning = query.after.is_none();
    let mut listed: Vec<AgentKey> = Vec::new();
    loop {
        let listing = Listing::of(&fleet, &query, epoch);
        assert!((1..=5000).contains(&query.limit) && listing.chosen.len() <= query.limit);
        listed.extend(&listing.chosen);
        assert!(listed.len() <= listing.matching, "an agent is listed twice");
        let Some(next) = listing.next else {
            let is_all = listed.len() == listing.matching;
            return assert!(is_all || !from_the_beginning, "an agent is left out");
        };
        let cursor = query.sort.cursor(&next, epoch);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(cursor.bytes().all(is_plain), "{cursor}");
        let again = query.sort.position(&cursor, epoch);
        assert_eq!(again.as_ref(), Ok(&next));
        query.after = again.ok();
    }
}

fn fleet(now: Instant) -> Fleet {
    let mut fleet = Fleet::new(FleetTerms::default(), now);
    for agent in agents() {
        let _ = fleet.admit(agent, now);
    }
    fleet
}

fn agents() -> impl Iterator<Item = AgentId> {
    NAMES.into_iter().map(|name| AgentId {
        workspace: if name == "edge-2" { "" } else { "root" }.to_owned(),
        name: name.to_owned(),
    })
}

/// A reader goes on where it was, or is told that it cannot; and never where nobody was.
fn resumed(start: &Start) {
    let stream = Stream::new(TAG.to_owned());
    for agent in agents() {
        stream.publish(Transition {
            at: Instant::now(),
            agent,
            from: None,
            verdict: FleetVerdict::Lost,
            reason: FleetReason::HeartbeatTimeout,
        });
    }
    assert!(stream.begin(start.recent) <= stream.now());
    if let Some(number) = start.last_event_id.as_deref().map(|id| stream.resume(id)) {
        let Ok(number) = number else { return };
        assert!(number <= stream.now());
        assert_eq!(stream.resume(&stream.id(number)), Ok(number));
        let rest = stream.after(number, usize::MAX).expect("they are there");
        assert_eq!(rest.len() as u64, stream.now() - number);
    }
}

/// What another reader takes for a site's name is one to us too.
fn host(headers: &HeaderMap) {
    let host = headers.get(header::HOST).map(|host| host.to_str());
    let Some(Ok(host)) = host else { return };
    let Ok(authority) = host.parse::<Authority>() else {
        return;
    };
    let name = authority.host().trim_matches(['[', ']']);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let is_site = !name.is_empty() && !is_address && !name.eq_ignore_ascii_case("localhost");
    assert!(!(is_site && access::is_no_site(host)), "{host:?}");
}

/// The session is a part of one cookie, and found wherever that stands.
fn cookie(headers: &HeaderMap) {
    let Some(id) = access::session_id(headers) else {
        return;
    };
    assert!(!id.contains(';'));
    let mut alone = HeaderMap::new();
    let cookie = format!("a=b; {}={id} ;c", access::COOKIE);
    let cookie = cookie.parse().expect("it was in a header");
    alone.append(header::COOKIE, cookie);
    assert_eq!(access::session_id(&alone), Some(id));
}

/// What a browser writes into a form is read as it was typed.
fn form(body: &[u8]) {
    let _ = access::token_in(body);
    let typed = String::from_utf8_lossy(body);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("other", &typed);
    form.append_pair("token", &typed);
    let read = access::token_in(form.finish().as_bytes()).expect("it is there");
    assert_eq!(read.expose_secret(), typed.trim());
}
