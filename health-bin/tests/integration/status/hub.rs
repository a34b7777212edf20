//! `status` of a hub and its agents.

use super::Watch;
use super::status;
use crate::fleet::agent;
use crate::fleet::hub;
use crate::fleet::hub_to_restart;
use crate::fleet::verdict;
use crate::ops::expecting;
use crate::support::eventually;
use crate::support::get;
use crate::support::run_to_end;
use crate::support::secs;

#[tokio::test]
async fn a_fleet_is_shown_and_each_of_its_agents_by_the_name_that_is_printed() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let _agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(10)).await;
    eventually("the agent's report is there", secs(5), || async {
        let one = get(ops, "/fleet/root:org:edge/edge-1", &[]).await?.json();
        (!one["report"].is_null()).then_some(())
    })
    .await;
    let url = format!("http://{ops}");
    let table = status(&["--url", &url]).await;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["PENDING", "ALIVE", "SUSPECT", "LOST", "LEFT", "DOUBT"]
    );
    assert_eq!(rows[1], ["0", "1", "0", "0", "0", "no"]);
    let titles = [
        "WORKSPACE",
        "NAME",
        "VERDICT",
        "SINCE",
        "STATUS",
        "REASON",
        "LAST-EVIDENCE",
    ];
    assert_eq!(rows[3], titles);
    assert_eq!(rows[4][..3], ["root:org:edge", "edge-1", "Alive"]);
    assert_eq!(rows[4].last(), Some(&"(websocket)"), "{table}");
    let names = status(&["--url", &url, "-o", "name"]).await;
    assert_eq!(names, "agent/root:org:edge/edge-1\n");
    let one = status(&["--url", &url, names.trim()]).await;
    for titles in ["WORKSPACE  ", "AT  ", "STATUS  ", "NAME  "] {
        let there = one.lines().any(|line| line.starts_with(titles));
        assert!(there, "{titles}: {one}");
    }
    assert!(one.contains("\nruntime "), "the report that it sent: {one}");
    assert!(
        one.contains("REPORTED\n") && one.contains("s ago\n"),
        "and when it came: {one}"
    );
    let json = status(&["--url", &url, "-o", "json", "root:org:edge/edge-1"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["verdict"], "Alive", "{json}");
    let (code, _, err) = run_to_end(&["status", "--url", &url, "root/nobody"], &[]).await;
    assert_eq!(code, 1);
    assert!(err.contains("knows no agent root/nobody"), "{err}");
}

#[tokio::test]
async fn agents_are_chosen_and_those_that_are_not_shown_are_counted() {
    let targets: Vec<_> = (0..1_203)
        .map(|number| format!("w/edge-{number:04}"))
        .collect();
    let targets: Vec<_> = targets
        .iter()
        .map(String::as_str)
        .chain(["v/other"])
        .collect();
    let (_hub, ops, _folder) = expecting(&targets, "").await;
    let url = format!("http://{ops}");
    let names = async |more: &[&str]| {
        let args = [&["--url", &url, "-o", "name"], more].concat();
        let names = status(&args).await;
        let names: Vec<_> = names.lines().map(str::to_owned).collect();
        names
    };
    let all = names(&[]).await;
    let mut unique = all.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(
        (all.len(), unique.len()),
        (1_204, 1_204),
        "all pages, nobody twice"
    );
    assert_eq!(names(&["--workspace", "v"]).await, ["agent/v/other"]);
    assert_eq!(
        names(&["--search", "EDGE-0007"]).await,
        ["agent/w/edge-0007"]
    );
    assert_eq!(names(&["--verdict", "lost,alive"]).await, [""; 0]);
    assert_eq!(
        names(&["--verdict", "pending", "--workspace", "v"])
            .await
            .len(),
        1
    );
    let args = ["status", "--url", &url, "--limit", "601", "-o", "json"];
    let (code, out, err) = run_to_end(&args, &[]).await;
    assert_eq!(code, 0, "{err}");
    let out: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(out["agents"].as_array().map(Vec::len), Some(601));
    assert!(err.starts_with("603 more agents are not shown"), "{err}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_no_signal_up() {
    let targets: Vec<_> = (0..1_000)
        .map(|number| format!("w/edge-{number:04}"))
        .collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let (_hub, ops, _folder) = expecting(&targets, "").await;
    // It is more than a pipe holds.
    let mut watch = Watch::start(&["--url", &ops.to_string(), "-o", "json"]);
    watch.line("{").await;
    watch.program.signal("INT").await;
    assert_eq!(watch.program.ended().await, Some(0));
}

#[tokio::test]
async fn a_hub_that_wants_a_token_says_how_to_give_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("it can be written");
        file.to_str().expect("a path in UTF-8").to_owned()
    };
    let (right, wrong) = (file("right", "l00k\n"), file("wrong", "gu3ss\n"));
    let (_hub, ops, _tokens) = expecting(&["w/a"], &format!(", tokenFile: '{right}'")).await;
    let url = format!("http://{ops}");
    for (more, told) in [
        (&[][..], "give the file with it by --token-file"),
        (
            &["--token-file", &wrong],
            "refuses the token of --token-file",
        ),
        (&["w/a"], "give the file with it by --token-file"),
    ] {
        let args = [&["status", "--url", &url], more].concat();
        let (code, out, err) = run_to_end(&args, &[]).await;
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(told), "{err}");
        assert!(!err.contains("gu3ss"), "{err}");
    }
    let names = status(&["--url", &url, "--token-file", &right, "-o", "name"]).await;
    assert_eq!(names, "agent/w/a\n");
    let mut watch = Watch::start(&["--url", &url, "--token-file", &right]);
    watch.line("w ").await;
}

#[tokio::test]
async fn watching_a_hub_tells_what_becomes_of_an_agent() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let one = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(10)).await;
    let url = format!("http://{ops}");
    let mut fleet = Watch::start(&["--url", &url]);
    let mut detail = Watch::start(&["--url", &url, "root:org:edge/edge-1"]);
    let mut lost = Watch::start(&["--url", &url, "--verdict", "Lost", "-o", "name"]);
    for watch in [&mut fleet, &mut detail] {
        let line = watch.line("root:org:edge ").await;
        assert!(line.contains(" Alive "), "{line}");
    }
    one.signal("KILL").await;
    for watch in [&mut fleet, &mut detail] {
        let line = watch.line("root:org:edge ").await;
        // It may be Lost before anybody asks.
        if !line.contains(" Lost ") {
            assert!(line.contains(" Suspect "), "{line}");
            let line = watch.line("root:org:edge ").await;
            assert!(line.contains(" Lost "), "{line}");
        }
    }
    assert_eq!(lost.line("agent/").await, "agent/root:org:edge/edge-1");
}

#[tokio::test]
async fn watching_goes_on_when_the_hub_is_started_again() {
    let (hub, tunnels, ops) = hub_to_restart().await;
    let one = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(10)).await;
    let mut watch = Watch::start(&["--url", &ops.to_string()]);
    watch.line("root:org:edge ").await;
    drop(hub);
    watch.program.logged("asking again", secs(15)).await;
    let (_hub, ..) = self::hub(&tunnels.to_string(), &ops.to_string()).await;
    verdict(ops, "Alive", secs(10)).await;
    one.signal("KILL").await;
    let mut line = watch.line("root:org:edge ").await;
    while !line.contains(" Lost ") {
        line = watch.line("root:org:edge ").await;
    }
}
