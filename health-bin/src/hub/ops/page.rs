//! The page at `/`, and its login: one file each, with nothing from elsewhere.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use super::access;
use super::access::Caller;
use crate::hub::HubState;

/// The fleet, empty: what is in it is fetched by the page's script.
const FLEET: &str = include_str!("../page/fleet.html");

/// The form that asks for the token.
const LOGIN: &str = include_str!("../page/login.html");

/// What both look like, and the page's script.
const STYLE: &str = include_str!("../page/style.css");
const SCRIPT: &str = include_str!("../page/script.js");

/// What is replaced in them.
const NONCE: &str = "{{nonce}}";
const STYLE_HERE: &str = "{{style}}";
const SCRIPT_HERE: &str = "{{script}}";
const VERSION_HERE: &str = "{{version}}";
const ALERT_HERE: &str = "{{alert}}";
const SESSION_HERE: &str = "{{session}}";

/// Shows the fleet to who may see it, and the login to everybody else.
pub(super) async fn page(State(state): State<Arc<HubState>>, headers: HeaderMap) -> Response {
    match access::caller(&state, &headers).await {
        None => login(None),
        Some(Caller::Anybody | Caller::Token(_)) => fleet(false),
        Some(Caller::Session(_)) => fleet(true),
    }
}

/// The login, with a word on why it is shown again. `alert` is a text of ours.
pub(super) fn login(alert: Option<&str>) -> Response {
    let alert = alert.map(|text| format!("<p role=\"alert\" class=\"alert\">{text}</p>"));
    answer(&LOGIN.replace(ALERT_HERE, &alert.unwrap_or_default()))
}

fn fleet(has_session: bool) -> Response {
    let hidden = if has_session { "" } else { "hidden" };
    let html = FLEET
        .replace(SESSION_HERE, hidden)
        .replace(VERSION_HERE, crate::VERSION)
        .replace(SCRIPT_HERE, SCRIPT);
    answer(&html)
}

/// A document that may run and look like what stands in it, and nothing else.
fn answer(html: &str) -> Response {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let html = html.replace(STYLE_HERE, STYLE).replace(NONCE, &nonce);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let mut response = Html(html).into_response();
    // A nonce is in hexadecimal, so the policy is a header's text.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What each answer of `ops` says: nobody keeps it, frames it, or takes it for something else.
pub(super) async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// No other window gets a handle of ours.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// No other site embeds what we answer.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
