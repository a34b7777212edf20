//! The dashboards: what they ask for is there, and each panel says what it shows.

use anyhow::Context;
use serde_json::Value;
use serde_json::json;
use xshell::Shell;

use super::exposition::Known;
use super::promql;

/// A dashboard and its file.
pub(super) struct Dashboard {
    file: String,
    json: Value,
}

/// The kinds of panels that are used; none of them is deprecated.
const KINDS: [&str; 4] = ["row", "stat", "timeseries", "state-timeline"];

/// Reads all of them.
pub(super) fn read(sh: &Shell, folder: &str) -> anyhow::Result<Vec<Dashboard>> {
    let mut boards = Vec::new();
    for file in sh.read_dir(folder)? {
        let name = file.display().to_string();
        let json = serde_json::from_str(&sh.read_file(&file)?).with_context(|| name.clone())?;
        boards.push(Dashboard { file: name, json });
    }
    anyhow::ensure!(!boards.is_empty(), "there is no dashboard in {folder}");
    Ok(boards)
}

/// Checks the panels, and gives their expressions as Prometheus is asked for them.
pub(super) fn check(boards: &[Dashboard], known: &Known) -> anyhow::Result<Vec<String>> {
    let mut expressions = Vec::new();
    for board in boards {
        let found = board.check(known).with_context(|| board.file.clone())?;
        expressions.extend(found);
    }
    Ok(expressions)
}

/// The expressions in a file that promtool reads; JSON is YAML.
pub(super) fn as_rules(expressions: &[String]) -> String {
    let rules = (0..).zip(expressions);
    let rules: Vec<_> = rules
        .map(|(number, expr): (u32, _)| json!({"record": format!("panel:{number}"), "expr": expr}))
        .collect();
    json!({"groups": [{"name": "dashboards", "rules": rules}]}).to_string()
}

// === impl Dashboard ===

impl Dashboard {
    fn check(&self, known: &Known) -> anyhow::Result<Vec<String>> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for key in ["uid", "title", "description"] {
            anyhow::ensure!(self.json[key].is_string(), "it has no {key}");
        }
        let variables = list(&self.json["templating"]["list"]);
        let datasource = variables.iter().any(|v| v["type"] == "datasource");
        anyhow::ensure!(datasource, "it has no variable for the data source");
        let names: Vec<_> = variables
            .iter()
            .filter_map(|v| v["name"].as_str())
            .collect();
        for query in variables.iter().filter_map(|v| v["definition"].as_str()) {
            let (metric, label) = query
                .strip_prefix("label_values(")
                .and_then(|query| query.trim_end_matches(')').rsplit_once(", "))
                .with_context(|| format!("{query:?} is not understood"))?;
            promql::check(metric, known).with_context(|| query.to_owned())?;
            anyhow::ensure!(known.has_label(label), "{query}: no series has {label:?}");
        }
        let mut expressions = Vec::new();
        for panel in list(&self.json["panels"]) {
            let title = panel["title"].as_str().unwrap_or("a panel without a title");
            let found = check_panel(&panel, &names, known).with_context(|| title.to_owned())?;
            expressions.extend(found);
        }
        anyhow::ensure!(!expressions.is_empty(), "it shows nothing");
        Ok(expressions)
    }
}

fn check_panel(panel: &Value, variables: &[&str], known: &Known) -> anyhow::Result<Vec<String>> {
    let kind = panel["type"].as_str().unwrap_or_default();
    anyhow::ensure!(
        KINDS.contains(&kind),
        "its type {kind:?} is none of {KINDS:?}"
    );
    if kind == "row" {
        return Ok(Vec::new());
    }
    anyhow::ensure!(panel["title"].is_string(), "it has no title");
    anyhow::ensure!(panel["description"].is_string(), "it has no description");
    let unit = &panel["fieldConfig"]["defaults"]["unit"];
    anyhow::ensure!(unit.is_string(), "it has no unit");
    let source = &panel["datasource"]["uid"];
    anyhow::ensure!(source == "${datasource}", "its data source is {source}");
    let targets = panel["targets"].as_array().context("it asks for nothing")?;
    let mut expressions = Vec::new();
    for target in targets {
        let expression = target["expr"].as_str().context("a target has no expr")?;
        for named in expression.split('$').skip(1) {
            let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &named[..end.unwrap_or(named.len())];
            let is_there = variables.contains(&name) || name == "__rate_interval";
            anyhow::ensure!(is_there, "{expression}: there is no variable {name:?}");
        }
        promql::check(expression, known).with_context(|| expression.to_owned())?;
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        for named in legend.split("{{").skip(1) {
            let label = named.split("}}").next().unwrap_or_default();
            anyhow::ensure!(known.has_label(label), "{legend}: no series has {label:?}");
        }
        expressions.push(expression.replace("$__rate_interval", "5m"));
    }
    Ok(expressions)
}
