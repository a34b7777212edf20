//! What people and monitors see of the fleet, over HTTP; the page itself is in `cargo xtask browser`.

use std::net::SocketAddr;
use std::time::Instant;

use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use crate::fleet::agent;
use crate::fleet::hub;
use crate::fleet::verdict;
use crate::support::Program;
use crate::support::ask;
use crate::support::get;
use crate::support::secs;

mod events;

mod login;

use events::Events;

/// A hub that expects these targets and hears of none, and what its files are in.
pub(crate) async fn expecting(targets: &[&str], more: &str) -> (Program, SocketAddr, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let tokens = folder.path().join("tokens.yaml");
    let lines = targets.iter().enumerate();
    let lines = lines.map(|(number, target)| format!("{target:?}: token-{number}\n"));
    std::fs::write(&tokens, lines.collect::<String>()).expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0'{more} }}
auth: {{ tokenFile: {} }}
",
        tokens.display()
    );
    let hub = Program::start("hub", &config, &[]);
    let ops = hub.address("ops").await;
    (hub, ops, folder)
}

#[tokio::test]
async fn a_path_names_an_agent_by_its_escaped_workspace_and_name() {
    let targets = [
        "root:org:edge/edge 1",
        "ünï/a+b",
        "-/nowhere",
        "root:<b>/<img>",
    ];
    let (_hub, ops, _folder) = expecting(&targets, "").await;
    for (path, workspace, name) in [
        ("/fleet/root:org:edge/edge%201", "root:org:edge", "edge 1"),
        (
            "/fleet/root%3Aorg%3Aedge/edge%201",
            "root:org:edge",
            "edge 1",
        ),
        ("/fleet/%C3%BCn%C3%AF/a+b", "ünï", "a+b"),
        ("/fleet/-/nowhere", "-", "nowhere"),
        ("/fleet/root:%3Cb%3E/%3Cimg%3E", "root:<b>", "<img>"),
    ] {
        let answer = get(ops, path, &[]).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let agent = answer.json();
        assert_eq!(
            (&agent["workspace"], &agent["name"]),
            (&workspace.into(), &name.into())
        );
        assert_eq!(agent["verdict"], "Pending");
        assert_eq!(agent["lastEvidence"], serde_json::json!({}));
    }
    for path in [
        "/fleet/Root:org:edge/edge%201",
        "/fleet/root/%FF",
        "/fleet/root",
        "/fleets",
    ] {
        let status = get(ops, path, &[]).await.expect("an answer").status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    let all = get(ops, "/fleet?workspace=-&workspace=root:%3Cb%3E", &[]).await;
    let names = all.expect("an answer").json()["agents"]
        .as_array()
        .map(Vec::len);
    assert_eq!(names, Some(2));
}

#[tokio::test]
async fn those_that_are_expected_since_the_start_are_listed_by_their_names() {
    let targets: Vec<_> = (10..40).map(|number| format!("-/edge-{number}")).collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let (_hub, ops, _folder) = expecting(&targets, "").await;
    let fleet = get(ops, "/fleet?sort=verdict", &[]).await;
    let fleet = fleet.expect("an answer").json();
    let agents = fleet["agents"].as_array().expect("agents").iter();
    let names: Vec<_> = agents
        .map(|agent| format!("-/{}", agent["name"].as_str().expect("a name")))
        .collect();
    assert_eq!(names, targets);
}

#[tokio::test]
async fn what_a_query_cannot_mean_is_400_and_says_what_it_could() {
    let (_hub, _, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    for (path, told) in [
        ("/fleet?verdict=dead", "Pending, Alive, Suspect, Lost, Left"),
        (
            "/fleet?status=fine",
            "Healthy, Unknown, Degraded, Unhealthy, none",
        ),
        (
            "/fleet?sort=age",
            "name, verdict, status, since, lastEvidence",
        ),
        ("/fleet?limit=many", "1 to 5000"),
        ("/fleet?cursor=root/b", "take it from `next`"),
        (
            "/events?verdict=dead",
            "Pending, Alive, Suspect, Lost, Left",
        ),
    ] {
        let answer = get(ops, path, &[]).await.expect("an answer");
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(told), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_cursor_of_an_earlier_hub_goes_on_by_name_and_is_refused_where_times_count() {
    let targets = ["root/a", "root/b", "root/c"];
    let (first, before, folder) = expecting(&targets, "").await;
    let mut cursors = Vec::new();
    for sort in ["name", "since"] {
        let page = get(before, &format!("/fleet?limit=1&sort={sort}"), &[]).await;
        let next = page.expect("an answer").json()["next"].clone();
        cursors.push((sort, next.as_str().expect("more follows").to_owned()));
    }
    drop((first, folder));
    let (_hub, ops, _folder) = expecting(&targets, "").await;
    for ((sort, cursor), status) in cursors.into_iter().zip([200, 400]) {
        let path = format!("/fleet?sort={sort}&cursor={cursor}");
        let answer = get(ops, &path, &[]).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        match status {
            200 => assert_eq!(answer.json()["agents"][0]["name"], "b"),
            _ => assert!(answer.body.contains("earlier start"), "{}", answer.body),
        }
    }
}

#[tokio::test]
async fn every_answer_forbids_to_keep_to_frame_and_to_guess_and_the_page_all_that_is_not_its_own() {
    let (_hub, _, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    for path in ["/", "/fleet", "/metrics", "/livez", "/nothing"] {
        let answer = get(ops, path, &[]).await.expect("an answer");
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.head.contains(header), "{path}: {}", answer.head);
        }
    }
    let [one, other] = [get(ops, "/", &[]).await, get(ops, "/", &[]).await].map(|page| {
        let page = page.expect("an answer");
        let (_, policy) = page
            .head
            .split_once("content-security-policy: ")
            .expect("a policy");
        let policy = policy.lines().next().expect("a line").to_owned();
        for rule in [
            "default-src 'none'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(
            !policy.contains("unsafe") && !page.body.contains("{{"),
            "{policy}"
        );
        let (_, rest) = policy.split_once("'nonce-").expect("a nonce");
        let nonce = rest.split('\'').next().expect("its end").to_owned();
        let carried = page.body.matches(&format!("nonce=\"{nonce}\"")).count();
        assert_eq!(carried, 2, "the style and the script");
        nonce
    });
    assert_ne!(one, other, "a nonce is used once");
}

#[tokio::test]
async fn a_site_whose_name_means_our_address_reads_nothing_where_nobody_is_asked() {
    let evil = [("Host", "evil.example")];
    for (more, status) in [("", 421), (", insecure: true", 200)] {
        let (_hub, ops, _folder) = expecting(&["root/edge-1"], more).await;
        for path in ["/fleet", "/", "/events?x", "/metrics", "/nothing"] {
            let head = ask_as(ops, path, &evil).await;
            let found = if path == "/nothing" && status == 200 {
                404
            } else {
                status
            };
            assert!(
                head.starts_with(&format!("http/1.1 {found}")),
                "{path}: {head}"
            );
        }
        let probe = ask_as(ops, "/livez", &evil).await;
        assert!(probe.starts_with("http/1.1 200"), "{probe}");
    }
}

#[tokio::test]
async fn the_page_changes_nothing_and_what_changes_something_is_a_post() {
    let (_hub, _, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    for (method, path, status) in [
        ("POST", "/", 405),
        ("DELETE", "/fleet", 405),
        ("POST", "/events", 405),
        ("GET", "/login", 405),
        ("GET", "/logout", 405),
        ("HEAD", "/fleet", 200),
    ] {
        let answer = ask(ops, method, path, &[], "").await.expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

/// No label names an agent, so that no series can stay of one that is gone.
#[tokio::test]
async fn pitfall_46_no_series_names_an_agent_and_a_stream_that_ended_is_counted_no_more() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let one = agent(
        tunnels,
        &[("SYNCER_HEALTH_SYNC_TARGET_NAME", "very-special")],
    );
    verdict(ops, "Alive", secs(5)).await;
    let events = Events::open(ops, "/events", &[]).await;
    let metrics = || async { get(ops, "/metrics", &[]).await.expect("an answer").body };
    let open = metrics().await;
    assert!(open.contains("syncer_hub_event_streams 1\n"), "{open}");
    assert!(
        open.contains("syncer_hub_agents{verdict=\"alive\"} 1\n"),
        "{open}"
    );
    assert!(!open.contains("very-special"), "{open}");
    drop(events);
    one.signal("KILL").await;
    verdict(ops, "Lost", secs(10)).await;
    crate::support::eventually("the stream is counted no more", secs(15), || async {
        metrics()
            .await
            .contains("syncer_hub_event_streams 0\n")
            .then_some(())
    })
    .await;
    let gone = metrics().await;
    assert!(
        gone.contains("syncer_hub_agents{verdict=\"alive\"} 0\n"),
        "{gone}"
    );
    assert!(!gone.contains("very-special"), "{gone}");
}

/// Streams that are open, read or not, are no reason to stay.
#[tokio::test]
async fn pitfall_43_open_streams_do_not_hold_up_the_end() {
    let (mut hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    let mut read = Vec::new();
    for _ in 0..20 {
        read.push(Events::open(ops, "/events", &[]).await);
    }
    let mut unread = Vec::new();
    for _ in 0..20 {
        unread.push(Events::open(ops, "/events?recent=100", &[]).await);
    }
    let began = Instant::now();
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    let took = began.elapsed();
    assert!(
        took < secs(8),
        "{took:?}: three seconds for tunnels, one for each server"
    );
    for mut events in read {
        events.ended().await;
    }
    drop((agent, unread));
}

/// The head of what is answered to a request with these headers and no others.
async fn ask_as(ops: SocketAddr, path: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(ops).await.expect("somebody listens");
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", headers.collect::<String>());
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it takes it");
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next_line().await.expect("an answer");
    line.unwrap_or_default().to_lowercase()
}
