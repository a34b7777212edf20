//! `docs/metrics.md`, from what the program says of its metrics.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Context;
use xshell::Shell;

use super::exposition::Moment;
use super::exposition::Target;
use super::stories::Story;

const FILE: &str = "docs/metrics.md";

const HEAD: &str = "\
# Metrics

What `/metrics` of an agent and of a hub answer.
This file is written by `cargo xtask alerts --write` from what the program answered; CI fails where it is not current.

A series is there where what it tells of is: an agent without a Lease has none of a Lease, and the series of a component that was removed go.
Everything that is a state is written at the scrape, from memory: no scrape runs a check.
";

/// The one story whose agent embeds a sync engine.
const EMBEDDING: &str = "demo";

/// Labels whose values are always the same few.
const ENUMERATED: [&str; 6] = [
    "direction",
    "reason",
    "status",
    "transport",
    "type",
    "verdict",
];

/// One metric.
#[derive(Default)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    answered_by: BTreeSet<By>,
}

/// Who answers with a metric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Agent,
    Embedding,
    Hub,
}

/// Fails where the file is not current, or writes it.
pub(super) fn check(sh: &Shell, told: &[(&Story, Vec<Moment>)], write: bool) -> anyhow::Result<()> {
    let text = render(&families(told)?);
    if write {
        sh.write_file(FILE, text)?;
        println!("alerts: {FILE} is written");
        return Ok(());
    }
    let current = sh.read_file(FILE).unwrap_or_default() == text;
    anyhow::ensure!(
        current,
        "{FILE} is not current: run cargo xtask alerts --write"
    );
    Ok(())
}

fn families(told: &[(&Story, Vec<Moment>)]) -> anyhow::Result<BTreeMap<String, Family>> {
    let mut families = BTreeMap::<String, Family>::new();
    for (story, moments) in told {
        for target in moments.iter().flat_map(|moment| &moment.targets) {
            // The demo is both in one process: what others answer with is seen there.
            let by = match (story.name, target.job.as_str()) {
                (EMBEDDING, _) => By::Embedding,
                (_, "syncer-health-hub") => By::Hub,
                _ => By::Agent,
            };
            add(&mut families, target, by)?;
        }
    }
    for (name, family) in &families {
        let is_whole = !family.help.is_empty() && !family.kind.is_empty();
        anyhow::ensure!(is_whole, "{name} has no HELP or no TYPE");
    }
    Ok(families)
}

fn add(families: &mut BTreeMap<String, Family>, target: &Target, by: By) -> anyhow::Result<()> {
    for line in target.text.lines() {
        let mut words = line.splitn(4, ' ');
        let (hash, what) = (words.next(), words.next());
        let (Some(name), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        if hash != Some("#") {
            continue;
        }
        let family = families.entry(name.to_owned()).or_default();
        family.answered_by.insert(by);
        match what {
            Some("HELP") => rest.clone_into(&mut family.help),
            Some("TYPE") => rest.clone_into(&mut family.kind),
            _ => {}
        }
    }
    for sample in &target.samples {
        let parts = ["", "_bucket", "_sum", "_count"];
        let name = parts
            .iter()
            .filter_map(|part| sample.name.strip_suffix(part))
            .find(|name| families.contains_key(*name));
        let name = name.with_context(|| format!("{} has no family", sample.name))?;
        let family = families.entry(name.to_owned()).or_default();
        for (label, value) in sample.labels.iter().filter(|(label, _)| label != "le") {
            let values = family.labels.entry(label.clone()).or_default();
            values.insert(value.clone());
        }
    }
    Ok(())
}

fn render(families: &BTreeMap<String, Family>) -> String {
    let mut text = HEAD.to_owned();
    for (title, group) in [
        ("Agent", &[By::Agent][..]),
        ("Agent with a sync engine of its own", &[]),
        ("Hub", &[By::Hub]),
        ("Agent and hub", &[By::Agent, By::Hub]),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## {title}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
        );
        for (name, family) in families {
            let others = |by: &&By| **by != By::Embedding;
            let by: Vec<_> = family.answered_by.iter().filter(others).copied().collect();
            if by == group {
                let (kind, help) = (&family.kind, family.help.replace('|', "\\|"));
                let labels = family.labels();
                let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
            }
        }
    }
    text
}

// === impl Family ===

impl Family {
    fn labels(&self) -> String {
        let shown = self.labels.iter().map(|(label, values)| {
            if !ENUMERATED.contains(&label.as_str()) {
                return format!("`{label}`");
            }
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            format!("`{label}`: {}", values.join(", "))
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}
