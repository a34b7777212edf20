//! The alert rules, and the runbook that goes with them.
//!
//! promtool reads the file as YAML; here only as much is read of it as is compared with something.

use std::collections::BTreeSet;

use anyhow::Context;

use super::exposition::Known;
use super::promql;

/// One alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) name: String,
    expression: String,
    /// All of it, as it is written.
    text: String,
}

/// What every alert has.
const KEYS: [&str; 5] = [
    "expr:",
    "severity:",
    "summary:",
    "description:",
    "runbook_url:",
];

const SEVERITIES: [&str; 2] = ["severity: critical", "severity: warning"];

/// What every section of the runbook tells.
const PARTS: [&str; 3] = ["**Means.**", "**Look.**", "**Do.**"];

/// Finds the alerts.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Alert>> {
    let alerts = text.split("- alert: ").skip(1);
    let alerts = alerts.map(|text| {
        let (name, rest) = text.split_once('\n').unwrap_or_default();
        let name = name.trim().to_owned();
        let missing = KEYS.iter().find(|key| !rest.contains(*key));
        anyhow::ensure!(missing.is_none(), "{name} has no {missing:?}");
        let is_severe = SEVERITIES.iter().any(|severity| rest.contains(severity));
        anyhow::ensure!(
            is_severe,
            "the severity of {name} is none of {SEVERITIES:?}"
        );
        let expression = expression(rest).with_context(|| format!("{name}'s expr"))?;
        Ok(Alert {
            name,
            expression,
            text: rest.to_owned(),
        })
    });
    let alerts: Vec<_> = alerts.collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!alerts.is_empty(), "there is no alert");
    Ok(alerts)
}

/// The value of `expr`, on its line or on those below that are indented more.
fn expression(text: &str) -> Option<String> {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("expr:"));
    let first = lines.next()?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let value = first.trim_start().strip_prefix("expr:")?.trim();
    if value != "|" {
        return Some(value.to_owned());
    }
    let block: Vec<_> = lines
        .take_while(|line| indent(line) > indent(first))
        .collect();
    Some(block.join("\n"))
}

/// Fails if an alert names what was never answered.
pub(super) fn check(alerts: &[Alert], known: &Known) -> anyhow::Result<()> {
    for alert in alerts {
        promql::check(&alert.expression, known).with_context(|| alert.name.clone())?;
        for named in alert.text.split("$labels.").skip(1) {
            let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let label = &named[..end.unwrap_or(named.len())];
            let name = &alert.name;
            anyhow::ensure!(known.has_label(label), "{name}: no series has {label:?}");
        }
    }
    Ok(())
}

/// Fails unless alerts and sections of the runbook are the same, in the same order.
pub(super) fn check_runbook(alerts: &[Alert], runbook: &str) -> anyhow::Result<()> {
    let sections: Vec<_> = runbook.split("\n## ").skip(1).collect();
    let title = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let titles: Vec<_> = sections.iter().map(|section| title(section)).collect();
    let names: Vec<_> = alerts.iter().map(|alert| alert.name.clone()).collect();
    let (described, alerting): (BTreeSet<_>, BTreeSet<_>) =
        (titles.iter().collect(), names.iter().collect());
    anyhow::ensure!(
        titles == names,
        "the runbook lacks {:?}, has too much of {:?}, or another order",
        alerting.difference(&described).collect::<Vec<_>>(),
        described.difference(&alerting).collect::<Vec<_>>()
    );
    for link in runbook.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap_or_default();
        let leads_there = names.iter().any(|name| name.to_lowercase() == anchor);
        anyhow::ensure!(
            leads_there,
            "the runbook's link to {anchor:?} leads nowhere"
        );
    }
    for (alert, section) in alerts.iter().zip(sections) {
        let name = &alert.name;
        let missing = PARTS.iter().find(|part| !section.contains(*part));
        anyhow::ensure!(missing.is_none(), "the runbook's {name} has no {missing:?}");
        let anchor = format!("runbook_url: docs/runbook.md#{}\n", name.to_lowercase());
        let leads_there = format!("{}\n", alert.text.trim_end()).contains(&anchor);
        anyhow::ensure!(leads_there, "{name} has not the {}", anchor.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yaml");
    const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

    #[test]
    fn each_alert_has_a_section_of_the_runbook_and_each_section_an_alert() {
        let alerts = parse(ALERTS).unwrap();
        check_runbook(&alerts, RUNBOOK).unwrap();
        let less = RUNBOOK.replacen("## SyncerAgentLost", "## SyncerAgentGone", 1);
        let error = check_runbook(&alerts, &less).unwrap_err().to_string();
        assert!(error.contains("SyncerAgentLost"), "{error}");
        assert!(error.contains("SyncerAgentGone"), "{error}");
    }

    #[test]
    fn an_expression_is_found_on_its_line_and_below() {
        for text in [
            "  expr: up == 0\n  for: 1m\n",
            "  # a\n  expr: |\n    up\n      == 0\n  for: 1m",
        ] {
            let found = expression(text).unwrap();
            let words: Vec<_> = found.split_whitespace().collect();
            assert_eq!(words, ["up", "==", "0"], "{text}");
        }
    }
}
