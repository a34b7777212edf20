//! gRPC health, as a real client asks for it.

use std::net::SocketAddr;

use tonic::Code;

use crate::support::Program;
use crate::support::Service;
use crate::support::secs;

mod client;

mod go;

mod hostile;

use client::Client;
use client::Is;

#[tokio::test]
async fn the_probes_are_services_and_who_watches_sees_a_check_fail_and_work_again() {
    let mut service = Service::start().await;
    let url = format!("http://{}/readyz", service.address());
    let checks = format!("{{ name: syncer, interval: 100ms, http: {{ url: '{url}' }} }}");
    let (agent, address) = agent(&checks).await;
    let client = Client::connect(address).await;
    let mut watch = client.watch("").await;
    let mut watch_one = client.watch("syncer").await;
    let mut watch_liveness = client.watch("liveness").await;
    assert_eq!(watch_liveness.next().await, Is::Serving);
    watch.until(Is::Serving).await;
    watch_one.until(Is::Serving).await;
    for service in ["", "readiness", "liveness", "startup", "syncer"] {
        assert_eq!(client.check(service).await, Ok(Is::Serving), "{service:?}");
    }
    service.stop().await;
    assert_eq!(watch.next().await, Is::NotServing);
    assert_eq!(watch_one.next().await, Is::NotServing);
    agent
        .answers(agent.address("address").await, "/readyz", 503)
        .await;
    for (service, is) in [
        ("", Is::NotServing),
        ("readiness", Is::NotServing),
        ("syncer", Is::NotServing),
        ("liveness", Is::Serving),
        ("startup", Is::Serving),
    ] {
        assert_eq!(client.check(service).await, Ok(is), "{service:?}");
    }
    let listed = client.list().await.expect("it is listed");
    let expected = [
        ("", Is::NotServing),
        ("liveness", Is::Serving),
        ("readiness", Is::NotServing),
        ("startup", Is::Serving),
        ("syncer", Is::NotServing),
    ];
    let expected = expected.map(|(name, is)| (name.to_owned(), is));
    assert_eq!(listed, expected);
    service.restart().await;
    assert_eq!(watch.next().await, Is::Serving);
    assert_eq!(watch_one.next().await, Is::Serving);
    // It was told nothing more: its next word is the end's.
    drop(agent);
    assert!(watch_liveness.end().await.is_some());
}

#[tokio::test]
async fn an_unknown_service_is_not_found_and_a_watch_of_it_goes_on_until_it_is_known() {
    let (agent, address) = agent("").await;
    let client = Client::connect(address).await;
    for service in ["late", "livez", "heartbeat/x", "\u{0}", "Liveness"] {
        assert_eq!(
            client.check(service).await,
            Err(Code::NotFound),
            "{service:?}"
        );
    }
    let mut watch = client.watch("late").await;
    assert_eq!(watch.next().await, Is::ServiceUnknown);
    agent.reconfigure(&config("{ name: late, exec: { command: [/bin/true] } }"));
    agent.signal("HUP").await;
    watch.until(Is::Serving).await;
    assert_eq!(client.check("late").await, Ok(Is::Serving));
    // Which is no part of readiness is no service.
    agent.reconfigure(&config(
        "{ name: late, exec: { command: [/bin/true] }, probes: [liveness] }",
    ));
    agent.signal("HUP").await;
    watch.until(Is::ServiceUnknown).await;
    assert_eq!(client.check("late").await, Err(Code::NotFound));
}

/// The check had a good result, and then none any more: nothing but time makes that no green.
#[tokio::test]
async fn pitfall_2_grpc_health_shows_no_green_of_a_check_that_hangs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hang = folder.path().join("hang");
    let command = format!("[ -e {} ] && sleep 1000; exit 0", hang.display());
    let checks = format!(
        "{{ name: hangs, exec: {{ command: [/bin/sh, -c, '{command}'] }}, interval: 100ms, \
         timeout: 1h, staleAfter: 2s }}"
    );
    let (agent, address) = agent(&checks).await;
    let client = Client::connect(address).await;
    let (mut watch, mut watch_one) = (client.watch("").await, client.watch("hangs").await);
    watch.until(Is::Serving).await;
    watch_one.until(Is::Serving).await;
    std::fs::write(&hang, "").expect("it can be written");
    watch.until(Is::NotServing).await;
    watch_one.until(Is::NotServing).await;
    let at = agent.address("address").await;
    let failed = agent.answers(at, "/readyz", 503).await;
    assert!(
        failed.body.contains("[-]hangs Unknown (Stale)"),
        "{}",
        failed.body
    );
    for service in ["", "readiness", "hangs"] {
        assert_eq!(
            client.check(service).await,
            Ok(Is::NotServing),
            "{service:?}"
        );
    }
    assert_eq!(client.check("liveness").await, Ok(Is::Serving));
}

#[tokio::test]
async fn on_the_way_out_nothing_is_ready_while_liveness_holds() {
    let checks = "{ name: works, exec: { command: [/bin/true] } }";
    let config = config(checks).replace("drainDelay: 0s", "drainDelay: 10m");
    let agent = Program::start("run", &config, &[]);
    let client = Client::connect(agent.address("grpc").await).await;
    let (mut watch, mut watch_one) = (client.watch("").await, client.watch("works").await);
    watch.until(Is::Serving).await;
    watch_one.until(Is::Serving).await;
    agent.signal("TERM").await;
    assert_eq!(watch.next().await, Is::NotServing);
    assert_eq!(watch_one.next().await, Is::NotServing);
    for (service, is) in [
        ("", Is::NotServing),
        ("works", Is::NotServing),
        ("liveness", Is::Serving),
    ] {
        assert_eq!(client.check(service).await, Ok(is), "{service:?}");
    }
}

#[tokio::test]
async fn an_open_watch_is_told_the_end_and_does_not_hold_it_up() {
    let (mut agent, address) = agent("{ name: works, exec: { command: [/bin/true] } }").await;
    let client = Client::connect(address).await;
    let (mut watch, mut never) = (client.watch("").await, client.watch("nobody").await);
    watch.until(Is::Serving).await;
    assert_eq!(never.next().await, Is::ServiceUnknown);
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    assert_eq!(watch.next().await, Is::NotServing);
    assert_eq!(watch.end().await, Some(Code::Unavailable));
    assert_eq!(never.end().await, Some(Code::Unavailable));
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn a_hub_answers_for_itself_without_a_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0', tokenFile: {}, grpcBind: '127.0.0.1:0' }}
",
        token.display()
    );
    let mut hub = Program::start("hub", &config, &[]);
    let client = Client::connect(hub.address("grpc").await).await;
    let mut watch = client.watch("").await;
    assert_eq!(watch.next().await, Is::Serving);
    for service in ["", "readiness", "liveness"] {
        assert_eq!(client.check(service).await, Ok(Is::Serving), "{service:?}");
    }
    assert_eq!(client.check("startup").await, Err(Code::NotFound));
    let listed = client.list().await.expect("it is listed");
    let names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["", "liveness", "readiness"]);
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    assert_eq!(watch.next().await, Is::NotServing);
    assert_eq!(watch.end().await, Some(Code::Unavailable));
}

async fn agent(components: &str) -> (Program, SocketAddr) {
    let agent = Program::start("run", &config(components), &[("PATH", "/usr/bin:/bin")]);
    let address = agent.address("grpc").await;
    agent.logged("the agent answers", secs(10)).await;
    (agent, address)
}

fn config(components: &str) -> String {
    format!(
        "
server: {{ bind: '127.0.0.1:0', grpcBind: '127.0.0.1:0', drainDelay: 0s }}
checks: {{ components: [{components}] }}
"
    )
}
