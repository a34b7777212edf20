//! An answer as text, in the form that `-o` names.

use anyhow::Context;
use jiff::Timestamp;

use super::answer::Answer;
use super::table::Look;
use super::table::Table;
use super::table::render;
use super::table::text;
use super::view;
use crate::cli::OutputFormat;

/// The whole answer.
pub(super) fn write(
    answer: &Answer,
    format: OutputFormat,
    look: Look,
    now: Timestamp,
) -> anyhow::Result<String> {
    Ok(match format {
        OutputFormat::Table => render(&view::tables(&answer.known, now), look),
        OutputFormat::Name => names(&view::tables(&answer.known, now)),
        OutputFormat::Json => json(answer)?,
        OutputFormat::Yaml => yaml(answer)?,
    })
}

/// As it came, pretty.
pub(super) fn json(answer: &Answer) -> anyhow::Result<String> {
    let json = serde_json::to_string_pretty(&answer.whole).context("cannot write JSON")?;
    Ok(text::plain_json(&json) + "\n")
}

/// The same as YAML, in which the serializer writes out what a terminal would obey.
pub(super) fn yaml(answer: &Answer) -> anyhow::Result<String> {
    serde_saphyr::to_string(&answer.whole).context("cannot write YAML")
}

/// A line for each row that has a name.
fn names(tables: &[Table]) -> String {
    let rows = tables.iter().flat_map(|table| &table.rows);
    let names = rows.filter_map(|row| row.name.as_deref());
    names.map(|name| text::plain(name) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::super::answer::Known;
    use super::super::answer::Report;
    use super::*;

    #[test]
    fn json_and_yaml_hold_what_was_answered_and_reach_no_terminal() {
        let answer = answer();
        for format in [OutputFormat::Json, OutputFormat::Yaml] {
            let text = write(&answer, format, Look::default(), Timestamp::UNIX_EPOCH).unwrap();
            let controls = text.chars().filter(|one| one.is_control() && *one != '\n');
            assert_eq!(controls.count(), 0, "{text:?}");
            let back: Value = match format {
                OutputFormat::Yaml => serde_saphyr::from_str(&text).unwrap(),
                OutputFormat::Json | OutputFormat::Table | OutputFormat::Name => {
                    serde_json::from_str(&text).unwrap()
                }
            };
            assert_eq!(back, answer.whole, "{text}");
        }
    }

    #[test]
    fn names_are_a_line_each() {
        let names = write(
            &answer(),
            OutputFormat::Name,
            Look::default(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            names.unwrap(),
            "component/a\\u{1b}[2J\\nb\ncomponent/sync-engine\n"
        );
    }

    fn answer() -> Answer {
        let whole = json!({
            "status": "Healthy",
            "components": {
                "sync-engine": {"status": "Healthy", "ageSeconds": 1.5, "new": [true, null]},
                "a\u{1b}[2J\nb": {"status": "Unhealthy", "message": "x\u{9b}31m\u{7f}: no # y"},
            },
        });
        let report = Report::of(&whole).unwrap();
        Answer {
            whole,
            known: Known::Report(report),
        }
    }
}
