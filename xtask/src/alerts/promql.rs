//! Which metrics and labels an expression names. Whether it is one promtool says.

use anyhow::Context;

use super::exposition::Known;
use super::exposition::TARGET_LABELS;
use super::exposition::end_of_quoted;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Number,
    Other(char),
}

/// Words that stand between expressions.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "inf"];

/// Words that a list of labels follows.
const BEFORE_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

// === impl Token ===

impl Token {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Text(_) | Self::Number | Self::Other(_) => None,
        }
    }
}

/// Fails if an expression names a metric, a label or a label's value that was never answered.
pub(super) fn check(expression: &str, known: &Known) -> anyhow::Result<()> {
    let tokens = tokens(expression)?;
    let mut metrics = 0;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Name(name) = token else { continue };
        // An aggregation's labels may stand before what it is called with.
        let called = match tokens.get(at) {
            Some(Token::Other(next)) => *next == '(',
            Some(Token::Name(next)) => matches!(next.as_str(), "by" | "without"),
            Some(Token::Text(_) | Token::Number) | None => false,
        };
        if BEFORE_LABELS.contains(&name.as_str()) {
            let list = until(&tokens[at..], ')');
            for label in list.iter().filter_map(Token::name) {
                anyhow::ensure!(known.has_label(label), "no series has the label {label:?}");
            }
            at += list.len();
        } else if !called && !OPERATORS.contains(&name.as_str()) {
            let matchers = match tokens.get(at) {
                Some(Token::Other('{')) => until(&tokens[at..], '}'),
                _ => &[],
            };
            selector(name, matchers, known)?;
            at += matchers.len();
            metrics += 1;
        }
    }
    anyhow::ensure!(metrics > 0, "it names no metric");
    Ok(())
}

/// Checks a metric and what stands in its braces.
fn selector(metric: &str, matchers: &[Token], known: &Known) -> anyhow::Result<()> {
    let labels = known
        .labels(metric)
        .with_context(|| format!("nobody answered with the metric {metric:?}"))?;
    let mut label = None;
    let mut is_regex = false;
    for token in matchers {
        match token {
            Token::Name(name) => {
                let is_there = labels.contains_key(name) || TARGET_LABELS.contains(&name.as_str());
                anyhow::ensure!(is_there, "{metric} has no label {name:?}");
                label = Some(name);
                is_regex = false;
            }
            Token::Other('~') => is_regex = true,
            Token::Text(text) => {
                let Some(values) = label.and_then(|label| labels.get(label)) else {
                    continue;
                };
                let one = [text.as_str()];
                let wanted: Vec<_> = match is_regex {
                    true => text.split('|').collect(),
                    false => one.to_vec(),
                };
                // A dashboard's variable is any of them.
                for value in wanted.into_iter().filter(|value| !value.starts_with('$')) {
                    anyhow::ensure!(
                        values.contains(value),
                        "no {metric} had the {} {value:?}",
                        label.map_or("", String::as_str)
                    );
                }
            }
            Token::Number | Token::Other(_) => {}
        }
    }
    Ok(())
}

/// Up to the first such character.
fn until(tokens: &[Token], end: char) -> &[Token] {
    let end = tokens.iter().position(|token| *token == Token::Other(end));
    &tokens[..end.unwrap_or(tokens.len())]
}

fn tokens(expression: &str) -> anyhow::Result<Vec<Token>> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let end = end_of_quoted(&rest[1..]).context("a text has no end")?;
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            end + 2
        } else if is_of_name(first) || first == '$' {
            let inside = rest[1..].find(|c| !is_of_name(c) && c != '.');
            let end = inside.map_or(rest.len(), |end| end + 1);
            let is_name = first.is_ascii_alphabetic() || matches!(first, '_' | ':');
            tokens.push(match is_name {
                true => Token::Name(rest[..end].to_owned()),
                // A duration is one too.
                false => Token::Number,
            });
            end
        } else {
            tokens.push(Token::Other(first));
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Moment;
    use super::super::exposition::Target;
    use super::super::exposition::parse;
    use super::*;

    #[test]
    fn what_was_answered_may_be_named() {
        for expression in [
            "up == 0",
            "sum by (x) (rate(a_total{x=\"1\"}[5m])) > 1.5",
            "a_total{x=~\"1|2\",job=\"any\"} and on (job, x) (a_total{x!=\"2\"} > 3)",
            "max_over_time(a_total{x=~\"$x\"}[$__rate_interval]) unless on (instance) up",
        ] {
            check(expression, &known()).unwrap_or_else(|error| panic!("{expression}: {error}"));
        }
    }

    #[test]
    fn what_was_not_may_not() {
        for (expression, named) in [
            ("b_total == 0", "b_total"),
            ("a_total{y=\"1\"}", "\"y\""),
            ("a_total{x=\"3\"}", "\"3\""),
            ("a_total{x=~\"1|3\"}", "\"3\""),
            ("sum by (z) (a_total)", "\"z\""),
            ("a_total and on (job, z) up", "\"z\""),
            ("vector(1)", "no metric"),
        ] {
            let error = check(expression, &known()).unwrap_err().to_string();
            assert!(error.contains(named), "{expression}: {error}");
        }
    }

    fn known() -> Known {
        let samples = parse("a_total{x=\"1\"} 1\na_total{x=\"2\"} 1\n").unwrap();
        let target = Target {
            job: String::new(),
            instance: String::new(),
            text: String::new(),
            samples,
        };
        let targets = vec![target];
        Known::of([Moment { targets }].iter())
    }
}
