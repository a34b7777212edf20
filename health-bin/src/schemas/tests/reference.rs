//! `docs/configuration.md`: every key, from the schemas, the defaults and what a reload takes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;

use super::*;
use crate::config::Variables;
use crate::config::differences;
use crate::config::variables;

/// Seen from this crate.
const FILE: &str = "../docs/configuration.md";

const BEGINNING: &str = include_str!("reference/beginning.md");

const LONG: &str = "| key | type | default | meaning | variable | taken while running |\n\
    | --- | --- | --- | --- | --- | --- |\n";

const SHORT: &str = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";

/// The title above what a list's elements are made of, and what the titles below it begin with.
const COMPONENT: &str = "A component";

const PART: &str = "A component's ";

/// The only list whose elements have keys.
const LISTED: &str = "checks.components";

/// The schema of two thresholds, which is shown as one value.
const PAIR: &str = "PairedConfig";

/// Values of each type and of each choice: of a key that one counts which it can have, and has not
/// by default.
const OTHERS: [&str; 12] = [
    "true",
    "false",
    "99999",
    "99s",
    "127.0.0.1:1",
    "debug",
    "json",
    "all",
    "lastHeartbeat",
    "[liveness]",
    "[{ name: a, tcp: { address: 'x:1' } }]",
    "other",
];

/// A program whose configuration is described.
struct Program<C> {
    title: &'static str,
    schema: Value,
    defaults: Value,
    variables: Variables,
    take: fn(&mut C, &C),
}

/// A key of a map in a schema.
#[derive(Clone)]
struct Key<'a> {
    path: String,
    /// What the map says about it: its meaning, its default.
    own: &'a Map<String, Value>,
    /// What it is.
    schema: &'a Map<String, Value>,
    is_required: bool,
}

#[test]
fn the_reference_of_the_configuration_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let file = std::fs::read_to_string(path).unwrap_or_default();
    kept(
        FILE,
        &file,
        &format!("{BEGINNING}{}{}", agent().text(), hub().text()),
    );
}

#[test]
fn what_a_running_program_takes_is_found_out_of_what_it_does() {
    for (key, is_taken) in [
        ("log.level", true),
        ("log.format", false),
        ("checks.interval", true),
        ("checks.components", true),
        ("server.bind", false),
        ("server.drainDelay", true),
        ("heartbeat.websocket.url", false),
    ] {
        assert_eq!(agent().is_taken(key), is_taken, "{key}");
    }
    assert!(hub().is_taken("log.level") && !hub().is_taken("limits.connections"));
}

fn agent() -> Program<AgentConfig> {
    let take = AgentConfig::take;
    Program::new("The agent", AGENT, config::AGENT_VARIABLES, take)
}

fn hub() -> Program<HubConfig> {
    Program::new("The hub", HUB, config::HUB_VARIABLES, HubConfig::take)
}

// === impl Program ===

impl<C: Default + Serialize + DeserializeOwned> Program<C> {
    fn new(title: &'static str, schema: &str, variables: Variables, take: fn(&mut C, &C)) -> Self {
        Self {
            title,
            schema: json(schema),
            defaults: serde_json::to_value(C::default()).unwrap(),
            variables,
            take,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("\n## {}\n", self.title);
        let mut lists = Vec::new();
        for section in self.keys("", self.schema.as_object().unwrap()) {
            text += &format!("\n### {}\n\n", section.path);
            if section.schema.contains_key("properties") {
                text += &format!("{}\n\n", section.meaning());
            }
            text += LONG;
            for key in self.leaves(section) {
                text += &self.row(&key);
                lists.extend(self.element(&key));
            }
        }
        let lists = lists.into_iter().map(|element| self.one_of(element));
        text + &lists.collect::<String>()
    }

    /// What a list is made of, where that has keys of its own.
    fn element<'a>(&'a self, key: &Key<'a>) -> Option<&'a Map<String, Value>> {
        let element = self.resolved(key.schema.get("items")?);
        element.contains_key("properties").then_some(element)
    }

    /// An element of a list, down to the last key.
    fn one_of(&self, element: &Map<String, Value>) -> String {
        let mut text = format!(
            "\n## {COMPONENT}\n\n{}\nNone of it has a variable, and all of it is taken while running.\n\n{SHORT}",
            described(element)
        );
        let mut parts = String::new();
        for key in self.keys("", element) {
            text += &format!("{} |\n", key.cells());
            let inner = key.schema.get("additionalProperties");
            let part = match inner.filter(|inner| inner.is_object()) {
                Some(inner) => self.resolved(inner),
                None => key.schema,
            };
            if !part.contains_key("properties") {
                continue;
            }
            let about = described(part);
            parts += &format!("\n### {PART}{}\n\n{about}\n\n{SHORT}", key.path);
            let leaves = self.keys("", part).into_iter();
            for leaf in leaves.flat_map(|key| self.leaves(key)) {
                parts += &format!("{} |\n", leaf.cells());
            }
        }
        text + &parts
    }

    /// The key, or those below it.
    fn leaves<'a>(&'a self, key: Key<'a>) -> Vec<Key<'a>> {
        if !key.schema.contains_key("properties") || key.named() == Some(PAIR) {
            return vec![key];
        }
        let inner = self.keys(&format!("{}.", key.path), key.schema);
        inner.into_iter().flat_map(|key| self.leaves(key)).collect()
    }

    fn keys<'a>(&'a self, path: &str, of: &'a Map<String, Value>) -> Vec<Key<'a>> {
        let required = of.get("required").and_then(Value::as_array);
        let properties = of["properties"].as_object().unwrap();
        let key = |(name, property): (&String, &'a Value)| Key {
            path: format!("{path}{name}"),
            own: property.as_object().unwrap(),
            schema: self.resolved(property),
            is_required: required.is_some_and(|all| all.iter().any(|it| it == name)),
        };
        properties.iter().map(key).collect()
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Map<String, Value> {
        let named = schema["$ref"].as_str();
        let schema = named.map_or(schema, |it| self.schema.pointer(&it[1..]).unwrap());
        schema.as_object().unwrap()
    }

    fn row(&self, key: &Key<'_>) -> String {
        let all = variables(&self.defaults, self.variables.prefix);
        let mut all = all.iter();
        let variable = all.find(|(path, _)| path.join(".") == key.path);
        let variable = variable.map_or_else(String::new, |(_, it)| format!("`{it}`"));
        let taken = ["no", "yes"][usize::from(self.is_taken(&key.path))];
        format!("{} | {variable} | {taken} |\n", key.cells())
    }

    /// Whether another value at `path` changes what a running program runs by.
    #[track_caller]
    fn is_taken(&self, path: &str) -> bool {
        let pointer = format!("/{}", path.replace('.', "/"));
        let new = OTHERS.iter().find_map(|other| {
            let mut changed = self.defaults.clone();
            *changed.pointer_mut(&pointer)? = yaml(other);
            let new: C = serde_json::from_value(changed).ok()?;
            (differences(&C::default(), &new) == [path]).then_some(new)
        });
        let new = new.unwrap_or_else(|| panic!("OTHERS has no other value for {path}"));
        let mut running = C::default();
        (self.take)(&mut running, &new);
        !differences(&C::default(), &running).is_empty()
    }
}

// === impl Key ===

impl Key<'_> {
    /// The name of its schema, where that has one.
    fn named(&self) -> Option<&str> {
        self.own.get("$ref")?.as_str()?.rsplit('/').next()
    }

    fn meaning(&self) -> String {
        described(self.own)
    }

    fn cells(&self) -> String {
        let default = match self.own.get("default") {
            Some(Value::String(text)) if text.is_empty() => "`\"\"`".to_owned(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
            None if self.is_required => "required".to_owned(),
            None => String::new(),
        };
        let cells = [
            &format!("`{}`", self.path),
            &self.kind(),
            &default,
            &self.meaning(),
        ];
        format!(
            "| {}",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
    }

    fn kind(&self) -> String {
        match self.named() {
            Some("Duration") => "duration".to_owned(),
            Some(PAIR) => "`{ degraded, unhealthy }`".to_owned(),
            Some(_) if self.schema.contains_key("properties") => link(&self.path),
            Some(_) | None => kind(self.schema, &self.path),
        }
    }
}

/// What a schema takes, in words.
fn kind(schema: &Map<String, Value>, path: &str) -> String {
    if let Some(Value::Array(choices)) = schema.get("enum") {
        let choices = choices
            .iter()
            .map(|it| format!("`{}`", it.as_str().unwrap()));
        return choices.collect::<Vec<_>>().join(", ");
    }
    // A word of several, or something longer that has an example.
    if let Some(Value::Array(forms)) = schema.get("anyOf") {
        let examples = forms.iter().find_map(|form| form["examples"][0].as_str());
        return format!("string, as `{}`", examples.unwrap());
    }
    let of = |key: &str| match &schema[key] {
        it if it["$ref"].is_string() => link(path),
        it => kind(it.as_object().unwrap(), path),
    };
    match schema["type"].as_str().unwrap() {
        "array" => format!("list of {}", of("items")),
        "object" => format!("map of {}", of("additionalProperties")),
        plain => plain.to_owned(),
    }
}

/// Where the key's own keys are described.
fn link(path: &str) -> String {
    if path == LISTED {
        return format!(
            "[components](#{})",
            COMPONENT.to_lowercase().replace(' ', "-")
        );
    }
    let title = format!("{PART}{path}").to_lowercase();
    format!("[its keys](#{})", title.replace(' ', "-").replace('\'', ""))
}

fn described(schema: &Map<String, Value>) -> String {
    schema["description"].as_str().unwrap().to_owned()
}
