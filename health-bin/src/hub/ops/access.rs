//! Who may see the fleet: the bearer token, or the cookie that a login with it sets.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::page;
use super::sessions::SESSION_LENGTH;
use crate::bearer::brought;
use crate::bearer::same;
use crate::hub::HubState;

/// On what ground a request is answered.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Nobody is asked.
    Anybody,
    /// It brought this token.
    Token(SecretString),
    /// It has logged in.
    Session(SecretString),
}

/// The cookie's name.
pub(super) const COOKIE: &str = "syncer-health-session";

/// A form with a token is not longer.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Where a form goes back to: the page beside it, also behind a proxy's prefix.
const PAGE: &str = "./";

/// When to guess again, in seconds.
const GUESS_AGAIN_SECONDS: &str = "1";

/// What a browser says of where a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a proxy says of the client's side.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Lets pass who may, and tells the handler why.
pub(super) async fn authorize(
    State(state): State<Arc<HubState>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(caller) = caller(&state, request.headers()).await {
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    let text = "a bearer token is needed; people log in at /\n";
    (StatusCode::UNAUTHORIZED, challenge, text).into_response()
}

/// Refuses who asks a hub of loopback by the name of a site.
///
/// A site can make its name mean our address, and a browser would then let it read what it asks us
/// for. Where nobody is asked for a token, only names that no site can have are answered.
pub(super) async fn loopback_names(
    State(state): State<Arc<HubState>>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.map_or(Some(""), |host| host.to_str().ok());
    if !state.ops.loopback_names_only || host.is_some_and(is_no_site) {
        return next.run(request).await;
    }
    let text = "without ops.tokenFile this hub is asked as localhost or by its address; set \
                ops.tokenFile, or ops.insecure: true\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Whether a host is an address or `localhost`; a request that names none comes from no browser.
pub(super) fn is_no_site(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok()
}

/// On what ground these headers may pass, if they may.
pub(super) async fn caller(state: &HubState, headers: &HeaderMap) -> Option<Caller> {
    let token = brought(headers).map(|token| Caller::Token(token.into()));
    let session = session_id(headers).map(|id| Caller::Session(id.into()));
    for caller in [Some(Caller::Anybody), token, session]
        .into_iter()
        .flatten()
    {
        if still_admits(state, &caller).await {
            return Some(caller);
        }
    }
    None
}

/// Whether who was let in would be let in now: the session may be over, and the token another.
pub(super) async fn still_admits(state: &HubState, caller: &Caller) -> bool {
    let now = Instant::now();
    let Some(token) = state.ops_token.current(now).await else {
        return true;
    };
    match caller {
        Caller::Anybody => false,
        Caller::Token(said) => same(said.expose_secret(), &token),
        Caller::Session(id) => state.ops.sessions().holds(id.expose_secret(), &token, now),
    }
}

/// Takes the token of the login's form and begins a session.
pub(super) async fn login(State(state): State<Arc<HubState>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !is_from_here(&head.headers) {
        return elsewhere();
    }
    let Some(token) = state.ops_token.current(Instant::now()).await else {
        return back(None);
    };
    // Not looked at what comes too fast: nobody learns whether it was right.
    if !state.ops.sessions().may_guess(Instant::now()) {
        let mut answer = page::login(Some("Too many tries. Wait a moment and try again."));
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let seconds = header::HeaderValue::from_static(GUESS_AGAIN_SECONDS);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        return answer;
    }
    let said = token_of(body).await;
    if !said.is_some_and(|said| same(said.expose_secret(), &token)) {
        tracing::warn!("a login with a wrong token");
        let mut answer = page::login(Some("That is not the token."));
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        return answer;
    }
    let id = new_id();
    let secure = if is_https(&head.headers) {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        id.expose_secret(),
        SESSION_LENGTH.as_secs()
    );
    state.ops.sessions().begin(id, token, Instant::now());
    back(Some(&cookie))
}

/// Ends the session whose cookie comes along.
pub(super) async fn logout(State(state): State<Arc<HubState>>, headers: HeaderMap) -> Response {
    if !is_from_here(&headers) {
        return elsewhere();
    }
    if let Some(id) = session_id(&headers) {
        state.ops.sessions().end(id);
    }
    let gone = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    back(Some(&gone))
}

/// Back to the page, by GET.
fn back(cookie: Option<&str>) -> Response {
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, PAGE)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

fn elsewhere() -> Response {
    let text = "this form was sent by another site\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Whether a form was sent by our own page, as far as a browser says so. What is no browser has no
/// cookie to abuse.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match (text(&SEC_FETCH_SITE), text(&header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| Some(authority) == text(&header::HOST))
        }
        (None, None) => true,
    }
}

/// Whether the client speaks HTTPS with a proxy in front of us.
fn is_https(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    // With several proxies the first entry is the client's.
    let first = |value: &str| value.split(',').next().map(|entry| entry.trim().to_owned());
    first(&text(&FORWARDED_PROTO)).is_some_and(|entry| entry == "https")
        || first(&text(&header::FORWARDED)).is_some_and(|entry| entry.contains("proto=https"))
}

pub(super) fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

async fn token_of(body: Body) -> Option<SecretString> {
    let bytes = axum::body::to_bytes(body, FORM_BYTES_MAX).await.ok()?;
    token_in(&bytes)
}

pub(super) fn token_in(form: &[u8]) -> Option<SecretString> {
    form_urlencoded::parse(form)
        .find_map(|(name, value)| (name == "token").then(|| value.trim().to_owned().into()))
}

/// 244 random bits from the system.
fn new_id() -> SecretString {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    format!("{}{}", half(), half()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        for (site, origin, is_ours) in [
            (None, None, true),
            (Some("same-origin"), None, true),
            (Some("none"), None, true),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some("http://hub:8083"), false),
            (Some("same-origin"), Some("https://proxy"), true),
            (None, Some("http://hub:8083"), true),
            (None, Some("http://hub:8084"), false),
            (None, Some("http://evil"), false),
            (None, Some("null"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "hub:8083".parse().unwrap());
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, site.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(is_from_here(&headers), is_ours, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_site_has_neither_an_address_nor_the_name_localhost() {
        for (host, is_no_site) in [
            ("", true),
            ("localhost", true),
            ("LocalHost:8083", true),
            ("127.0.0.1:8083", true),
            ("127.0.0.1", true),
            ("[::1]:8083", true),
            ("[::1]", true),
            ("evil.example:8083", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil", false),
        ] {
            assert_eq!(super::is_no_site(host), is_no_site, "{host}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(session_id(&headers), None);
        for cookie in ["a=b", "c=d; syncer-health-session=x=y; e=f"] {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        assert_eq!(session_id(&headers), Some("x=y"));
    }

    #[test]
    fn https_is_what_a_proxy_says() {
        for (name, value, https) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "HTTPS, http", true),
            ("x-forwarded-proto", "http", false),
            ("forwarded", "for=1.2.3.4;proto=https", true),
            ("forwarded", "for=1.2.3.4", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_https(&headers), https, "{name}: {value}");
        }
    }
}
