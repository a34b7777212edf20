//! What was answered at one moment of a story, as Prometheus reads it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use xshell::Shell;

/// What each target answered at one moment.
pub(super) struct Moment {
    pub(super) targets: Vec<Target>,
}

/// One target of Prometheus.
pub(super) struct Target {
    pub(super) job: String,
    pub(super) instance: String,
    /// Empty where it did not answer.
    pub(super) text: String,
    pub(super) samples: Vec<Sample>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    /// As it was written.
    pub(super) value: String,
}

/// The values of each label of each metric that was ever answered.
#[derive(Default)]
pub(super) struct Known(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

/// What Prometheus adds to each series.
pub(super) const TARGET_LABELS: [&str; 2] = ["job", "instance"];

// === impl Moment ===

impl Moment {
    pub(super) fn read(sh: &Shell, folder: &Path) -> anyhow::Result<Self> {
        let mut targets = Vec::new();
        for file in sh.read_dir(folder)? {
            let name = file.file_stem().and_then(|name| name.to_str());
            let (job, instance) = name
                .and_then(|name| name.split_once('.'))
                .with_context(|| format!("{} names no job and instance", file.display()))?;
            let text = sh.read_file(&file)?;
            let samples = parse(&text).with_context(|| format!("{}", file.display()))?;
            targets.push(Target {
                job: job.to_owned(),
                instance: instance.to_owned(),
                text,
                samples,
            });
        }
        Ok(Self { targets })
    }
}

// === impl Sample ===

impl Sample {
    /// The series as Prometheus keeps it.
    pub(super) fn series(&self, target: &Target) -> String {
        let mut series = format!(
            "{}{{job=\"{}\",instance=\"{}\"",
            self.name, target.job, target.instance
        );
        for (name, value) in &self.labels {
            series.push_str(&format!(",{name}=\"{value}\""));
        }
        series.push('}');
        series
    }
}

// === impl Known ===

impl Known {
    pub(super) fn of<'a>(moments: impl Iterator<Item = &'a Moment>) -> Self {
        let mut known = Self::default();
        known.0.insert("up".to_owned(), BTreeMap::new());
        for sample in moments
            .flat_map(|moment| &moment.targets)
            .flat_map(|t| &t.samples)
        {
            let labels = known.0.entry(sample.name.clone()).or_default();
            for (name, value) in &sample.labels {
                let values = labels.entry(name.clone()).or_default();
                values.insert(value.clone());
            }
        }
        known
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The labels of a metric, if there is one of that name.
    pub(super) fn labels(&self, metric: &str) -> Option<&BTreeMap<String, BTreeSet<String>>> {
        self.0.get(metric)
    }

    /// Whether any series has this label.
    pub(super) fn has_label(&self, label: &str) -> bool {
        TARGET_LABELS.contains(&label) || self.0.values().any(|labels| labels.contains_key(label))
    }
}

/// Reads samples; comments are left out.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Sample>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| sample(line).with_context(|| format!("{line:?} is no sample")))
        .collect()
}

/// Reads `name{label="value",...} value`. Escapes stay as they are written.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
            let end = end_of_quoted(quoted)?;
            labels.push((label.to_owned(), quoted[..end].to_owned()));
            rest = &quoted[end + 1..];
        }
        rest = &rest[1..];
    }
    let value = rest.trim();
    value.parse::<f64>().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.to_owned(),
    })
}

/// Where the quote is that ends a text in quotes.
pub(super) fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text =
            "# HELP a_total Things.\n\na_total{x=\"say \\\"hi\\\", {you}\",y=\"2\"} 3\nb 0.25\n";
        let samples = parse(text).unwrap();
        let labels = |index: usize| samples[index].labels.clone();
        assert_eq!(samples[0].name, "a_total");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let expected = [("x", "say \\\"hi\\\", {you}"), ("y", "2")].map(owned);
        assert_eq!(labels(0), expected);
        assert_eq!((samples[1].value.as_str(), labels(1)), ("0.25", vec![]));
        assert!(parse("a{x=\"1} 2").is_err());
        assert!(parse("a b").is_err());
    }
}
