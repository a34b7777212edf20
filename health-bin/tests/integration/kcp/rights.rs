//! Who may do what: a hub with the least rights, and agents with the token of their target.

use health_transport_lease::manifests;
use serde_json::Value;
use serde_json::json;
use tempfile::NamedTempFile;

use super::FAST;
use super::overseen::Hub;
use super::overseen::RECEIVED;
use super::overseen::SILENT;
use super::overseen::Setup;
use super::overseen::stands;
use super::overseen::start;
use super::workspace::Workspace;
use crate::support::Program;
use crate::support::run_to_end;

const REVIEW: &str = "auth: { tokenReview: true }\n";

/// The user may do nothing before but enter the workspace, which only kcp asks for.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn the_roles_that_are_printed_are_enough_for_a_hub_with_everything() {
    let workspace = Workspace::with_target("roles").await;
    let kubeconfig = workspace.kubeconfig_of("limited-token", None);
    let setup = || Setup {
        pod: "hub",
        kubeconfig: path(&kubeconfig),
        cluster: "writeConditions: true, leaderLease: { enabled: true }",
        more: REVIEW,
    };
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), setup().config(&workspace)).expect("it can be written");
    let args = ["manifests", "hub", "--config", path(&file)];
    let (code, printed, log) = run_to_end(&args, &[]).await;
    assert_eq!(code, 0, "{log}");
    let enter = json!([{ "nonResourceURLs": ["/"], "verbs": ["access"] }]);
    workspace.grant("enter", enter).await;
    for role in serde_saphyr::from_multiple::<Value>(&printed).expect("it is YAML") {
        workspace.bind(role).await;
    }

    let hub = Hub::start_as(&workspace, setup()).await;
    hub.program.answers(hub.ops, "/readyz", 200).await;
    // The hub's own user may write any target's status.
    let (mut agent, _token) = with_token(&workspace, "edge-1", &hub);
    hub.hears("edge-1", 1).await;
    stands(&workspace, "edge-1", RECEIVED).await;
    agent.signal("KILL").await;
    agent.ended().await;
    stands(&workspace, "edge-1", SILENT).await;
    let log = hub.program.log();
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
    assert!(!log.contains("limited-token"), "{log}");
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn whose_target_a_token_may_write_decides_whose_tunnel_it_opens() {
    let workspace = Workspace::with_target("tokens").await;
    workspace.add_another_target("edge-2").await;
    let enter = json!([{ "nonResourceURLs": ["/"], "verbs": ["access"] }]);
    workspace.grant("enter", enter).await;
    let role = manifests::target_role("agent", "edge-1");
    workspace.grant("agent", role["rules"].clone()).await;
    let setup = Setup {
        pod: "hub",
        kubeconfig: workspace.admins(),
        cluster: "",
        more: REVIEW,
    };
    let hub = Hub::start_as(&workspace, setup).await;
    let (agent, _token) = with_token(&workspace, "edge-1", &hub);
    hub.hears("edge-1", 1).await;
    stands(&workspace, "edge-1", RECEIVED).await;

    let other = hub.dial("edge-2", "limited-token").await;
    assert_eq!(other.status, 403, "{}", other.text);
    let rubbish = hub.dial("edge-1", "rubbish").await;
    assert_eq!(rubbish.status, 401, "{}", rubbish.text);
    let text = rubbish.text.to_lowercase();
    assert!(text.contains("\r\nwww-authenticate: bearer\r\n"), "{text}");
    hub.hears("edge-1", 1).await;
    let log = format!("{}{}", hub.program.log(), agent.log());
    assert!(!log.contains("limited-token"), "{log}");
    assert!(!log.contains("rubbish"), "{log}");
}

/// An agent with nothing but a tunnel and the token of the user `limited`, which is read at each dial.
fn with_token(workspace: &Workspace, target: &str, hub: &Hub) -> (Program, NamedTempFile) {
    let token = NamedTempFile::new().expect("a temporary file");
    std::fs::write(token.path(), "limited-token").expect("it can be written");
    let (at, file) = (hub.tunnels, path(&token));
    let tunnel = format!("websocket: {{ url: 'ws://{at}/tunnel', tokenFile: {file} }}");
    let beats = format!("{FAST}, lease: {{ enabled: false }}, {tunnel}");
    let agent = start(workspace, target, "alice", &beats);
    (agent, token)
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("a path in UTF-8")
}
