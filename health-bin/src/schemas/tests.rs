use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::transform::RestrictFormats;
use serde_json::Value;

use super::shapes::DURATION;
use super::shapes::flowing;
use super::shapes::never_null;
use super::*;
use crate::agent::Report;
use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Environment;
#[cfg(feature = "hub")]
use crate::config::HubConfig;
use crate::config::Source;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod reference;

/// Set, the tests write the files instead of comparing them.
const WRITE: &str = "WRITE_SCHEMAS";

#[test]
fn the_files_are_what_the_types_say() {
    check("agent", AGENT, configuration::<AgentConfig>());
    #[cfg(feature = "hub")]
    check("hub", HUB, configuration::<HubConfig>());
    let settings = SchemaSettings::draft2020_12().for_serialize();
    check(
        "report",
        REPORT,
        schema::<Report<'static>>(settings, "the report of an agent"),
    );
}

#[test]
fn the_default_files_are_valid() {
    for (schema, text) in defaults() {
        assert_eq!(errors(schema, &yaml(text)), [""; 0]);
    }
}

#[test]
fn every_key_has_a_description() {
    let configurations = defaults().into_iter().map(|(schema, _)| schema);
    for schema in configurations.chain([REPORT]) {
        each_object(&json(schema), &mut |object| {
            for (key, property) in object
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let described = property["description"].as_str();
                assert!(
                    described.is_some_and(|text| text.len() > 3),
                    "{key}: {property}"
                );
            }
        });
    }
}

/// Every key of the configuration of every kind; serde and the schema take it, and take no other.
#[test]
fn serde_and_the_schema_know_the_same_keys() {
    let mut paths = 0;
    for (schema, told) in programs() {
        let schema = json(schema);
        keys(&schema, &schema, "", &mut |path, known| {
            paths += 1;
            let told = told(&nested(path, "zzzzzzzzzzzzzzzzzzzzzzzz"));
            let line = told
                .iter()
                .find_map(|line| line.split_once("unknown key; known here: "));
            let (_, serde) = line.unwrap_or_else(|| panic!("{path}: {told:?}"));
            assert_eq!(serde.split(", ").collect::<BTreeSet<_>>(), known, "{path}");
        });
    }
    assert!(paths > 40, "{paths}");
}

#[test]
fn what_the_schema_can_express_it_refuses_as_the_program_does() {
    for text in [
        "heartbeat: { intervall: 5s }",
        "hartbeat: {}",
        "heartbeat: { interval: soon }",
        "heartbeat: { interval: 10 }",
        "heartbeat: { interval: -10s }",
        "heartbeat: { interval: 10 apples }",
        "heartbeat: { interval: '' }",
        "heartbeat: { failureThreshold: many }",
        "heartbeat: { failureThreshold: 0 }",
        "heartbeat: { failureThreshold: 2.5 }",
        "heartbeat: { require: some }",
        "heartbeat: { websocket: { url: 'http://hub' } }",
        "log: { level: loud }",
        "log: { level: }",
        "log: [info]",
        "server: { bind: 8081 }",
        "server:",
        "syncTarget: { name: edge-1, workspace: 5 }",
        #[cfg(feature = "transport-lease")]
        "syncTargetStatus: { heartbeatField: never }",
        "checks: { defaultProbes: [all] }",
        "checks: { defaultProbes: readiness }",
        "checks: { components: [{ name: a }] }",
        "checks: { components: [{ http: { url: 'http://x' } }] }",
        "checks: { components: [{ name: 'a b', tcp: { address: 'x:1' } }] }",
        "checks: { components: [{ name: a, tcp: { address: 'x:1' }, file: { path: /x } }] }",
        "checks: { components: [{ name: a, tcp: { adress: 'x:1' } }] }",
        "checks: { components: [{ name: a, tcp: ['x:1'] }] }",
        "checks: { components: [{ name: a, http: { url: 'ftp://x' } }] }",
        "checks: { components: [{ name: a, http: { url: 'http://x', method: FETCH } }] }",
        "checks: { components: [{ name: a, http: { url: 'http://x', expectedStatus: [20] } }] }",
        "checks: { components: [{ name: a, http: { url: 'http://x', headers: { a: 1 } } }] }",
        "checks: { components: [{ name: a, exec: { command: [] } }] }",
        "checks: { components: [{ name: a, push: { ttl: 1 } }], }",
        "checks: { components: [{ name: a, tcp: { address: 'x:1' }, successThreshold: 0 }] }",
        "checks: { components: [{ name: a, tcp: { address: 'x:1' }, criticality: none }] }",
        "checks: { components: [{ name: a, prometheus: { url: 'http://x', families: { errors: 9a } } }] }",
    ] {
        assert_ne!(
            errors(AGENT, &yaml(text)),
            [""; 0],
            "the schema takes {text}"
        );
        assert_ne!(agent_told(text), [""; 0], "the program takes {text}");
    }
    for text in [
        "{}",
        "checks: { components: [{ name: a, tcp: { address: 'x:1' }, interval: 1m 30s }] }",
        "checks: { components: [{ name: a, resources: {}, probes: [liveness], criticality: degrading }] }",
        "checks: { components: [{ name: a, disk: { path: /, usedRatio: { degraded: 0.8 } }, \
         trends: { usedRatio: { deviations: { degraded: 4 }, window: 10m } } }] }",
        "{ syncTarget: { name: a }, heartbeat: { websocket: { url: 'ws://127.0.0.1:1/tunnel' } } }",
    ] {
        assert_eq!(errors(AGENT, &yaml(text)), [""; 0], "{text}");
        if cfg!(feature = "transport-ws") {
            assert_eq!(agent_told(text), [""; 0], "{text}");
        }
    }
}

#[cfg(feature = "hub")]
#[test]
fn what_the_hub_s_schema_can_express_it_refuses_as_the_program_does() {
    for text in [
        "limits: { connections: 0 }",
        "limits: { messageBytes: 1000 }",
        "heartbeat: { timeoutMin: 3 }",
        #[cfg(feature = "transport-lease")]
        "cluster: { enabled: true, kubeconfig: /dev/null, workspaces: [/clusters/root] }",
        "server: { tls: { cert: x } }",
        "auth: { tokenReview: 1 }",
    ] {
        assert_ne!(errors(HUB, &yaml(text)), [""; 0], "the schema takes {text}");
        assert_ne!(hub_told(text), [""; 0], "the program takes {text}");
    }
    assert_eq!(hub_told("{}"), [""; 0]);
}

#[test]
fn durations_look_as_they_are_read() {
    let pattern = serde_json::json!({ "pattern": DURATION });
    let pattern = validator(&pattern);
    for text in [
        "0",
        "1s",
        "10 s",
        "1m 30s",
        "1h30m",
        "1.5s",
        "250ms",
        "1nsec",
        "1us",
        "1µs",
        "2weeks",
        "1M",
        "1year",
        "3 hrs 2 mins",
        "1wk",
        "7d", // and what is none
        "",
        "s",
        "1",
        "1x",
        "-1s",
        "1.s",
        ".5s",
        "soon",
        "1m,30s",
        "10 apples",
        "1S",
    ] {
        let read = humantime::parse_duration(text).is_ok();
        assert_eq!(pattern.is_valid(&text.into()), read, "{text:?}");
    }
}

#[test]
fn the_schemas_refuse_what_they_do_not_know() {
    for (schema, _) in defaults() {
        each_object(&json(schema), &mut |object| {
            if object.get("properties").is_some_and(Value::is_object) {
                let others = object.get("additionalProperties");
                assert_eq!(others, Some(&Value::Bool(false)), "{object:?}");
            }
        });
    }
}

fn defaults() -> Vec<(&'static str, &'static str)> {
    vec![
        (AGENT, config::AGENT_DEFAULT),
        #[cfg(feature = "hub")]
        (HUB, config::HUB_DEFAULT),
    ]
}

#[track_caller]
fn check(name: &str, file: &str, schema: Value) {
    let mut text = serde_json::to_string_pretty(&schema).unwrap();
    text.push('\n');
    kept(&format!("schemas/{name}.schema.json"), file, &text);
}

/// That a file of this crate is as it would be written today; or writes it, if that is asked for.
#[track_caller]
fn kept(name: &str, file: &str, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::write(path, text).unwrap();
        return;
    }
    assert!(
        file == text,
        "{name} is old: run `{WRITE}=1 cargo test -p health-bin --lib schemas`"
    );
}

fn configuration<C: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings = settings.with_transform(RecursiveTransform(never_null));
    let whose = if C::schema_name().starts_with("Hub") {
        "hub"
    } else {
        "agent"
    };
    schema::<C>(
        settings,
        &format!("the configuration of a syncer-health {whose}"),
    )
}

fn schema<T: JsonSchema>(settings: SchemaSettings, title: &str) -> Value {
    let settings = settings
        .with_transform(RecursiveTransform(flowing))
        .with_transform(RestrictFormats::default());
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// Walks every map that has keys of its own: its path, and the keys.
fn keys(root: &Value, schema: &Value, path: &str, see: &mut dyn FnMut(&str, BTreeSet<&str>)) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#").unwrap();
        return keys(root, root.pointer(name).unwrap(), path, see);
    }
    if let Some(properties) = schema["properties"].as_object() {
        see(path, properties.keys().map(String::as_str).collect());
        for (key, property) in properties {
            keys(root, property, &format!("{path}{key}."), see);
        }
    }
    if schema["items"].is_object() {
        keys(root, &schema["items"], &format!("{path}[]."), see);
    }
    if schema["additionalProperties"].is_object() {
        keys(
            root,
            &schema["additionalProperties"],
            &format!("{path}x."),
            see,
        );
    }
}

/// A configuration in which `key` stands at `path`.
fn nested(path: &str, key: &str) -> String {
    let path = path.strip_suffix('.').unwrap_or(path);
    let steps = path.split('.').filter(|step| !step.is_empty());
    let inner = format!("{{ {key}: 1 }}");
    steps.rev().fold(inner, |inner, step| match step {
        "[]" => format!("[{inner}]"),
        step => format!("{{ {step}: {inner} }}"),
    })
}

/// What a program says about a configuration.
type Told = fn(&str) -> Vec<String>;

fn programs() -> Vec<(&'static str, Told)> {
    vec![
        (AGENT, agent_told),
        #[cfg(feature = "hub")]
        (HUB, hub_told),
    ]
}

fn agent_told(text: &str) -> Vec<String> {
    let draft =
        config::load::<AgentConfig>(source(text), &Environment::new(), config::AGENT_VARIABLES);
    lines(draft.check(|agent| agent.validate(None)))
}

#[cfg(feature = "hub")]
fn hub_told(text: &str) -> Vec<String> {
    let draft = config::load::<HubConfig>(source(text), &Environment::new(), config::HUB_VARIABLES);
    lines(draft.check(|hub| {
        // Whom it lets in is not the question here.
        hub.auth.anonymous = true;
        hub.validate()
    }))
}

fn lines<T>(checked: Result<T, ConfigError>) -> Vec<String> {
    let error = checked.err();
    error.map_or_else(Vec::new, |error| {
        error.0.iter().map(ToString::to_string).collect()
    })
}

const fn source(text: &str) -> Source<'_> {
    Source { file: None, text }
}

fn errors(schema: &str, value: &Value) -> Vec<String> {
    let validator = validator(&json(schema));
    let errors = validator.iter_errors(value);
    errors.map(|error| error.to_string()).collect()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).unwrap()
}

fn each_object(value: &Value, see: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| each_object(value, see));
        }
        Value::Array(items) => items.iter().for_each(|item| each_object(item, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}
