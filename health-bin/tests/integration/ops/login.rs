//! The login, as a browser and as whoever pretends to be one use it.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::events::Events;
use super::expecting;
use crate::support::Answer;
use crate::support::Program;
use crate::support::ask;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

const TOKEN: &str = "l00k & see";

/// The form's content for [`TOKEN`].
const RIGHT: &str = "token=l00k+%26+see";

#[tokio::test]
async fn a_login_sets_a_cookie_that_opens_everything_until_the_logout() {
    let (hub, ops, _folder) = locked().await;
    let form = get(ops, "/", &[]).await.expect("an answer");
    assert_eq!(form.status, 200);
    assert!(form.body.contains("type=\"password\""), "{}", form.body);
    assert!(!form.body.contains("edge-1") && !form.body.contains("<script"));
    let answer = login(ops, RIGHT, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(answer.head.contains("location: ./"), "{}", answer.head);
    let attributes = set_cookie(&answer);
    for attribute in ["path=/", "httponly", "samesite=strict", "max-age=43200"] {
        assert!(attributes.contains(attribute), "{attributes}");
    }
    assert!(
        !attributes.contains("secure") && !attributes.contains("l00k"),
        "{attributes}"
    );
    let cookie = attributes.split(';').next().expect("a value").to_owned();
    let mine = [("Cookie", cookie.as_str())];
    for path in ["/fleet", "/metrics", "/fleet/root/edge-1"] {
        assert_eq!(
            get(ops, path, &mine).await.expect("an answer").status,
            200,
            "{path}"
        );
    }
    let page = get(ops, "/", &mine).await.expect("an answer");
    assert!(page.body.contains("<script") && page.body.contains("action=\"logout\" >"));
    Events::open(ops, "/events", &mine)
        .await
        .next("counts")
        .await;
    let out = ask(ops, "POST", "/logout", &mine, "")
        .await
        .expect("an answer");
    assert_eq!(out.status, 303);
    assert!(set_cookie(&out).contains("max-age=0"), "{}", out.head);
    assert_eq!(
        get(ops, "/fleet", &mine).await.expect("an answer").status,
        401
    );
    let log = hub.log();
    assert!(!log.contains("l00k") && !log.contains(&cookie), "{log}");
}

#[tokio::test]
async fn nobody_gets_in_by_a_wrong_token_a_made_up_cookie_or_the_form_of_another_site() {
    let (_hub, ops, _folder) = locked().await;
    for (body, headers, status) in [
        ("token=wrong", vec![], 401),
        ("", vec![], 401),
        (RIGHT, vec![("Sec-Fetch-Site", "cross-site")], 403),
        (RIGHT, vec![("Origin", "http://evil.example")], 403),
        (RIGHT, vec![("Origin", "null")], 403),
    ] {
        let answer = login(ops, body, &headers).await;
        assert_eq!(answer.status, status, "{body} {headers:?}");
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
    let long = format!("token={}", "x".repeat(100_000));
    assert_eq!(
        login(ops, &long, &[]).await.status,
        401,
        "no more than a form is read"
    );
    for cookie in [
        "syncer-health-session=",
        "syncer-health-session=l00k & see",
        "other=1",
    ] {
        let answer = get(ops, "/fleet", &[("Cookie", cookie)]).await;
        assert_eq!(answer.expect("an answer").status, 401, "{cookie}");
    }
    for path in [
        "/fleet",
        "/events",
        "/metrics",
        "/fleet/root/edge-1",
        "/nothing",
    ] {
        let answer = get(ops, path, &[]).await.expect("an answer");
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
    }
}

#[tokio::test]
async fn another_token_in_the_file_ends_what_the_old_one_opened() {
    let (hub, ops, folder) = locked().await;
    let cookie = set_cookie(&login(ops, RIGHT, &[]).await);
    let cookie = cookie.split(';').next().expect("a value");
    let token = folder.path().join("ops-token");
    std::fs::write(&token, " \n").expect("it can be written");
    let told = "the last good files are used";
    eventually("the empty file is told", secs(10), || async {
        assert!(admits(ops, TOKEN).await, "{}", hub.log());
        hub.log().contains(told).then_some(())
    })
    .await;
    std::fs::write(&token, "another\n").expect("it can be written");
    eventually("the new token is taken", secs(10), || async {
        admits(ops, "another").await.then_some(())
    })
    .await;
    for header in [
        ("Authorization", format!("Bearer {TOKEN}")),
        ("Cookie", cookie.to_owned()),
    ] {
        let answer = get(ops, "/fleet", &[(header.0, &header.1)]).await;
        assert_eq!(answer.expect("an answer").status, 401, "{header:?}");
    }
    assert!(!hub.log().contains("another"), "{}", hub.log());
}

#[tokio::test]
async fn guesses_that_come_too_fast_are_not_looked_at() {
    let (_hub, ops, _folder) = locked().await;
    let mut refused = 0;
    let mut wrong = 0;
    for _ in 0..40 {
        let answer = login(ops, "token=wrong", &[]).await;
        match answer.status {
            401 => wrong += 1,
            429 => {
                refused += 1;
                assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
            }
            status => panic!("{status}"),
        }
    }
    assert!(
        wrong >= 5 && refused > 0,
        "{wrong} looked at, {refused} not"
    );
    let bearer = format!("Bearer {TOKEN}");
    let answer = get(ops, "/fleet", &[("Authorization", &bearer)]).await;
    assert_eq!(
        answer.expect("an answer").status,
        200,
        "monitors are not held up by guesses"
    );
}

#[tokio::test]
async fn behind_a_proxy_that_speaks_https_the_cookie_is_sent_by_https_only() {
    let (_hub, ops, _folder) = locked().await;
    let answer = login(ops, RIGHT, &[("X-Forwarded-Proto", "https")]).await;
    assert!(set_cookie(&answer).contains("; secure"), "{}", answer.head);
}

/// A hub with a token for people, and one agent that it expects.
async fn locked() -> (Program, SocketAddr, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let token = folder.path().join("ops-token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("it can be written");
    let more = format!(", tokenFile: {}", token.display());
    let (hub, ops, _tokens) = expecting(&["root/edge-1"], &more).await;
    (hub, ops, folder)
}

/// Whether a monitor may look that brings this token.
async fn admits(ops: SocketAddr, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let answer = get(ops, "/fleet", &[("Authorization", &bearer)]).await;
    answer.expect("an answer").status == 200
}

async fn login(ops: SocketAddr, body: &str, headers: &[(&str, &str)]) -> Answer {
    ask(ops, "POST", "/login", headers, body)
        .await
        .expect("an answer")
}

/// What the answer sets, in lower case.
fn set_cookie(answer: &Answer) -> String {
    let line = answer
        .head
        .lines()
        .find(|line| line.starts_with("set-cookie: "));
    let line = line.unwrap_or_else(|| panic!("no cookie in {}", answer.head));
    line.trim_start_matches("set-cookie: ").to_owned()
}
