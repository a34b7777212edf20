//! A configuration that changes while the program runs.

use std::net::SocketAddr;

use serde_json::Value;

use crate::kinds::put;
use crate::support::Program;
use crate::support::get;
use crate::support::secs;

const AGAIN: &str = "the configuration was read again";

#[tokio::test]
async fn components_come_and_go_with_the_file_and_the_others_are_left_alone() {
    let service = "{ name: stays, exec: { command: [/bin/true] } }";
    let before = config("info", &[service, "{ name: goes, push: { ttl: 1h } }"]);
    let agent = Program::start("run", &before, &[]);
    let address = agent.address("address").await;
    agent.answers(address, "/readyz/stays", 200).await;
    let stays = component(address, "stays").await;

    let after = [
        service,
        "{ name: goes, exec: { command: [/bin/true] } }",
        "{ name: comes, exec: { command: [/bin/false] } }",
    ];
    agent.reconfigure(&config("info", &after));
    agent.signal("HUP").await;
    let line = agent.logged(AGAIN, secs(5)).await;
    assert!(line.contains("taken=\"checks.components\""), "{line}");
    agent.answers(address, "/readyz/comes", 503).await;
    agent.answers(address, "/readyz/goes", 200).await;
    let now = component(address, "stays").await;
    assert_eq!(
        now["lastTransition"], stays["lastTransition"],
        "it is the same one"
    );

    agent.reconfigure(&config("info", &after[..1]));
    agent.signal("HUP").await;
    agent.answers(address, "/readyz/comes", 404).await;
    agent.answers(address, "/readyz", 200).await;
    let metrics = get(address, "/metrics", &[]).await.unwrap().body;
    assert!(metrics.contains("component=\"stays\""), "{metrics}");
    assert!(!metrics.contains("component=\"comes\""), "{metrics}");
}

#[tokio::test]
async fn a_changed_file_is_read_without_a_signal_and_says_what_waits_for_the_next_start() {
    let agent = Program::start("run", &config("info", &[]), &[]);
    let address = agent.address("address").await;
    let changed = config("info", &["{ name: new, exec: { command: [/bin/true] } }"]);
    agent.reconfigure(&changed.replace(
        "drainDelay: 0s, bind: '127.0.0.1:0'",
        "drainDelay: 1s, bind: '127.0.0.1:1'",
    ));
    let line = agent.logged(AGAIN, secs(15)).await;
    assert!(
        line.contains("checks.components, server.drainDelay"),
        "{line}"
    );
    let line = agent.logged("at the next start only", secs(5)).await;
    assert!(
        line.contains("WARN") && line.contains("keys=\"server.bind\""),
        "{line}"
    );
    agent.answers(address, "/readyz/new", 200).await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place_and_all_goes_on_as_it_was() {
    let right = config("info", &["{ name: one, exec: { command: [/bin/true] } }"]);
    let mut agent = Program::start("run", &right, &[]);
    let address = agent.address("address").await;
    agent.answers(address, "/readyz", 200).await;
    agent.reconfigure(&right.replace("exec:", "exce:"));
    agent.signal("HUP").await;
    let line = agent.logged("exce", secs(5)).await;
    assert!(
        line.contains("ERROR") && line.contains("config.yaml:"),
        "{line}"
    );
    agent.logged("all goes on as it was", secs(5)).await;
    agent.answers(address, "/readyz/one", 200).await;
    agent.reconfigure(&right);
    agent.signal("HUP").await;
    agent.logged("nothing to change", secs(5)).await;
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
}

/// A secret that is being replaced must not keep the rest from being read.
#[tokio::test]
async fn a_file_that_is_wrong_now_is_told_and_the_last_good_one_is_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("it can be written");
    let push = format!("\npush: {{ tokenFile: '{}', ", token.display());
    let config =
        |level, components: &[&str]| config(level, components).replace("\npush: { ", &push);
    let agent = Program::start("run", &config("info", &[]), &[]);
    let address = agent.address("address").await;
    std::fs::write(&token, "").expect("it can be written");
    agent.reconfigure(&config("info", &["{ name: new, push: { ttl: 1h } }"]));
    agent.signal("HUP").await;
    let line = agent.logged("push.tokenFile", secs(5)).await;
    assert!(
        line.contains("WARN") && line.contains("config.yaml:"),
        "{line}"
    );
    let line = agent.logged(AGAIN, secs(5)).await;
    assert!(line.contains("taken=\"checks.components\""), "{line}");
    let healthy = r#"{"status":"Healthy"}"#;
    assert_eq!(put(address, "new", "", healthy).await, 401);
    assert_eq!(put(address, "new", "s3cr3t", healthy).await, 204);
}

#[tokio::test]
async fn the_level_of_the_log_is_taken() {
    let agent = Program::start("run", &config("info", &[]), &[]);
    let address = agent.address("address").await;
    let [first, second] =
        ["first", "second"].map(|name| format!("{{ name: {name}, push: {{ ttl: 1h }} }}"));
    agent.reconfigure(&config("error", &[&first]));
    agent.signal("HUP").await;
    agent.answers(address, "/readyz/first", 503).await;
    agent.reconfigure(&config("info", &[&first, &second]));
    agent.signal("HUP").await;
    let line = agent.logged(AGAIN, secs(5)).await;
    assert!(
        line.contains("taken=\"checks.components, log.level\""),
        "{line}"
    );
    let told = agent.log().matches(AGAIN).count();
    assert_eq!(
        told,
        1,
        "the first time only errors were told: {}",
        agent.log()
    );
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn a_hub_takes_its_log_level_and_says_what_it_cannot_take() {
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n";
    let hub = Program::start("hub", config, &[]);
    hub.address("ops").await;
    hub.reconfigure(&format!(
        "{config}log: {{ level: debug }}\nlimits: {{ connections: 5 }}\n"
    ));
    hub.signal("HUP").await;
    let line = hub.logged(AGAIN, secs(5)).await;
    assert!(line.contains("taken=\"log.level\""), "{line}");
    let line = hub.logged("at the next start only", secs(5)).await;
    assert!(line.contains("keys=\"limits.connections\""), "{line}");
}

fn config(level: &str, components: &[&str]) -> String {
    format!(
        "server: {{ drainDelay: 0s, bind: '127.0.0.1:0' }}\nlog: {{ level: {level} }}\n\
         push: {{ enabled: true }}\nchecks:\n  components: [ {} ]\n",
        components.join(", ")
    )
}

async fn component(address: SocketAddr, name: &str) -> Value {
    let report = get(address, "/report", &[]).await.expect("it answers");
    report.json()["components"][name].clone()
}
