use serde_json::Value;
use serde_json::json;

use super::super::answer::Detail;
use super::super::answer::Fleet;
use super::super::answer::Report;
use super::super::table::Look;
use super::super::table::render;
use super::*;

#[test]
fn a_report_is_a_headline_the_components_and_the_transports() {
    let report = json!({
        "version": "0.1.0",
        "status": "Degraded",
        "reason": "QueueDepthHigh",
        "deciding": [{"component": "sync-engine"}, {"component": "api"}],
        "uptimeSeconds": 184.2,
        "components": {
            "api": {"status": "Healthy", "reason": "Succeeded", "message": "200 OK",
                    "ageSeconds": 3.4, "consecutiveFailures": 0},
            "disk": {"status": "Unhealthy", "reason": "Full", "message": "cannot write",
                     "error": "no space left", "ageSeconds": 0.2, "consecutiveFailures": 12},
            "new": {"status": "Unknown", "reason": "Pending", "message": "", "ageSeconds": null},
            "sync-engine": {"status": "Degraded", "reason": "QueueDepthHigh",
                            "message": "queue depth 72 is above 60", "ageSeconds": 1,
                            "error": "QueueDepthHigh: queue depth 72 is above 60"},
        },
        "heartbeat": {"status": "Healthy", "transports": {
            "lease": {"state": "Missed(2)", "ageSeconds": null, "missed": 2, "rttSeconds": null,
                      "error": "timed out"},
            "websocket": {"state": "Alive", "ageSeconds": 0.5, "missed": 0, "rttSeconds": 0.00124,
                          "error": null},
        }},
    });
    check(
        &Known::Report(Report::of(&report).unwrap()),
        "\
STATUS     REASON           DECIDING          VERSION   UPTIME
Degraded   QueueDepthHigh   sync-engine,api   0.1.0     3m4s

NAME          STATUS      REASON           AGE     FAILURES   MESSAGE
disk          Unhealthy   Full             0s      12         cannot write: no space left
sync-engine   Degraded    QueueDepthHigh   1s      0          queue depth 72 is above 60
new           Unknown     Pending          never   0
api           Healthy     Succeeded        3s      0          200 OK

TRANSPORT   STATE       LAST-SUCCESS   RTT      MISSED   ERROR
lease       Missed(2)   never          <none>   2        timed out
websocket   Alive       0s             1.2ms    0
",
        None,
    );
}

#[test]
fn an_agent_that_says_nothing_is_shown_too() {
    check(
        &Known::Report(Report::of(&json!({"components": {}})).unwrap()),
        "\
STATUS   REASON   DECIDING   VERSION   UPTIME
<none>   <none>   <none>     <none>    <none>

No components.

No transports: no heartbeats are sent.
",
        None,
    );
}

#[test]
fn a_fleet_is_its_counts_and_its_agents_in_the_hubs_order() {
    let mut fleet = json!({
        "agents": [lost(), {
            "workspace": "-", "name": "b", "verdict": "Alive", "reason": "HeartbeatReceived",
            "since": "2026-03-01T11:00:00Z", "status": "Degraded",
            "deciding": [{"component": "x", "status": "Degraded", "reason": "Slow"}],
            "lastEvidence": {"lease": {"ageSeconds": 9}, "websocket": {"ageSeconds": 1.2}},
        }],
        "matching": 2,
        "counts": {"Pending": 0, "Alive": 1, "Suspect": 0, "Lost": 1, "Left": 0},
        "doubt": false,
        "now": "2026-03-01T12:00:00Z",
    });
    let expected = "\
PENDING   ALIVE   SUSPECT   LOST   LEFT   DOUBT
0         1       0         1      0      no

WORKSPACE   NAME   VERDICT   SINCE   STATUS     REASON             LAST-EVIDENCE
root:org    a      Lost      3m4s    Degraded   HeartbeatTimeout   3m34s (websocket)
-           b      Alive     60m     Degraded   Slow               1s (websocket)
";
    check(&Known::Fleet(Fleet::of(&fleet).unwrap()), expected, None);
    fleet["doubt"] = json!(true);
    fleet["matching"] = json!(12);
    let known = Known::Fleet(Fleet::of(&fleet).unwrap());
    let text = render(&tables(&known, long_after()), Look::default());
    assert!(
        text.contains("   yes: so many fell silent at once"),
        "{text}"
    );
    let note = note(&known).unwrap();
    assert!(
        note.starts_with("10 more agents are not shown; choose with --verdict"),
        "{note}"
    );
    let empty = Known::Fleet(Fleet::of(&json!({"agents": []})).unwrap());
    let text = render(&tables(&empty, long_after()), Look::default());
    assert!(text.ends_with("\n\nNo agents.\n"), "{text}");
}

#[test]
fn an_agent_of_a_hub_is_shown_with_what_became_of_it_and_what_it_said() {
    let mut agent = lost();
    agent["now"] = json!("2026-03-01T12:00:00Z");
    agent["transitions"] = json!([
        {"at": "2026-03-01T11:00:00Z", "verdict": "Alive", "reason": "HeartbeatReceived"},
        {"at": "2026-03-01T11:56:56Z", "verdict": "Lost", "reason": "HeartbeatTimeout"},
    ]);
    agent["report"] = json!({
        "status": "Degraded", "uptimeSeconds": 10, "components": {
            "x": {"status": "Degraded", "reason": "Slow", "ageSeconds": 0.5},
            "y": {"status": "Healthy", "reason": "Healthy"},
        },
        "cut": ["3 healthy components"],
    });
    agent["reportAgeSeconds"] = json!(200.0);
    let expected = "\
WORKSPACE   NAME   VERDICT   SINCE   STATUS     REASON             LAST-EVIDENCE
root:org    a      Lost      3m4s    Degraded   HeartbeatTimeout   3m34s (websocket)

AT                     AGE    VERDICT   REASON
2026-03-01T11:56:56Z   3m4s   Lost      HeartbeatTimeout
2026-03-01T11:00:00Z   60m    Alive     HeartbeatReceived
";
    let report = "
STATUS     REASON   DECIDING   VERSION   UPTIME   REPORTED
Degraded   <none>   <none>     <none>    3m30s    3m20s ago

NAME   STATUS     REASON    AGE     FAILURES   MESSAGE
x      Degraded   Slow      3m20s   0
y      Healthy    Healthy   never   0
";
    let detail = |agent: &Value| Known::Detail(Box::new(Detail::of(agent).unwrap()));
    let cut = "the report was cut to fit, without: 3 healthy components";
    check(&detail(&agent), &format!("{expected}{report}"), Some(cut));
    agent["report"] = json!("all is well");
    let other = "its report has a shape of its own: see -o json";
    check(&detail(&agent), expected, Some(other));
    agent["report"] = Value::Null;
    check(&detail(&agent), expected, Some("it has sent no report"));
}

#[test]
fn what_a_hub_repeats_from_agents_reaches_no_terminal() {
    let evil = "\u{1b}[2J\u{9b}1m\n\u{202e}";
    let agent = json!({
        "workspace": evil, "name": evil, "verdict": evil, "reason": evil, "status": evil,
        "since": evil, "lastEvidence": {evil: {"ageSeconds": 1e300}},
        "transitions": [{"at": evil, "verdict": evil, "reason": evil}],
        "report": {"status": evil, "version": evil, "components": {evil: {
            "status": evil, "reason": evil, "message": evil, "error": evil, "ageSeconds": -1e300,
        }}},
    });
    let known = Known::Detail(Box::new(Detail::of(&agent).unwrap()));
    let text = render(&tables(&known, long_after()), Look::default());
    let controls = text.chars().filter(|one| one.is_control() && *one != '\n');
    assert_eq!(controls.count(), 0, "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    assert_eq!(text.lines().count(), 2 + 1 + 2 + 1 + 2 + 1 + 2, "{text}");
}

#[track_caller]
fn check(known: &Known, expected: &str, noted: Option<&str>) {
    let text = render(&tables(known, long_after()), Look::default());
    assert_eq!(text, expected, "\n{text}");
    assert_eq!(note(known).as_deref(), noted);
}

fn lost() -> Value {
    json!({
        "workspace": "root:org", "name": "a", "verdict": "Lost", "reason": "HeartbeatTimeout",
        "since": "2026-03-01T11:56:56Z", "status": "Degraded",
        "lastEvidence": {"websocket": {"at": "2026-03-01T11:56:26Z", "ageSeconds": 214}},
    })
}

/// Our own clock, which is far ahead: it must not matter.
fn long_after() -> Timestamp {
    "2036-03-01T12:00:00Z".parse().unwrap()
}
