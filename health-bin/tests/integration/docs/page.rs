//! What a page of the documentation has its reader do, step by step.

use crate::support::Block;
use crate::support::blocks;

/// A step, and where it stands.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: String,
    pub(super) what: What,
}

/// What its reader does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Writes a file: a block whose first line is its name behind `#`.
    File { name: String, text: String },
    /// Types a command.
    Command(String),
    /// Types a command and sees what the page shows.
    Shown { command: String, output: String },
}

/// Blocks that nobody types.
const OTHERS: [&str; 2] = ["json", "rust"];

/// The steps of a page. Panics where a block is of a kind that no test would look at.
pub(super) fn steps(page: &str) -> Vec<Step> {
    blocks(page).iter().flat_map(of_block).collect()
}

fn of_block(block: &Block) -> Vec<Step> {
    let step = |what| Step {
        at: block.at.clone(),
        what,
    };
    match block.language.as_str() {
        "sh" => block
            .commands()
            .into_iter()
            .map(What::Command)
            .map(step)
            .collect(),
        "console" => sessions(&block.text).into_iter().map(step).collect(),
        "yaml" | "toml" => vec![step(file(block, "# "))],
        "rust" | "rust,no_run" if block.text.starts_with("// ") => vec![step(file(block, "// "))],
        "rust,no_run" => Vec::new(),
        "text" if sessions(&block.text).is_empty() => Vec::new(),
        "text" => panic!("{}: a command and what it shows are `console`", block.at),
        other if OTHERS.contains(&other) => Vec::new(),
        other => panic!("{}: no test looks at blocks of {other:?}", block.at),
    }
}

fn file(block: &Block, comment: &str) -> What {
    let first = block.text.lines().next().unwrap_or_default();
    let name = first
        .strip_prefix(comment)
        .filter(|name| !name.contains(' '));
    let name = name.unwrap_or_else(|| panic!("{}: the first line names the file", block.at));
    What::File {
        name: name.to_owned(),
        text: block.text.clone(),
    }
}

/// `$ command`, and below it what it shows.
fn sessions(text: &str) -> Vec<What> {
    let mut sessions = Vec::new();
    for session in format!("\n{text}").split("\n$ ").skip(1) {
        let (command, output) = session.split_once('\n').unwrap_or((session, ""));
        sessions.push(What::Shown {
            command: command.to_owned(),
            output: output.to_owned(),
        });
    }
    sessions
}

/// A text without what is another one at each run: times, numbers with a unit, how much more than
/// none a number is, and how far columns stand apart.
pub(super) fn lasting(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split_whitespace().map(without_numbers);
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n").trim().to_owned()
}

fn without_numbers(word: &str) -> String {
    const UNITS: [&str; 7] = ["ns", "µs", "ms", "s", "m", "h", "d"];
    let mut kept = String::new();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        if !c.is_ascii_digit() {
            kept.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ".:".contains(c));
        let number = &rest[..rest.len() - behind.len()];
        let letters = behind
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(behind.len());
        let has_unit = UNITS.contains(&&behind[..letters]);
        rest = if has_unit { &behind[letters..] } else { behind };
        kept.push_str(match number {
            // `1m12s` is one time.
            _ if has_unit && kept.ends_with('#') => "",
            _ if has_unit => "#",
            "0" => "0",
            _ => "1",
        });
    }
    kept
}

#[test]
fn a_command_that_nobody_would_type_is_refused() {
    let block = |text: &str| Block {
        at: "a.md:1".to_owned(),
        language: "text".to_owned(),
        text: text.to_owned(),
    };
    assert!(of_block(&block("a $ b\n")).is_empty());
    for text in ["$ ls\na\n", "a\n$ ls\n"] {
        let refused = std::panic::catch_unwind(|| of_block(&block(text)));
        assert!(refused.is_err(), "{text}");
    }
}

#[test]
fn what_lasts_of_a_text_are_its_words_and_what_is_none() {
    let text = "NAME   AGE\nedge-1  12s (lease)\n\n 2026-11-26T01:40:57.703Z 0 of 200 in 1.5ms: \n";
    assert_eq!(
        lasting(text),
        "NAME AGE\nedge-1 # (lease)\n\n1-1-1T1Z 0 of 1 in #:"
    );
    assert_ne!(lasting("12 seconds"), lasting("12 minutes"));
    assert_eq!(lasting("0s"), lasting("1m12s"));
}
