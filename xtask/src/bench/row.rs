//! What a measuring program prints: rows with budgets, and the table of them.

use std::fmt;

use anyhow::Context;
use serde_json::Value;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: String,
    /// Nothing where it could not be measured.
    pub(super) value: Option<f64>,
    pub(super) beside: Option<(String, f64)>,
    pub(super) budget: Option<Budget>,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Budget {
    AtMost(f64),
    AtLeast(f64),
    /// At least that share of what was measured beside it.
    ShareAtLeast(f64),
    /// At most that share of what was measured beside it.
    ShareAtMost(f64),
}

const HEADER: [&str; 6] = ["what", "measured", "beside", "ratio", "budget", ""];

// === impl Row ===

impl Row {
    /// Reads what a measuring program printed.
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_str(line)
            .with_context(|| format!("a measuring program printed {line:?}"))?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let budget = text("budget").map(|budget| Budget::parse(&budget));
        Ok(Self {
            what: text("what").with_context(|| format!("no \"what\" in {line}"))?,
            unit: text("unit").unwrap_or_default(),
            value: json["value"].as_f64(),
            beside: text("peer").zip(json["peer_value"].as_f64()),
            budget: budget.transpose()?,
        })
    }

    /// How many times what `peer` took, where that was measured beside it.
    pub(super) fn share(&self, peer: &str) -> Option<f64> {
        self.beside.as_ref().filter(|(other, _)| other == peer)?;
        self.ratio()
    }

    fn ratio(&self) -> Option<f64> {
        let (_, beside) = self.beside.as_ref().filter(|(_, value)| *value > 0.0)?;
        Some(self.value? / beside)
    }

    /// Whether the budget is met; what was not measured meets none.
    pub(super) fn is_met(&self) -> Option<bool> {
        let budget = self.budget?;
        let held = match budget {
            Budget::AtMost(limit) => self.value.map(|value| value <= limit),
            Budget::AtLeast(limit) => self.value.map(|value| value >= limit),
            Budget::ShareAtLeast(limit) => self.ratio().map(|ratio| ratio >= limit),
            Budget::ShareAtMost(limit) => self.ratio().map(|ratio| ratio <= limit),
        };
        Some(held.unwrap_or(false))
    }

    fn cells(&self) -> [String; 6] {
        let shown = |value: Option<f64>| match value {
            Some(value) => format!("{} {}", short(value), self.unit)
                .trim_end()
                .to_owned(),
            None => "?".to_owned(),
        };
        let beside = self.beside.as_ref();
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        [
            self.what.clone(),
            shown(self.value),
            beside.map_or_else(String::new, |(peer, value)| {
                format!("{peer}: {}", shown(Some(*value)))
            }),
            self.ratio()
                .map_or_else(String::new, |ratio| format!("{} ×", short(ratio))),
            self.budget
                .map_or_else(String::new, |budget| budget.to_string()),
            met.to_owned(),
        ]
    }
}

// === impl Budget ===

impl Budget {
    /// Reads `≤ 2`, `≥ 2`, `≥ 0.9 ×` or `≤ 1.2 ×`.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split(' ');
        let (sign, limit, times) = (words.next(), words.next(), words.next());
        let limit: f64 = limit
            .and_then(|limit| limit.parse().ok())
            .with_context(|| format!("{text:?} is no budget"))?;
        match (sign, times) {
            (Some("≤"), None) => Ok(Self::AtMost(limit)),
            (Some("≥"), None) => Ok(Self::AtLeast(limit)),
            (Some("≥"), Some("×")) => Ok(Self::ShareAtLeast(limit)),
            (Some("≤"), Some("×")) => Ok(Self::ShareAtMost(limit)),
            _ => anyhow::bail!("{text:?} is no budget"),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {}", short(*limit)),
            Self::AtLeast(limit) => write!(f, "≥ {}", short(*limit)),
            Self::ShareAtLeast(limit) => write!(f, "≥ {} ×", short(*limit)),
            Self::ShareAtMost(limit) => write!(f, "≤ {} ×", short(*limit)),
        }
    }
}

/// A table that people and Markdown can read.
pub(super) fn table(rows: &[Row]) -> String {
    let header = HEADER.map(str::to_owned);
    let cells: Vec<_> = std::iter::once(header)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let width = |column: usize| {
        let of = |row: &[String; 6]| row[column].chars().count();
        cells.iter().map(of).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    let mut lines: Vec<_> = cells
        .iter()
        .map(|row| {
            let padded = row.iter().zip(widths);
            let padded: Vec<_> = padded
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("| {} |", padded.join(" | "))
        })
        .collect();
    let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
    lines.insert(1, format!("| {} |", rule.join(" | ")));
    lines.join("\n")
}

/// Three digits or so.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size.fract() == 0.0 || size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_by_the_value_or_by_the_ratio() {
        for (value, beside, budget, met) in [
            ("1.9", "", "≤ 2", Some(true)),
            ("2.1", "", "≤ 2", Some(false)),
            ("null", "", "≤ 2", Some(false)),
            ("3", "", "≥ 2", Some(true)),
            (
                "9",
                r#","peer":"bare","peer_value":10"#,
                "≥ 0.9 ×",
                Some(true),
            ),
            (
                "8",
                r#","peer":"bare","peer_value":10"#,
                "≥ 0.9 ×",
                Some(false),
            ),
            ("8", "", "≥ 0.9 ×", Some(false)),
            (
                "12",
                r#","peer":"bare","peer_value":10"#,
                "≤ 1.2 ×",
                Some(true),
            ),
            (
                "13",
                r#","peer":"bare","peer_value":10"#,
                "≤ 1.2 ×",
                Some(false),
            ),
            ("8", "", "≤ 1.2 ×", Some(false)),
        ] {
            let line = format!(
                r#"{{"what":"a","unit":"ms","value":{value}{beside},"budget":"{budget}"}}"#
            );
            let row = Row::parse(&line).unwrap();
            assert_eq!(row.is_met(), met, "{line}");
        }
        let row = Row::parse(r#"{"what":"a","unit":"ms","value":1}"#).unwrap();
        assert_eq!(row.is_met(), None);
    }

    #[test]
    fn what_is_no_row_or_no_budget_is_told() {
        assert!(Row::parse("warming up").is_err());
        for budget in ["2", "< 2", "≤ two", "≤ 0.9 %"] {
            let line = format!(r#"{{"what":"a","value":1,"budget":"{budget}"}}"#);
            assert!(Row::parse(&line).is_err(), "{budget}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            r#"{"what":"short","unit":"µs","value":1.234,"budget":"≤ 2"}"#,
            r#"{"what":"a longer one","unit":"","value":1234.5,"peer":"bare","peer_value":1000}"#,
        ];
        let rows = rows.map(|line| Row::parse(line).unwrap());
        let expected = "\
| what         | measured | beside     | ratio  | budget |     |
| ------------ | -------- | ---------- | ------ | ------ | --- |
| short        | 1.23 µs  |            |        | ≤ 2    | met |
| a longer one | 1234     | bare: 1000 | 1.23 × |        |     |";
        assert_eq!(table(&rows), expected);
    }
}
