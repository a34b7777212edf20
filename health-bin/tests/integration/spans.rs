//! Spans: each line of a debugging log says in what it happened, as `docs/tracing.md` tells.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fleet;
use crate::support::Cluster;
use crate::support::Program;
use crate::support::secs;

const REFERENCE: &str = include_str!("../../../docs/tracing.md");

/// Who it is in whose log, and the span with its fields in alphabetical order.
type Known = BTreeSet<(&'static str, String, Vec<String>)>;

#[tokio::test]
async fn each_span_of_the_reference_is_in_a_log_and_no_other_is() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig();
    let mut hub = Program::start(
        "hub",
        &format!(
            "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
auth: {{ anonymous: true }}
log: {{ level: debug, format: json }}
cluster: {{ enabled: true, kubeconfig: {kubeconfig} }}
"
        ),
        &[],
    );
    let started = hub.logged("\"tunnels\":", secs(10)).await;
    let started: Value = serde_json::from_str(&started).expect("a line is JSON");
    let tunnels = started["tunnels"].as_str().expect("an address");
    let mut agent = Program::start(
        "run",
        &format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
log: {{ level: debug, format: json }}
cluster: {{ kubeconfig: {kubeconfig} }}
checks: {{ components: [{{ name: one, exec: {{ command: [/bin/true] }} }}] }}
heartbeat:
  interval: 1s
  timeout: 3s
  websocket: {{ url: 'ws://{tunnels}/tunnel?key=s3cret' }}
"
        ),
        &[],
    );
    agent.logged("a run ended", secs(10)).await;
    agent.logged("the Lease is ours", secs(10)).await;
    agent.logged("the tunnel is connected", secs(10)).await;
    hub.logged("wrote HeartbeatHealthy", secs(20)).await;
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    agent.logged("the Lease was released", secs(10)).await;
    assert_eq!(spans(&agent, &hub), reference());
    assert!(nested(&agent).contains("heartbeat attempt request"));
    assert!(nested(&hub).contains("verdict request"));
    for log in [agent.log(), hub.log()] {
        assert!(!log.contains("s3cret"), "{log}");
    }
}

#[tokio::test]
async fn a_line_of_text_names_its_spans_and_only_when_debugging() {
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let debugging = fleet::agent(tunnels, &[("SYNCER_HEALTH_LOG_LEVEL", "debug")]);
    let line = debugging.logged("heartbeat acknowledged", secs(10)).await;
    assert!(
        line.contains(" heartbeat{transport=websocket sequence="),
        "{line}"
    );
    let quiet = fleet::agent(tunnels, &[]);
    let line = quiet.logged("the tunnel is connected", secs(10)).await;
    assert!(!line.contains("tunnel{"), "{line}");
}

/// What the reference's table says.
fn reference() -> Known {
    let mut known = Known::new();
    for row in REFERENCE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let named = |cell: &str| -> Vec<String> {
            let mut names: Vec<_> = cell
                .split(',')
                .map(|name| name.trim().trim_matches('`').to_owned())
                .collect();
            names.sort();
            names
        };
        let (span, fields) = (named(cells[1]).remove(0), named(cells[3]));
        let whose: &[&str] = match cells[2] {
            "both" => &["agent", "hub"],
            "agent" => &["agent"],
            "hub" => &["hub"],
            other => panic!("who is {other}?"),
        };
        for who in whose {
            known.insert((who, span.clone(), fields.clone()));
        }
    }
    assert!(known.len() > 8, "{known:?}");
    known
}

/// What the logs show.
fn spans(agent: &Program, hub: &Program) -> Known {
    let mut known = Known::new();
    for (who, program) in [("agent", agent), ("hub", hub)] {
        for span in stacks(program).into_iter().flatten() {
            let fields = span.as_object().expect("a span is an object");
            let mut fields: Vec<_> = fields.keys().filter(|key| *key != "name").collect();
            fields.sort();
            let fields = fields.into_iter().cloned().collect();
            known.insert((who, name(&span).to_owned(), fields));
        }
    }
    known
}

/// Which spans lines are in, from the outermost to the innermost.
fn nested(program: &Program) -> BTreeSet<String> {
    let stacks = stacks(program).into_iter();
    let names = stacks.map(|stack| stack.iter().map(name).collect::<Vec<_>>().join(" "));
    names.collect()
}

/// The spans of each line.
fn stacks(program: &Program) -> Vec<Vec<Value>> {
    let log = program.log();
    let lines = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let spans = line["spans"].as_array();
        spans.cloned().unwrap_or_default()
    });
    lines.collect()
}

fn name(span: &Value) -> &str {
    span["name"].as_str().expect("a span has a name")
}
