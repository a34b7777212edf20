//! The schemas that the program prints, and what they say about what it says.

use jsonschema::Validator;
use serde_json::Value;
use serde_json::json;

use crate::support::Program;
use crate::support::Service;
use crate::support::get;
use crate::support::run_to_end;

#[tokio::test]
async fn the_printed_schemas_are_valid_ones() {
    for (args, title) in [
        (&[][..], "the configuration of a syncer-health agent"),
        (&["--report"], "the report of an agent"),
        #[cfg(feature = "hub")]
        (&["--hub"], "the configuration of a syncer-health hub"),
    ] {
        let schema = printed(args).await;
        assert_eq!(schema["title"], title);
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        validator(&schema);
    }
    #[cfg(feature = "hub")]
    {
        let (code, _, err) = run_to_end(&["config", "schema", "--hub", "--report"], &[]).await;
        assert_eq!(code, 2, "{err}");
    }
}

#[tokio::test]
async fn the_report_of_a_running_agent_is_as_its_schema_says() {
    let service = Service::start().await;
    let at = service.address();
    let heartbeat = match cfg!(feature = "transport-ws") {
        true => "heartbeat: { websocket: { url: 'ws://127.0.0.1:1/tunnel' } }",
        false => "",
    };
    let config = format!(
        "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
{heartbeat}
checks:
  components:
    - {{ name: syncer, http: {{ url: 'http://{at}/readyz' }} }}
    - {{ name: gone, tcp: {{ address: '127.0.0.1:1' }} }}
    - {{ name: engine, prometheus: {{ url: 'http://{at}/metrics', syncEngine: true }} }}
"
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    // The checks have had their first results.
    agent.answers(address, "/startupz", 200).await;
    let report = get(address, "/report", &[]).await.unwrap().json();
    assert_eq!(
        report["components"]["gone"]["status"], "Unhealthy",
        "{report}"
    );
    if cfg!(feature = "transport-ws") {
        assert!(
            report["heartbeat"]["transports"]["websocket"].is_object(),
            "{report}"
        );
    }
    let validator = validator(&printed(&["--report"]).await);
    let errors: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0], "{report}");
    for (pointer, wrong) in [
        ("/status", json!("Fine")),
        ("/uptimeSeconds", json!("1s")),
        ("/components/syncer/criticality", json!("some")),
        ("/components/syncer", json!({})),
        (
            "/components/syncer/metrics",
            json!({ "latencySeconds": null }),
        ),
        ("/lastHeartbeat", json!(0)),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(pointer).expect("the report has it") = wrong;
        assert!(!validator.is_valid(&report), "{pointer}");
    }
}

async fn printed(args: &[&str]) -> Value {
    let args = [&["config", "schema"], args].concat();
    let (code, out, err) = run_to_end(&args, &[]).await;
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).expect("it is JSON")
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("it is a schema")
}
