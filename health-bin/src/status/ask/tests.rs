use serde_json::json;

use super::*;

#[test]
fn what_is_asked_is_what_the_hub_understands() {
    let filter = Filter {
        verdicts: vec!["Lost".to_owned(), "Suspect".to_owned()],
        workspaces: vec!["root:a&b".to_owned(), "-".to_owned()],
        search: Some("edge 1".to_owned()),
        limit: 700,
    };
    let some = Question::Fleet(filter);
    let all = Question::Either(Filter {
        limit: 20_000,
        ..Filter::default()
    });
    let one = Question::Agent(AgentId {
        workspace: "root:ü/a".to_owned(),
        name: "edge 1?".to_owned(),
    });
    let none = Question::Agent(AgentId {
        workspace: String::new(),
        name: "a".to_owned(),
    });
    for (question, place, cursor, had, path) in [
        (&all, Place::Report, None, 0, "/report"),
        (&all, Place::Fleet, None, 0, "/fleet?sort=verdict&limit=500"),
        (
            &some,
            Place::Fleet,
            Some("c="),
            500,
            "/fleet?sort=verdict&limit=200&verdict=Lost&verdict=Suspect&workspace=root%3Aa%26b\
             &workspace=-&search=edge+1&cursor=c%3D",
        ),
        (
            &one,
            Place::Agent,
            None,
            0,
            "/fleet/root:%C3%BC/a/edge%201%3F",
        ),
        (&none, Place::Agent, None, 0, "/fleet/-/a"),
    ] {
        assert_eq!(question.path(place, cursor, had), path);
    }
    assert_eq!(all.events(), "/events");
    assert_eq!(some.events(), "/events?workspace=root%3Aa%26b&workspace=-");
    assert_eq!(none.events(), "/events?workspace=-");
}

#[test]
fn an_answer_that_is_none_says_what_to_do() {
    let url: Url = "http://h:1".parse().unwrap();
    let either = Question::Either(Filter::default());
    let fleet = Question::Fleet(Filter::default());
    let one = Question::Agent(AgentId {
        workspace: "w".to_owned(),
        name: "n".to_owned(),
    });
    let evil = "\u{1b}[2J".repeat(1000);
    for (question, place, has_token, status, said, told) in [
        (
            &either,
            Place::Report,
            false,
            401,
            "",
            "by --token-file (the hub's",
        ),
        (
            &either,
            Place::Report,
            true,
            401,
            "",
            "refuses the token of --token-file",
        ),
        (
            &either,
            Place::Fleet,
            false,
            404,
            "x",
            "neither an agent nor a hub",
        ),
        (
            &fleet,
            Place::Fleet,
            false,
            404,
            "x",
            "no hub, and only a hub has agents",
        ),
        (
            &one,
            Place::Agent,
            false,
            404,
            "no agent w/n\n",
            "knows no agent w/n; -o name",
        ),
        (
            &one,
            Place::Agent,
            false,
            404,
            "x",
            "no hub, and only a hub has agents",
        ),
        (
            &fleet,
            Place::Fleet,
            false,
            400,
            "verdict: no\n",
            "400 Bad Request: verdict: no",
        ),
        (
            &fleet,
            Place::Fleet,
            false,
            503,
            &evil,
            "503 Service Unavailable: \\u{1b}[2J",
        ),
        (
            &either,
            Place::Report,
            false,
            200,
            "<html>",
            "not as an agent or a hub does",
        ),
        (&either, Place::Report, false, 302, "", "302 Found"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = judge(question, place, &url, has_token, (status, said));
        let problem = reply.unwrap_err().to_string();
        assert!(problem.contains(told), "{problem}");
        assert!(problem.starts_with("http://h:1 "), "{problem}");
        assert!(
            problem.len() < 2_000 && !problem.contains('\u{1b}'),
            "{problem}"
        );
    }
    let reply = judge(
        &either,
        Place::Report,
        &url,
        false,
        (StatusCode::NOT_FOUND, ""),
    );
    assert!(matches!(reply, Ok(Reply::NoAgent)), "perhaps it is a hub");
    let reply = judge(&either, Place::Report, &url, false, (StatusCode::OK, "{}"));
    let Ok(Reply::Some(whole)) = reply else {
        panic!("{reply:?}");
    };
    assert!(
        understand(Place::Report, whole, &url).is_err(),
        "JSON of something else"
    );
}

#[test]
fn pages_become_one_answer_with_the_last_ones_counts() {
    let mut pages = Pages::default();
    let first = json!({"agents": [1, 2], "next": "c", "counts": {"Lost": 1}, "matching": 3});
    let Page::Next(next) = pages.add(first, 10) else {
        panic!("more follows");
    };
    assert_eq!((next.as_str(), pages.had()), ("c", 2));
    let last = json!({"agents": [3], "next": null, "counts": {"Lost": 2}, "matching": 3});
    let Page::Whole(whole) = pages.add(last, 10) else {
        panic!("nothing follows");
    };
    let expected = json!({"agents": [1, 2, 3], "next": null, "counts": {"Lost": 2}, "matching": 3});
    assert_eq!(whole, expected);
}

#[test]
fn no_hub_makes_anybody_read_for_ever() {
    let page = |agents: Value| json!({"agents": agents, "next": "again"});
    let mut pages = Pages::default();
    assert!(
        matches!(pages.add(page(json!([])), 10), Page::Whole(_)),
        "an empty page"
    );
    let mut pages = Pages::default();
    let Page::Whole(whole) = pages.add(page(json!([1, 2, 3])), 2) else {
        panic!("it is enough");
    };
    assert_eq!(
        whole["agents"],
        json!([1, 2]),
        "not more than were asked for"
    );
    let mut pages = Pages::default();
    let read = (0..).find(|_| matches!(pages.add(page(json!([1])), 20_000), Page::Whole(_)));
    assert_eq!(read, Some(PAGES_MAX - 1));
    let mut pages = Pages::default();
    assert!(matches!(pages.add(json!("text"), 10), Page::Whole(_)));
}

#[test]
fn whom_nobody_answers_for_is_not_told_to_ask_there() {
    let said = |url: &str| {
        let question = Question::Either(Filter::default());
        unanswered(&question, &url.parse().unwrap())
    };
    assert!(said("http://127.0.0.1:8081").contains(HUB_URL));
    assert_eq!(
        said(HUB_URL).matches(HUB_URL).count(),
        1,
        "{}",
        said(HUB_URL)
    );
}
